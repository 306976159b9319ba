//! What a configuration adds to the menu in GRUB's own language. It may be wrong: the machine boots all the
//! same, and what is right of it is there.

use std::collections::BTreeMap;

use cairn_bootloader::{DefaultEntry, ExtraPlace, LiveMenu, Options, Platform, Timeout};
use cairn_image_builder::Node;
use cairn_system::live::MediumId;

use crate::guest::{Access, Guest, Image, file};
use crate::trial::{
    GOOD, boot_files, boots, finished, generation, generations, options, state, with_state,
};

const MINE: &str = "menuentry Mine --id mine { linux /boot/kernels/7-vmlinuz init=/init-mine }";

/// What the kernel says that boots first.
fn first(options: &Options) -> String {
    let files = boot_files(&generations(), options);
    boots_first(&with_state(files, &state("12", None)))
}

/// The same of a live medium's menu.
fn first_of_medium(options: &Options) -> String {
    let generation = generation(12, "live", &[]);
    let medium = MediumId::from_bytes([7; 16]);
    let menu = LiveMenu {
        generation: &generation,
        options,
        medium: &medium,
        title: "Live",
        esp: "1234-ABCD",
    };
    let mut files = boot_files(&generations(), options);
    for (name, text) in menu.files() {
        files.insert(format!("grub/{name}"), file(text));
    }
    let boot = boots_first(&files);
    boot.split(' ').next().unwrap().to_owned()
}

fn boots_first(files: &BTreeMap<String, Node>) -> String {
    let image = Image::new(files);
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    let text = guest.text_when("kernel's line", |text| finished(text) > 0);
    boots(&text).remove(0)
}

#[test]
fn wrong_additions_keep_no_machine_from_booting() {
    let with = |config: &str, entries: &str, place| Options {
        extra_config: config.to_owned(),
        extra_entries: entries.to_owned(),
        extra_place: place,
        ..options()
    };
    for (what, options) in [
        (
            "a brace is missing",
            with("", "menuentry 'x' {\n  true\n", ExtraPlace::Last),
        ),
        (
            "a brace is missing in front",
            with("", "menuentry 'x' {\n  true\n", ExtraPlace::First),
        ),
        ("a brace too many", with("", "true\n}\n", ExtraPlace::First)),
        (
            "an open quote",
            with("", "menuentry 'x {\n  true\n}\n", ExtraPlace::Last),
        ),
        (
            "an open condition",
            with("if true; then\n  true\n", "", ExtraPlace::Last),
        ),
    ] {
        eprintln!("{what}");
        assert_eq!(first(&options), GOOD, "{what}");
    }
}

#[test]
fn right_additions_are_there() {
    for place in [ExtraPlace::First, ExtraPlace::Last] {
        let options = Options {
            default: DefaultEntry::Entry("other".to_owned()),
            extra_config: "set default=mine\nset chosen=mine".to_owned(),
            extra_entries: format!(
                "if [ \"$chosen\" = mine ]; then\n  {}\nfi",
                MINE.replace("--id mine", "--id other")
            ),
            extra_place: place,
            ..options()
        };
        assert_eq!(first(&options), "mine", "{place:?}");
    }
}

#[test]
fn wrong_additions_keep_no_medium_from_booting() {
    for (config, entries) in [
        ("if true; then\n", "menuentry 'x' {\n"),
        ("}\n", "menuentry 'x {\n"),
        ("set default=mine", MINE),
    ] {
        let options = Options {
            timeout: Timeout::Seconds(1),
            extra_config: config.to_owned(),
            extra_entries: entries.to_owned(),
            ..options()
        };
        assert_eq!(first_of_medium(&options), "12", "{config}");
    }
}
