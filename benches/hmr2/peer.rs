//! The original network in a Python process that answers requests line by line.

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

pub struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Peer {
    /// `None`, and a line that says why, where the original does not run.
    pub fn start(
        python: &str,
        checkout: &str,
        threads: i32,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/hmr2_python.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([checkout, &threads.to_string()])
            // Its libtorch is its own.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().ok_or("no pipe")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut peer = Self {
            child,
            requests,
            answers,
        };
        let hello = peer.answer()?;
        if let Some(why) = hello["missing"].as_str() {
            println!("no comparison with the original: {why}");
            return Ok(None);
        }
        println!(
            "beside {}",
            hello["ready"].as_str().unwrap_or("the original")
        );
        Ok(Some(peer))
    }

    /// Milliseconds of one pass.
    pub fn ask(&mut self, task: &str, batch: i64) -> Result<f64, Box<dyn Error>> {
        let request = json!({ "task": task, "batch": batch, "repeat": 1 });
        writeln!(self.requests, "{request}")?;
        let answer = self.answer()?;
        Ok(answer["ms"][0].as_f64().ok_or("an answer without a time")?)
    }

    /// Milliseconds of a crop of a square in the middle of an image, and every 1,009th number of it.
    pub fn crop(
        &mut self,
        [width, height]: [usize; 2],
        side: f32,
    ) -> Result<(f64, Vec<f64>), Box<dyn Error>> {
        let request = json!({ "task": "crop", "width": width, "height": height, "side": side });
        writeln!(self.requests, "{request}")?;
        let answer = self.answer()?;
        let pixels = answer["pixels"].as_array().ok_or("no pixels")?;
        let pixels: Option<Vec<f64>> = pixels.iter().map(Value::as_f64).collect();
        let ms = answer["ms"][0].as_f64().ok_or("an answer without a time")?;
        Ok((ms, pixels.ok_or("pixels that are no numbers")?))
    }

    fn answer(&mut self) -> Result<Value, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
