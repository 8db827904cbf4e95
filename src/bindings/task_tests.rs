//! Tests of the tasks' throttle and meter.

use super::*;

fn progress(phase: &'static str, loaded: u64) -> Progress {
    Progress {
        phase,
        model: None,
        file: "a.ckpt".into(),
        loaded,
        total: Some(1000),
        bytes_per_second: None,
        eta_seconds: None,
    }
}

#[test]
fn no_more_than_ten_events_a_second_but_both_ends_of_every_phase() {
    let (start, mut throttle) = (Instant::now(), Throttle::default());
    let told: Vec<_> = (0..=1000_u64)
        .filter(|i| {
            throttle.lets_through(&progress("download", *i), start + Duration::from_millis(*i))
        })
        .collect();
    assert_eq!(told.first(), Some(&0));
    assert_eq!(told.last(), Some(&1000));
    assert!((10..=12).contains(&told.len()), "{told:?}");
    let now = start + Duration::from_millis(1001);
    assert!(throttle.lets_through(&progress("verify", 0), now));
    assert!(!throttle.lets_through(&progress("verify", 1), now));
    assert!(throttle.lets_through(&progress("verify", 1000), now));
    assert!(!throttle.lets_through(&progress("verify", 1000), now));
}

#[test]
fn rate_and_time_left_follow_the_last_seconds() {
    let (start, mut meter) = (Instant::now(), Meter::new());
    assert_eq!(meter.at(start, 0, Some(100_000)), (None, None));
    // 100 bytes a second for ten seconds, then 1,000.
    let mut last = (None, None);
    for tick in 1..=200_u64 {
        let loaded = if tick <= 100 { tick * 10 } else { 1000 + (tick - 100) * 100 };
        last = meter.at(start + Duration::from_millis(tick * 100), loaded, Some(100_000));
    }
    let (rate, left) = (last.0.unwrap(), last.1.unwrap());
    assert!((rate - 1000.0).abs() < 1.0, "{rate}");
    assert!((left - 89.0).abs() < 0.2, "{left}");
}

#[test]
fn a_stop_is_the_reason_whatever_the_work_stumbled_over() {
    let failed = || Ok(Err::<(), _>(CacheError::new("ERR_POSE4D_DOWNLOAD", "cut off")));
    assert_eq!(ending(failed(), true)["error"]["code"], "ERR_POSE4D_DOWNLOAD");
    assert_eq!(ending(failed(), false)["error"]["code"], ABORTED);
    assert_eq!(ending(Ok(Ok(1)), false)["result"], 1);
    let panicked = catch_unwind(|| -> Result<(), CacheError> { panic!("x") });
    assert_eq!(ending(panicked, true)["error"]["code"], INTERNAL);
}
