//! What a boot menu must have before something boots by it.

use std::fs;

use cairn::switch::apply::apply;
use cairn::switch::once::boot_once;
use cairn::switch::{Action, Existing, Machine as Changed, Target};
use cairn_bootloader::BootState;
use serde_json::json;

use super::machine::Machine;

/// Makes generation `number` what boots.
fn boot(machine: &Machine, number: u64) -> Result<(), String> {
    let root = machine.path("");
    let changed = Changed::at(&root);
    let target = Target::existing(&changed, Existing::Number(number)).unwrap();
    drop(changed);
    match apply(&root, Action::Boot, &target) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Four generations, of which the menu shows two; 4 is known to be good, and runs.
fn machine() -> Machine {
    let machine = Machine::new();
    let menu = json!({
        "name": "Cairn", "kernelRelease": "6.12", "default": "0", "configurationLimit": 2,
        "trial": {"tries": 2, "timeout": 300},
    });
    for number in 1..=4 {
        let kernel = format!("kernel {number}");
        machine.add_system(number, kernel.as_bytes(), &menu, &["quiet"]);
    }
    machine.want(4);
    machine.link("run/booted-system", 4);
    machine.link("run/current-system", 4);
    machine.boot_state("cairn_good=4\n");
    boot(&machine, 4).unwrap();
    assert_eq!(machine.bootable(), [3, 4]);
    machine
}

fn state(machine: &Machine) -> BootState {
    BootState::read(&machine.path("boot/grub")).unwrap()
}

#[test]
fn a_generation_that_the_menu_does_not_show_boots_once() {
    let machine = machine();
    let entry = "1".parse().unwrap();
    boot_once(&machine.path(""), &entry).unwrap();
    assert_eq!(state(&machine).once, Some(entry));
    assert_eq!(machine.bootable(), [1, 3, 4]);
    let good = state(&machine).good;
    assert_eq!(good, Some("4".parse().unwrap()));
}

#[test]
fn a_damaged_generation_does_not_boot_once() {
    let machine = machine();
    machine.damage(1);
    let before = machine.menu();
    let error = boot_once(&machine.path(""), &"1".parse().unwrap()).unwrap_err();
    let beginning = "cannot boot generation 1: cannot read '";
    assert!(error.to_string().starts_with(beginning), "{error:#}");
    assert_eq!(state(&machine).once, None);
    assert_eq!(machine.menu(), before);
    let none = boot_once(&machine.path(""), &"9".parse().unwrap()).unwrap_err();
    assert_eq!(
        none.to_string(),
        "there is no generation 9; see cairn generations"
    );
}

#[test]
fn a_generation_that_can_have_no_entry_does_not_become_what_boots() {
    let machine = machine();
    let long = "x".repeat(2100);
    for (number, parameter, problem) in [
        (5, "a='b'", "cannot boot with the kernel parameter"),
        (
            6,
            long.as_str(),
            "cannot boot 'Cairn 6': its kernel command line",
        ),
    ] {
        machine.add_system(number, b"kernel", &json!(null), &[parameter]);
        let (menu, before) = (machine.menu(), state(&machine));
        let error = boot(&machine, number).unwrap_err();
        let beginning = format!("cannot boot generation {number}: {problem}");
        assert!(error.starts_with(&beginning), "{error}");
        assert_eq!(state(&machine), before);
        assert_eq!(machine.menu(), menu);
        let link = fs::read_link(machine.path("nix/var/nix/profiles/system")).unwrap();
        assert_eq!(link.to_str(), Some("system-4-link"));
    }
}

/// The number of the generation that a rollback takes.
fn rollback(machine: &Machine) -> Result<u64, String> {
    let target = Target::existing(&Changed::at(&machine.path("")), Existing::Previous);
    match target {
        Ok(target) => Ok(target.number.unwrap()),
        Err(error) => Err(format!("{error:#}")),
    }
}

#[test]
fn a_rollback_passes_over_what_failed() {
    let machine = machine();
    assert_eq!(rollback(&machine), Ok(3));
    machine.verdict(3, "failed", "no network");
    assert_eq!(rollback(&machine), Ok(2));
    // What is damaged says nothing.
    machine.verdict(2, "well?", "");
    assert_eq!(rollback(&machine), Ok(2));
    // A verdict of another system that had the number.
    machine.verdict(1, "failed", "no network");
    let file = machine.path("var/lib/cairn/boots/1.json");
    fs::rename(file, machine.path("var/lib/cairn/boots/2.json")).unwrap();
    assert_eq!(rollback(&machine), Ok(2));
    machine.verdict(2, "failed", "no disk");
    assert_eq!(rollback(&machine), Ok(1));
    machine.verdict(1, "failed", "no disk");
    expect_test::expect![[r#"every generation before the current one failed when it was booted; see cairn generations, and name one all the same: cairn switch --to 3"#]]
    .assert_eq(&rollback(&machine).unwrap_err());
    machine.verdict(3, "good", "");
    assert_eq!(rollback(&machine), Ok(3));
    machine.want(1);
    expect_test::expect![[
        r#"there is no generation before the current one; see cairn generations"#
    ]]
    .assert_eq(&rollback(&machine).unwrap_err());
}

/// Whoever mounts it again finds no menu of the new generation there.
#[test]
fn a_boot_folder_that_is_not_mounted_gets_nothing() {
    let machine = machine();
    let boot_folder = machine.path("boot");
    fs::rename(&boot_folder, machine.path("away")).unwrap();
    fs::create_dir(&boot_folder).unwrap();
    machine.add(5);
    let error = boot(&machine, 5).unwrap_err();
    assert_eq!(
        error,
        format!(
            "cannot write a boot menu: there is no '{0}/grub'; mount '{0}', if it is a file system of its own",
            boot_folder.display()
        )
    );
    assert_eq!(fs::read_dir(&boot_folder).unwrap().count(), 0);
    let link = fs::read_link(machine.path("nix/var/nix/profiles/system")).unwrap();
    assert_eq!(link.to_str(), Some("system-4-link"));
}

#[test]
fn a_container_has_generations_and_no_boot_menu() {
    let machine = Machine::new();
    fs::remove_dir_all(machine.path("boot")).unwrap();
    for number in 1..=2 {
        machine.add_container(number);
        boot(&machine, number).unwrap();
        let link = fs::read_link(machine.path("nix/var/nix/profiles/system")).unwrap();
        assert_eq!(link.to_str(), Some(&*format!("system-{number}-link")));
    }
    assert!(!machine.path("boot").exists());
    let listed = machine.run_telling("warn", &["generations"]);
    assert_eq!(String::from_utf8_lossy(&listed.stderr), "");
    let said = machine.says(&["delete-generations", "old"]);
    assert_eq!(said, "generation 1 is removed\n");
    assert_eq!(machine.numbers(), [2]);
}
