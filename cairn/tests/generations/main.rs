//! The verbs about generations, from outside: the built command on a machine in a temporary folder.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod full_boot;
mod machine;
mod menu;

use std::fs;

use expect_test::expect;
use machine::{Machine, without_paths, without_sizes};

/// Six generations: 3 is known to be good, 5 runs and was booted, 4 failed, 6 is on trial.
fn machine() -> Machine {
    let machine = Machine::new();
    for number in 1..=6 {
        machine.add(number);
    }
    machine.want(6);
    machine.link("run/booted-system", 5);
    machine.link("run/current-system", 5);
    machine.boot_state("cairn_good=3\ncairn_trial=6\ncairn_tries=2\n");
    machine.verdict(4, "failed", "health check 'web' failed: status 7\u{1b}[2J");
    machine.verdict(5, "good", "");
    machine
}

#[test]
fn the_table_says_what_each_generation_is() {
    let machine = machine();
    let table = machine.says(&["generations"]);
    expect![[r#"
        GENERATION  DATE              KERNEL        LABEL    STATE
        1           2026-11-01 12:00  6.12.1-cairn  first
        2           2026-11-02 12:00  6.12.2-cairn  Cairn 2
        3           2026-11-03 12:00  6.12.3-cairn  Cairn 3  last good
        4           2026-11-04 12:00  6.12.4-cairn  Cairn 4  failed
            failed: health check 'web' failed: status 7 [2J
        5           2026-11-05 12:00  6.12.5-cairn  Cairn 5  booted, current, good
        6           2026-11-06 12:00  6.12.6-cairn  Cairn 6  default, on trial, 2 tries left
    "#]]
    .assert_eq(&table);
    let verbose = machine.says(&["generations", "--verbose"]);
    assert!(
        verbose.contains("\n    kernel parameters: quiet n=6\n"),
        "{verbose}"
    );

    let json: serde_json::Value =
        serde_json::from_str(&machine.says(&["generations", "--json"])).unwrap();
    expect![[r#"
        {
          "failure": "health check 'web' failed: status 7\u001b[2J",
          "generation": 4,
          "kernelParams": [
            "quiet",
            "n=4"
          ],
          "kernelVersion": "6.12.4-cairn",
          "label": "Cairn 4",
          "marks": [
            "failed"
          ],
          "path": "PATH",
          "specialisations": [],
          "time": 1793793600,
          "wanted": false
        }"#]]
    .assert_eq(&without_paths(
        &serde_json::to_string_pretty(&json[3]).unwrap(),
    ));
    assert_eq!(json[5]["marks"], serde_json::json!(["default", "trial"]));
    assert_eq!(json[5]["tries"], 2);
}

#[test]
fn a_damaged_generation_hides_no_other() {
    let machine = machine();
    machine.damage(2);
    let table = machine.says(&["generations"]);
    assert!(
        table.contains("\n2           2026-11-02 12:00  ?"),
        "{table}"
    );
    assert!(
        table.contains("\n3           2026-11-03 12:00  6.12.3"),
        "{table}"
    );
}

#[test]
fn what_must_stay_stays_and_the_reason_is_told() {
    let machine = machine();
    let planned = machine.says(&["delete-generations", "old", "--dry-run"]);
    expect![[r#"
        generation 1 would be removed
        generation 2 would be removed
        generation 3 stays: it is the last known good one
        generation 4 would be removed
        generation 5 stays: it booted, it runs
    "#]]
    .assert_eq(&planned);
    assert_eq!(machine.numbers(), [1, 2, 3, 4, 5, 6]);

    let named = machine.run(&["delete-generations", "1", "6"]);
    assert!(!named.status.success(), "6 was named, and stays");
    expect![[r#"
        generation 1 is removed
        generation 6 stays: it boots by default, it is on trial
    "#]]
    .assert_eq(&String::from_utf8_lossy(&named.stdout));
    assert_eq!(machine.numbers(), [2, 3, 4, 5, 6]);

    let unknown = machine.run(&["delete-generations", "2", "9"]);
    assert!(!unknown.status.success());
    expect![[r#"
        cairn: there is no generation 9; there are 2-6
    "#]]
    .assert_eq(&String::from_utf8_lossy(&unknown.stderr));
    assert_eq!(machine.numbers(), [2, 3, 4, 5, 6]);

    let said = machine.says(&["delete-generations", "old", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(json["removed"], serde_json::json!([2, 4]));
    assert_eq!(machine.numbers(), [3, 5, 6]);
    assert!(!machine.path("var/lib/cairn/boots/4.json").exists());
    assert!(machine.path("var/lib/cairn/boots/5.json").exists());
    let menu = machine.menu();
    for (number, there) in [(2, false), (3, true), (4, false), (5, true), (6, true)] {
        let id = format!("--id generation-{number} ");
        assert_eq!(menu.contains(&id), there, "{number}: {menu}");
    }
}

#[test]
fn what_was_chosen_in_the_menu_stays() {
    let machine = machine();
    machine.boot_state("cairn_good=3\ncairn_saved=2\n");
    let said = machine.says(&["delete-generations", "old", "--dry-run"]);
    let kept = "generation 2 stays: it was chosen last in the boot menu\n";
    assert!(said.contains(kept), "{said}");
    let table = machine.says(&["generations"]);
    assert!(table.contains("Cairn 2  chosen last\n"), "{table}");
    assert!(table.contains("Cairn 3  default, last good\n"), "{table}");
}

#[test]
fn a_damaged_boot_state_keeps_all() {
    let machine = machine();
    fs::write(machine.path("boot/grub/grubenv"), "x").unwrap();
    let output = machine.run(&["delete-generations", "old"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("cannot tell which generations must stay"),
        "{said}"
    );
    assert_eq!(machine.numbers(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn without_a_menu_nothing_is_removed() {
    let machine = machine();
    // Where a slot's file is to be, something is in the way.
    for slot in machine.slots() {
        fs::create_dir_all(slot.join("in-the-way")).unwrap();
    }
    let output = machine.run(&["delete-generations", "1"]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(machine.numbers(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn one_change_at_a_time() {
    let machine = machine();
    let path = machine.path("run/cairn/switch.lock");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lock = fs::File::create(&path).unwrap();
    lock.lock().unwrap();
    fs::write(&path, "cairn switch (process 7)").unwrap();
    let output = machine.run(&["delete-generations", "old"]);
    expect![[r#"
        cairn: cannot change the system now: cairn switch (process 7) is doing so; wait until it has ended
    "#]]
    .assert_eq(&String::from_utf8_lossy(&output.stderr));
}

#[test]
fn nothing_is_made_where_there_is_no_machine() {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["delete-generations", "old", "--root"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn garbage_goes_with_old_generations_or_without() {
    let machine = machine();
    machine.garbage("rubbish");
    let said = machine.gc(&["--dry-run"]);
    assert!(
        said.ends_with("B would be free\n") && said.contains("-rubbish  "),
        "{said}"
    );
    assert_eq!(said.lines().count(), 2, "{said}");
    let said = machine.gc(&[]);
    assert!(said.starts_with("1 path removed, "), "{said}");

    let said = machine.gc(&["--delete-old", "--dry-run"]);
    assert_eq!(without_sizes(&said), expect_dry());
    assert_eq!(machine.numbers(), [1, 2, 3, 4, 5, 6]);
    let json: serde_json::Value =
        serde_json::from_str(&machine.gc(&["--delete-old", "--json"])).unwrap();
    assert_eq!(json["dryRun"], false);
    assert_eq!(json["generations"]["removed"], serde_json::json!([1, 2, 4]));
    assert_eq!(json["paths"].as_array().unwrap().len(), 3, "{json}");
    assert!(json["bytes"].as_u64().unwrap() > 0);
    assert_eq!(machine.numbers(), [3, 5, 6]);
    let names = machine.objects();
    assert_eq!(names, ["system-3", "system-5", "system-6"]);
    let said = machine.gc(&["--older-than", "1d"]);
    assert!(said.ends_with("0 paths removed, 0 B are free\n"), "{said}");
}

fn expect_dry() -> String {
    [
        "generation 1 would be removed",
        "generation 2 would be removed",
        "generation 3 stays: it is the last known good one",
        "generation 4 would be removed",
        "generation 5 stays: it booted, it runs",
        "system-1",
        "system-2",
        "system-4",
        "3 paths would be",
    ]
    .join("\n")
}

#[test]
fn names_of_nixos_are_understood() {
    let machine = machine();
    machine.garbage("rubbish");
    let output = machine.run_as("nix-collect-garbage", &["-d", "--store"]);
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("generation 1 is removed\n"), "{said}");
    assert!(said.contains("4 paths removed, "), "{said}");
    let output = machine.run_as("nixos-version", &["--json"]);
    // The host's own: what matters is that the name is one.
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("{\"configurationRevision\":null,") || !output.status.success());
}
