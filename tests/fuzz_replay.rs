//! The short, deterministic run of the fuzz targets on stable Rust: every seed as it is, then a
//! fixed number of seeded mutations of them. `npm run fuzz` is the long one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

#[path = "vault/archive.rs"]
mod archive;
#[path = "../fuzz/src/seeds.rs"]
mod seeds;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use pose4d::checkpoint;

/// Mutations per target; `POSE4D_FUZZ_INPUTS` may ask for more.
const INPUTS: usize = 1_500;
/// Conversions write files, which takes longer.
const CONVERSIONS: usize = 150;
/// An input of a few kilobytes that takes longer hangs, however slow the machine.
const LONGEST: Duration = Duration::from_secs(10);

#[test]
fn no_input_makes_a_reader_panic_or_hang() {
    let seeds = seeds::all(Path::new(env!("CARGO_MANIFEST_DIR")));
    let asked = std::env::var("POSE4D_FUZZ_INPUTS").ok();
    let asked = asked.and_then(|n| n.parse().ok()).unwrap_or(INPUTS);
    // Panics are told below, with the input; not as they happen.
    std::panic::set_hook(Box::new(|_| {}));
    let next = AtomicUsize::new(0);
    let wrong: Vec<String> = thread::scope(|scope| {
        let work = || {
            let mut wrong = Vec::new();
            while let Some((name, run)) = targets::TARGETS.get(next.fetch_add(1, Relaxed)) {
                let inputs = match *name {
                    "convert" => asked.min(CONVERSIONS),
                    _ => asked,
                };
                wrong.extend(replay(name, *run, &seeds[name], inputs));
            }
            wrong
        };
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|w| w.join().unwrap())
            .collect()
    });
    let _ = std::panic::take_hook();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Up to three complaints about one target.
fn replay(name: &str, run: targets::Run, seeds: &[seeds::Seed], inputs: usize) -> Vec<String> {
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut random = Random::new(name);
    let whole = seeds.iter().map(|(_, data)| data.clone());
    let mutated = (0..inputs).map(|_| mutate(seeds, &mut random));
    let complain = |data: Vec<u8>| {
        let start = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| run(&data)));
        let why = match result {
            Err(panic) => panic_text(&*panic),
            Ok(()) if start.elapsed() > LONGEST => "took too long".into(),
            Ok(()) => return None,
        };
        let folder = std::env::temp_dir().join("pose4d-fuzz");
        std::fs::create_dir_all(&folder).unwrap();
        let kept = folder.join(format!("{name}-{:08x}", crc32fast::hash(&data)));
        std::fs::write(&kept, &data).unwrap();
        Some(format!("{name}: {why}; the input is {}", kept.display()))
    };
    whole.chain(mutated).filter_map(complain).take(3).collect()
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("with no text"))
}

/// xorshift64*: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn new(name: &str) -> Self {
        Self(u64::from(crc32fast::hash(name.as_bytes())) << 20 | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// A seed with a few changes of the kinds that break parsers.
fn mutate(seeds: &[seeds::Seed], random: &mut Random) -> Vec<u8> {
    const NUMBERS: [u64; 9] = [
        0,
        1,
        0x7f,
        0xff,
        0xffff,
        0x7fff_ffff,
        0xffff_ffff,
        1 << 40,
        u64::MAX,
    ];
    let mut data = seeds[random.below(seeds.len())].1.clone();
    for _ in 0..=random.below(4) {
        let at = random.below(data.len() + 1);
        let length = random.below(data.len() - at + 1).min(1 << random.below(8));
        match random.below(9) {
            0 if at < data.len() => data[at] ^= 1 << random.below(8),
            1 if at < data.len() => data[at] = random.next() as u8,
            2 => data.truncate(at),
            3 => drop(data.drain(at..at + length)),
            4 => {
                let piece = data[at..at + length].to_vec();
                let to = random.below(data.len() + 1);
                data.splice(to..to, piece);
            }
            5 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let width = [1, 2, 4, 8][random.below(4)];
                let end = (at + width).min(data.len());
                data[at..end].copy_from_slice(&number[..end - at]);
            }
            6 => {
                let other = &seeds[random.below(seeds.len())].1;
                let from = random.below(other.len() + 1);
                data.truncate(at);
                data.extend(&other[from..]);
            }
            7 => data.insert(at, random.next() as u8),
            _ => {
                let byte = random.next() as u8;
                data.splice(at..at, vec![byte; length]);
            }
        }
        data.truncate(64 << 10);
    }
    data
}
