//! Whether a depth network fits into the memory there is: precision and batch, or a refusal in numbers.

use std::path::Path;

use tch::Device;

use crate::checkpoint::dtype::DType;
use crate::models::midas::Kind;
use crate::pipeline::error::{EngineError, MEMORY, MODEL_FILE};
use crate::pipeline::plan::machine::{Machine, Room, megabytes};
use crate::pipeline::plan::measured::{FREE_PART, RUNTIME, working_set};
use crate::pipeline::plan::report::{device_name, precision_name};
use crate::pipeline::plan::sizes::{ModelSize, Network};
use crate::pipeline::plan::wish::Asked;

/// How a network is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub device: Device,
    pub precision: DType,
    /// Frames in one run, at most.
    pub batch: usize,
    /// Of the weights.
    pub bytes: u64,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub device: Device,
    pub precision: Asked<DType>,
    pub batch: usize,
    /// Frames and maps alive beside the network, bytes of RAM.
    pub frame_bytes: u64,
}

/// The place of a network whose file that is, on this machine now.
pub fn find(
    kind: Kind,
    path: &Path,
    wish: Wish,
    budget: Option<u64>,
) -> Result<Place, EngineError> {
    let size = ModelSize::of_file(Network::Depth(kind), path)
        .map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))?;
    let machine = Machine::read(&[wish.device], budget);
    let room = machine.room(wish.device).unwrap_or(&machine.host);
    place(kind, size, wish, room)
}

/// As wished, else with smaller batches, else in bf16 where the precision is left open.
fn place(kind: Kind, size: ModelSize, wish: Wish, room: &Room) -> Result<Place, EngineError> {
    let mut precisions = vec![wish.precision.value()];
    if !wish.precision.is_fixed() && wish.precision.value() == DType::F32 {
        precisions.push(DType::BF16);
    }
    let fits = |needed: u64| room.available.is_none_or(|there| needed <= there);
    let mut refused = Vec::new();
    for precision in precisions {
        let mut batch = wish.batch.max(1);
        loop {
            let needed = needed(kind, size, precision, batch, wish);
            if fits(needed) {
                return Ok(Place {
                    device: wish.device,
                    precision,
                    batch,
                    bytes: size.bytes(precision),
                });
            }
            if batch == 1 {
                let name = precision_name(precision);
                refused.push(format!("{name}: {} MB", megabytes(needed)));
                break;
            }
            batch /= 2;
        }
    }
    Err(EngineError::new(
        MEMORY,
        format!(
            "{} does not fit on {}: it needs {} ({} MB there, {}); free memory, or use a smaller model, \
             e.g. MiDaS_small",
            kind.name(),
            device_name(wish.device),
            refused.join(", "),
            room.available.map_or(0, megabytes),
            room.bound,
        ),
    ))
}

/// Bytes on the device while it loads or works, with what must stay free.
fn needed(kind: Kind, size: ModelSize, precision: DType, batch: usize, wish: Wish) -> u64 {
    let working = working_set(Network::Depth(kind), precision).bytes(batch);
    let busy = working.max(size.staging(precision));
    let own = match wish.device {
        Device::Cpu => RUNTIME.saturating_add(wish.frame_bytes),
        _ => 0,
    };
    let held = own
        .saturating_add(size.bytes(precision))
        .saturating_add(busy);
    held.saturating_add(held / FREE_PART)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ModelSize = ModelSize {
        matrices: 344_000_000,
        fixed_bytes: 1_000_000,
        largest: 4_000_000,
    };

    fn wish(precision: Asked<DType>) -> Wish {
        Wish {
            device: Device::Cpu,
            precision,
            batch: 4,
            frame_bytes: 100 << 20,
        }
    }

    fn room(mb: u64) -> Room {
        Room {
            device: Device::Cpu,
            available: Some(mb << 20),
            bound: "memoryBudgetMb of so many".into(),
        }
    }

    #[test]
    fn what_does_not_fit_is_made_to_or_refused_in_numbers() {
        let auto = wish(Asked::Auto(DType::F32));
        let at = |mb, wish| place(Kind::DptLarge, SIZE, wish, &room(mb));
        let most = needed(Kind::DptLarge, SIZE, DType::F32, 4, auto).div_ceil(1 << 20);
        let found = at(most, auto).unwrap();
        assert_eq!((found.precision, found.batch), (DType::F32, 4));
        assert_eq!(found.bytes, SIZE.bytes(DType::F32));
        let least = needed(Kind::DptLarge, SIZE, DType::F32, 1, auto).div_ceil(1 << 20);
        assert_eq!(at(least, auto).unwrap().batch, 1);
        let found = at(least - 1, auto).unwrap();
        assert_eq!(found.precision, DType::BF16);
        let fixed = wish(Asked::Fixed(DType::F32));
        let error = at(least - 1, fixed).unwrap_err();
        assert_eq!(error.code, MEMORY);
        for part in [
            "DPT_Large",
            &format!("{least} MB"),
            "memoryBudgetMb",
            "MiDaS_small",
        ] {
            assert!(error.message.contains(part), "{part}: {}", error.message);
        }
        let error = at(100, auto).unwrap_err();
        assert!(error.message.contains("fp32") && error.message.contains("bf16"));
        let unknown = Room {
            available: None,
            ..room(0)
        };
        assert!(place(Kind::DptLarge, SIZE, fixed, &unknown).is_ok());
    }
}
