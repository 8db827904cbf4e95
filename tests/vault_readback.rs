//! Files that our writers make are read back, bit for bit, by PyTorch, pickle with numpy, h5py and
//! safetensors: by every Python in `POSE4D_PEERS_PYTHON` (several apart by colons, such as one with
//! numpy 1 and one with numpy 2). Reported as skipped when none is named.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops at the first surprise; the summary is what it prints"
)]

mod vault;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use pose4d::checkpoint::checkpoint::Checkpoint;
use pose4d::checkpoint::convert::{self, Options, Target};
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::error::Kind;
use pose4d::checkpoint::inspect::hex;
use pose4d::checkpoint::open;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use vault::corpus::Corpus;

const TARGETS: [(Target, &str); 4] = [
    (Target::Torch, "torch"),
    (Target::Pickle, "pickle"),
    (Target::Hdf5, "hdf5"),
    (Target::Safetensors, "safetensors"),
];
/// Of the good corpus, every so manieth file is converted.
const EVERY: usize = 9;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        println!("vault_readback: test");
        return ExitCode::SUCCESS;
    }
    let Ok(peers) = std::env::var("POSE4D_PEERS_PYTHON") else {
        println!("skipped: POSE4D_PEERS_PYTHON names no Python with PyTorch, h5py and safetensors");
        println!("0 judged, 0 failed, 1 skipped");
        return ExitCode::SUCCESS;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut campaign = Campaign {
        folder: folder.path().to_path_buf(),
        listed: Map::new(),
        complaints: Vec::new(),
        refused: 0,
    };
    campaign.made_up();
    campaign.converted();
    let list = folder.path().join("list.json");
    fs::write(&list, Value::Object(campaign.listed.clone()).to_string()).unwrap();
    let (mut judged, mut failed) = (campaign.refused, campaign.complaints.len());
    for python in peers.split(':').filter(|python| !python.is_empty()) {
        let answers = ask(python, &list);
        let (done, complaints) = report(python, &answers, campaign.listed.len());
        judged += done;
        failed += complaints;
    }
    for complaint in &campaign.complaints {
        println!("FAILED {complaint}");
    }
    println!(
        "{} files were refused as their format has no such type or name",
        campaign.refused
    );
    println!("{judged} judged, {failed} failed, 0 skipped");
    match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn ask(python: &str, list: &Path) -> Map<String, Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/campaigns/readback.py");
    let output = Command::new(python).arg(script).arg(list).output();
    let output = output.unwrap_or_else(|error| panic!("{python}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{python} did not answer:\n{errors}"))
}

/// Files judged by this Python, and how many it read differently.
fn report(python: &str, answers: &Map<String, Value>, files: usize) -> (usize, usize) {
    assert_eq!(
        answers.len(),
        files,
        "{python} did not answer for each file"
    );
    let (mut judged, mut failed, mut readings) = (0, 0, 0);
    for (path, answer) in answers {
        let readers = answer["readers"].as_array().unwrap().len();
        judged += usize::from(readers > 0);
        readings += readers;
        let complaints = answer["complaints"].as_array().unwrap();
        if !complaints.is_empty() {
            println!("FAILED {path}: {}", Value::from(complaints.clone()));
            failed += 1;
        }
    }
    println!("{python}: {judged} of {files} files read, in {readings} ways");
    assert!(judged > 0, "{python} has no reader of any format");
    (judged, failed)
}

/// Files written so far, and what is in them.
struct Campaign {
    folder: PathBuf,
    listed: Map<String, Value>,
    complaints: Vec<String>,
    refused: usize,
}

/// A tensor to be made up.
type Made = (String, DType, Vec<u64>);

impl Campaign {
    /// All types and shapes, odd names, thousands of tensors: from files put together here.
    fn made_up(&mut self) {
        for (name, tensors) in made_up() {
            let source = self.folder.join(format!("source-{name}.safetensors"));
            fs::write(&source, safetensors(&tensors)).unwrap();
            let checkpoint = open::open(&source).unwrap();
            self.write_all(&name, &checkpoint, None);
            if name == "all-types" {
                for dtype in [DType::F64, DType::F32, DType::F16, DType::BF16] {
                    self.write_all(&format!("{name}-as-{dtype}"), &checkpoint, Some(dtype));
                }
            }
        }
    }

    /// Every so manieth file of the good corpus, in every format.
    fn converted(&mut self) {
        let corpus = Corpus::unpack("good");
        for name in corpus.cases.keys().step_by(EVERY) {
            // What cannot be opened is the good corpus's own business.
            let Ok(checkpoint) = open::open(corpus.path(name)) else {
                continue;
            };
            if !checkpoint.tensors().is_empty() {
                self.write_all(&name.replace('/', "-"), &checkpoint, None);
            }
        }
    }

    fn write_all(&mut self, name: &str, checkpoint: &Checkpoint, dtype: Option<DType>) {
        for (target, format) in TARGETS {
            let path = self.folder.join(format!("{name}.{}", target.extension()));
            let options = Options {
                target: Some(target),
                dtype,
                ..Options::default()
            };
            let written =
                convert::convert_checkpoint(checkpoint, &path, &options, &mut |_, _| true);
            match written {
                Ok(_) => {
                    let tensors = entries(checkpoint, dtype, &path);
                    let mut facts = json!({ "format": format, "tensors": tensors });
                    if let Some(dtype) = dtype {
                        facts["cast_of"] = json!(checkpoint.path());
                        facts["cast_to"] = json!(dtype.name());
                    }
                    self.listed.insert(path.display().to_string(), facts);
                }
                Err(error)
                    if error.kind == Kind::Unsupported
                        && has_no_place(target, checkpoint, dtype) =>
                {
                    self.refused += 1;
                }
                Err(error) => self.complaints.push(format!("{name} as {format}: {error}")),
            }
        }
    }
}

/// Whether a format has no type, name or rank for something in `checkpoint`.
fn has_no_place(target: Target, checkpoint: &Checkpoint, dtype: Option<DType>) -> bool {
    use DType::{BF16, C128, F8E4M3, F8E5M2};
    let mut tensors = checkpoint.tensors().iter();
    tensors.any(|(name, tensor)| {
        let dtype = match dtype {
            Some(wanted) if tensor.dtype.is_float() => wanted,
            _ => tensor.dtype,
        };
        match target {
            Target::Torch => false,
            Target::Pickle => matches!(dtype, BF16 | F8E4M3 | F8E5M2),
            // HDF5 separates groups by slashes; "" and "." are no names.
            Target::Hdf5 => {
                let odd = name.is_empty() || name == "." || name.contains('/');
                odd || matches!(dtype, F8E4M3 | F8E5M2)
            }
            Target::Safetensors => dtype == C128,
        }
    })
}

/// `[name, dtype, shape, sha256]` of everything in `checkpoint`; of what is now in `written` where
/// the precision was changed: PyTorch's own cast of the source tells whether that is right.
fn entries(checkpoint: &Checkpoint, dtype: Option<DType>, written: &Path) -> Vec<Value> {
    let again = dtype.map(|_| open::open(written).unwrap());
    let truth = again.as_ref().unwrap_or(checkpoint);
    checkpoint
        .tensors()
        .keys()
        .map(|name| {
            let tensor = truth.get(name).unwrap();
            let hash = hex(&Sha256::digest(tensor.read().unwrap()));
            json!([name, tensor.dtype.name(), tensor.shape, hash])
        })
        .collect()
}

fn made_up() -> Vec<(String, Vec<Made>)> {
    let entry = |name: &str, dtype, shape: &[u64]| (name.to_owned(), dtype, shape.to_vec());
    let shapes: [&[u64]; 9] = [
        &[],
        &[1],
        &[0],
        &[3, 0, 2],
        &[257],
        &[3, 5],
        &[2, 3, 4],
        &[1; 8],
        &[2; 10],
    ];
    // safetensors, where these come from, has no complex128.
    let types = || DType::ALL.into_iter().filter(|&t| t != DType::C128);
    let numpy = |t: &DType| !matches!(t, DType::BF16 | DType::F8E4M3 | DType::F8E5M2);
    let each = |t: DType| -> Vec<Made> {
        let made = |(i, shape): (usize, &&[u64])| entry(&format!("t{i}.{t}"), t, shape);
        shapes.iter().enumerate().map(made).collect()
    };
    let mut made: Vec<(String, Vec<Made>)> =
        types().map(|t| (format!("type-{t}"), each(t))).collect();
    made.push(("all-types".into(), types().flat_map(each).collect()));
    made.push((
        "all-of-numpy".into(),
        types().filter(numpy).flat_map(each).collect(),
    ));
    let names = [
        "a b",
        " ",
        "ünïcode.☃.😀",
        "quote'\"\\",
        "new\nline",
        "tab\t",
        "trailing.",
        ".leading",
        "a..b",
        "0",
        "__class__",
        "%s",
        "<b>",
        "\u{7f}",
        "archive",
        "data.pkl",
        "e\u{301}",
        "é",
    ];
    let odd = names.iter().map(|name| entry(name, DType::F32, &[2]));
    made.push(("odd-names".into(), odd.collect()));
    made.push((
        "long-names".into(),
        [255, 256, 1000, 3000]
            .map(|n| entry(&"n".repeat(n), DType::F32, &[1]))
            .to_vec(),
    ));
    made.push((
        "slashes".into(),
        vec![entry("a/b", DType::F32, &[1]), entry("c", DType::F32, &[1])],
    ));
    made.push(("empty-name".into(), vec![entry("", DType::F32, &[1])]));
    for count in [1, 2, 127, 128, 129, 300, 5000] {
        let many = (0..count).map(|i| entry(&format!("block.{i}.w"), DType::F16, &[i % 5]));
        made.push((format!("many-{count}"), many.collect()));
    }
    made.push(("dims-32".into(), vec![entry("w", DType::F32, &[1; 32])]));
    made.push((
        "large".into(),
        vec![
            entry("odd", DType::U8, &[3]),
            entry("w", DType::F32, &[1 << 10, 3 << 10]),
            entry("v", DType::F64, &[1 << 18]),
        ],
    ));
    made
}

/// A file as the safetensors library writes it, but for the order of the data.
fn safetensors(tensors: &[Made]) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::new());
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    for (name, dtype, shape) in tensors {
        let start = data.len();
        let size = shape.iter().product::<u64>() as usize * dtype.size();
        for _ in 0..size {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let byte = (seed >> 32) as u8;
            data.push(if *dtype == DType::Bool {
                byte & 1
            } else {
                byte
            });
        }
        let entry = json!({
            "dtype": code(*dtype), "shape": shape, "data_offsets": [start, data.len()],
        });
        header.insert(name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.into_bytes());
    file.extend(data);
    file
}

fn code(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "BOOL",
        DType::U8 => "U8",
        DType::I8 => "I8",
        DType::U16 => "U16",
        DType::I16 => "I16",
        DType::U32 => "U32",
        DType::I32 => "I32",
        DType::U64 => "U64",
        DType::I64 => "I64",
        DType::F8E4M3 => "F8_E4M3",
        DType::F8E5M2 => "F8_E5M2",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::C64 => "C64",
        DType::C128 => unreachable!("safetensors has no complex128"),
    }
}
