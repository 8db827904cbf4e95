//! The stand with tiny networks of every kind.

use super::super::request::Network;
use super::super::synthetic::{Files, Scale};
use super::*;

struct Asked(Stand, tokio::runtime::Runtime);

impl Asked {
    fn ask(&self, request: Request) -> Result<Answer, EngineError> {
        self.1.block_on(self.0.ask(request))
    }
}

fn stand() -> Asked {
    let runtime = tokio::runtime::Builder::new_current_thread();
    Asked(Stand::start(1).unwrap(), { runtime }.build().unwrap())
}

fn load(files: &Files, network: Network) -> Request {
    let path = match network {
        Network::VitDet => &files.vitdet,
        Network::RegNetY => &files.regnety,
        Network::Hmr2 => &files.hmr2,
        Network::VitPose => &files.vitpose,
    };
    Request::Load {
        network,
        path: path.clone(),
        config: Some(files.hmr2_config.clone()),
        body: Some(files.body.clone()),
        regressor: Some(files.regressor.clone()),
        precision: "fp32".into(),
        device: "cpu".into(),
    }
}

fn run(stage: Stage, batch: usize) -> Request {
    Request::Run {
        stage,
        batch,
        repeat: 2,
    }
}

#[test]
fn every_network_and_stage_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut told = Vec::new();
    let files = Files::write_all(folder.path(), Scale::Tiny, DType::BF16, &mut |path| {
        told.push(path.to_path_buf());
    })
    .unwrap();
    assert_eq!(told.len(), 6);
    // Once more: they are there.
    Files::write_all(folder.path(), Scale::Tiny, DType::BF16, &mut |path| {
        panic!("{} is written again", path.display())
    })
    .unwrap();

    let stand = stand();
    let image = Request::Image {
        path: None,
        width: 320,
        height: 240,
        person: None,
    };
    assert_eq!(stand.ask(image).unwrap().width, Some(320));
    for (network, stages) in [
        (
            Network::Hmr2,
            &[
                Stage::Crop,
                Stage::Hmr2,
                Stage::Hmr2Trunk,
                Stage::Hmr2Head,
                Stage::Smpl,
            ][..],
        ),
        (Network::RegNetY, &[Stage::Detect]),
        (Network::VitDet, &[Stage::Detect]),
        (Network::VitPose, &[Stage::VitPose]),
    ] {
        let loaded = stand.ask(load(&files, network)).unwrap();
        assert!(loaded.weight_bytes.unwrap() > 1000);
        for &stage in stages {
            let answer = stand.ask(run(stage, 2)).unwrap();
            let ms = answer.ms.unwrap();
            assert!(ms.len() == 2 && ms.iter().all(|ms| *ms > 0.0), "{stage:?}");
            assert_eq!(answer.gflop.is_some(), stage != Stage::Crop, "{stage:?}");
            assert_eq!(answer.found.is_some(), stage == Stage::Detect);
        }
        let matrix = Request::Matrix {
            batch: 1,
            repeat: 1,
        };
        assert!(stand.ask(matrix).unwrap().gflop_per_second.unwrap() > 0.0);
    }
}

#[test]
fn a_larger_batch_is_more_work() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::write_all(folder.path(), Scale::Tiny, DType::F32, &mut |_| ()).unwrap();
    let stand = stand();
    stand.ask(load(&files, Network::Hmr2)).unwrap();
    let work = |batch| stand.ask(run(Stage::Hmr2, batch)).unwrap().gflop.unwrap();
    assert!((work(4) / work(1) - 4.0).abs() < 1e-9);
}

#[test]
fn what_cannot_be_measured_is_told() {
    let stand = stand();
    let code = |request| stand.ask(request).unwrap_err().code;
    assert_eq!(code(run(Stage::Hmr2, 1)), INVALID_ARGUMENT);
    assert_eq!(code(run(Stage::Decode, 1)), INVALID_ARGUMENT);
    let missing = Request::Image {
        path: Some("/nowhere/at/all.jpg".into()),
        width: 0,
        height: 0,
        person: None,
    };
    assert_eq!(code(missing), IMAGE_NOT_FOUND);
    let folder = tempfile::tempdir().unwrap();
    let nothing = load(&Files::of(folder.path()), Network::Hmr2);
    assert_eq!(code(nothing), crate::pipeline::error::MODEL_FILE);
    let wrong: Result<Request, _> = serde_json::from_str(r#"{"do":"run","stage":"hmr3"}"#);
    assert!(wrong.is_err());
}
