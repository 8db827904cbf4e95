//! One way to place the networks, and what it needs of each device's memory.

use tch::Device;

use crate::checkpoint::dtype::DType;

use super::machine::Machine;
use super::measured::{FREE_PART, RUNTIME, working_set};
use super::sizes::{Network, Sizes};

/// A network in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub network: Network,
    pub precision: DType,
    pub device: Device,
    /// Loaded when its turn comes and let go after it.
    pub on_demand: bool,
}

impl Part {
    pub fn weights(&self, sizes: &Sizes) -> u64 {
        let size = sizes.of(self.network).unwrap_or_default();
        size.bytes(self.precision)
    }

    fn staging(&self, sizes: &Sizes) -> u64 {
        let size = sizes.of(self.network).unwrap_or_default();
        size.staging(self.precision)
    }

    pub fn working(&self, batch: usize) -> u64 {
        working_set(self.network, self.precision).bytes(batch)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub parts: Vec<Part>,
    /// Crops in one forward pass.
    pub batch: usize,
}

/// What a layout is reckoned with.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    pub sizes: &'a Sizes,
    pub machine: &'a Machine,
    pub frame_bytes: u64,
}

/// A device that a layout uses, what it needs there and what there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub device: Device,
    pub needed: u64,
    pub available: Option<u64>,
}

impl Need {
    pub fn is_short(&self) -> bool {
        self.available.is_some_and(|there| there < self.needed)
    }
}

impl Layout {
    /// RAM first, then the cards in use.
    pub fn needs(&self, given: Given) -> Vec<Need> {
        let mut devices = vec![Device::Cpu];
        for part in &self.parts {
            if !devices.contains(&part.device) {
                devices.push(part.device);
            }
        }
        let need = |device| Need {
            device,
            needed: self.peak(device, given),
            available: given.machine.room(device).and_then(|room| room.available),
        };
        devices.into_iter().map(need).collect()
    }

    /// The most that is held on `device` at one time, and what must stay free beside it: the resident
    /// weights, and one network at work or being loaded.
    fn peak(&self, device: Device, given: Given) -> u64 {
        let (mut resident, mut extra) = (0, 0);
        for part in &self.parts {
            let staging = part.staging(given.sizes);
            if part.device != device {
                // On its way to a card, a tensor passes through RAM.
                extra = extra.max(if device == Device::Cpu { staging } else { 0 });
                continue;
            }
            let busy = part.working(self.batch).max(staging);
            let weights = part.weights(given.sizes);
            if part.on_demand {
                extra = extra.max(weights.saturating_add(busy));
            } else {
                resident += weights;
                extra = extra.max(busy);
            }
        }
        let own = if device == Device::Cpu {
            RUNTIME.saturating_add(given.frame_bytes)
        } else {
            0
        };
        let held = own.saturating_add(resident).saturating_add(extra);
        held.saturating_add(held / FREE_PART)
    }

    /// With the largest batch that fits, if one does; a batch changes no result.
    pub fn fitted(&self, given: Given) -> Option<Self> {
        let mut layout = self.clone();
        loop {
            if !layout.needs(given).iter().any(Need::is_short) {
                return Some(layout);
            }
            if layout.batch <= 1 {
                return None;
            }
            layout.batch /= 2;
        }
    }

    /// With batches of one: the least this placement can do with.
    pub fn least(&self) -> Self {
        Self {
            batch: 1,
            ..self.clone()
        }
    }

    /// Networks loaded when they are needed, on the devices that are short: those that cost the
    /// fewest bytes to load again, if some are enough; all of them otherwise.
    pub fn on_demand(&self, given: Given) -> Self {
        let short: Vec<Device> = self
            .least()
            .needs(given)
            .iter()
            .filter(|need| need.is_short())
            .map(|need| need.device)
            .collect();
        let movable: Vec<usize> = (0..self.parts.len())
            .filter(|&i| self.parts.get(i).is_some_and(|p| short.contains(&p.device)))
            .collect();
        let mut choices: Vec<(u64, Self)> = (1..1usize << movable.len())
            .map(|chosen| {
                let mut layout = self.clone();
                let mut reloaded = 0;
                for (bit, &index) in movable.iter().enumerate() {
                    if chosen >> bit & 1 == 1
                        && let Some(part) = layout.parts.get_mut(index)
                    {
                        part.on_demand = true;
                        reloaded += part.weights(given.sizes);
                    }
                }
                (reloaded, layout)
            })
            .collect();
        choices.sort_by_key(|(reloaded, _)| *reloaded);
        let fitting = choices
            .iter()
            .find(|(_, layout)| layout.fitted(given).is_some())
            .or(choices.last());
        fitting.map_or_else(|| self.clone(), |(_, layout)| layout.clone())
    }
}
