//! The test stand: a thread of its own that loads networks and runs their stages when asked.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use tokio::sync::oneshot;

use crate::checkpoint::dtype::DType;
use crate::geometry::boxes::BBox;
use crate::imaging::limits::DecodeLimits;
use crate::imaging::pixels::Rgb8;
use crate::models::smpl::body;
use crate::pipeline::device::device;
use crate::pipeline::error::{EngineError, IMAGE_NOT_FOUND, INTERNAL, INVALID_ARGUMENT};
use crate::pipeline::pool::panicked;
use crate::pipeline::source::FrameSource;
use crate::runtime::{heap, memory};

use super::rates;
use super::request::{Answer, Request, Stage};
use super::stages::{Loaded, Source};

type Reply = oneshot::Sender<Result<Answer, EngineError>>;

/// The handle; dropping it ends the thread after what it is at.
pub struct Stand(mpsc::Sender<(Request, Reply)>);

impl Stand {
    /// `threads`: inside each operator on the CPU, and for reading files.
    pub fn start(threads: usize) -> Result<Self, EngineError> {
        let (send, receive) = mpsc::channel::<(Request, Reply)>();
        let work = move || {
            let threads = threads.max(1);
            tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
            let _no_gradients = tch::no_grad_guard();
            let mut bench = Bench::new(threads);
            for (request, reply) in receive {
                let answer = catch_unwind(AssertUnwindSafe(|| bench.answer(request)))
                    .unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
                let _ = reply.send(answer);
            }
        };
        thread::Builder::new()
            .name("pose4d-bench".into())
            .spawn(work)
            .map_err(|e| EngineError::new(INTERNAL, format!("no thread to measure on: {e}")))?;
        Ok(Self(send))
    }

    /// One request after the other, in the order they were made.
    pub fn ask(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Answer, EngineError>> + Send + use<> {
        let (reply, answer) = oneshot::channel();
        let gone = || EngineError::new(INTERNAL, "the test stand has ended");
        let sent = self.0.send((request, reply)).map_err(|_| gone());
        async move {
            sent?;
            answer.await.unwrap_or_else(|_| Err(gone()))
        }
    }
}

struct Bench {
    threads: usize,
    /// As it was read; empty for noise.
    encoded: Vec<u8>,
    image: Rgb8,
    person: BBox,
    loaded: Option<Loaded>,
}

impl Bench {
    fn new(threads: usize) -> Self {
        let image = noise(1920, 1080);
        Self {
            threads,
            encoded: Vec::new(),
            person: middle(&image),
            image,
            loaded: None,
        }
    }

    fn answer(&mut self, request: Request) -> Result<Answer, EngineError> {
        // What was let go before must not hide what is taken now.
        heap::trim();
        let before = memory::read().rss;
        let fresh = memory::reset_peak();
        let mut answer = self.work(request)?;
        let after = memory::read();
        answer.rss_before = before;
        answer.rss = after.rss;
        answer.peak_rss = after.peak_rss.filter(|_| fresh);
        Ok(answer)
    }

    fn work(&mut self, request: Request) -> Result<Answer, EngineError> {
        match request {
            Request::Image {
                path,
                width,
                height,
                person,
            } => self.look_at(path.as_deref(), width, height, person),
            Request::Load {
                network,
                path,
                config,
                body,
                regressor,
                precision,
                device: name,
            } => {
                self.loaded = None;
                let source = Source {
                    network,
                    path: &path,
                    config: config.as_deref(),
                    body: body::Files {
                        body: body.as_deref(),
                        regressor: regressor.as_deref(),
                    },
                    precision: precision_of(&precision)?,
                    device: device(&name, tch::Device::Cpu)?,
                    threads: self.threads,
                };
                let start = Instant::now();
                let loaded = Loaded::open(&source)?;
                let answer = Answer {
                    load_seconds: Some(start.elapsed().as_secs_f64()),
                    weight_bytes: Some(loaded.weight_bytes),
                    ..Answer::default()
                };
                self.loaded = Some(loaded);
                Ok(answer)
            }
            Request::Release {} => {
                self.loaded = None;
                Ok(Answer::default())
            }
            Request::Run {
                stage: Stage::Decode,
                repeat,
                ..
            } => self.decode(repeat),
            Request::Run {
                stage,
                batch,
                repeat,
            } => self.run(stage, batch, repeat),
            Request::Matrix { batch, repeat } => {
                let loaded = self.network()?;
                let products = loaded.products(batch.max(1));
                let rate = rates::matrix(&products, loaded.precision, loaded.device, repeat)
                    .map_err(|e| EngineError::new(INTERNAL, e.to_string()))?;
                Ok(Answer {
                    gflop_per_second: Some(rate),
                    ..Answer::default()
                })
            }
            Request::Memory {} => Ok(Answer::default()),
        }
    }

    fn look_at(
        &mut self,
        path: Option<&Path>,
        width: usize,
        height: usize,
        person: Option<[f32; 4]>,
    ) -> Result<Answer, EngineError> {
        match path {
            Some(path) => {
                self.encoded = std::fs::read(path).map_err(|e| {
                    EngineError::new(IMAGE_NOT_FOUND, format!("{}: {e}", path.display()))
                })?;
                self.image = decode(&self.encoded)?;
            }
            None if width == 0 || height == 0 || width.saturating_mul(height) > 1 << 28 => {
                let message = format!("an image of {width} x {height} pixels cannot be made");
                return Err(EngineError::new(INVALID_ARGUMENT, message));
            }
            None => {
                self.encoded.clear();
                self.image = noise(width, height);
            }
        }
        self.person = person.map_or_else(
            || middle(&self.image),
            |[x1, y1, x2, y2]| BBox::new(x1, y1, x2, y2),
        );
        Ok(Answer {
            width: Some(self.image.width),
            height: Some(self.image.height),
            ..Answer::default()
        })
    }

    fn network(&self) -> Result<&Loaded, EngineError> {
        let none = || EngineError::new(INVALID_ARGUMENT, "no network is loaded");
        self.loaded.as_ref().ok_or_else(none)
    }

    fn decode(&self, repeat: usize) -> Result<Answer, EngineError> {
        if self.encoded.is_empty() {
            let message = "there is no file to decode: the image is noise";
            return Err(EngineError::new(INVALID_ARGUMENT, message));
        }
        let ms = timed(repeat, || decode(&self.encoded).map(drop))?;
        Ok(Answer {
            ms: Some(ms),
            ..Answer::default()
        })
    }

    fn run(&self, stage: Stage, batch: usize, repeat: usize) -> Result<Answer, EngineError> {
        let loaded = self.network()?;
        let (gflop, mut work) = loaded.stage(stage, batch, &self.image, self.person)?;
        let mut found = None;
        let ms = timed(repeat, || {
            found = work().map_err(|e| EngineError::new(INTERNAL, format!("libtorch: {e}")))?;
            Ok(())
        })?;
        Ok(Answer {
            ms: Some(ms),
            gflop: Some(gflop).filter(|work| *work > 0.0),
            found,
            ..Answer::default()
        })
    }
}

/// Milliseconds of each of `repeat` passes, after one to warm up.
fn timed(
    repeat: usize,
    mut work: impl FnMut() -> Result<(), EngineError>,
) -> Result<Vec<f64>, EngineError> {
    work()?;
    let mut pass = || {
        let start = Instant::now();
        work()?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    };
    (0..repeat.max(1)).map(|_| pass()).collect()
}

fn decode(bytes: &[u8]) -> Result<Rgb8, EngineError> {
    FrameSource::Bytes(bytes.to_vec()).decode(&DecodeLimits::default())
}

fn precision_of(name: &str) -> Result<DType, EngineError> {
    match name {
        "fp32" => Ok(DType::F32),
        "bf16" => Ok(DType::BF16),
        "fp16" => Ok(DType::F16),
        other => Err(EngineError::new(
            INVALID_ARGUMENT,
            format!("precision {other:?}; expected fp32, bf16 or fp16"),
        )),
    }
}

/// Unlike a plain surface, nothing in it is easier than in a photo.
fn noise(width: usize, height: usize) -> Rgb8 {
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 7) as u8;
    Rgb8 {
        width,
        height,
        data: (0..width * height * 3).map(byte).collect(),
    }
}

/// Somebody who stands in the middle, as high as four fifths of the image.
fn middle(image: &Rgb8) -> BBox {
    let (width, height) = (image.width as f32, image.height as f32);
    let tall = height * 0.8;
    let wide = (tall * 0.4).min(width);
    let (left, top) = ((width - wide) / 2.0, height * 0.1);
    BBox::new(left, top, left + wide, top + tall)
}

#[cfg(test)]
#[path = "stand_tests.rs"]
mod tests;
