//! A boot folder without room: in a file system of its own, which is small.

use std::env;
use std::fs;
use std::process::Command;

use cairn::switch::apply::apply;
use cairn::switch::{Action, Existing, Machine as Changed, Target};

use cairn_bootloader::{BootState, Slots};
use serde_json::json;

use super::machine::Machine;

/// Says to the test binary that it is in a namespace of its own.
const INSIDE: &str = "CAIRN_TEST_IN_NAMESPACE";

/// What a generation has in `/boot`, in MiB.
const KERNEL: usize = 3;

/// Runs the test `name` again in a mount namespace; gives whether this is that run.
fn is_inside(name: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        return true;
    }
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private"]);
    if !nix::unistd::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let output = command
        .arg(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{output:?}");
    false
}

/// A machine whose generation 1 boots and runs.
fn machine(boot_mib: usize) -> Machine {
    let machine = Machine::new();
    mount(
        &machine,
        &["-t", "tmpfs", "-o", &format!("size={boot_mib}m"), "none"],
    );
    fs::create_dir(machine.path("boot/grub")).unwrap();
    machine.boot_state("cairn_good=1\n");
    add(&machine, 1);
    machine.want(1);
    machine.link("run/booted-system", 1);
    machine.link("run/current-system", 1);
    boot(&machine, 1).unwrap();
    assert_eq!(machine.bootable(), [1]);
    machine
}

fn mount(machine: &Machine, words: &[&str]) {
    mount_at(machine, "boot", words);
}

fn mount_at(machine: &Machine, place: &str, words: &[&str]) {
    let mut mount = Command::new("mount");
    let status = mount.args(words).arg(machine.path(place)).status();
    assert!(status.unwrap().success());
}

fn add(machine: &Machine, number: u8) {
    machine.add_with(number.into(), &vec![number; KERNEL << 20]);
}

fn boot(machine: &Machine, number: u64) -> Result<(), String> {
    let root = machine.path("");
    let changed = Changed::at(&root);
    let target = Target::existing(&changed, Existing::Number(number)).unwrap();
    drop(changed);
    match apply(&root, Action::Boot, &target) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error:#}").replace(&root.display().to_string(), "ROOT/")),
    }
}

#[test]
fn an_old_generation_makes_room() {
    if !is_inside("full_boot::an_old_generation_makes_room") {
        return;
    }
    // Two kernels and the reserve.
    let machine = machine(9);
    add(&machine, 2);
    boot(&machine, 2).unwrap();
    assert_eq!(machine.bootable(), [1, 2]);
    // It is not to be tried any more.
    machine.boot_state("cairn_good=1\n");
    machine.want(1);
    for number in [3, 4] {
        add(&machine, number);
        boot(&machine, number.into()).unwrap();
        assert_eq!(machine.bootable(), [1, u64::from(number)]);
        machine.boot_state("cairn_good=1\n");
        machine.want(1);
    }
    assert_eq!(machine.numbers(), [1, 2, 3, 4]);
}

#[test]
fn what_boots_is_whole_when_there_is_no_room() {
    if !is_inside("full_boot::what_boots_is_whole_when_there_is_no_room") {
        return;
    }
    let machine = machine(6);
    let before = machine.menu();
    add(&machine, 2);
    let error = boot(&machine, 2).unwrap_err();
    let beginning =
        "cannot boot generation 2: its kernel and initrd need 3.00 MiB in 'ROOT/boot', which has";
    assert!(
        error.starts_with(beginning) && error.ends_with("make room there"),
        "{error}"
    );
    assert_eq!(machine.bootable(), [1]);
    assert_eq!(machine.menu(), before);
    // Somebody has made room.
    mount(&machine, &["-o", "remount,size=9m"]);
    boot(&machine, 2).unwrap();
    assert_eq!(machine.bootable(), [1, 2]);
}

/// A machine with a second disk, and a menu that is on both.
fn mirrored() -> (Machine, serde_json::Value) {
    let machine = Machine::new();
    fs::create_dir(machine.path("second")).unwrap();
    mount_at(&machine, "second", &["-t", "tmpfs", "none"]);
    let menu = json!({
        "name": "Cairn", "kernelRelease": "6.12", "default": "0", "configurationLimit": 9,
        "mirrors": ["/second/boot"], "trial": {"tries": 2, "timeout": 300},
    });
    (machine, menu)
}

/// The kernel makes a file system read-only whose disk fails.
#[test]
fn a_mirror_that_cannot_be_written_keeps_nothing_from_booting() {
    if !is_inside("full_boot::a_mirror_that_cannot_be_written_keeps_nothing_from_booting") {
        return;
    }
    let (machine, menu) = mirrored();
    let menu_of_mirror = || Slots::read(&machine.path("second/boot/grub")).unwrap();
    machine.boot_state("cairn_good=1\n");
    for number in 1..=3 {
        machine.add_system(number, &[7], &menu, &[]);
        if number == 3 {
            mount_at(&machine, "second", &["-o", "remount,ro"]);
        }
        let before = menu_of_mirror();
        boot(&machine, number).unwrap();
        assert_eq!(menu_of_mirror() == before, number == 3);
    }
    assert_eq!(machine.bootable(), [1, 2, 3]);
    let state = BootState::read(&machine.path("boot/grub")).unwrap();
    assert_eq!(state.trial.unwrap().entry, "3".parse().unwrap());
}

/// What cannot be written without being read-only: there, a folder is where a file is to be.
#[test]
fn a_mirror_that_fails_while_it_is_written_is_left_and_boots_as_before() {
    if !is_inside("full_boot::a_mirror_that_fails_while_it_is_written_is_left_and_boots_as_before")
    {
        return;
    }
    let (machine, menu) = mirrored();
    machine.boot_state("cairn_good=1\n");
    let mirror = |name: &str| machine.path("second/boot").join(name);
    let menu_of_mirror = || Slots::read(&mirror("grub")).unwrap();
    machine.add_system(1, &[7], &menu, &[]);
    boot(&machine, 1).unwrap();
    // Kernels cannot be placed; then the menu is written, and what boots cannot be.
    for (number, obstacle) in [(2, "kernels"), (3, "grub/grubenv")] {
        let away = machine.path("second/away");
        fs::rename(mirror(obstacle), &away).unwrap();
        if number == 2 {
            fs::write(mirror(obstacle), "").unwrap();
        } else {
            fs::create_dir(mirror(obstacle)).unwrap();
        }
        let before = menu_of_mirror();
        machine.add_system(number, &[7, 7], &menu, &[]);
        boot(&machine, number).unwrap();
        let state = BootState::read(&machine.path("boot/grub")).unwrap();
        assert_eq!(state.trial.unwrap().entry.number(), number, "{obstacle}");
        assert!(machine.bootable().contains(&number), "{obstacle}");
        assert_eq!(menu_of_mirror() == before, number == 2, "{obstacle}");
        fs::remove_file(mirror(obstacle))
            .or_else(|_| fs::remove_dir(mirror(obstacle)))
            .unwrap();
        fs::rename(&away, mirror(obstacle)).unwrap();
    }
    // It is well again, and gets what it has missed.
    let before = menu_of_mirror();
    machine.add_system(4, &[7], &menu, &[]);
    boot(&machine, 4).unwrap();
    assert!(menu_of_mirror() != before);
    let read = |folder: &str| BootState::read(&machine.path(folder)).unwrap();
    assert_eq!(read("second/boot/grub"), read("boot/grub"));
}
