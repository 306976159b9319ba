//! What each signal means to PID 1.
//!
//! | signal | meaning | as in |
//! |---|---|---|
//! | SIGINT | reboot (Ctrl-Alt-Del, `kill -INT 1`) | all |
//! | SIGTERM | power off | dinit, containers' "stop" |
//! | SIGPWR | power off | systemd, LXC, UPS daemons |
//! | SIGUSR1 | halt | busybox |
//! | SIGUSR2 | power off | busybox |
//! | SIGRTMIN+3, +4, +5 | halt, power off, reboot | systemd |
//! | SIGCHLD | reap | all |
//! | all others | nothing | |
//!
//! `SIGRTMIN` is 34, the C library's first one. A fault signal (SIGSEGV and its kind) that somebody
//! sends does nothing either; one that PID 1's own fault raises is logged, and the machine reboots.

use cairn_sys::reboot::Ending;

/// SIGCHLD.
pub const CHILD: i32 = nix::libc::SIGCHLD;

/// The ending that a signal asks for.
pub fn ending(signal: i32) -> Option<Ending> {
    use nix::libc::{SIGINT, SIGPWR, SIGTERM, SIGUSR1, SIGUSR2};
    match signal {
        SIGINT | 39 => Some(Ending::Reboot),
        SIGTERM | SIGPWR | SIGUSR2 | 38 => Some(Ending::PowerOff),
        SIGUSR1 | 37 => Some(Ending::Halt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_as_documented() {
        let table: Vec<String> = (1..=64)
            .filter_map(|signal| Some(format!("{signal} {:?}", ending(signal)?)))
            .collect();
        expect_test::expect![
            "2 Reboot, 10 Halt, 12 PowerOff, 15 PowerOff, 30 PowerOff, 37 Halt, 38 PowerOff, 39 Reboot"
        ]
        .assert_eq(&table.join(", "));
    }
}
