//! Tests of the tasks' throttle and meter.

use super::*;

fn progress(phase: &'static str, loaded: u64) -> Progress<'static> {
    Progress {
        phase,
        model: "hmr2",
        file: "a.ckpt",
        loaded,
        total: Some(1000),
    }
}

#[test]
fn no_more_than_ten_events_a_second_but_both_ends_of_every_phase() {
    let (start, mut lanes) = (Instant::now(), Lanes::default());
    let mut told = |phase, loaded, ms| {
        let now = start + Duration::from_millis(ms);
        lanes.event(&progress(phase, loaded), now).is_some()
    };
    let downloads: Vec<_> = (0..=1000).filter(|i| told("download", *i, *i)).collect();
    assert_eq!(downloads.first(), Some(&0));
    assert_eq!(downloads.last(), Some(&1000));
    assert!((10..=12).contains(&downloads.len()), "{downloads:?}");
    assert!(told("verify", 0, 1001));
    assert!(!told("verify", 1, 1001));
    assert!(told("verify", 1000, 1001));
    assert!(!told("verify", 1000, 1001));
}

#[test]
fn rate_and_time_left_follow_the_last_seconds() {
    let (start, mut lane) = (Instant::now(), Lane::default());
    let total = Some(100_000);
    assert_eq!(lane.rate(start, 0, total), (None, None));
    // 100 bytes a second for ten seconds, then 1,000.
    let mut last = (None, None);
    for tick in 1..=200_u64 {
        let loaded = if tick <= 100 {
            tick * 10
        } else {
            1000 + (tick - 100) * 100
        };
        last = lane.rate(start + Duration::from_millis(tick * 100), loaded, total);
    }
    let (rate, left) = (last.0.unwrap(), last.1.unwrap());
    assert!((rate - 1000.0).abs() < 1.0, "{rate}");
    assert!((left - 89.0).abs() < 0.2, "{left}");
    // A server without ranges: from the beginning again, and no rate below zero.
    let now = start + Duration::from_secs(21);
    assert_eq!(lane.rate(now, 5, total), (None, None));
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut lanes = Lanes::default();
    let open = Progress {
        model: "",
        total: None,
        ..progress("inspect", 3)
    };
    let event = lanes.event(&open, Instant::now()).unwrap();
    assert_eq!(
        serde_json::to_value(event).unwrap(),
        json!({ "phase": "inspect", "file": "a.ckpt", "loaded": 3 })
    );
}

#[test]
fn a_stop_is_the_reason_whatever_the_work_stumbled_over() {
    let failed = || {
        Ok(Err::<(), _>(CacheError::new(
            "ERR_POSE4D_DOWNLOAD",
            "cut off",
        )))
    };
    assert_eq!(
        ending(failed(), true)["error"]["code"],
        "ERR_POSE4D_DOWNLOAD"
    );
    assert_eq!(ending(failed(), false)["error"]["code"], ABORTED);
    assert_eq!(ending(Ok(Ok(1)), false)["result"], 1);
    let panicked = catch_unwind(|| -> Result<(), CacheError> { panic!("x") });
    assert_eq!(ending(panicked, true)["error"]["code"], INTERNAL);
}
