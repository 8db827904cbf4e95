//! What is asked of the original network.

use std::error::Error;

use serde_json::{Value, json};

use crate::process::Process;

pub struct Peer(Process);

impl Peer {
    /// `None`, and a line that says why, where the original does not run.
    pub fn start(
        python: &str,
        checkout: &str,
        threads: i32,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let arguments = [checkout, &threads.to_string()];
        let process = Process::start(python, "hmr2_python.py", arguments)?;
        Ok(process.map(Self))
    }

    /// Milliseconds of one pass.
    pub fn ask(&mut self, task: &str, batch: i64) -> Result<f64, Box<dyn Error>> {
        let request = json!({ "task": task, "batch": batch, "repeat": 1 });
        let answer: Value = self.0.ask(&request)?;
        Ok(answer["ms"][0].as_f64().ok_or("an answer without a time")?)
    }

    /// Milliseconds of a crop of a square in the middle of an image, and every 1,009th number of it.
    pub fn crop(
        &mut self,
        [width, height]: [usize; 2],
        side: f32,
    ) -> Result<(f64, Vec<f64>), Box<dyn Error>> {
        let request = json!({ "task": "crop", "width": width, "height": height, "side": side });
        let answer: Value = self.0.ask(&request)?;
        let pixels = answer["pixels"].as_array().ok_or("no pixels")?;
        let pixels: Option<Vec<f64>> = pixels.iter().map(Value::as_f64).collect();
        let ms = answer["ms"][0].as_f64().ok_or("an answer without a time")?;
        Ok((ms, pixels.ok_or("pixels that are no numbers")?))
    }
}
