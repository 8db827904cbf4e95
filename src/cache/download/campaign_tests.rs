//! Campaigns: processes killed at random moments and at every step, and many at once for one file.
//!
//! The short ones run with the other tests. The long ones are run with
//! `cargo test --lib download::campaign -- --ignored --nocapture`; how long, `POSE4D_TEST_KILLS` (500)
//! and `POSE4D_TEST_ROUNDS` (50) say. They print their figures.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::Path;
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::child_tests::{Order, answer, right_or_absent};
use super::server_tests::{Content, Hit, Out, Server, names, request, sha};
use super::sweep::sweep;

/// A number below `end`.
fn random(end: u64) -> u64 {
    RandomState::new().build_hasher().finish() % end
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// An honest server whose files take `ms` in all, and that counts the bytes it sends.
fn slow(content: &Content, ms: u64) -> (Server, Arc<AtomicU64>) {
    let (content, sent) = (content.clone(), Arc::new(AtomicU64::new(0)));
    let counted = sent.clone();
    let server = Server::start(move |hit: &Hit, out: &mut Out| {
        let from = hit.from().unwrap_or(0);
        let length = (content.len() - from).to_string();
        let headers = [("Content-Length", length.as_str()), ("ETag", content.etag)];
        if from == 0 {
            out.head("200 OK", &headers);
        } else {
            let range = [("Content-Range", content.range(from))];
            let range = [(range[0].0, range[0].1.as_str())];
            out.head("206 Partial Content", &[&headers[..], &range[..]].concat());
        }
        let pieces = 40;
        for piece in content.bytes[from..].chunks(content.len() / pieces + 1) {
            std::thread::sleep(Duration::from_millis(ms / pieces as u64));
            if std::io::Write::write_all(&mut out.0, piece).is_err() {
                return;
            }
            counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
        }
    });
    (server, sent)
}

fn kill(child: &mut Child) {
    // SIGKILL on Unix.
    let _ = child.kill();
    let _ = child.wait();
}

fn only_the_file(folder: &Path) {
    sweep(folder).unwrap();
    assert_eq!(names(folder), ["weights.bin"], "left behind");
}

/// Kills downloads at random moments and starts them again until each file is done; `kills` in all.
fn kill_at_random(kills: u64, locks: bool) {
    let start = Instant::now();
    let (mut killed, mut files, mut total, mut sent_in_all) = (0, 0, 0, 0);
    while killed < kills {
        let size = [70_001, 1_200_000, 4_000_000][files % 3];
        let content = Content::new(size);
        let (server, sent) = slow(&content, 200);
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("weights.bin");
        let known = (files % 2 == 0).then_some(content.bytes.as_slice());
        let mut order = Order::new(request(&dest, &[server.url("/weights.bin")], known));
        order.locks = locks;
        loop {
            let mut child = order.start(&[]);
            // Often enough beyond the end, so that files get done and renames are hit.
            std::thread::sleep(Duration::from_micros(random(300_000)));
            let done = child.try_wait().unwrap().is_some();
            if done {
                let answer = answer(&child.wait_with_output().unwrap());
                assert_eq!(answer, Ok(sha(&content.bytes)));
                break;
            }
            kill(&mut child);
            killed += 1;
            right_or_absent(&dest, &content.bytes);
        }
        assert!(right_or_absent(&dest, &content.bytes));
        only_the_file(folder.path());
        sent_in_all += sent.load(Ordering::Relaxed);
        total += size as u64;
        files += 1;
    }
    println!(
        "{killed} kills over {files} files of {total} bytes in all (locks: {locks}): {sent_in_all} \
         bytes sent, all files right, nothing left behind; {:.0} s",
        start.elapsed().as_secs_f32()
    );
}

/// Lets a download die at its first step, its second one, and so on until it has no more.
fn die_at_every_step(locks: bool, again: bool) -> u32 {
    let content = Content::new(700_000);
    for step in 1..1000 {
        let (server, _) = slow(&content, 0);
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("weights.bin");
        let urls = [server.url("/weights.bin")];
        let mut order = Order::new(request(&dest, &urls, Some(&content.bytes)));
        order.locks = locks;
        let at = step.to_string();
        let died = order.run(&[("POSE4D_TEST_CRASH_AT", &at)]).is_err();
        right_or_absent(&dest, &content.bytes);
        if again {
            // The one that takes over dies as well.
            let _ = order.run(&[("POSE4D_TEST_CRASH_AT", &at)]);
            right_or_absent(&dest, &content.bytes);
        }
        assert_eq!(
            order.run(&[]),
            Ok(sha(&content.bytes)),
            "after dying at step {step}"
        );
        assert!(right_or_absent(&dest, &content.bytes));
        only_the_file(folder.path());
        if !died {
            return step - 1;
        }
    }
    panic!("a download without end")
}

/// Starts `processes` downloads of one file at once, `kills` of which are killed on the way.
fn many_at_once(rounds: u64, processes: usize, locks: bool, kills: usize) {
    let start = Instant::now();
    let (mut most, mut all) = (0.0_f64, 0.0);
    for round in 0..rounds {
        let content = Content::new([70_001, 1_200_000][(round % 2) as usize]);
        let (server, sent) = slow(&content, 150);
        let folder = tempfile::tempdir().unwrap();
        let dest = folder.path().join("weights.bin");
        let urls = [server.url("/weights.bin")];
        let mut order = Order::new(request(&dest, &urls, Some(&content.bytes)));
        order.locks = locks;
        let mut children: Vec<_> = (0..processes).map(|_| order.start(&[])).collect();
        for mut victim in children.drain(..kills) {
            std::thread::sleep(Duration::from_millis(random(60)));
            kill(&mut victim);
            right_or_absent(&dest, &content.bytes);
        }
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert_eq!(answer(&output), Ok(sha(&content.bytes)));
        }
        assert!(right_or_absent(&dest, &content.bytes));
        only_the_file(folder.path());
        let times = sent.load(Ordering::Relaxed) as f64 / content.len() as f64;
        (most, all) = (most.max(times), all + times);
    }
    println!(
        "{rounds} rounds of {processes} processes, {kills} of them killed (locks: {locks}): all files \
         right, nothing left behind; the file was sent {:.2} times on average, at most {most:.2}; {:.0} s",
        all / rounds as f64,
        start.elapsed().as_secs_f32()
    );
    if kills == 0 {
        assert!(all / rounds as f64 <= 2.0, "too many double downloads");
    }
}

#[test]
fn a_few_kills_leave_a_good_file() {
    kill_at_random(25, true);
}

#[test]
fn death_at_any_step_leaves_a_good_file() {
    let steps = die_at_every_step(true, false);
    assert!(steps >= 10, "only {steps} steps: the counting is broken");
}

#[test]
fn eight_processes_make_one_file() {
    many_at_once(3, 8, true, 0);
}

#[test]
fn eight_processes_without_locks_make_one_file() {
    many_at_once(3, 8, false, 0);
}

#[test]
#[ignore = "long; POSE4D_TEST_KILLS=500"]
fn long_kills() {
    let kills = number("POSE4D_TEST_KILLS", 500);
    kill_at_random(kills, true);
    kill_at_random(kills, false);
}

#[test]
#[ignore = "long"]
fn long_death_at_any_step() {
    for (locks, again) in [(true, true), (false, false), (false, true)] {
        let steps = die_at_every_step(locks, again);
        println!("died at each of {steps} steps (locks: {locks}, twice: {again}): all files right");
    }
}

#[test]
#[ignore = "long; POSE4D_TEST_ROUNDS=50"]
fn long_many_at_once() {
    let rounds = number("POSE4D_TEST_ROUNDS", 50);
    for (locks, kills) in [(true, 0), (false, 0), (true, 4), (false, 4)] {
        many_at_once(rounds, 8, locks, kills);
    }
}
