//! The bad generations: what is wrong with each, and what the machine has to say about it afterwards.

use std::fmt::Write as _;

use cairn_qemu_tests::Machine;

use super::ordeal::Broken;
use super::scenes;

/// What starts the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    Bios,
    /// It keeps the kernel's log over a restart.
    Uefi,
}

/// A bad generation.
#[derive(Debug)]
pub struct Row {
    /// What it is called on the command line.
    pub name: &'static str,
    /// For people.
    pub about: &'static str,
    pub firmware: Firmware,
    /// The test command tries it.
    pub short: bool,
    pub scene: Scene,
}

/// What happens.
#[derive(Debug)]
pub enum Scene {
    /// A variant is made what boots next, damaged, and started.
    Broken(Broken),
    /// Something else; what it gives is printed.
    Other(fn(&Machine) -> anyhow::Result<String>),
}

impl Row {
    /// Runs it; gives what the machine said.
    pub fn run(&self, machine: &Machine) -> anyhow::Result<String> {
        match &self.scene {
            Scene::Broken(broken) => broken.run(machine),
            Scene::Other(scene) => scene(machine),
        }
    }
}

/// The table for people.
pub fn list() -> String {
    let mut text = String::new();
    for row in &ROWS {
        let short = if row.short { "*" } else { " " };
        let firmware = match row.firmware {
            Firmware::Bios => "",
            Firmware::Uefi => " (UEFI)",
        };
        // A String takes whatever is written to it.
        writeln!(text, "{short} {:22} {}{firmware}", row.name, row.about).unwrap_or(());
    }
    text + "* tried by the test command\n"
}

/// What the machine knows of one that was never heard of.
pub const NOTHING: &str = "it ended before it was judged, and left no report";

const fn row(name: &'static str, about: &'static str, scene: Scene) -> Row {
    Row {
        name,
        about,
        firmware: Firmware::Bios,
        short: false,
        scene,
    }
}

/// A variant that is called like its row, with nothing done to it.
const fn variant(
    name: &'static str,
    about: &'static str,
    reason: &'static str,
    log: &'static str,
) -> Row {
    damaged(name, about, "", reason, log)
}

const fn damaged(
    name: &'static str,
    about: &'static str,
    damage: &'static str,
    reason: &'static str,
    log: &'static str,
) -> Row {
    let broken = Broken {
        variant: name,
        damage,
        reason,
        log,
    };
    row(name, about, Scene::Broken(broken))
}

const fn under_uefi(name: &'static str, row: Row) -> Row {
    Row {
        name,
        firmware: Firmware::Uefi,
        ..row
    }
}

const fn short(row: Row) -> Row {
    Row { short: true, ..row }
}

/// Truncates the file in /boot that is the same as `$1`.
macro_rules! truncate_in_boot {
    ($file:literal) => {
        concat!(
            "for file in $(find /boot -type f); do\n",
            "  if cmp -s $file ",
            $file,
            "; then truncate -s 100000 $file; found=1; fi\n",
            "done\n",
            "test \"$found\""
        )
    };
}

pub const ROWS: [Row; 33] = [
    row(
        "no-room",
        "/boot is full when it is to be made",
        Scene::Other(scenes::no_room),
    ),
    variant("no-root", "no disk has its root", NOTHING, ""),
    variant("hangs-in-stage-1", "the initrd waits for ever", NOTHING, ""),
    variant(
        "no-drivers",
        "the initrd has no driver of the disk",
        NOTHING,
        "",
    ),
    variant("panics", "the kernel finds no init", NOTHING, ""),
    variant(
        "panics-late",
        "the kernel panics when services are up",
        NOTHING,
        "",
    ),
    variant("..-1-..", "its name is hostile", NOTHING, ""),
    damaged(
        "damaged-initrd",
        "its initrd in /boot is cut short",
        truncate_in_boot!("$system/initrd"),
        "its kernel or initrd in /boot is damaged",
        "",
    ),
    short(damaged(
        "damaged-kernel",
        "its kernel in /boot is cut short",
        truncate_in_boot!("$system/kernel"),
        "its kernel or initrd in /boot is damaged",
        "",
    )),
    damaged(
        "damaged-init",
        "its init is gone from the store",
        "rm $system/init",
        "stage 1: cannot start init=",
        "cairn: stage 1 started",
    ),
    damaged(
        "damaged-core",
        "its core is gone from the store",
        "rm $system/core",
        "stage 2: cannot execute",
        "cairn: stage 1 done",
    ),
    damaged(
        "damaged-description",
        "its description in the store is cut short",
        "truncate -s 100 $system/system.json",
        "stage 2: cannot use",
        "cairn: stage 1 done",
    ),
    damaged(
        "hangs-in-stage-2",
        "its init does nothing, for ever",
        "bash=$(readlink -f /run/current-system/sw/bin/bash)\nrm $system/init\n\
         printf '#!%s\\nwhile :; do read -t 100 < /dev/zero; done\\n' $bash > $system/init\n\
         chmod 555 $system/init",
        "not judged within 120 s: PID 1 is none of ours",
        "cairn: stage 1 done",
    ),
    damaged(
        "damaged-program",
        "a program in the store is overwritten",
        "program=$(grep -o '/nix/store/[a-z0-9]*-damaged' $system/system.json | head -n 1)\n\
         echo garbage > $program",
        "services have failed: 'damaged'",
        "==> damaged <==",
    ),
    variant(
        "no-data",
        "a file system is not there",
        "cannot mount /data: no device is LABEL=data",
        "==> kernel <==",
    ),
    variant(
        "activation-fails",
        "a script of its activation fails",
        "services have failed: 'activation-broken'",
        "==> activation-broken <==",
    ),
    variant(
        "crash-loop",
        "a service crashes again and again",
        "'crashing' was restarted",
        "about to fail",
    ),
    variant(
        "service-fails",
        "a service fails",
        "services have failed: 'broken'",
        "no database",
    ),
    short(variant(
        "check-fails",
        "a health check fails",
        "health check 'web' failed",
        "nobody listens",
    )),
    variant(
        "check-hangs",
        "a health check hangs, with children",
        "health check 'web' failed",
        "still waiting",
    ),
    variant(
        "clock",
        "it sets the clock back to 1970",
        "health check 'date' failed",
        "==> health-date <==",
    ),
    variant(
        "no-supervisor",
        "its supervisor is killed as often as it starts",
        "not judged within 120 s",
        "==> kernel <==",
    ),
    // A kernel whose watchdog nobody keeps quiet.
    variant("no-guard", "its guard is killed", NOTHING, ""),
    variant(
        "starves",
        "a real-time task takes the processor for itself",
        NOTHING,
        "",
    ),
    row(
        "hangs-hard",
        "the processor stops with interrupts off; a watchdog of hardware is there",
        Scene::Other(scenes::hangs_hard),
    ),
    row(
        "fills-disk",
        "it leaves no room on the disk, not for a report either",
        Scene::Other(scenes::fills_disk),
    ),
    row(
        "nothing-is-well",
        "the good one fails its health check, too",
        Scene::Other(scenes::nothing_is_well),
    ),
    row(
        "good",
        "nothing is wrong with it",
        Scene::Other(scenes::good),
    ),
    // Firmware that keeps the kernel's log.
    under_uefi(
        "no-root-uefi",
        variant(
            "no-root",
            "no disk has its root",
            "stage 1: cannot mount",
            "cairn: stage 1 started",
        ),
    ),
    under_uefi(
        "panics-late-uefi",
        variant(
            "panics-late",
            "the kernel panics when services are up",
            "Kernel panic - not syncing: sysrq triggered crash",
            "sysrq: Trigger a crash",
        ),
    ),
    under_uefi(
        "hangs-in-stage-1-uefi",
        variant(
            "hangs-in-stage-1",
            "the initrd waits for ever",
            "not judged within 30 s: the initrd was still at work",
            "cairn: stage 1 started",
        ),
    ),
    under_uefi(
        "damaged-initrd-uefi",
        damaged(
            "damaged-initrd",
            "its initrd in /boot is cut short",
            truncate_in_boot!("$system/initrd"),
            "its kernel or initrd in /boot is damaged",
            "",
        ),
    ),
    under_uefi(
        "check-fails-uefi",
        variant(
            "check-fails",
            "a health check fails",
            "health check 'web' failed",
            "nobody listens",
        ),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ROWS.len());
    }
}
