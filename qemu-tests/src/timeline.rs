//! The boot's timing table, read off the serial console.
//!
//! A line's arrival says when the host saw it; the kernel's own time stamp says when it was
//! written. Early kernel lines arrive in one burst, when the console's driver starts: the kernel's
//! entry is therefore the smallest difference between arrival and time stamp over all its lines,
//! and a milestone written to the kernel's log is its time stamp counted from there.

use std::fmt;
use std::time::Duration;

use cairn_system::boot_mark;

use crate::transcript::Line;

/// A point of the boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// QEMU was started.
    PowerOn,
    /// The boot loader wrote its first words.
    BootLoader,
    /// The kernel's clock started.
    Kernel,
    /// `/init` of the initrd.
    Stage1,
    /// The toplevel's init was about to be executed.
    Stage2,
    /// Activation was over.
    Services,
    /// Every service was up or had failed.
    BootDone,
    /// The first login prompt.
    Login,
}

impl Milestone {
    /// What the time between this and the next milestone is called.
    fn stage(self) -> &'static str {
        match self {
            Self::PowerOn => "firmware",
            Self::BootLoader => "GRUB",
            Self::Kernel => "kernel",
            Self::Stage1 => "stage 1",
            Self::Stage2 => "stage 2",
            Self::Services => "services",
            Self::BootDone => "login prompt",
            Self::Login => "other services",
        }
    }
}

/// The milestones seen, in order of time; the first is the power button at zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeline {
    milestones: Vec<(Milestone, Duration)>,
}

/// What a boot loader, or the firmware that starts it, says first.
const BOOT_LOADER_WORDS: &[&str] = &[
    "BdsDxe: starting",
    "GRUB loading",
    "Welcome to GRUB",
    "GNU GRUB",
    "Booting `",
    "Loading ",
];

impl Timeline {
    /// Reads the first boot off the console's lines.
    #[must_use]
    pub fn of(lines: &[Line]) -> Self {
        let lines = first_boot(lines);
        let mut milestones = vec![(Milestone::PowerOn, Duration::ZERO)];
        let entry = kernel_entry(lines);
        let loader = lines
            .iter()
            .take_while(|line| kernel_time(&line.text).is_none())
            .find(|line| {
                BOOT_LOADER_WORDS
                    .iter()
                    .any(|words| line.text.contains(words))
            });
        milestones.extend(loader.map(|line| (Milestone::BootLoader, line.at)));
        milestones.extend(entry.map(|at| (Milestone::Kernel, at)));
        for (milestone, mark) in [
            (Milestone::Stage1, boot_mark::STAGE_1_STARTED),
            (Milestone::Stage2, boot_mark::STAGE_1_DONE),
            (Milestone::Services, boot_mark::SERVICES_STARTED),
            (Milestone::BootDone, boot_mark::BOOT_DONE),
            (Milestone::Login, "login: "),
        ] {
            let found = lines.iter().find_map(|line| moment(line, mark, entry));
            milestones.extend(found.map(|at| (milestone, at)));
        }
        // A prompt may come before the last service is up.
        milestones.sort_by_key(|(milestone, at)| (*at, *milestone));
        Self { milestones }
    }

    /// When a line with `text` was written in the first boot, counted from the start of QEMU: for
    /// systems that have marks of their own.
    #[must_use]
    pub fn moment_of(lines: &[Line], text: &str) -> Option<Duration> {
        let lines = first_boot(lines);
        let entry = kernel_entry(lines);
        lines.iter().find_map(|line| moment(line, text, entry))
    }

    /// When this milestone was reached, counted from the start of QEMU.
    #[must_use]
    pub fn at(&self, milestone: Milestone) -> Option<Duration> {
        self.milestones
            .iter()
            .find(|(found, _)| *found == milestone)
            .map(|(_, at)| *at)
    }

    /// The time between two milestones.
    #[must_use]
    pub fn between(&self, from: Milestone, to: Milestone) -> Option<Duration> {
        self.at(to)?.checked_sub(self.at(from)?)
    }

    /// Each stage's name and length, in order.
    #[must_use]
    pub fn stages(&self) -> Vec<(&'static str, Duration)> {
        let ends = self.milestones.iter().skip(1);
        let mut stages: Vec<(&'static str, Duration)> = self
            .milestones
            .iter()
            .zip(ends)
            .map(|((milestone, from), (_, to))| (milestone.stage(), to.saturating_sub(*from)))
            .collect();
        // Without a word of the boot loader, its time cannot be told from the firmware's.
        if self.at(Milestone::BootLoader).is_none()
            && let Some(first) = stages.first_mut()
        {
            first.0 = "firmware, loader";
        }
        stages
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut end = Duration::ZERO;
        for (name, length) in self.stages() {
            end += length;
            let (length, end) = (length.as_secs_f64(), end.as_secs_f64());
            writeln!(formatter, "{name:<18}{length:>8.2} s   (until {end:.2} s)")?;
        }
        Ok(())
    }
}

/// The lines up to a second kernel start, if the machine was rebooted.
fn first_boot(lines: &[Line]) -> &[Line] {
    let mut starts = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| line.text.contains("] Linux version "))
        .map(|(index, _)| index);
    let second = starts.by_ref().nth(1).unwrap_or(lines.len());
    lines.get(..second).unwrap_or(lines)
}

fn kernel_entry(lines: &[Line]) -> Option<Duration> {
    lines
        .iter()
        .filter_map(|line| line.at.checked_sub(kernel_time(&line.text)?))
        .min()
}

/// When the line's `mark` was written, if it has it. A kernel line may stand behind a prompt.
fn moment(line: &Line, mark: &str, entry: Option<Duration>) -> Option<Duration> {
    let (before, _) = line.text.split_once(mark)?;
    let stamp = before
        .rmatch_indices('[')
        .find_map(|(start, _)| kernel_time(before.get(start..)?));
    Some(match (stamp, entry) {
        (Some(stamp), Some(entry)) => entry + stamp,
        _ => line.at,
    })
}

/// The time stamp of a kernel line: `[    1.234567] text`, or `[    1.234567][    T1] text`.
fn kernel_time(text: &str) -> Option<Duration> {
    let (stamp, _) = text.strip_prefix('[')?.split_once(']')?;
    let (seconds, micros) = stamp.trim_start().split_once('.')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if micros.len() != 6 || !digits(micros) || !digits(seconds) {
        return None;
    }
    Some(Duration::from_secs(seconds.parse().ok()?) + Duration::from_micros(micros.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// Each line of the log: arrival in milliseconds, a bar, the text.
    fn check(log: &str, expected: &Expect) {
        let lines: Vec<_> = log
            .lines()
            .map(|line| {
                let (at, text) = line.split_once('|').unwrap();
                let at = Duration::from_millis(at.trim().parse().unwrap());
                Line {
                    at,
                    text: text.to_owned(),
                }
            })
            .collect();
        expected.assert_eq(&Timeline::of(&lines).to_string());
    }

    #[test]
    fn a_whole_boot() {
        check(
            "\
 900|GRUB loading.
1000|  Booting `Cairn'
3500|[    0.000000] Linux version 6.1.0
3500|[    0.400000] Command line: x
4000|[    1.000000] Freeing unused kernel memory
4300|[    1.300000] cairn: stage 1 started
4600|[    1.500000] cairn: stage 1 done, executing /nix/store/x/init
4700|[    1.700000] cairn: stage 2 started
5000|[    2.000000] cairn: starting services
5900|host login: [    3.000000] cairn: boot complete, failed services: 0
9000|GRUB loading.
9500|[    0.000000] Linux version 6.1.0
9900|[    0.100000] cairn: stage 1 started
",
            &expect![[r#"
                firmware              0.90 s   (until 0.90 s)
                GRUB                  2.10 s   (until 3.00 s)
                kernel                1.30 s   (until 4.30 s)
                stage 1               0.20 s   (until 4.50 s)
                stage 2               0.50 s   (until 5.00 s)
                services              0.90 s   (until 5.90 s)
                other services        0.10 s   (until 6.00 s)
            "#]],
        );
    }

    #[test]
    fn a_silent_loader_and_a_boot_that_ends_early() {
        check(
            "2000|[    0.500000] Linux version 6.1.0\n2600|[    1.000000] cairn: stage 1 started\n",
            &expect![[r#"
                firmware, loader      1.50 s   (until 1.50 s)
                kernel                1.00 s   (until 2.50 s)
            "#]],
        );
    }

    #[test]
    fn nothing_was_said() {
        check("", &expect![]);
    }

    #[test]
    fn time_stamps() {
        assert_eq!(
            kernel_time("[    1.000002][    T1] x"),
            Some(Duration::from_micros(1_000_002))
        );
        assert_eq!(kernel_time("[  OK  ] Started x."), None);
        assert_eq!(kernel_time("[1.5] x"), None);
        assert_eq!(kernel_time("1.000000] x"), None);
    }
}
