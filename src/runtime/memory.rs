//! How much memory this process uses and may use: the machine's, the cgroup's, its own.

use std::fs;
use std::path::{Path, PathBuf};

/// cgroup v1 writes "no limit" as a number near 2⁶³, rounded to pages.
const V1_UNLIMITED: u64 = 1 << 62;

/// One reading, in bytes; `None` where the system does not say (anything but Linux).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemoryReading {
    /// Resident memory of this process.
    pub rss: Option<u64>,
    /// The most it ever was.
    pub peak_rss: Option<u64>,
    pub total: Option<u64>,
    /// What the machine could still hand out without swapping.
    pub available: Option<u64>,
    /// The tightest limit of the cgroups around this process; `None`: none is set.
    pub cgroup_limit: Option<u64>,
    /// What the cgroup with that limit holds, files that could be dropped not counted.
    pub cgroup_used: Option<u64>,
}

impl MemoryReading {
    /// Bytes that can be taken before the machine or the cgroup has none left.
    pub fn headroom(&self) -> Option<u64> {
        let in_cgroup = self
            .cgroup_limit
            .map(|limit| limit.saturating_sub(self.cgroup_used.or(self.rss).unwrap_or(0)));
        match (self.available, in_cgroup) {
            (Some(machine), Some(cgroup)) => Some(machine.min(cgroup)),
            (machine, cgroup) => machine.or(cgroup),
        }
    }

    /// The most this process could ever hold: the smaller of machine and cgroup.
    pub fn ceiling(&self) -> Option<u64> {
        match (self.total, self.cgroup_limit) {
            (Some(total), Some(limit)) => Some(total.min(limit)),
            (total, limit) => total.or(limit),
        }
    }
}

/// Reads the current state.
pub fn read() -> MemoryReading {
    read_under(Path::new("/"))
}

/// Forgets the peak, so that the next reading's is that of the time between; false where the system
/// cannot (Linux can).
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// As `read`, with the system's `/proc` and `/sys` under another root.
fn read_under(root: &Path) -> MemoryReading {
    let status = text(&root.join("proc/self/status"));
    let meminfo = text(&root.join("proc/meminfo"));
    let cgroup = tightest_cgroup(root);
    MemoryReading {
        rss: kilobytes(&status, "VmRSS:"),
        peak_rss: kilobytes(&status, "VmHWM:"),
        total: kilobytes(&meminfo, "MemTotal:"),
        available: kilobytes(&meminfo, "MemAvailable:"),
        cgroup_limit: cgroup.map(|group| group.limit),
        cgroup_used: cgroup.and_then(|group| group.used),
    }
}

#[derive(Clone, Copy)]
struct Cgroup {
    limit: u64,
    used: Option<u64>,
}

/// The files of one cgroup version.
struct Layout {
    mount: &'static str,
    limit: &'static str,
    used: &'static str,
    /// File cache, old and recent, and what of it a process has mapped.
    cache: [&'static str; 2],
    mapped: &'static str,
}

const V2: Layout = Layout {
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    cache: ["inactive_file", "active_file"],
    mapped: "file_mapped",
};
const V1: Layout = Layout {
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    cache: ["total_inactive_file", "total_active_file"],
    mapped: "total_mapped_file",
};

/// The cgroup with the smallest limit among this process's own and those above it.
fn tightest_cgroup(root: &Path) -> Option<Cgroup> {
    let membership = text(&root.join("proc/self/cgroup"));
    membership
        .lines()
        .filter_map(|line| tightest_on_line(root, line))
        .min_by_key(|g| g.limit)
}

fn tightest_on_line(root: &Path, line: &str) -> Option<Cgroup> {
    let mut fields = line.splitn(3, ':');
    let (hierarchy, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    let layout = if hierarchy == "0" && controllers.is_empty() {
        &V2
    } else if controllers.split(',').any(|name| name == "memory") {
        &V1
    } else {
        return None;
    };
    let mount = root.join(layout.mount);
    let mut folder: PathBuf = mount.join(path.trim_start_matches('/'));
    let mut tightest: Option<Cgroup> = None;
    // In a container the path may be the host's, which is not there; its parents then lead to
    // the mount itself, which is the container's own group.
    while folder.starts_with(&mount) {
        if let Some(group) = read_cgroup(&folder, layout)
            && tightest.is_none_or(|known| group.limit < known.limit)
        {
            tightest = Some(group);
        }
        if !folder.pop() {
            break;
        }
    }
    tightest
}

fn read_cgroup(folder: &Path, layout: &Layout) -> Option<Cgroup> {
    // "max" is no number and means no limit.
    let limit: u64 = text(&folder.join(layout.limit)).trim().parse().ok()?;
    if limit >= V1_UNLIMITED {
        return None;
    }
    let used: Option<u64> = text(&folder.join(layout.used)).trim().parse().ok();
    let stat = text(&folder.join("memory.stat"));
    let entry = |name: &str| -> u64 {
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        let value = lines.find(|(found, _)| *found == name);
        value
            .and_then(|(_, value)| value.trim().parse().ok())
            .unwrap_or(0)
    };
    // What was read twice (verified, then loaded) counts as recent, and is given back just as well;
    // only what is mapped, such as libraries at work, is held.
    let cached: u64 = layout.cache.iter().map(|name| entry(name)).sum();
    let droppable = cached.saturating_sub(entry(layout.mapped));
    Some(Cgroup {
        limit,
        used: used.map(|bytes| bytes.saturating_sub(droppable)),
    })
}

/// A line such as `VmRSS:   1234 kB`, in bytes.
fn kilobytes(text: &str, label: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(label))?;
    let number: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    number.checked_mul(1024)
}

/// A file's text; empty when it is not there.
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A made-up system: path under its root, content.
    fn system(name: &str, files: &[(&str, &str)]) -> PathBuf {
        let root = std::env::temp_dir().join(format!("pose4d-mem-{name}-{}", std::process::id()));
        for (path, content) in files {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        root
    }

    const PLAIN: [(&str, &str); 2] = [
        (
            "proc/self/status",
            "Name:\tnode\nVmHWM:\t  900 kB\nVmRSS:\t  512 kB\n",
        ),
        (
            "proc/meminfo",
            "MemTotal:  4096 kB\nMemFree: 1 kB\nMemAvailable:  2048 kB\n",
        ),
    ];

    #[test]
    fn a_machine_without_limits() {
        let root = system("plain", &PLAIN);
        let reading = read_under(&root);
        assert_eq!(reading.rss, Some(512 << 10));
        assert_eq!(reading.headroom(), Some(2048 << 10));
        assert_eq!(reading.ceiling(), Some(4096 << 10));
        assert_eq!(reading.cgroup_limit, None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn cgroup_v2_takes_the_tightest_parent_and_discounts_file_cache() {
        let group = "sys/fs/cgroup/pod/box";
        let mut files = PLAIN.to_vec();
        let (max, current) = (
            format!("{group}/memory.max"),
            format!("{group}/memory.current"),
        );
        files.extend([
            ("proc/self/cgroup", "0::/pod/box\n"),
            (max.as_str(), "max\n"),
            (current.as_str(), "100\n"),
            ("sys/fs/cgroup/pod/memory.max", "1000000\n"),
            ("sys/fs/cgroup/pod/memory.current", "700000\n"),
            (
                "sys/fs/cgroup/pod/memory.stat",
                "anon 1\nfile_mapped 50000\ninactive_file 200000\nactive_file 50000\nfile 3\n",
            ),
            ("sys/fs/cgroup/memory.max", "9000000\n"),
        ]);
        let root = system("v2", &files);
        let reading = read_under(&root);
        assert_eq!(reading.cgroup_limit, Some(1_000_000));
        assert_eq!(reading.cgroup_used, Some(500_000));
        assert_eq!(reading.headroom(), Some(500_000));
        assert_eq!(reading.ceiling(), Some(1_000_000));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn cgroup_v1_in_a_container_whose_path_is_the_hosts() {
        let mut files = PLAIN.to_vec();
        files.extend([
            (
                "proc/self/cgroup",
                "5:cpu,cpuacct:/x\n4:memory:/docker/abc\n",
            ),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "3000000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000000\n"),
            (
                "sys/fs/cgroup/memory/memory.stat",
                "inactive_file 7\ntotal_active_file 300\ntotal_inactive_file 20\ntotal_mapped_file 100\n",
            ),
        ]);
        let root = system("v1", &files);
        assert_eq!(read_under(&root).cgroup_limit, Some(3_000_000));
        assert_eq!(read_under(&root).headroom(), Some(2_000_220));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_unlimited_number_of_v1_is_no_limit() {
        let mut files = PLAIN.to_vec();
        files.extend([
            ("proc/self/cgroup", "4:memory:/\n"),
            (
                "sys/fs/cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);
        let root = system("v1max", &files);
        assert_eq!(read_under(&root).cgroup_limit, None);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn nothing_to_read_is_nothing_known() {
        let reading = read_under(Path::new("/nowhere-at-all"));
        assert_eq!(reading, MemoryReading::default());
        assert_eq!((reading.headroom(), reading.ceiling()), (None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_uses_memory() {
        let reading = read();
        assert!(reading.rss.unwrap() > 1 << 20);
        assert!(reading.total.unwrap() > reading.rss.unwrap());
    }
}
