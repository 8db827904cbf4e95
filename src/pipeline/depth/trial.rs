//! A depth network loaded and run once, for warm-up without an engine to keep.

use std::path::Path;
use std::time::Instant;

use super::model::DepthModel;
use super::stand::Settings;
use crate::imaging::pixels::Rgb8;
use crate::models::midas::Midas;
use crate::pipeline::error::{EngineError, INTERNAL, MODEL_FILE};
use crate::pipeline::perception::ModelState;
use crate::pipeline::plan::report::{device_name, precision_name};
use crate::runtime::threads::OwnerScope;

/// Loads the network of that file, as an engine with these settings would, and runs a frame through
/// it; lets it go again. Blocks.
pub fn run(model: DepthModel, path: &Path, settings: &Settings) -> Result<ModelState, EngineError> {
    let start = Instant::now();
    let place = settings.place(model, path)?;
    let network = settings.network(place);
    let _scope = OwnerScope::enter(network.threads);
    let (midas, _) = Midas::load(path, model.0, network)
        .map_err(|e| EngineError::new(MODEL_FILE, e.to_string()))?;
    let loaded = start.elapsed();
    let side = midas.side();
    let frame = Rgb8 {
        width: side,
        height: side,
        data: vec![127; 3 * side * side],
    };
    let failed = |why: String| EngineError::new(INTERNAL, format!("{}: {why}", model.name()));
    let maps = midas.depth(&[&frame]).map_err(|e| failed(e.to_string()))?;
    let finite = |map: &crate::models::midas::DepthMap| map.values.iter().all(|v| v.is_finite());
    if maps.len() != 1 || !maps.iter().all(finite) {
        return Err(failed(
            "its map of a grey picture is not all numbers".into(),
        ));
    }
    Ok(ModelState {
        name: model.id(),
        loaded: true,
        load_seconds: Some(loaded.as_secs_f64()),
        precision: precision_name(place.precision),
        device: device_name(place.device),
        bytes: place.bytes,
        resident: true,
    })
}
