//! A torn slot never boots.

use std::collections::BTreeMap;

use cairn_bootloader::{Menu, Platform, STUB, Sequence, Slot, SlotFiles};

use crate::guest::{Access, Guest, Image, file};

/// GRUB's commands that tell which slot the stub chose, instead of showing its menu.
const REPORT: &str = "echo \"CHOSEN $cairn_case $cairn_slot $cairn_newest $cairn_ran.\"\n";

/// A menu whose function only says that it ran, whole.
fn probe(number: u32) -> String {
    let filler: String = (0..12)
        .map(|line| format!("menuentry 'entry {line}' {{\n  echo 'it''s {line}'\n}}\n"))
        .collect::<Vec<_>>()
        .concat();
    format!("set cairn_ran=begun-{number}\n{filler}set cairn_ran=whole-{number}\n")
}

fn slot(slot: Slot, number: u32) -> [(String, Vec<u8>); 2] {
    let menu = Menu {
        text: probe(number),
        generations: Vec::new(),
        additions: Vec::new(),
    };
    let files = SlotFiles::new(slot, Sequence::new(number).unwrap(), &menu);
    let mut files = files
        .files()
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
    [files.next().unwrap(), files.next().unwrap()]
}

/// What the stub must do with slots A (number 6) and B (number 7) when B is torn in some way.
struct Case {
    files: Vec<(String, Vec<u8>)>,
    wanted: &'static str,
}

const A: &str = "a 6 whole-6";
const B: &str = "b 7 whole-7";

fn cases(with_checksum: bool) -> Vec<Case> {
    let a = slot(Slot::A, 6);
    let b = slot(Slot::B, 7);
    let old_b = slot(Slot::B, 5);
    let [(b_name, b_text), (sum_name, sum)] = b.clone();
    let with = |text: Vec<u8>, sum: Vec<u8>, wanted| {
        let mut files = a.to_vec();
        files.push((b_name.clone(), text));
        files.push((sum_name.clone(), sum));
        Case { files, wanted }
    };
    let mut cases = vec![
        with(b_text.clone(), sum.clone(), B),
        Case {
            files: a.to_vec(),
            wanted: A,
        },
        Case {
            files: b.to_vec(),
            wanted: B,
        },
        Case {
            files: Vec::new(),
            wanted: "none 0 ",
        },
        Case {
            files: [a.clone(), old_b.clone()].concat(),
            wanted: A,
        },
        with(Vec::new(), sum.clone(), A),
    ];
    // Cut off after each of many lengths, the last ones byte by byte; the checksum is the new one,
    // as if its write had come first. Without its final newline the file is still all there.
    let length = b_text.len();
    let cuts = (1..length).filter(|cut| *cut + 24 > length || cut % 97 == 1);
    for cut in cuts {
        let wanted = if cut + 1 == length && !with_checksum {
            B
        } else {
            A
        };
        cases.push(with(b_text[..cut].to_vec(), sum.clone(), wanted));
    }
    if with_checksum {
        // The checksum file of the old text, missing, empty, cut off.
        cases.push(with(b_text.clone(), old_b[1].1.clone(), A));
        cases.push(with(b_text.clone(), Vec::new(), A));
        for cut in (1..sum.len() - 1).filter(|cut| cut % 16 == 0 || cut + 5 > sum.len()) {
            cases.push(with(b_text.clone(), sum[..cut].to_vec(), A));
        }
        // Pages that are zero, or left from the old text.
        for start in (0..length).step_by(160) {
            let end = (start + 160).min(length);
            let mut zeros = b_text.clone();
            zeros[start..end].fill(0);
            cases.push(with(zeros, sum.clone(), A));
            let mut old = b_text.clone();
            old[start..end].copy_from_slice(&old_b[0].1[start..end]);
            let wanted = if old == b_text { B } else { A };
            cases.push(with(old, sum.clone(), wanted));
        }
    }
    cases
}

/// Runs the stub in one guest on each case, with the checksums and (as Debian's signed GRUB, which
/// has no `hashsum`) without.
#[test]
fn a_torn_slot_never_boots() {
    let mut boot_files = BTreeMap::new();
    // The screen is slow where every call of the BIOS is emulated.
    let mut script = "terminal_output serial\n".to_owned();
    let mut wanted = Vec::new();
    for with_checksum in [true, false] {
        for case in cases(with_checksum) {
            let number = wanted.len();
            for (name, text) in case.files {
                boot_files.insert(format!("case/{number}/{name}"), file(text));
            }
            let hashsum = if with_checksum { "yes" } else { "no" };
            script.push_str("set cairn_ran=\n");
            let case_script = format!(
                "set cairn_case={number}\nset cairn_hashsum={hashsum}\n\
                 set prefix=($root)/boot/case/{number}\nsource ($root)/boot/stub.cfg\n{REPORT}"
            );
            script.push_str(&case_script);
            wanted.push(case.wanted);
        }
    }
    script += "echo ALL DONE.\nhalt\n";
    boot_files.insert("stub.cfg".to_owned(), file(STUB));
    boot_files.insert("grub/grub.cfg".to_owned(), file(script));
    let image = Image::new(&boot_files);
    let text = Guest::start(&image, Platform::Bios, Access::ReadOnly).text_up_to("ALL DONE.");
    assert!(wanted.len() > 80, "only {} cases", wanted.len());
    let mut wrong = Vec::new();
    for (number, wanted) in wanted.iter().enumerate() {
        let line = format!("CHOSEN {number} {wanted}.");
        if !text.contains(&line) {
            let prefix = format!("CHOSEN {number} ");
            let found = text.lines().find(|line| line.starts_with(&prefix));
            wrong.push(format!("wanted {line:?}, found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}\n{text}");
}
