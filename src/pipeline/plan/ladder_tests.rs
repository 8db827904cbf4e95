//! The ladder on made-up machines: what is taken, in which order, and what is never touched.

use super::*;
use crate::pipeline::plan::machine::Room;
use crate::pipeline::plan::measured::{FREE_PART, RUNTIME, working_set};
use crate::pipeline::plan::sizes::ModelSize;

const GB: u64 = 1 << 30;
const CARD: Device = Device::Cuda(0);

fn model(millions: u64) -> Option<ModelSize> {
    Some(ModelSize {
        matrices: millions * 1_000_000,
        fixed_bytes: 1 << 20,
        largest: 6_553_600,
    })
}

/// The released sizes, roughly.
fn sizes() -> Sizes {
    Sizes {
        vitdet: model(690),
        regnety: model(45),
        hmr2: model(670),
        vitpose: model(637),
        phalp: None,
    }
}

fn wish() -> Wish {
    Wish {
        detector: Asked::Auto(Detector::VitDet),
        detector_device: Asked::Auto(Device::Cpu),
        hmr2_device: Device::Cpu,
        vitpose_device: Device::Cpu,
        precision: Asked::Auto(DType::F32),
        batch: 8,
        frame_bytes: 64 << 20,
    }
}

fn on_card() -> Wish {
    Wish {
        detector_device: Asked::Auto(CARD),
        hmr2_device: CARD,
        vitpose_device: CARD,
        ..wish()
    }
}

fn machine(host: u64, card: Option<u64>) -> Machine {
    let room = |device, free| Room {
        device,
        available: Some(free),
        bound: "a test".into(),
    };
    Machine {
        host: room(Device::Cpu, host),
        cards: card.map(|free| room(CARD, free)).into_iter().collect(),
    }
}

/// What `wish` needs with every network resident and batches of `batch`.
fn resident(precision: DType, detector: Network, batch: usize) -> u64 {
    let sizes = sizes();
    let parts = [detector, Network::Hmr2, Network::VitPose];
    let weights: u64 = parts
        .iter()
        .map(|&n| sizes.of(n).unwrap().bytes(precision))
        .sum();
    let busy = parts
        .iter()
        .map(|&n| working_set(n, precision).bytes(batch));
    let held = weights + busy.max().unwrap() + RUNTIME + (64 << 20);
    held + held / FREE_PART
}

fn taken(plan: &Plan) -> Vec<Step> {
    plan.downgrades().map(|trial| trial.step).collect()
}

#[test]
fn what_fits_stays_as_it_was_wished() {
    let need = resident(DType::F32, Network::VitDet, 8);
    let plan = Plan::make(&wish(), &sizes(), &machine(need, None)).unwrap();
    assert_eq!(taken(&plan), []);
    assert_eq!((plan.batch, plan.devices[0].needed_bytes), (8, need));
    let places: Vec<_> = plan
        .components
        .iter()
        .map(|c| (c.name, c.precision, c.device.as_str(), c.residence))
        .collect();
    let kept = |name| (name, "fp32", "cpu", Residence::Resident);
    assert_eq!(places, [kept("vitdet"), kept("hmr2"), kept("vitpose")]);
}

#[test]
fn one_byte_less_is_the_next_rung() {
    let need = resident(DType::F32, Network::VitDet, 1);
    let made = |host| Plan::make(&wish(), &sizes(), &machine(host, None)).unwrap();
    assert_eq!(taken(&made(need)), []);
    assert_eq!(taken(&made(need - 1)), [Step::Bf16]);
    let need = resident(DType::BF16, Network::VitDet, 1);
    assert_eq!(taken(&made(need)), [Step::Bf16]);
    // The detector is on the CPU already, which is said and does nothing.
    let plan = made(need - 1);
    assert_eq!(taken(&plan), [Step::Bf16, Step::RegNetY]);
    let looked_at: Vec<_> = plan.ladder.iter().map(|trial| trial.step).collect();
    assert_eq!(looked_at[2], Step::DetectorOnCpu);
    assert_eq!(plan.ladder[2].reason, "so already");
    assert_eq!(plan.detector().unwrap().name, "regnety");
    let need = resident(DType::BF16, Network::RegNetY, 1);
    assert_eq!(
        taken(&made(need - 1)),
        [Step::Bf16, Step::RegNetY, Step::OnDemand]
    );
}

#[test]
fn every_plan_fits_and_more_memory_is_never_worse() {
    let mut before = usize::MAX;
    for tenth in 10..120 {
        let host = tenth * GB / 10;
        for wish in [wish(), on_card()] {
            let there = machine(host, Some(host));
            if let Ok(plan) = Plan::make(&wish, &sizes(), &there) {
                for device in &plan.devices {
                    assert!(device.needed_bytes <= host, "{plan:?}");
                }
            }
        }
        if let Ok(plan) = Plan::make(&wish(), &sizes(), &machine(host, None)) {
            assert!(taken(&plan).len() <= before);
            before = taken(&plan).len();
        }
    }
    assert_eq!(before, 0);
}

#[test]
fn batches_shrink_before_anything_is_lost() {
    let between = |batch| resident(DType::F32, Network::VitDet, batch);
    // ViTDet's working set hides the crops': without a detector they count.
    let wish = Wish {
        detector: Asked::Fixed(Detector::None),
        ..wish()
    };
    let roomy = Plan::make(&wish, &sizes(), &machine(between(8), None)).unwrap();
    let need = roomy.devices[0].needed_bytes;
    assert_eq!((roomy.batch, roomy.components.len()), (8, 2));
    let plan = Plan::make(&wish, &sizes(), &machine(need - 1, None)).unwrap();
    assert_eq!((plan.batch, plan.wished_batch), (4, 8));
    assert_eq!(taken(&plan), []);
}

#[test]
fn what_was_asked_for_is_never_overridden() {
    let wish = Wish {
        precision: Asked::Fixed(DType::F32),
        detector: Asked::Fixed(Detector::VitDet),
        ..wish()
    };
    let need = resident(DType::F32, Network::VitDet, 1);
    let plan = Plan::make(&wish, &sizes(), &machine(need - 1, None)).unwrap();
    assert_eq!(taken(&plan), [Step::OnDemand]);
    assert!(plan.components.iter().all(|c| c.precision == "fp32"));
    assert_eq!(plan.detector().unwrap().name, "vitdet");
    let reasons: Vec<_> = plan.ladder.iter().map(|t| t.reason.as_str()).collect();
    assert_eq!(reasons[1], "precision: 'fp32' was asked for");
    assert_eq!(reasons[3], "detector: 'vitdet' was asked for");
    let refused = Plan::make(&wish, &sizes(), &machine(3 * GB, None)).unwrap_err();
    assert_eq!(refused.code, MEMORY);
    assert!(refused.message.contains("was asked for"), "{refused}");

    let wish = Wish {
        detector_device: Asked::Fixed(CARD),
        ..on_card()
    };
    let plan = Plan::make(&wish, &sizes(), &machine(64 * GB, Some(3 * GB))).unwrap();
    assert_eq!(plan.detector().unwrap().device, "cuda:0");
    let kept = plan
        .ladder
        .iter()
        .find(|t| t.step == Step::DetectorOnCpu)
        .unwrap();
    assert!(!kept.taken && kept.reason == "detectorDevice: 'cuda:0' was asked for");
}

#[test]
fn only_what_is_needed_is_loaded_on_demand() {
    let wish = Wish {
        precision: Asked::Fixed(DType::BF16),
        detector: Asked::Fixed(Detector::VitDet),
        ..wish()
    };
    let need = resident(DType::BF16, Network::VitDet, 1);
    let plan = Plan::make(&wish, &sizes(), &machine(need - 1, None)).unwrap();
    let on_demand = |plan: &Plan| {
        let parts = plan.components.iter();
        parts
            .filter(|c| c.residence == Residence::OnDemand)
            .map(|c| c.name)
            .collect::<Vec<_>>()
    };
    // ViTDet is at its peak while ViTPose, the smallest to load again, is away.
    assert_eq!(on_demand(&plan), ["vitpose"]);
    // With one of them away there is still too much: the other has to go too.
    let one_away = need - sizes().hmr2.unwrap().bytes(DType::BF16);
    let plan = Plan::make(&wish, &sizes(), &machine(one_away - 1, None)).unwrap();
    assert!(on_demand(&plan).len() > 1, "{plan:?}");
}

#[test]
fn a_small_card_sends_the_detector_home() {
    let there = machine(64 * GB, Some(3 * GB));
    let plan = Plan::make(&on_card(), &sizes(), &there).unwrap();
    assert_eq!(taken(&plan), [Step::Bf16, Step::DetectorOnCpu]);
    assert_eq!(plan.detector().unwrap().device, "cpu");
    assert_eq!(plan.component(Network::Hmr2).unwrap().device, "cuda:0");
    assert_eq!(plan.devices.len(), 2);
}

#[test]
fn a_step_that_hurts_elsewhere_is_taken_back() {
    // No room at home for ViTDet, which may not be exchanged: on demand on the card it is.
    let wish = Wish {
        detector: Asked::Fixed(Detector::VitDet),
        ..on_card()
    };
    let there = machine(2 * GB, Some(4 * GB));
    let plan = Plan::make(&wish, &sizes(), &there).unwrap();
    assert_eq!(plan.detector().unwrap().device, "cuda:0");
    assert!(taken(&plan).contains(&Step::OnDemand));
    assert!(!taken(&plan).contains(&Step::DetectorOnCpu));
}

#[test]
fn a_refusal_says_every_number() {
    let error = Plan::make(&wish(), &sizes(), &machine(GB / 2, None)).unwrap_err();
    assert_eq!(error.code, MEMORY);
    for part in [
        "There is cpu: 512 MB (a test)",
        "as wished needs cpu",
        "bf16 needs cpu",
        "detector on the CPU: so already",
        "RegNetY as the detector needs cpu",
        "models on demand, one after the other needs cpu",
        "MB more on cpu",
    ] {
        assert!(error.message.contains(part), "{part:?} in {error}");
    }
}

#[test]
fn the_stated_need_is_what_it_takes() {
    let error = Plan::make(&wish(), &sizes(), &machine(GB / 2, None)).unwrap_err();
    let text = error.message;
    let before = text.split(" MB more on cpu").next().unwrap();
    let more: u64 = before.rsplit(' ').next().unwrap().parse().unwrap();
    let enough = machine(GB / 2 + (more << 20), None);
    assert!(Plan::make(&wish(), &sizes(), &enough).is_ok());
    let short = machine(GB / 2 + ((more - 1) << 20), None);
    assert!(Plan::make(&wish(), &sizes(), &short).is_err());
}

#[test]
fn a_detector_that_is_not_there() {
    let none = Sizes {
        vitdet: None,
        regnety: None,
        ..sizes()
    };
    let error = Plan::make(&wish(), &none, &machine(64 * GB, None)).unwrap_err();
    assert_eq!(error.code, MODEL_UNAVAILABLE);
    let light = Sizes {
        vitdet: None,
        ..sizes()
    };
    let plan = Plan::make(&wish(), &light, &machine(64 * GB, None)).unwrap();
    assert_eq!(plan.detector().unwrap().name, "regnety");
    let heavy = Sizes {
        regnety: None,
        ..sizes()
    };
    let need = resident(DType::BF16, Network::VitDet, 1);
    let plan = Plan::make(&wish(), &heavy, &machine(need - 1, None)).unwrap();
    assert_eq!(taken(&plan), [Step::Bf16, Step::OnDemand]);
}

#[test]
fn what_is_not_known_is_let_pass() {
    let blind = Machine {
        host: Room {
            device: Device::Cpu,
            available: None,
            bound: "unknown".into(),
        },
        cards: Vec::new(),
    };
    let plan = Plan::make(&on_card(), &sizes(), &blind).unwrap();
    assert_eq!(taken(&plan), []);
    assert_eq!(plan.devices[1].available_bytes, None);
}

#[test]
fn the_report_is_json_in_camel_case() {
    let plan = Plan::make(&wish(), &sizes(), &machine(8 * GB, None)).unwrap();
    let json = serde_json::to_value(&plan).unwrap();
    let first = &json["models"][0];
    assert_eq!(
        (&first["name"], &first["device"]),
        (&"vitdet".into(), &"cpu".into())
    );
    assert!(first["weightBytes"].as_u64().unwrap() > GB);
    assert_eq!(first["residence"], "resident");
    assert_eq!(json["steps"][1]["step"], "bf16");
    assert!(json["devices"][0]["neededBytes"].as_u64().unwrap() <= 8 * GB);
    assert!(first.get("network").is_none());
}
