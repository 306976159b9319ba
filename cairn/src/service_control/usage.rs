//! What a service uses, read from its control group.
//!
//! The kernel keeps memory and tasks only for groups whose bounds somebody has asked for; of the others
//! the processes are counted and their resident memory added up.
//!
//! Source: the kernel's `Documentation/admin-guide/cgroup-v2.rst`, `accounting/psi.rst`, proc(5).

use std::fs;
use std::path::Path;

use serde::Serialize;

/// Where the supervisor has its services' control groups, below the root.
const GROUPS: &str = "sys/fs/cgroup/cairn";

/// What a service uses.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Bytes of memory.
    pub memory: u64,
    /// Processor time of its control group, which goes on over restarts, in microseconds.
    pub cpu_us: u64,
    /// Tasks: processes and their threads, or where the kernel does not count them, processes.
    pub tasks: u64,
    /// How long something of it had to wait, in hundredths of the last ten seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<Pressure>,
}

/// What it had to wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Pressure {
    /// For a processor.
    pub cpu: f64,
    /// For memory.
    pub memory: f64,
    /// For disks.
    pub io: f64,
}

impl Pressure {
    /// The worst of them, with its name.
    #[must_use]
    pub fn worst(self) -> (&'static str, f64) {
        let all = [("cpu", self.cpu), ("memory", self.memory), ("io", self.io)];
        all.into_iter().fold(
            ("cpu", 0.0),
            |worst, one| if one.1 > worst.1 { one } else { worst },
        )
    }
}

/// What the service of this name uses on the machine at `root`; none if it has no control group.
#[must_use]
pub fn of(root: &Path, name: &str) -> Option<Usage> {
    let group = root.join(GROUPS).join(name);
    let read = |file: &str| fs::read_to_string(group.join(file)).ok();
    let number = |file: &str| read(file)?.trim_end().parse().ok();
    let cpu_us = usage_usec(&read("cpu.stat")?);
    let counted = (number("memory.current"), number("pids.current"));
    let (memory, tasks) = if let (Some(memory), Some(tasks)) = counted {
        (memory, tasks)
    } else {
        let processes = processes(&group);
        let resident = || processes.iter().map(|pid| resident(root, pid)).sum();
        (
            counted.0.unwrap_or_else(resident),
            counted.1.unwrap_or(processes.len() as u64),
        )
    };
    let pressure = |file: &str| read(file).map(|text| some_avg10(&text));
    Some(Usage {
        memory,
        cpu_us,
        tasks,
        pressure: pressure("cpu.pressure").map(|cpu| Pressure {
            cpu,
            memory: pressure("memory.pressure").unwrap_or_default(),
            io: pressure("io.pressure").unwrap_or_default(),
        }),
    })
}

/// All processes in the group and below it.
fn processes(group: &Path) -> Vec<String> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    let mut found: Vec<String> = text.lines().map(str::to_owned).collect();
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(processes(&entry.path()));
        }
    }
    found
}

/// Bytes that are resident; of a process that has gone, none.
fn resident(root: &Path, pid: &str) -> u64 {
    const PAGE: u64 = 4096;
    let text = fs::read_to_string(root.join("proc").join(pid).join("statm")).unwrap_or_default();
    let pages = text.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    pages.unwrap_or(0_u64).saturating_mul(PAGE)
}

fn usage_usec(text: &str) -> u64 {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("usage_usec "));
    value.and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn some_avg10(text: &str) -> f64 {
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("some avg10="));
    let value = line.and_then(|rest| rest.split(' ').next());
    value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
}

/// Bytes for people: `12.3M`.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    let mut unit = 1_u64;
    let mut name = "B";
    for next in ["K", "M", "G", "T"] {
        if bytes / unit < 1024 {
            break;
        }
        unit *= 1024;
        name = next;
    }
    if unit == 1 {
        return format!("{bytes}{name}");
    }
    let tenths = bytes / (unit / 10).max(1);
    if tenths < 1000 {
        format!("{}.{}{name}", tenths / 10, tenths % 10)
    } else {
        format!("{}{name}", bytes / unit)
    }
}

/// Processor time for people: `1.25s`.
#[must_use]
pub fn processor_time(microseconds: u64) -> String {
    match microseconds / 1000 {
        ms @ 0..1000 => format!("{ms}ms"),
        ms @ 1000..60_000 => format!("{}.{:02}s", ms / 1000, ms % 1000 / 10),
        ms => format!("{}m {}s", ms / 60_000, ms / 1000 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let file = root.join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    const PRESSURE: &str = "some avg10=1.50 avg60=0.00 avg300=0.00 total=7\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

    #[test]
    fn groups_are_read_with_and_without_their_controllers() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for name in ["bounded", "plain"] {
            let group = format!("{GROUPS}/{name}");
            write(
                root,
                &format!("{group}/cpu.stat"),
                "usage_usec 1250000\nuser_usec 1\n",
            );
            write(root, &format!("{group}/io.pressure"), PRESSURE);
            write(
                root,
                &format!("{group}/cpu.pressure"),
                "some avg10=0.00 avg60=0.00\n",
            );
            write(root, &format!("{group}/cgroup.procs"), "7\n9\n");
            write(root, &format!("{group}/inner/cgroup.procs"), "11\n");
        }
        write(root, "proc/7/statm", "900 10 3 1 0 2 0\n");
        write(root, "proc/11/statm", "900 5 3 1 0 2 0\n");
        write(root, &format!("{GROUPS}/bounded/memory.current"), "4096\n");
        write(root, &format!("{GROUPS}/bounded/pids.current"), "12\n");
        let pressure = Pressure {
            cpu: 0.0,
            memory: 0.0,
            io: 1.5,
        };
        let bounded = Usage {
            memory: 4096,
            cpu_us: 1_250_000,
            tasks: 12,
            pressure: Some(pressure),
        };
        let plain = Usage {
            memory: 15 * 4096,
            tasks: 3,
            ..bounded.clone()
        };
        assert_eq!(of(root, "bounded"), Some(bounded));
        assert_eq!(of(root, "plain"), Some(plain));
        assert_eq!(of(root, "none"), None);
        assert_eq!(pressure.worst(), ("io", 1.5));
    }

    #[test]
    fn numbers_for_people() {
        let sizes = [0, 1023, 1024, 1_500_000, 200 << 20, 3 << 30, u64::MAX];
        assert_eq!(
            sizes.map(bytes),
            ["0B", "1023B", "1.0K", "1.4M", "200M", "3.0G", "16777215T"]
        );
        let times = [999, 12_345, 1_250_000, 61_000_000];
        assert_eq!(times.map(processor_time), ["0ms", "12ms", "1.25s", "1m 1s"]);
    }
}
