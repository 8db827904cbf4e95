//! What is asked of the original detector.

use std::collections::BTreeMap;
use std::error::Error;

use serde::Deserialize;
use serde_json::json;

use crate::process::Process;

pub struct Peer(Process);

/// What it says of a photo.
#[derive(Deserialize)]
pub struct Answer {
    /// Milliseconds by stage.
    pub ms: BTreeMap<String, f64>,
    /// Pixels of the photo, best first.
    pub boxes: Vec<[f32; 4]>,
    pub scores: Vec<f32>,
    /// COCO's numbers.
    pub classes: Vec<usize>,
    /// The most memory it ever held, bytes.
    pub peak: u64,
}

impl Peer {
    /// `None`, and a line that says why, where the original does not run.
    pub fn start(
        python: &str,
        checkout: &str,
        threads: i32,
        kind: &str,
        checkpoint: &str,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let arguments = [checkout, &threads.to_string(), kind, checkpoint];
        let process = Process::start(python, "detectors_python.py", arguments)?;
        Ok(process.map(Self))
    }

    pub fn ask(&mut self, task: &str, image: &str) -> Result<Answer, Box<dyn Error>> {
        self.0.ask(&json!({ "task": task, "image": image }))
    }
}
