//! Loads one checkpoint as a network would and prints what it took: `npm run bench:load` starts this.
//!
//! Arguments: `<file> <precision> [threads]`. With `--convert <output>`, the file is converted
//! instead. One line of JSON, like `benches/peers/load_python.py`.
#![allow(
    clippy::print_stdout,
    reason = "the figures are what this program is for"
)]

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use pose4d::checkpoint::convert;
use pose4d::checkpoint::dtype::DType;
use pose4d::checkpoint::open::open;
use pose4d::layers::weights::{Options, Param, Weights};
use pose4d::runtime::memory;
use serde_json::json;
use tch::{Device, Kind};

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo bench` adds `--bench`.
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    if let [flag, input, output, precision] = arguments.as_slice()
        && flag == "--convert"
    {
        return convert_file(Path::new(input), Path::new(output), precision);
    }
    let [file, precision, rest @ ..] = arguments.as_slice() else {
        eprintln!("usage: load <file> <precision> [threads]; `npm run bench:load` starts this");
        return Ok(());
    };
    let precision = DType::from_name(precision).ok_or("unknown precision")?;
    let threads = rest.first().map_or(Ok(2), |text| text.parse())?;
    // Libtorch's own start is not part of a load.
    let _ = tch::Tensor::f_zeros([1], (Kind::Float, Device::Cpu))?;
    let before = memory::read().rss;
    let start = Instant::now();
    let params = load(Path::new(file), precision, threads)?;
    let opened = start.elapsed().as_secs_f64();
    // A mapped file is read when it is used: a look at every page is part of the truth.
    let sum = touch(&params)?;
    let touched = start.elapsed().as_secs_f64();
    let bytes: usize = params
        .iter()
        .map(|p| p.numel() * p.kind().elt_size_in_bytes())
        .sum();
    let report = json!({
        "seconds": opened, "withEveryPageRead": touched, "tensors": params.len(), "bytes": bytes,
        "sum": sum, "rssBefore": before, "peakRss": memory::read().peak_rss,
    });
    println!("{report}");
    Ok(())
}

fn convert_file(input: &Path, output: &Path, precision: &str) -> Result<(), Box<dyn Error>> {
    let options = convert::Options {
        dtype: DType::from_name(precision),
        ..Default::default()
    };
    let start = Instant::now();
    let summary = convert::convert(input, output, &options, &mut |_, _| true)?;
    let seconds = start.elapsed().as_secs_f64();
    let peak = memory::read().peak_rss;
    println!(
        "{}",
        json!({ "seconds": seconds, "bytes": summary.bytes, "peakRss": peak })
    );
    Ok(())
}

fn load(file: &Path, precision: DType, threads: usize) -> Result<Vec<Param>, Box<dyn Error>> {
    let checkpoint = open(file)?;
    let of = |real: bool| {
        let tensors = checkpoint.tensors().iter();
        let chosen = tensors.filter(move |(_, tensor)| tensor.dtype.is_float() == real);
        chosen.map(|(name, tensor)| {
            let shape = tensor.shape.iter().map(|&d| d as i64).collect();
            (name.clone(), shape)
        })
    };
    let names: Vec<(String, Vec<i64>)> = of(true).collect();
    let counters: Vec<(String, Vec<i64>)> = of(false).collect();
    let options = Options {
        precision,
        device: Device::Cpu,
        renames: &[],
        threads,
    };
    let weights = Weights::new(checkpoint, options)?;
    let params = names
        .iter()
        .map(|(name, shape)| weights.get(name, shape))
        .collect::<Result<Vec<_>, _>>()?;
    for (name, _) in &counters {
        let _ = weights.integers(name)?;
    }
    weights.finish(&Default::default())?;
    Ok(params)
}

/// The sum of every 1024th element, which also reads a byte of every page.
fn touch(params: &[Param]) -> Result<f64, Box<dyn Error>> {
    let mut sum = 0.0;
    for param in params {
        let flat = param.f_flatten(0, -1)?;
        let picked = flat.f_slice(0, 0, None, 1024)?.f_to_kind(Kind::Double)?;
        sum += picked.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(sum)
}
