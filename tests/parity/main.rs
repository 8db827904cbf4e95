//! Numeric parity with the reference implementations: `npm run test:parity`.
//!
//! Cases are read from the folder in `POSE4D_GOLDENS` or, when that is not set, from the
//! project's own `tests/fixtures/goldens`. A case is known only by what lies in its folder.
#![allow(
    clippy::print_stdout,
    reason = "the tables are what this program is for"
)]
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a comparison may stop at libtorch's error"
)]

mod arrays;
mod detectors;
mod engine;
mod hmr2;
mod masks;
mod midas;
mod models;
mod phalp;
mod photos;
mod reference;
mod report;
mod smpl;
mod tensors;
mod textures;
mod video;
mod vitpose;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use pose4d::layers::network::runner::Executor;

use models::Models;
use report::Report;

fn main() -> ExitCode {
    // `cargo test -- --list` and the like ask harnesses for their tests; this is one as a whole.
    if std::env::args().any(|a| a == "--list") {
        println!("parity: test");
        return ExitCode::SUCCESS;
    }
    // As the engine's workers run: side by side, one thread each.
    tch::set_num_threads(1);
    let goldens = match std::env::var_os("POSE4D_GOLDENS") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/goldens"),
    };
    let mut report = Report::default();
    // `-- hmr2` runs the cases of one model.
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wanted = |model: &str| only.is_empty() || only.iter().any(|o| o == model);
    for case in cases(&goldens, "blazepose") {
        if !wanted("blazepose") {
            break;
        }
        if let Err(error) = blazepose(&case, &mut report) {
            report.fail(format!("{}: {error}", case.display()));
        }
    }
    type Run = fn(&Path, &mut Report) -> Result<(), String>;
    let networks: [(&str, &[Run]); 7] = [
        ("dpt", &[midas::run]),
        ("midas", &[midas::run]),
        ("phalp", &[phalp::run]),
        ("hmr2", &[smpl::run, hmr2::run]),
        ("regnet", &[detectors::regnet]),
        ("vitdet", &[detectors::vitdet]),
        ("vitpose", &[vitpose::run]),
    ];
    for (model, runs) in networks.into_iter().filter(|(model, _)| wanted(model)) {
        for case in folders(&goldens, model) {
            for run in runs {
                if let Err(error) = run(&case, &mut report) {
                    report.fail(format!("{}: {error}", case.display()));
                }
            }
        }
    }
    if report.finish() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// `<goldens>/<model>` itself and the cases in it: folders that hold `photos/` or `tensors/`.
fn cases(goldens: &Path, model: &str) -> Vec<PathBuf> {
    let folder = goldens.join(model);
    let inner = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path());
    let mut found: Vec<PathBuf> = std::iter::once(folder.clone())
        .chain(inner)
        .filter(|f| f.join("photos").is_dir() || f.join("tensors").is_dir())
        .collect();
    found.sort();
    if found.is_empty() {
        println!(
            "no case of {model} in {} (a case holds photos/ or tensors/)",
            goldens.display()
        );
    }
    found
}

/// The folders in `<goldens>/<model>`: a case each.
fn folders(goldens: &Path, model: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(goldens.join(model));
    let mut found: Vec<PathBuf> = entries
        .into_iter()
        .flatten()
        .flatten()
        .map(|e| e.path())
        .filter(|path| path.is_dir())
        .collect();
    found.sort();
    if found.is_empty() {
        println!("no case of {model} in {}", goldens.display());
    }
    found
}

fn blazepose(case: &Path, report: &mut Report) -> Result<(), String> {
    let folder = models::folder()?;
    let mut best = Models::load(&folder, Executor::Best)?;
    let name = best.detector.executor();
    tensors::run(case, &mut best, name, report)?;
    if name != "tensors" {
        let mut plain = Models::load(&folder, Executor::Tensors)?;
        tensors::run(case, &mut plain, "tensors", report)?;
    }
    let images = photos::load(case, report);
    photos::litert(case, &images, &mut best, report)?;
    photos::tasks(case, &images, &mut best, report)?;
    photos::solutions(case, &images, &mut best, report)?;
    masks::run(case, &images, &folder, &mut best, report)?;
    video::run(case, &mut best, report)?;
    engine::run(case, &folder, report)
}
