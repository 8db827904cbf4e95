//! The original in a Python process that answers requests line by line.

use std::error::Error;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::de::DeserializeOwned;
use serde_json::Value;

pub struct Process {
    child: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Process {
    /// A script of `benches/peers`. `None`, and a line that says why, where the original does not run.
    pub fn start<I: AsRef<OsStr>>(
        python: &str,
        script: &str,
        arguments: impl IntoIterator<Item = I>,
    ) -> Result<Option<Self>, Box<dyn Error>> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/peers");
        let mut child = Command::new(python)
            .arg(peers.join(script))
            .args(arguments)
            // Its libtorch is its own.
            .env_remove("LD_LIBRARY_PATH")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let requests = child.stdin.take().ok_or("no pipe")?;
        let answers = BufReader::new(child.stdout.take().ok_or("no pipe")?);
        let mut process = Self {
            child,
            requests,
            answers,
        };
        let hello: Value = process.answer()?;
        if let Some(why) = hello["missing"].as_str() {
            println!("no comparison with the original: {why}");
            return Ok(None);
        }
        let name = hello["ready"].as_str().unwrap_or("the original");
        println!("beside {name}");
        Ok(Some(process))
    }

    pub fn ask<T: DeserializeOwned>(&mut self, request: &Value) -> Result<T, Box<dyn Error>> {
        writeln!(self.requests, "{request}")?;
        self.answer()
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, Box<dyn Error>> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
