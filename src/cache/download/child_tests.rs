//! Downloads in processes of their own, which tests may kill or give another environment.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::AtomicBool;

use super::request::{Proxy, Request, Settings};
use super::run::download;
use super::server_tests::quick;

const ORDER: &str = "POSE4D_TEST_DOWNLOAD";

/// What a child is to fetch.
pub struct Order {
    pub request: Request,
    pub locks: bool,
    /// Proxies from the environment instead of none.
    pub environment: bool,
}

impl Order {
    pub fn new(request: Request) -> Self {
        Self {
            request,
            locks: true,
            environment: false,
        }
    }

    fn text(&self) -> String {
        let Request {
            urls,
            dest,
            sha256,
            bytes,
            ..
        } = &self.request;
        let order = (urls, dest, sha256, bytes, self.locks, self.environment);
        serde_json::to_string(&order).unwrap()
    }

    fn parse(text: &str) -> Self {
        let order = serde_json::from_str(text).unwrap();
        let (urls, dest, sha256, bytes, locks, environment) = order;
        Self {
            request: Request {
                urls,
                dest,
                sha256,
                bytes,
                label: "the weights".into(),
                ..Request::default()
            },
            locks,
            environment,
        }
    }

    /// Starts the child; `variables` come on top of an environment without proxies.
    pub fn start(&self, variables: &[(&str, &str)]) -> Child {
        let (_, name) = module_path!().split_once("::").unwrap();
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([
            &format!("{name}::child"),
            "--exact",
            "--ignored",
            "--nocapture",
        ]);
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command
            .env(ORDER, self.text())
            .envs(variables.iter().copied());
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Runs the child to its end: what it fetched, or the code and message of its error.
    pub fn run(&self, variables: &[(&str, &str)]) -> Result<String, String> {
        answer(&self.start(variables).wait_with_output().unwrap())
    }
}

pub fn answer(output: &Output) -> Result<String, String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let after = |mark: &str| Some(text.split_once(mark)?.1.split_once("\nEND")?.0.to_owned());
    match (after("FETCHED "), after("FAILED ")) {
        (Some(hash), _) => Ok(hash),
        (_, Some(error)) => Err(error),
        _ => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr))),
    }
}

/// Not a test of its own: other tests start it as their child.
#[test]
#[ignore = "started by other tests, with an order in its environment"]
fn child() {
    let Ok(order) = std::env::var(ORDER) else {
        return;
    };
    let order = Order::parse(&order);
    let settings = Settings {
        locks: order.locks,
        proxy: match order.environment {
            true => Proxy::Environment,
            false => Proxy::None,
        },
        sync_every: 256 << 10,
        stall_timeout: std::time::Duration::from_secs(5),
        response_timeout: std::time::Duration::from_secs(5),
        lease: std::time::Duration::from_secs(10),
        ..quick()
    };
    match download(&order.request, &settings, &|_| {}, &AtomicBool::new(false)) {
        Ok(fetched) => println!("\nFETCHED {}\nEND", fetched.sha256),
        Err(error) => println!("\nFAILED {} {error}\nEND", error.code),
    }
}

/// The right bytes lie under the final name, or nothing does.
pub fn right_or_absent(dest: &Path, right: &[u8]) -> bool {
    match std::fs::read(dest) {
        Ok(found) => {
            assert!(found == right, "wrong bytes under the final name");
            true
        }
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{error}");
            false
        }
    }
}
