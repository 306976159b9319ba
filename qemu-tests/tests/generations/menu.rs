//! The boot menu of a real system, as somebody sees it who sits at the machine or at its serial port.
//!
//! `CAIRN_BOOT_MENU=all` (`cargo xtask torture menu`) boots with each firmware from each terminal; without
//! it, every firmware and every terminal is used once, the memory test is started by one, and that is
//! said.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, ensure};
use cairn_qemu_tests::images::{self, Built};
use cairn_qemu_tests::{Blueprint, Boot, Bus, Disk, Machine, Writes, artefacts, guest};
use serde_json::json;

/// Whether everything is tried.
const CHOICE: &str = "CAIRN_BOOT_MENU";

fn all() -> bool {
    std::env::var(CHOICE).is_ok_and(|choice| choice == "all")
}

/// Where somebody sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// At the first serial port.
    Serial,
    /// At the machine's own keyboard and screen.
    Screen,
}

/// A key of a menu.
#[derive(Debug, Clone, Copy)]
pub enum Key {
    Up,
    Down,
    End,
    Enter,
}

impl Terminal {
    pub fn press(self, machine: &Machine, key: Key) -> anyhow::Result<()> {
        match self {
            // Of one byte: the bytes of an arrow that come too late, on a busy host, are an escape.
            Self::Serial => machine.console().send(match key {
                Key::Up => b"^",
                Key::Down => b"v",
                Key::End => b"\x05",
                Key::Enter => b"\r",
            }),
            Self::Screen => {
                let name = match key {
                    Key::Up => "up",
                    Key::Down => "down",
                    Key::End => "end",
                    Key::Enter => "ret",
                };
                let keys = json!({ "keys": [{ "type": "qcode", "data": name }] });
                machine.qmp().execute("send-key", &keys).map(drop)
            }
        }
    }
}

pub fn built() -> anyhow::Result<&'static Built> {
    static BUILT: OnceLock<Result<Built, String>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let build = || images::build("menu", &images::with_agent("menu")?, &images::options()?);
        build().map_err(|error| format!("{error:#}"))
    });
    built
        .as_ref()
        .map_err(|error| anyhow::anyhow!("cannot build the image of the boot menu: {error}"))
}

pub fn start(name: &str, boot: Boot, image: &Path, writes: Writes) -> anyhow::Result<Machine> {
    Blueprint::new(name, boot)
        .any_disk(Disk {
            image: image.to_owned(),
            writes,
            bus: Bus::VirtioBlk,
        })
        .memory_mib(1024)
        .deadline(Duration::from_mins(15))
        .start()
}

/// Waits until the serial port shows the menu with `line` chosen. What the screen shows follows.
pub fn chosen(machine: &Machine, line: &str) -> anyhow::Result<()> {
    machine.console().expect(&format!("*{line}")).map(drop)
}

#[test]
fn an_older_generation_is_picked_by_keys() -> anyhow::Result<()> {
    let disk = two_generations()?;
    let mut ways = vec![
        ("menu-bios-serial", Boot::Bios, Terminal::Serial),
        ("menu-uefi-screen", Boot::Uefi, Terminal::Screen),
    ];
    if all() {
        ways.push(("menu-bios-screen", Boot::Bios, Terminal::Screen));
        ways.push(("menu-uefi-serial", Boot::Uefi, Terminal::Serial));
    } else {
        // Past what the test harness keeps to itself.
        writeln!(
            std::io::stderr(),
            "older generations are picked in two ways; {CHOICE}=all tries all four"
        )?;
    }
    for (name, boot, terminal) in ways {
        let machine = start(name, boot, &disk.0, Writes::Discarded)?;
        machine.check("menu", |machine| pick_the_first(machine, terminal))?;
        machine.check("generation", |machine| {
            guest::up(machine)?;
            let line = guest::run(machine, "cat /proc/cmdline")?;
            let words: Vec<_> = line.split_whitespace().collect();
            ensure!(words.contains(&"cairn.generation=1"), "{line}");
            guest::run(
                machine,
                "test $(readlink -f /run/current-system) = \
                   $(readlink -f /nix/var/nix/profiles/system-1-link)",
            )
            .map(drop)
        })?;
        if terminal == Terminal::Serial {
            machine.check("factory reset", forgets)?;
        }
    }
    Ok(())
}

/// What the machine has become goes by keys in the menu, once somebody has not gone back; the boot loader
/// remembers nothing of it.
fn forgets(machine: &Machine) -> anyhow::Result<()> {
    let press = |key| Terminal::Serial.press(machine, key);
    let enter = || {
        chosen(machine, "Cairn, generation 2, on trial (")?;
        press(Key::End)?;
        chosen(
            machine,
            "Cairn, factory reset: removes everything but /nix, /boot",
        )?;
        press(Key::Enter)?;
        chosen(machine, "No, go back")
    };
    guest::run(machine, "echo lost > /root/note && sync")?;
    let before = machine.agent().ready()?;
    machine.agent().start("cairn reboot")?;
    enter()?;
    press(Key::Enter)?;
    enter()?;
    press(Key::Down)?;
    chosen(machine, "Yes, remove it all, and start generation 1")?;
    press(Key::Enter)?;
    machine.console().wait_for("factory reset: done")?;
    machine.ready_after(&before)?;
    guest::run(
        machine,
        "grep -q cairn.factory-reset /proc/cmdline && test ! -e /root/note &&
           test ! -e /nix/var/cairn/factory-reset && ! grep factory /boot/grub/grubenv",
    )
    .map(drop)
}

/// A disk that goes when the test ends.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

/// The disk of a machine that has made its second generation what boots next.
fn two_generations() -> anyhow::Result<Scratch> {
    let machine = start("menu-made", Boot::Bios, &built()?.image, Writes::Copied)?;
    machine.check("first boot", |machine| {
        chosen(machine, "Cairn, generation 1 (")?;
        Terminal::Serial.press(machine, Key::Enter)?;
        guest::up(machine)
    })?;
    machine.check("second generation", |machine| {
        guest::run(
            machine,
            "ln -s $(readlink -f /run/current-system/specialisation/second) \
               /nix/var/nix/profiles/system-2-link && cairn boot --to 2",
        )?;
        machine.agent().start("cairn poweroff")
    })?;
    machine.wait_for_power_off(Duration::from_mins(2))?;
    let made = machine.disk(0).context("there is no disk")?;
    let kept = artefacts::folder("menu-two-generations")?.join("disk.img");
    fs::rename(made, &kept).with_context(|| format!("cannot create {}", kept.display()))?;
    Ok(Scratch(kept))
}

/// From the entry that is chosen at first to the one of generation 1 in the list of all.
fn pick_the_first(machine: &Machine, terminal: Terminal) -> anyhow::Result<()> {
    chosen(machine, "Cairn, generation 2, on trial (")?;
    terminal.press(machine, Key::Down)?;
    chosen(machine, "Cairn, all generations")?;
    if terminal == Terminal::Screen {
        let picture = machine.screenshot()?;
        fs::copy(&picture, picture.with_file_name("menu.png"))
            .with_context(|| format!("cannot copy {}", picture.display()))?;
    }
    terminal.press(machine, Key::Enter)?;
    chosen(machine, "2, ")?;
    terminal.press(machine, Key::Down)?;
    chosen(machine, "1, ")?;
    terminal.press(machine, Key::Enter)
}

/// The memory test starts, and says so on the serial port and on the screen.
#[test]
fn the_memory_is_tested() -> anyhow::Result<()> {
    let mut firmwares = vec![("menu-memtest-uefi", Boot::Uefi)];
    if all() {
        firmwares.push(("menu-memtest-bios", Boot::Bios));
    } else {
        writeln!(
            std::io::stderr(),
            "the memory test is started by UEFI; {CHOICE}=all starts it by BIOS, too"
        )?;
    }
    for (name, boot) in firmwares {
        let machine = start(name, boot, &built()?.image, Writes::Discarded)?;
        machine.check("memory test", |machine| {
            chosen(machine, "Cairn, generation 1 (")?;
            Terminal::Serial.press(machine, Key::End)?;
            chosen(machine, "Cairn, factory reset: ")?;
            Terminal::Serial.press(machine, Key::Up)?;
            chosen(machine, "Memory test")?;
            Terminal::Serial.press(machine, Key::Enter)?;
            machine.console().expect("Memtest86+")?;
            machine.screenshot().map(drop)
        })?;
    }
    Ok(())
}
