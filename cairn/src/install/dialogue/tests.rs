//! Whole conversations: what is typed, and everything that is then on the terminal.

use std::collections::VecDeque;
use std::path::PathBuf;

use anyhow::{Result, bail};
use expect_test::{ExpectFile, expect, expect_file};
use proptest::prelude::*;

use super::super::disks::{Content, Disk, Partition};
use super::*;

/// What is typed, line by line, and what is on the terminal. Hidden answers are stars.
struct Script {
    lines: VecDeque<String>,
    transcript: String,
}

impl Console for Script {
    fn show(&mut self, text: &str) -> Result<()> {
        self.transcript += text;
        Ok(())
    }

    fn ask(&mut self, prompt: &Prompt) -> Result<Option<String>> {
        self.show(&prompt.text)?;
        let line = self.lines.pop_front();
        self.transcript += match (&line, prompt.echo) {
            (None, _) => "^C",
            (Some(line), Echo::Shown) => line,
            (Some(_), Echo::Hidden) => "",
        };
        self.transcript += if line.is_some() { "\n" } else { "" };
        Ok(line)
    }

    fn set_keyboard(&mut self, name: &str) -> Result<()> {
        self.transcript += &["(keyboard: ", name, ")\n"].concat();
        Ok(())
    }
}

fn disk(path: &str, gibibytes: u64, content: Content, uses: &[&str]) -> Disk {
    Disk {
        path: PathBuf::from(path),
        bytes: gibibytes << 30,
        sector: 512,
        model: Some("Fine Disk".to_owned()),
        serial: Some("S1".to_owned()),
        transport: Some("sata".to_owned()),
        content,
        uses: uses.iter().map(|&it| it.to_owned()).collect(),
    }
}

fn offers() -> Offers {
    let partition = |file_system: &str, label: Option<&str>| Partition {
        path: PathBuf::from("/dev/sdb1"),
        bytes: 1 << 30,
        name: None,
        kind: None,
        file_system: Some(file_system.to_owned()),
        label: label.map(str::to_owned),
        last_mount: None,
    };
    let partitions = Content::Partitions {
        table: "gpt".to_owned(),
        partitions: vec![partition("vfat", None), partition("ext4", Some("photos"))],
    };
    let names = |names: &[&str]| names.iter().map(|&it| it.to_owned()).collect();
    Offers {
        disks: vec![
            disk("/dev/sda", 8, Content::Nothing, &[]),
            disk("/dev/sdb", 500, partitions, &[]),
            disk(
                "/dev/sdc",
                1,
                Content::Whole("iso9660".to_owned()),
                &["the system that runs was started from it"],
            ),
        ],
        time_zones: names(&["America/New_York", "Europe/Berlin", "Europe/Bern", "UTC"]),
        locales: names(&["C.UTF-8", "de_AT.UTF-8", "de_DE.UTF-8"]),
        keyboards: names(&["de", "de-latin1", "fr", "us"]),
        swap_mib: 2048,
    }
}

fn run(offers: &Offers, lines: &[&str]) -> (String, Option<Answers>) {
    let mut script = Script {
        lines: lines.iter().map(|&it| it.to_owned()).collect(),
        transcript: String::new(),
    };
    let mut plan = |answers: &Answers| {
        if answers.layout.swap_mib > 8000 {
            bail!(
                "cannot fit the system on '{}': it is too small",
                answers.disk.display()
            );
        }
        Ok(format!(
            "The plan: {} is written over.",
            answers.disk.display()
        ))
    };
    let hash = |password: &str| {
        let letters = password.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_");
        Ok(PasswordHash::try_from(format!("$6$salt${letters:.>16}"))?)
    };
    let mut rest = Rest {
        plan: &mut plan,
        hash: &hash,
    };
    let answers = ask(offers, &mut script, &mut rest).unwrap();
    (script.transcript, answers)
}

/// Types lines, which are separated by `|`: what is on the terminal, and what is wanted in the end.
fn check(lines: &str, expected: &ExpectFile) {
    let lines: Vec<&str> = lines.split('|').collect();
    let (transcript, answers) = run(&offers(), &lines);
    let answers = answers.map_or_else(
        || "nothing".to_owned(),
        |answers| serde_json::to_string_pretty(&answers).unwrap(),
    );
    expected.assert_eq(&format!("{transcript}\n---\n{answers}"));
}

#[test]
fn as_little_as_possible() {
    check(
        "|1||||||||secret|secret||sda",
        &expect_file!["tests/as_little_as_possible.txt"],
    );
}

#[test]
fn everything() {
    check(
        "de|/dev/sdb|btrfs|yes|open sesame|open sesame|1G|box|berlin|de_d|anna|her password|her password|ssh-ed25519 AAAAC3NzaC1lZDI1 anna@example|root's|root's|sdb",
        &expect_file!["tests/everything.txt"],
    );
}

#[test]
fn a_wrong_disk_or_layout_is_refused_at_once() {
    check(
        "d|qwertz|fr||3|sdc|0|nonsense|2|zfs|XFS|maybe|y|short|größer als acht|long enough|not the same|long enough|long enough|much|99999999999G|2 gib",
        &expect_file!["tests/a_wrong_disk_or_layout_is_refused_at_once.txt"],
    );
}

#[test]
fn a_wrong_name_or_key_is_refused_at_once() {
    check(
        "|2|||0|-x|a b|ok|atlantis|Europe|new york|de_|de_at|root|Größe|anna||one|two|one|one|-----BEGIN OPENSSH PRIVATE KEY-----|ssh-rsa|-||perhaps|no|sda|yes|/dev/sdb",
        &expect_file!["tests/a_wrong_name_or_key_is_refused_at_once.txt"],
    );
}

#[test]
fn back_and_forth() {
    check(
        "<||1|xfs|<|<|2||y|<|n|<|y|long enough|<|<|no|<||512||||anna|a|<|<|-|r|<|r|r|y|<|n|<|<|<|",
        &expect_file!["tests/back_and_forth.txt"],
    );
}

#[test]
fn answers_without_a_plan_lead_back_to_the_disk() {
    check(
        "|1|||9G||||-|x|x|||||1G|||||x|x||sda",
        &expect_file!["tests/answers_without_a_plan_lead_back_to_the_disk.txt"],
    );
}

#[test]
fn without_a_disk_there_is_nothing_to_say() {
    let (transcript, answers) = run(&Offers::default(), &["", "", "1"]);
    assert!(answers.is_none());
    expect![[r#"
        Some questions, then a plan. Nothing is written before you have seen the plan and agreed to it.
        Enter alone takes what stands in brackets, < goes back to the question before, Ctrl-C leaves.

        Keyboard on the console, such as de or fr; a part of its name is enough.
        Keyboard [us]: 
        (keyboard: us)

        The disk that the system goes on:
        Disk: 
        ! there is no disk that could have the system; Ctrl-C leaves.

        The disk that the system goes on:
        Disk: 1
        ! there is no disk that could have the system; Ctrl-C leaves.

        The disk that the system goes on:
        Disk: ^C
        Nothing was written.
    "#]].assert_eq(&transcript);
}

#[test]
fn the_only_disk_is_what_enter_takes() {
    let mut offers = offers();
    offers.disks.remove(1);
    let (transcript, _) = run(&offers, &["", ""]);
    assert!(
        transcript.contains("Disk [1]: \n= /dev/sda\n"),
        "{transcript}"
    );
}

#[test]
fn a_password_is_not_shown() {
    let lines = [
        "",
        "1",
        "",
        "y",
        "the passphrase",
        "the passphrase",
        "",
        "",
        "",
        "",
        "u",
        "pass1",
        "pass1",
        "-",
        "pass2",
        "pass2",
        "",
        "sda",
    ];
    let (transcript, answers) = run(&offers(), &lines);
    assert!(answers.is_some(), "{transcript}");
    for secret in ["the passphrase", "pass1", "pass2"] {
        assert!(!transcript.contains(secret), "{transcript}");
    }
}

proptest! {
    /// Whatever is typed: nothing is agreed to without the disk's name, and it ends.
    #[test]
    fn nothing_happens_by_accident(lines in proptest::collection::vec("(<|[0-9a-z ]{0,9}|.{0,9}|yes|1||)", 0..60)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (_, answers) = run(&offers(), &lines);
        if answers.is_some() {
            prop_assert!(lines.iter().any(|line| ["sda", "sdb"].contains(&line.trim())));
        }
    }
}
