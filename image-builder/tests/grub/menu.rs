//! The menu as somebody at the serial port sees it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use cairn_bootloader::{BootState, DefaultEntry, Options, Platform, Timeout};
use cairn_image_builder::Node;
use cairn_system::MenuUser;

use crate::guest::{Access, Guest, Image};
use crate::kernel::MARK;
use crate::trial::{
    boot_files, boots, finished, generation, generations, id, options, state, with_state,
};

// Keys of one byte: the bytes of an arrow that come too late, on a busy host, are an escape.
const DOWN: &str = "v";
pub const UP: &str = "^";
pub const ENTER: &str = "\r";
pub const END: &str = "\u{5}";
const HOME: &str = "\u{1}";

pub fn waiting() -> Options {
    Options {
        timeout: Timeout::Never,
        ..options()
    }
}

fn disk(options: &Options, state: &BootState) -> BTreeMap<String, Node> {
    with_state(boot_files(&generations(), options), state)
}

/// The menu of the newest slot, with hostile labels, is shown and run under both firmwares.
#[test]
fn hostile_labels_are_shown() {
    let label = "it's ${root} $(x) \"q\" ; } {";
    let options = Options {
        timeout: Timeout::Seconds(2),
        trial: None,
        good: None,
        ..options()
    };
    let generations = [
        generation(1, "old", &[]),
        generation(2, label, &["' --id 'all"]),
    ];
    let image = Image::new(&boot_files(&generations, &options));
    for platform in [Platform::Bios, Platform::Uefi] {
        let mut guest = Guest::start(&image, platform, Access::ReadWrite);
        let text = guest.text_when("kernel's line", |text| {
            text.contains("cairn.generation=2\n")
        });
        for title in [
            format!("Cairn, generation 2 ({label})"),
            "Cairn, specialisation ' --id 'all, generation 2".to_owned(),
            "Cairn, all generations".to_owned(),
        ] {
            assert!(
                text.contains(&title),
                "{platform:?}: no {title:?} in {text}"
            );
        }
    }
}

/// Steps down from the entry that is chosen at first, then enter.
pub fn pick(guest: &mut Guest, down: usize) {
    guest.press(&DOWN.repeat(down));
    guest.press(ENTER);
}

pub fn boot_of(guest: &mut Guest) -> String {
    let text = guest.text_when("kernel's line", |text| finished(text) > 0);
    boots(&text).remove(0)
}

#[test]
fn an_older_generation_is_picked_by_keys() {
    let image = Image::new(&disk(&waiting(), &state("12", None)));
    for platform in [Platform::Bios, Platform::Uefi] {
        let mut guest = Guest::start(&image, platform, Access::ReadWrite);
        let text = guest.text_up_to("Cairn, all generations");
        assert!(
            text.contains("Cairn, generation 13, not yet booted (new)"),
            "{text}"
        );
        // 12, its specialisation, 13, all.
        guest.forget();
        pick(&mut guest, 3);
        guest.text_up_to("7, 1970-01-01 00:00 UTC, Linux 6.1.0, oldest");
        // 13, its specialisation, 12, its specialisation, 7.
        pick(&mut guest, 4);
        assert_eq!(boot_of(&mut guest), "7 generation=7");
    }
}

/// With messages and a shell, from the list of all: whoever may open that may do this.
#[test]
fn an_older_generation_is_picked_with_messages() {
    let options = Options {
        debug_entry: true,
        ..waiting()
    };
    let image = Image::new(&disk(&options, &state("12", None)));
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    guest.text_up_to("Cairn, all generations");
    pick(&mut guest, 3);
    guest.text_up_to("7, 1970-01-01");
    guest.press(END);
    guest.text_up_to("*With messages and a shell on failure");
    guest.forget();
    guest.press(ENTER);
    guest.text_up_to("7, 1970-01-01");
    guest.press(END);
    guest.text_up_to("*7, 1970-01-01");
    guest.press(ENTER);
    let text = guest.text_when("kernel's line", |text| finished(text) > 0);
    let line = text.lines().find(|line| line.starts_with(MARK)).unwrap();
    assert!(
        line.ends_with("cairn.generation=7 boot.shell_on_fail boot.trace loglevel=7"),
        "{line}"
    );
}

/// Where a key is pressed.
#[derive(Debug, Clone, Copy)]
enum Keys {
    Port,
    Keyboard,
}

/// A hidden menu opens for somebody who presses escape while GRUB gets ready, on the serial port too;
/// an entry that failed its trial boots then, for it was asked for.
#[test]
fn escape_opens_a_hidden_menu() {
    const READY: &str = "GETTING-READY";
    let slow = Options {
        extra_config: format!("echo {READY}\nsleep 3"),
        ..options()
    };
    let image = Image::new(&disk(&slow, &state("12", Some(("13", 0)))));
    for (platform, keys) in [
        (Platform::Bios, Keys::Port),
        (Platform::Bios, Keys::Keyboard),
        (Platform::Uefi, Keys::Port),
        (Platform::Uefi, Keys::Keyboard),
    ] {
        let mut guest = Guest::start(&image, platform, Access::ReadWrite);
        // On a busy host the key may come late: the machine has booted, then, and starts again.
        let opened = (0..3).any(|_| {
            guest.text_up_to(READY);
            guest.forget();
            match keys {
                Keys::Port => guest.press("\u{1b}"),
                Keys::Keyboard => guest.monitor(&["sendkey esc"]),
            }
            let is_open = |text: &str| text.contains("Cairn, all generations");
            let text = guest.text_when("menu", |text| is_open(text) || finished(text) > 0);
            is_open(&text)
        });
        assert!(opened, "{platform:?}, {keys:?}");
        guest.text_up_to("*Cairn, generation 12");
        guest.forget();
        pick(&mut guest, 2);
        assert_eq!(boot_of(&mut guest), "13 generation=13 trial=13");
    }
}

/// Rows of the screen that are bright for most of their length: those of the entry that is chosen.
fn bright_rows((width, pixels): &(usize, Vec<u8>)) -> Vec<usize> {
    let bright = |row: &[u8]| row.chunks(3).filter(|pixel| pixel[0] > 100).count();
    pixels
        .chunks(width * 3)
        .enumerate()
        .filter(|(_, row)| bright(row) * 2 > *width)
        .map(|(number, _)| number)
        .collect()
}

/// The rows of the choice on the screen as soon as they lie below those `above`. The screen follows
/// when it likes: the serial port may be first.
fn choice_beyond(guest: &mut Guest, image: &Image, above: &[usize]) -> Vec<usize> {
    let begin = Instant::now();
    loop {
        let mut rows = bright_rows(&guest.picture(image));
        // The frame's lines are bright too, but thin.
        let bright = rows.clone();
        rows.retain(|row| (row + 1..row + 4).all(|next| bright.contains(&next)));
        if rows.first() > above.last() {
            return rows;
        }
        assert!(
            begin.elapsed() < Duration::from_mins(2),
            "the choice stays at {rows:?}, above is {above:?}"
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The same with the machine's own keyboard and screen; the picture shows that the choice moves.
#[test]
fn an_older_generation_is_picked_on_the_screen() {
    let image = Image::new(&disk(&waiting(), &state("12", None)));
    for platform in [Platform::Bios, Platform::Uefi] {
        let mut guest = Guest::start(&image, platform, Access::ReadWrite);
        guest.text_up_to("Cairn, all generations");
        guest.monitor(&["sendkey down"]);
        guest.text_up_to("*Cairn, specialisation b's");
        let before = choice_beyond(&mut guest, &image, &[]);
        guest.monitor(&["sendkey down"]);
        guest.text_up_to("*Cairn, generation 13");
        guest.monitor(&["sendkey down"]);
        guest.text_up_to("*Cairn, all generations");
        choice_beyond(&mut guest, &image, &before);
        guest.monitor(&["sendkey ret"]);
        guest.text_up_to("7, 1970-01-01 00:00 UTC, Linux 6.1.0, oldest");
        guest.monitor(&["sendkey end", "sendkey ret"]);
        assert_eq!(boot_of(&mut guest), "7 generation=7");
    }
}

/// By hand an entry boots even if it cannot be counted.
#[test]
fn a_trial_is_picked_by_hand() {
    for (access, tries) in [(Access::ReadOnly, 2), (Access::ReadWrite, 0)] {
        let image = Image::new(&disk(&waiting(), &state("12", Some(("13", tries)))));
        let mut guest = Guest::start(&image, Platform::Bios, access);
        let title = if tries == 0 {
            "Cairn, generation 13, failed its trial (new)"
        } else {
            "Cairn, generation 13, on trial (new)"
        };
        guest.text_up_to("Cairn, all generations");
        let text = guest.text_up_to(title);
        assert!(text.contains("Cairn, generation 12 (good)"), "{text}");
        // With tries left it is the entry that is chosen at first.
        pick(&mut guest, if tries == 0 { 2 } else { 0 });
        assert_eq!(boot_of(&mut guest), "13 generation=13 trial=13");
    }
}

#[test]
fn a_choice_is_saved() {
    let saving = Options {
        timeout: Timeout::Seconds(30),
        default: DefaultEntry::Saved,
        ..options()
    };
    let image = Image::new(&disk(&saving, &state("12", None)));
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    guest.text_up_to("Cairn, all generations");
    guest.forget();
    pick(&mut guest, 3);
    guest.text_up_to("7, 1970-01-01");
    pick(&mut guest, 4);
    assert_eq!(boot_of(&mut guest), "7 generation=7");
    guest.forget();
    // The next boot: that one is chosen at first.
    guest.text_up_to("Cairn, generation 7, chosen last");
    guest.press(ENTER);
    assert_eq!(boot_of(&mut guest), "7 generation=7");
    guest.forget();
    // The good one again, which is the first of all.
    guest.text_up_to("Cairn, generation 7, chosen last");
    guest.press(HOME);
    guest.press(ENTER);
    assert_eq!(boot_of(&mut guest), "12 generation=12");
    drop(guest);
    let saved = BootState::parse(&image.read("/boot/grub/grubenv")).unwrap();
    assert_eq!(saved, BootState::of_good(id("12")));
}

/// A password stands before older generations, and not before the default.
#[test]
fn a_password_protects_what_is_not_the_default() {
    // grub-mkpasswd-pbkdf2 -c 10 -s 8 -l 16, of "secret".
    let hash = "grub.pbkdf2.sha512.10.FD2B82A03E5F888C.A45C081501568CBD59DEE3D23C82B6F4".to_owned();
    let protected = Options {
        users: vec![
            ("root".to_owned(), MenuUser::HashedPassword(hash)),
            ("guest".to_owned(), MenuUser::Password("se'cret".to_owned())),
        ],
        debug_entry: true,
        ..waiting()
    };
    let image = Image::new(&disk(&protected, &state("12", None)));
    for (user, password, right) in [
        ("root", "secret", true),
        ("guest", "se'cret", true),
        ("root", "wrong", false),
    ] {
        let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
        guest.text_up_to("Cairn, all generations");
        pick(&mut guest, 3);
        guest.text_up_to("Enter username:");
        guest.press(&format!("{user}\r"));
        guest.text_up_to("Enter password:");
        guest.forget();
        guest.press(&format!("{password}\r"));
        if right {
            guest.text_up_to("7, 1970-01-01");
            pick(&mut guest, 4);
            assert_eq!(boot_of(&mut guest), "7 generation=7");
        } else {
            guest.text_up_to("access denied");
            guest.text_up_to("Cairn, all generations");
            // The default still boots for everybody.
            guest.press(ENTER);
            assert_eq!(boot_of(&mut guest), "12 generation=12");
        }
    }
    let unattended = Options {
        timeout: Timeout::Seconds(0),
        ..protected
    };
    let mut once = state("12", Some(("13", 1)));
    once.once = Some(id("7"));
    let image = Image::new(&disk(&unattended, &once));
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    let text = guest.text_when("kernel's line", |text| finished(text) >= 3);
    assert_eq!(
        boots(&text)[..3],
        [
            "7 generation=7",
            "13 generation=13 trial=13",
            "12 generation=12"
        ]
    );
}
