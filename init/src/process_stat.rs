//! What the kernel says of a process in `/proc/<pid>/stat`.
//!
//! Source: `proc_pid_stat(5)`. The second field, the name, is in parentheses and may hold anything.

use std::fs;

/// The flag of the kernel's own threads, `PF_KTHREAD` of `linux/sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// The fields that anybody here asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessStat {
    /// Whether it has not ended. One that has may not be reaped yet.
    pub lives: bool,
    /// Its parent's number.
    pub parent: u32,
    /// Whether it is one of the kernel's own threads.
    pub is_kernels: bool,
    /// When it was started, in ticks since the machine was.
    pub started: u64,
}

impl ProcessStat {
    /// That of the process `pid`, unless there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            lives: !matches!(*fields.first()?, "Z" | "X"),
            parent: u32::try_from(number(1)?).ok()?,
            is_kernels: number(6)? & KERNEL_THREAD != 0,
            started: number(19)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_behind_any_name() {
        let stat = |start: &str, flags: u64| {
            format!("{start} 7 7 0 -1 {flags} 1 0 1 2 3 4 5 6 20 0 1 0 4711 8 9\n")
        };
        let read = |start: &str, flags| {
            let stat = ProcessStat::parse(&stat(start, flags))?;
            Some((stat.lives, stat.parent, stat.is_kernels, stat.started))
        };
        for (start, flags, expected) in [
            ("7 (a) S 1", 4_194_560, (true, 1, false, 4711)),
            ("7 (a) Z) b (c) S 1", 4_194_560, (true, 1, false, 4711)),
            ("7 (a) Z 1", 4_227_084, (false, 1, false, 4711)),
            ("2 (kthreadd) S 0", 2_129_984, (true, 0, true, 4711)),
        ] {
            assert_eq!(read(start, flags), Some(expected), "{start}");
        }
        for text in ["", "1 (x", "1 (x) S 1", "1 (x) S -1 7 7 0 -1 0"] {
            assert_eq!(ProcessStat::parse(text), None, "{text}");
        }
        let own = ProcessStat::of(std::process::id()).unwrap();
        assert_eq!(own.parent, std::os::unix::process::parent_id());
        assert!(own.lives && !own.is_kernels && own.started > 0);
        assert_eq!(ProcessStat::of(u32::MAX), None);
    }
}
