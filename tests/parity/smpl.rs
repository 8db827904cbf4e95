//! The SMPL body on given rotations, against `hmr2/<case>/golden_smpl.npz`.

use std::path::{Path, PathBuf};

use pose4d::models::smpl::body::{Body, Files};
use tch::{Device, Kind, Tensor};

use crate::arrays::{Arrays, every, f32s};
use crate::reference::{files, name_of};
use crate::report::{Bound, Differences, Report, Table};

/// Of a tensor's largest value.
const PART: f64 = 1e-4;
/// 0.1 mm.
const METRES: f64 = 1e-4;

/// The files of a body that belong to a case of HMR2.
pub struct BodyFiles {
    /// Every form the body is there in; one is enough.
    pub bodies: Vec<PathBuf>,
    pub regressor: Option<PathBuf>,
    pub mean_params: Option<PathBuf>,
}

impl BodyFiles {
    /// Those in `<goldens>/smpl/<case>`, named as the case is.
    pub fn of(case: &Path) -> Self {
        let folder = case
            .parent()
            .and_then(Path::parent)
            .map(|goldens| goldens.join("smpl").join(name_of(case)))
            .unwrap_or_default();
        let first = |prefix: &str| files(&folder, prefix, "").into_iter().next();
        let mut bodies = files(&folder, "SMPL_NEUTRAL", "");
        bodies.extend(files(&folder, "basic", ""));
        Self {
            bodies,
            regressor: first("SMPL_to_J19"),
            mean_params: first("smpl_mean_params"),
        }
    }
}

pub fn run(case: &Path, report: &mut Report) -> Result<(), String> {
    let Some(arrays) = Arrays::open(&case.join("golden_smpl.npz"))? else {
        return Ok(());
    };
    let given = BodyFiles::of(case);
    let mut table = Table::new(format!("SMPL body, {}", case.display()));
    if given.bodies.is_empty() {
        table.check("body", false, "no SMPL_NEUTRAL* or basic* in smpl/<case>");
    }
    for path in &given.bodies {
        let files = Files {
            body: Some(path),
            regressor: given.regressor.as_deref(),
        };
        match Body::open(files, Device::Cpu) {
            Ok(body) => compare(&mut table, &name_of(path), &body, &arrays)?,
            Err(error) => table.check(name_of(path), false, error.to_string()),
        }
    }
    report.add(table);
    Ok(())
}

/// All that the archive knows about the body.
pub fn compare(table: &mut Table, name: &str, body: &Body, arrays: &Arrays) -> Result<(), String> {
    let rotations = arrays.tensor("rotmats")?;
    let betas = arrays.tensor("betas")?;
    let text = |e: tch::TchError| e.to_string();
    let posed = body.pose(&betas, &rotations).map_err(text)?;
    let joints = body.hmr_joints(&posed, false).map_err(text)?;
    let hips = body.hmr_joints(&posed, true).map_err(text)?;
    let sparse = every(&posed.vertices, 10);
    let mean = posed.vertices.mean_dim(1, false, Kind::Float);
    for (array, ours) in [
        ("joints44", &joints),
        ("joints44_update_hips", &hips),
        ("vertices_every10", &sparse),
        ("vertices_mean", &mean),
    ] {
        if arrays.contains(array) {
            arrays.judge(table, array, ours, PART, METRES)?;
        }
    }
    alone(table, name, body, &betas, &rotations, &posed.vertices)?;
    let faces = body.faces();
    let highest = faces.iter().max().copied().unwrap_or(0);
    let whole = faces.len() == 3 * 13_776 && highest == 6_889;
    let text = format!("{} triangles, highest vertex {highest}", faces.len() / 3);
    table.check(format!("{name} faces"), whole, text);
    Ok(())
}

/// A body alone is the body it is among others.
fn alone(
    table: &mut Table,
    name: &str,
    body: &Body,
    betas: &Tensor,
    rotations: &Tensor,
    together: &Tensor,
) -> Result<(), String> {
    let mut differences = Differences::default();
    for row in 0..betas.size()[0] {
        let one = body
            .pose(&betas.narrow(0, row, 1), &rotations.narrow(0, row, 1))
            .map_err(|e| e.to_string())?;
        let among = f32s(&together.narrow(0, row, 1));
        differences.extend(&Differences::between(&f32s(&one.vertices), &among));
    }
    let exact = [Bound::Max(0.0)];
    table.judge(format!("{name} alone"), &differences, "m", &exact);
    Ok(())
}
