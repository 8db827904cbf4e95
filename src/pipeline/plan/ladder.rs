//! The ladder: how a wish is made to fit, step by step, or refused with numbers.

use tch::Device;

use crate::checkpoint::dtype::DType;
use crate::pipeline::error::{EngineError, MEMORY, MODEL_UNAVAILABLE};

use super::layout::{Given, Layout, Need, Part};
use super::machine::{Machine, megabytes};
use super::report::{
    Component, DeviceUse, Needed, Plan, Residence, Step, Trial, device_name, precision_name,
};
use super::sizes::{Network, Sizes};
use super::wish::{Asked, Detector, Wish};

/// In the order in which they are tried.
const STEPS: [Step; 4] = [
    Step::Bf16,
    Step::DetectorOnCpu,
    Step::RegNetY,
    Step::OnDemand,
];

impl Plan {
    /// The first rung of the ladder that fits; the error says what every rung needs.
    pub fn make(wish: &Wish, sizes: &Sizes, machine: &Machine) -> Result<Self, EngineError> {
        let given = Given {
            sizes,
            machine,
            frame_bytes: wish.frame_bytes,
        };
        let wished = wished(wish, sizes)?;
        let (trials, last) = climb(wish, &wished, given);
        if let Some(fitting) = last.fitted(given) {
            return Ok(plan(&fitting, trials, wish, given));
        }
        // A step that helped one device may have taken what another needs.
        if let Some((trials, fitting)) = any(wish, &wished, given) {
            return Ok(plan(&fitting, trials, wish, given));
        }
        Err(refusal(&trials, &last, given))
    }
}

/// The placement as the caller would have it.
fn wished(wish: &Wish, sizes: &Sizes) -> Result<Layout, EngineError> {
    let mut parts = Vec::new();
    let mut add = |network, device| {
        parts.push(Part {
            network,
            precision: wish.precision.value(),
            device,
            on_demand: false,
        });
    };
    let missing = |what: &str| {
        let message = format!("{what} is not there; `pose4d warmup --model 4dhumans` fetches it");
        Err(EngineError::new(MODEL_UNAVAILABLE, message))
    };
    let detector = match (wish.detector, sizes.vitdet, sizes.regnety) {
        (Asked::Auto(Detector::VitDet), None, Some(_)) => Some(Network::RegNetY),
        (Asked::Auto(Detector::RegNetY), Some(_), None) => Some(Network::VitDet),
        (asked, vitdet, regnety) => match asked.value() {
            Detector::None => None,
            Detector::VitDet if vitdet.is_none() => return missing("the detector ViTDet-H"),
            Detector::RegNetY if regnety.is_none() => return missing("the detector RegNetY"),
            Detector::VitDet => Some(Network::VitDet),
            Detector::RegNetY => Some(Network::RegNetY),
        },
    };
    if let Some(network) = detector {
        add(network, wish.detector_device.value());
    }
    if sizes.hmr2.is_some() {
        add(Network::Hmr2, wish.hmr2_device);
    }
    if sizes.vitpose.is_some() {
        add(Network::VitPose, wish.vitpose_device);
    }
    if sizes.phalp.is_some() {
        add(Network::Phalp, wish.hmr2_device);
    }
    Ok(Layout {
        parts,
        batch: wish.batch.max(1),
    })
}

/// Takes step after step until it fits or there is none left.
fn climb(wish: &Wish, wished: &Layout, given: Given) -> (Vec<Trial>, Layout) {
    let fits = |layout: &Layout| layout.fitted(given).is_some();
    let mut layout = wished.clone();
    let mut trials = vec![trial(Step::AsWished, fits(&layout), "", &layout, given)];
    if let Some(first) = trials.first_mut() {
        first.reason = if first.taken { "fits" } else { "too large" }.into();
    }
    for step in STEPS {
        if fits(&layout) {
            break;
        }
        match apply(step, wish, &layout, given) {
            Err(why) => trials.push(trial(step, false, &why, &layout, given)),
            Ok(next) if !helps(&layout, &next, given) => {
                let why = "frees nothing where memory is short";
                trials.push(trial(step, false, why, &next, given));
            }
            Ok(next) => {
                layout = next;
                let reason = if fits(&layout) {
                    "fits"
                } else {
                    "still too large"
                };
                trials.push(trial(step, true, reason, &layout, given));
            }
        }
    }
    (trials, layout)
}

/// Any choice of steps that fits, those of the fewest and gentlest steps first.
fn any(wish: &Wish, wished: &Layout, given: Given) -> Option<(Vec<Trial>, Layout)> {
    let mut choices: Vec<usize> = (1..1 << STEPS.len()).collect();
    choices.sort_by_key(|chosen| (chosen.count_ones(), *chosen));
    choices.into_iter().find_map(|chosen| {
        let mut layout = wished.clone();
        let mut trials = vec![trial(Step::AsWished, false, "too large", &layout, given)];
        for (bit, step) in STEPS.into_iter().enumerate() {
            if chosen >> bit & 1 == 0 {
                trials.push(trial(step, false, "left out", &layout, given));
                continue;
            }
            layout = apply(step, wish, &layout, given).ok()?;
            trials.push(trial(step, true, "part of what fits", &layout, given));
        }
        let fitting = layout.fitted(given)?;
        Some((trials, fitting))
    })
}

/// The layout after `step`; the error says why it cannot be taken.
fn apply(step: Step, wish: &Wish, layout: &Layout, given: Given) -> Result<Layout, String> {
    let mut next = layout.clone();
    match step {
        Step::AsWished => {}
        Step::Bf16 => {
            if wish.precision.is_fixed() {
                let asked = precision_name(wish.precision.value());
                return Err(format!("precision: '{asked}' was asked for"));
            }
            for part in &mut next.parts {
                // A type of two bytes has nothing to gain.
                if part.precision.size() > DType::BF16.size() {
                    part.precision = DType::BF16;
                }
            }
        }
        Step::DetectorOnCpu => {
            let part = detector(&mut next).ok_or("no detector is loaded")?;
            if wish.detector_device.is_fixed() {
                let asked = device_name(wish.detector_device.value());
                return Err(format!("detectorDevice: '{asked}' was asked for"));
            }
            part.device = Device::Cpu;
        }
        Step::RegNetY => {
            let part = detector(&mut next).ok_or("no detector is loaded")?;
            if wish.detector.is_fixed() {
                let asked = part.network.name();
                return Err(format!("detector: '{asked}' was asked for"));
            }
            if given.sizes.regnety.is_none() {
                return Err("its file is not in the cache".into());
            }
            part.network = Network::RegNetY;
        }
        Step::OnDemand => next = next.on_demand(given),
    }
    if next == *layout {
        return Err("so already".into());
    }
    Ok(next)
}

fn detector(layout: &mut Layout) -> Option<&mut Part> {
    layout
        .parts
        .iter_mut()
        .find(|part| matches!(part.network, Network::VitDet | Network::RegNetY))
}

/// Whether some device that is short needs less.
fn helps(before: &Layout, after: &Layout, given: Given) -> bool {
    let after = after.least().needs(given);
    let now = |device| {
        let need = after.iter().find(|need| need.device == device);
        need.map_or(0, |need| need.needed)
    };
    let before = before.least().needs(given);
    let mut short = before.iter().filter(|need| need.is_short());
    short.any(|need| now(need.device) < need.needed)
}

fn trial(step: Step, taken: bool, reason: &str, layout: &Layout, given: Given) -> Trial {
    let needed = |need: &Need| Needed {
        device: device_name(need.device),
        bytes: need.needed,
    };
    Trial {
        step,
        taken,
        reason: reason.to_owned(),
        needs: layout.least().needs(given).iter().map(needed).collect(),
    }
}

fn plan(layout: &Layout, ladder: Vec<Trial>, wish: &Wish, given: Given) -> Plan {
    let component = |part: &Part| Component {
        name: part.network.name(),
        precision: precision_name(part.precision),
        device: device_name(part.device),
        residence: if part.on_demand {
            Residence::OnDemand
        } else {
            Residence::Resident
        },
        weight_bytes: part.weights(given.sizes),
        working_bytes: part.working(layout.batch),
        network: part.network,
        dtype: part.precision,
        place: part.device,
    };
    Plan {
        components: layout.parts.iter().map(component).collect(),
        batch: layout.batch,
        wished_batch: wish.batch.max(1),
        devices: layout
            .needs(given)
            .iter()
            .map(|n| device_use(n, given))
            .collect(),
        ladder,
    }
}

fn device_use(need: &Need, given: Given) -> DeviceUse {
    let room = given.machine.room(need.device);
    DeviceUse {
        device: device_name(need.device),
        needed_bytes: need.needed,
        available_bytes: need.available,
        bound: room.map_or_else(|| "not known".into(), |room| room.bound.clone()),
    }
}

fn refusal(trials: &[Trial], last: &Layout, given: Given) -> EngineError {
    let needs = last.least().needs(given);
    let there = |need: &Need| {
        let used = device_use(need, given);
        let available = used
            .available_bytes
            .map_or_else(|| "unknown".into(), |bytes| (bytes >> 20).to_string());
        format!("{}: {available} MB ({})", used.device, used.bound)
    };
    let step = |trial: &Trial| {
        let needs = trial
            .needs
            .iter()
            .map(|need| format!("{} {} MB", need.device, megabytes(need.bytes)));
        let needs: Vec<String> = needs.collect();
        let what = trial.step.text();
        if trial.taken || trial.step == Step::AsWished {
            format!("{what} needs {}", needs.join(", "))
        } else {
            format!("{what}: {}", trial.reason)
        }
    };
    let short = needs.iter().filter(|need| need.is_short()).map(|need| {
        let missing = need.needed - need.available.unwrap_or(0).min(need.needed);
        format!(
            "{} MB more on {}",
            megabytes(missing),
            device_name(need.device)
        )
    });
    let advice: Vec<String> = short.collect();
    let freed = trials
        .iter()
        .any(|trial| !trial.taken && trial.reason.ends_with("was asked for"));
    let loosen = if freed {
        ", or leave free what was asked for"
    } else {
        ", or use model: 'blazepose'"
    };
    EngineError::new(
        MEMORY,
        format!(
            "the models do not fit into memory. There is {}. {}. Give {}{loosen}",
            needs.iter().map(there).collect::<Vec<_>>().join("; "),
            trials.iter().map(step).collect::<Vec<_>>().join("; "),
            advice.join(" and "),
        ),
    )
}

#[cfg(test)]
#[path = "ladder_tests.rs"]
mod tests;
