//! What memory there is: RAM within every limit, and what the cards have free.

use tch::Device;

use crate::runtime::gpu;
use crate::runtime::memory::{self, MemoryReading};

/// One device's memory, bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    pub device: Device,
    /// What can be taken; `None`: the system does not say, and everything is let pass.
    pub available: Option<u64>,
    /// What bounds it, in words.
    pub bound: String,
}

/// Every device's memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub host: Room,
    pub cards: Vec<Room>,
}

impl Machine {
    /// Reads the state of now. `devices`: those that may be used; `budget`: bytes of RAM that
    /// this process may hold.
    pub fn read(devices: &[Device], budget: Option<u64>) -> Self {
        let mut cards: Vec<Room> = Vec::new();
        // First: a card's context takes RAM too, which the reading of RAM must see.
        for &device in devices {
            if let Device::Cuda(index) = device
                && !cards.iter().any(|card| card.device == device)
            {
                cards.push(Self::card(index));
            }
        }
        Self {
            host: Self::host(&memory::read(), budget),
            cards,
        }
    }

    fn card(index: usize) -> Room {
        let reading = gpu::memory(index);
        Room {
            device: Device::Cuda(index),
            available: reading.map(|card| card.free),
            bound: reading.map_or_else(
                || "free memory not known".into(),
                |card| format!("free of {} MB", megabytes(card.total)),
            ),
        }
    }

    /// RAM: the least of what machine, cgroup and budget leave.
    pub fn host(reading: &MemoryReading, budget: Option<u64>) -> Room {
        let used = |name: &str, limit: u64, used: u64| {
            let bound = format!(
                "{name} of {} MB, {} MB of it in use",
                megabytes(limit),
                megabytes(used)
            );
            (limit.saturating_sub(used), bound)
        };
        let rss = reading.rss.unwrap_or(0);
        let machine = reading
            .available
            .map(|free| (free, "free RAM of the machine".to_owned()));
        let cgroup = reading.cgroup_limit.map(|limit| {
            let held = reading.cgroup_used.unwrap_or(rss);
            used("the cgroup's limit", limit, held)
        });
        let budget = budget.map(|limit| used("memoryBudgetMb", limit, rss));
        let least = [machine, cgroup, budget].into_iter().flatten().min();
        Room {
            device: Device::Cpu,
            available: least.as_ref().map(|(free, _)| *free),
            bound: least.map_or_else(|| "free RAM not known".into(), |(_, bound)| bound),
        }
    }

    /// The memory of `device`.
    pub fn room(&self, device: Device) -> Option<&Room> {
        if device == Device::Cpu {
            return Some(&self.host);
        }
        self.cards.iter().find(|card| card.device == device)
    }
}

/// Whole megabytes (2²⁰), rounded up.
pub fn megabytes(bytes: u64) -> u64 {
    bytes.div_ceil(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const READING: MemoryReading = MemoryReading {
        rss: Some(100 << 20),
        peak_rss: None,
        total: Some(8000 << 20),
        available: Some(5000 << 20),
        cgroup_limit: None,
        cgroup_used: None,
    };

    #[test]
    fn the_tightest_bound_counts_and_is_named() {
        let host = |reading: &MemoryReading, budget| {
            let room = Machine::host(reading, budget);
            (room.available.map(megabytes), room.bound)
        };
        let free = |mb, bound: &str| (Some(mb), bound.to_owned());
        assert_eq!(host(&READING, None), free(5000, "free RAM of the machine"));
        let boxed = MemoryReading {
            cgroup_limit: Some(4096 << 20),
            cgroup_used: Some(300 << 20),
            ..READING
        };
        let (available, bound) = host(&boxed, None);
        assert_eq!(available, Some(3796));
        assert!(bound.contains("cgroup") && bound.contains("4096") && bound.contains("300"));
        let (available, bound) = host(&boxed, Some(1000 << 20));
        assert_eq!(available, Some(900));
        assert!(bound.starts_with("memoryBudgetMb of 1000 MB"), "{bound}");
        assert_eq!(host(&MemoryReading::default(), None).0, None);
    }

    #[test]
    fn this_machine_has_memory() {
        let machine = Machine::read(&[Device::Cpu], None);
        assert!(machine.cards.is_empty());
        let room = machine.room(Device::Cpu).unwrap();
        assert!(room.available.is_some_and(|bytes| bytes > 1 << 20));
        assert!(machine.room(Device::Cuda(0)).is_none());
    }
}
