//! The original detector in a Python process that answers requests line by line.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use serde_json::{Value, json};

pub struct Peer {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

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
        let script =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers/detectors_python.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([checkout, &threads.to_string(), kind, checkpoint])
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
        let hello: Value = serde_json::from_str(&peer.line()?)?;
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

    pub fn ask(&mut self, task: &str, image: &str) -> Result<Answer, Box<dyn Error>> {
        let request = json!({ "task": task, "image": image });
        writeln!(self.requests, "{request}")?;
        Ok(serde_json::from_str(&self.line()?)?)
    }

    fn line(&mut self) -> Result<String, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(line)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
