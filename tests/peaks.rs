//! The most memory that work takes. Linux tells it of a process, so that nothing else may run in this one.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pose4d::checkpoint::dtype::DType;
use pose4d::imaging::pixels::Rgb8;
use pose4d::models::midas::{Kind, Midas, Settings};
use pose4d::pipeline::bench::request::Request;
use pose4d::pipeline::bench::stand::Stand;
use pose4d::runtime::memory;

/// Held by the one test that runs.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn the_peak_of_the_test_stand_is_that_of_one_request() {
    let _one = alone();
    if !memory::reset_peak() {
        return;
    }
    let stand = Stand::start(1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let taken = |width| {
        let image = Request::Image {
            path: None,
            width,
            height: 4096,
            person: None,
        };
        let answer = runtime.block_on(stand.ask(image)).unwrap();
        answer
            .peak_rss
            .unwrap()
            .saturating_sub(answer.rss_before.unwrap())
    };
    let bytes = 8192 * 4096 * 3;
    // Some kernels count a process by the processor, and are off by megabytes.
    assert!(taken(8192) > bytes / 4 * 3);
    assert!(taken(64) < bytes / 4);
}

#[test]
fn depth_of_a_frame_of_8k_takes_its_map_and_little_more() {
    let _one = alone();
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/goldens/dpt/midas_small_tiny/midas_v21_small_256.pt");
    let mut settings = Settings::new(DType::F32, tch::Device::Cpu, 1);
    settings.side = Some(64);
    let (model, _) = Midas::load(&file, Kind::MidasSmall, settings).unwrap();
    let [width, height] = [7680, 4320];
    let byte = |i: usize| (i.wrapping_mul(2_654_435_761) >> 9) as u8;
    let frame = Rgb8 {
        width,
        height,
        data: (0..3 * width * height).map(byte).collect(),
    };
    if !memory::reset_peak() {
        return;
    }
    let before = memory::read().rss.unwrap();
    let map = &model.depth(&[&frame]).unwrap()[0];
    assert_eq!([map.width, map.height], [width, height]);
    let taken = memory::read().peak_rss.unwrap().saturating_sub(before);
    let map = 4 * (width * height) as u64;
    assert!(taken < map + (64 << 20), "{} MB", taken >> 20);
}
