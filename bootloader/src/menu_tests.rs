use super::*;
use crate::generation::BootFiles;
use crate::options::{Serial, Timeout};
use cairn_system::factory_reset::FactoryResetV1;
use cairn_system::{Bootspec, BootspecV1, Memtest, MenuUser};
use expect_test::{ExpectFile, expect_file};
use std::collections::BTreeMap;

fn bootspec(label: &str, params: &[&str], specialisations: &[&str]) -> Bootspec {
    Bootspec {
        v1: BootspecV1 {
            init: "/nix/store/t/init".to_owned(),
            initrd: None,
            initrd_secrets: None,
            kernel: "/nix/store/k/bzImage".to_owned(),
            kernel_params: params.iter().map(|param| (*param).to_owned()).collect(),
            label: label.to_owned(),
            system: "x86_64-linux".to_owned(),
            toplevel: "/nix/store/t".to_owned(),
        },
        specialisations: specialisations
            .iter()
            .map(|name| ((*name).to_owned(), bootspec(label, &["special"], &[])))
            .collect(),
        menu: None,
        factory_reset: None,
    }
}

/// What stage 1 keeps besides what it always keeps.
fn keeping(path: &str) -> FactoryResetV1 {
    FactoryResetV1 {
        keep: vec![path.to_owned().try_into().unwrap()],
        file_systems: Vec::new(),
    }
}

fn files(name: &str) -> BootFiles {
    BootFiles {
        kernel: format!("/boot/kernels/{name}-vmlinuz"),
        initrd: Some(format!("/boot/kernels/{name}-initrd")),
    }
}

fn generation(number: u64, label: &str, params: &[&str], special: &[&str]) -> Generation {
    generation_of(number, &bootspec(label, params, special), special)
}

/// One whose stage 1 does a factory reset, which keeps a folder.
fn forgetful(number: u64, kept: &str) -> Generation {
    let bootspec = Bootspec {
        factory_reset: Some(keeping(kept)),
        ..bootspec("x", &[], &[])
    };
    generation_of(number, &bootspec, &[])
}

fn generation_of(number: u64, bootspec: &Bootspec, special: &[&str]) -> Generation {
    let special_files: BTreeMap<_, _> = special
        .iter()
        .map(|name| ((*name).to_owned(), files("s")))
        .collect();
    let date = 1_795_336_200 + 86_400 * i64::try_from(number).unwrap();
    Generation::new(number, date, "6.1.0", bootspec, files("k"), &special_files).unwrap()
}

fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

fn check(generations: &[Generation], options: &Options, wanted: &ExpectFile) {
    let menu = entries(generations, options);
    let pages = menu.generations.iter().enumerate();
    let pages = pages.map(|(page, text)| format!("== page {page}\n{text}"));
    let additions = menu.additions.iter();
    let additions = additions.map(|(addition, text)| format!("== {addition:?}\n{text}"));
    let further: Vec<_> = pages.chain(additions).collect();
    wanted.assert_eq(&(menu.text.clone() + &further.concat()));
}

#[test]
fn no_generation() {
    check(&[], &Options::default(), &expect_file!["menus/none.cfg"]);
}

#[test]
fn generations_in_any_order() {
    let generations = [
        generation(9, "old", &["quiet"], &[]),
        generation(10, "new", &["quiet", "console=ttyS0,115200"], &["debug"]),
    ];
    check(
        &generations,
        &Options::default(),
        &expect_file!["menus/two.cfg"],
    );
}

#[test]
fn a_generation_on_trial() {
    let generations = [
        generation(12, "old", &[], &[]),
        generation(13, "new", &["quiet"], &["debug"]),
    ];
    let options = Options {
        good: Some(id("12")),
        trial: Some(id("13")),
        ..Options::default()
    };
    check(&generations, &options, &expect_file!["menus/trial.cfg"]);
}

#[test]
fn everything_that_can_be_asked_for() {
    let generations = [forgetful(1, "/etc/nixos")];
    let hash = "grub.pbkdf2.sha512.10000.AA.BB".to_owned();
    let options = Options {
        timeout: Timeout::Seconds(0),
        serial: Some(Serial::COM1),
        default: DefaultEntry::Saved,
        debug_entry: true,
        factory_reset_entry: true,
        users: vec![
            ("root".to_owned(), MenuUser::HashedPassword(hash)),
            ("o'b".to_owned(), MenuUser::Password("$x".to_owned())),
        ],
        memtest: Some(Memtest {
            bios: "/boot/m.bin".to_owned(),
            uefi: "/boot/m.efi".to_owned(),
            params: vec!["nosmp".to_owned()],
        }),
        extra_config: "set color_normal=light-blue/black".to_owned(),
        extra_entries: "menuentry 'Another' { chainloader (hd0,4)+1 }".to_owned(),
        extra_place: ExtraPlace::First,
        ..Options::default()
    };
    check(
        &generations,
        &options,
        &expect_file!["menus/everything.cfg"],
    );
}

/// It is of the one that is good when the menu is run, and of none that would not obey.
#[test]
fn factory_resets() {
    let options = Options {
        good: Some(id("12")),
        trial: Some(id("13")),
        factory_reset_entry: true,
        ..Options::default()
    };
    let shown = |generations: &[Generation]| {
        let text = entries(generations, &options).text;
        let (_, end) = text.split_once("submenu 'Cairn, all generations'").unwrap();
        end.split_once("\n}\n").unwrap().1.to_owned()
    };
    let mute = |number| generation(number, "x", &[], &[]);
    let both = [forgetful(12, "/etc/nixos"), forgetful(13, "/it's")];
    expect_file!["menus/factory-reset.cfg"].assert_eq(&shown(&both));
    assert_eq!(shown(&[mute(12), mute(13)]), "");
    let one = shown(&[mute(12), forgetful(13, "/x")]);
    assert!(
        one.starts_with("if [ \"$cairn_good\" = '13' ]; then\n"),
        "{one}"
    );
    assert_eq!(one.matches("cairn.factory-reset").count(), 1);
    let unwanted = Options {
        factory_reset_entry: false,
        ..options.clone()
    };
    assert!(!entries(&both, &unwanted).text.contains("factory"));
}

/// A list of three pages, one generation of which is wanted.
#[test]
fn pages() {
    let generations: Vec<_> = (1..=60)
        .filter(|number| *number != 40)
        .map(|number| generation(number, "x", &[], &[]))
        .collect();
    let options = Options {
        debug_entry: true,
        ..Options::default()
    };
    let menu = entries(&generations, &options);
    let shown = menu.generations.iter().map(|page| {
        let line = |line: &&str| {
            !line.starts_with("  linux") && !line.starts_with("  initrd") && **line != *"fi"
        };
        let rest = page.split_once("= '59' ]").map_or("", |(_, rest)| rest);
        let from = rest.find("if [ -z \"$cairn_pick\" ]").unwrap_or(rest.len());
        let titles = page
            .lines()
            .filter(|line| line.starts_with("menuentry"))
            .count();
        let rest: Vec<_> = rest[from..].lines().filter(line).collect();
        format!("{titles} entries\n{}\n", rest.join("\n"))
    });
    expect_file!["menus/pages.cfg"].assert_eq(&shown.collect::<Vec<_>>().concat());
}

#[test]
fn hostile_labels_and_parameters() {
    let generations = [generation(
        1,
        "it's ${x} $(y) \"z\" } ; {\n}\u{1b}[2J",
        &["a=$b", "c={;}", "d=\"e f\" #g"],
        &["' --id 'newest"],
    )];
    check(
        &generations,
        &Options::default(),
        &expect_file!["menus/hostile.cfg"],
    );
}

/// Who is good and who is on trial, by what the options name.
#[test]
fn parts() {
    let generations = [
        generation(1, "one", &[], &[]),
        generation(2, "two", &[], &["s"]),
        generation(3, "three", &[], &[]),
    ];
    let sorted: Vec<_> = generations.iter().rev().collect();
    for (good, trial, wanted) in [
        (None, None, ("3", None)),
        (None, Some(id("3")), ("2", Some("3"))),
        (Some(id("1")), Some(id("3")), ("1", Some("3"))),
        (Some(id("2-s")), Some(id("2")), ("2-s", Some("2"))),
        // What is not there plays no part.
        (Some(id("7")), Some(id("2-t")), ("3", None)),
        (Some(id("2")), Some(id("2")), ("2", None)),
    ] {
        let options = Options {
            good,
            trial,
            ..Options::default()
        };
        let cast = Cast::new(&sorted, &options).unwrap();
        let trial = cast.trial.map(|trial| trial.id.to_string());
        assert_eq!(
            (cast.good.id.to_string().as_str(), trial.as_deref()),
            wanted
        );
    }
}

#[test]
fn the_limit_leaves_out_old_ones_without_a_part() {
    let generations: Vec<_> = (1..=9)
        .map(|number| generation(number, "x", &[], &[]))
        .collect();
    let options = Options {
        good: Some(id("2")),
        configuration_limit: 3,
        ..Options::default()
    };
    let menu = entries(&generations, &options);
    let listed: Vec<_> = menu
        .generations
        .iter()
        .flat_map(|page| page.lines())
        .filter_map(|line| line.strip_prefix("menuentry '"))
        .filter_map(|line| line.split(',').next())
        .collect();
    assert_eq!(listed, ["9", "8", "7", "2"]);
}
