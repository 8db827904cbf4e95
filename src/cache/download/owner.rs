//! Which process owns a download, written into a folder's name, and whether that process still lives.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError};

/// A worker of one process on one machine. All numbers are written in hex, joined by `-`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    pid: u32,
    /// When the process started, in ticks since boot; tells it from a later one of the same number.
    start: u64,
    /// Hash of the machine's name and id.
    machine: u32,
    /// Hash of what changes with each boot; 0 where the system does not say.
    boot: u32,
    /// Hash of the name space that `pid` belongs to: containers number their processes themselves.
    space: u32,
    /// Tells two copies of this library in one process apart.
    copy: u32,
    serial: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its process was seen.
    Alive,
    /// Its process is certainly gone; nothing of it can still write.
    Dead,
    /// It was on this machine before the last boot.
    Rebooted,
    /// Of another machine or container: only its heartbeat tells.
    Unknown,
}

struct Here {
    pid: u32,
    start: u64,
    machine: u32,
    boot: u32,
    space: u32,
    copy: u32,
}

static HERE: LazyLock<Here> = LazyLock::new(|| Here {
    pid: std::process::id(),
    start: start_of(std::process::id()).map_or(0, |(start, _)| start),
    machine: hash(&machine()),
    boot: boot().map_or(0, |boot| hash(&boot)),
    space: space().map_or(0, |space| hash(&space)),
    copy: RandomState::new().build_hasher().finish() as u32,
});
static SERIAL: AtomicU32 = AtomicU32::new(1);
static WORKING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// An owner of this process, alive until dropped.
#[derive(Debug)]
pub struct Working(Owner);

impl Working {
    pub fn start() -> Self {
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        lock().insert(serial);
        Self(Owner {
            pid: HERE.pid,
            start: HERE.start,
            machine: HERE.machine,
            boot: HERE.boot,
            space: HERE.space,
            copy: HERE.copy,
            serial,
        })
    }

    pub fn owner(&self) -> Owner {
        self.0
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        lock().remove(&self.0.serial);
    }
}

fn lock() -> std::sync::MutexGuard<'static, BTreeSet<u32>> {
    WORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Owner {
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text
            .split('-')
            .map(|part| u64::from_str_radix(part, 16).ok());
        let mut next = || parts.next().flatten();
        let mut small = || next().and_then(|n| u32::try_from(n).ok());
        let pid = small()?;
        let [machine, boot, space, copy, serial] =
            [small()?, small()?, small()?, small()?, small()?];
        let start = next()?;
        let owner = Self {
            pid,
            start,
            machine,
            boot,
            space,
            copy,
            serial,
        };
        // Only what would be written again is one of ours.
        (owner.to_string() == text).then_some(owner)
    }

    pub fn life(&self) -> Life {
        if self.machine != HERE.machine {
            return Life::Unknown;
        }
        if self.boot != HERE.boot {
            return Life::Rebooted;
        }
        if self.space != HERE.space {
            return Life::Unknown;
        }
        if self.pid == HERE.pid && self.start == HERE.start && self.copy == HERE.copy {
            return if lock().contains(&self.serial) {
                Life::Alive
            } else {
                Life::Dead
            };
        }
        life_of(self.pid, self.start)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            pid,
            start,
            machine,
            boot,
            space,
            copy,
            serial,
        } = self;
        write!(
            f,
            "{pid:x}-{machine:08x}-{boot:08x}-{space:08x}-{copy:08x}-{serial:x}-{start:x}"
        )
    }
}

#[cfg(target_os = "linux")]
fn life_of(pid: u32, start: u64) -> Life {
    if HERE.start == 0 || HERE.boot == 0 {
        return Life::Unknown;
    }
    match start_of(pid) {
        Some((same, false)) if same == start => Life::Alive,
        _ => Life::Dead,
    }
}

#[cfg(all(unix, not(target_os = "linux")))]
fn life_of(pid: u32, _start: u64) -> Life {
    let pid = i32::try_from(pid)
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    match pid.map(rustix::process::test_kill_process) {
        Some(Err(rustix::io::Errno::SRCH)) => Life::Dead,
        // The number may have been given to another process since.
        _ => Life::Unknown,
    }
}

#[cfg(not(unix))]
fn life_of(_pid: u32, _start: u64) -> Life {
    Life::Unknown
}

/// When a process started, and whether it is over and only waits for its parent to take notice.
#[cfg(target_os = "linux")]
fn start_of(pid: u32) -> Option<(u64, bool)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in brackets and may hold anything.
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let over = matches!(fields.next()?, "Z" | "X");
    let start = fields.nth(18)?.parse().ok()?;
    // The first thread of a process may be over while others still write.
    let alone = || std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1;
    Some((start, over && alone()))
}

#[cfg(not(target_os = "linux"))]
fn start_of(_pid: u32) -> Option<(u64, bool)> {
    None
}

fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    #[cfg(unix)]
    let name = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    format!("{name}\n{id}")
}

/// What tells this boot from others; `None` where the system does not say.
pub fn boot() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

fn space() -> Option<String> {
    let link = std::fs::read_link("/proc/self/ns/pid").ok()?;
    Some(link.to_string_lossy().into_owned())
}

fn hash(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_alive_while_it_works_and_dead_after() {
        let working = Working::start();
        let owner = working.owner();
        assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
        assert_eq!(owner.life(), Life::Alive);
        drop(working);
        assert_eq!(owner.life(), Life::Dead);
    }

    #[test]
    fn only_names_written_by_us_are_owners() {
        for text in [
            "",
            "1-2",
            "1-2-3-4-5-6-7-8",
            "+1-0-0-0-0-1-1",
            "part",
            "a-b-c-d-e-f-0",
        ] {
            assert_eq!(Owner::parse(text), None, "{text}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn other_processes_are_judged_by_number_and_start() {
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let (start, over) = start_of(child.id()).unwrap();
        assert!(!over);
        let mut owner = Working::start().owner();
        (owner.pid, owner.start) = (child.id(), start);
        assert_eq!(owner.life(), Life::Alive);
        let later = Owner {
            start: start + 1,
            ..owner
        };
        assert_eq!(later.life(), Life::Dead, "the number was used again");
        child.kill().unwrap();
        while !start_of(child.id()).unwrap().1 {
            std::thread::yield_now();
        }
        assert_eq!(owner.life(), Life::Dead, "killed, not yet taken notice of");
        child.wait().unwrap();
        assert_eq!(owner.life(), Life::Dead);
        let elsewhere = Owner {
            machine: !owner.machine,
            ..owner
        };
        assert_eq!(elsewhere.life(), Life::Unknown);
        let earlier = Owner {
            boot: !owner.boot,
            ..owner
        };
        assert_eq!(earlier.life(), Life::Rebooted);
    }
}
