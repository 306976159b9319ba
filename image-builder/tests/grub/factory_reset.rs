//! The factory reset in the menu: who gets to it, and that no boot does by itself.

use std::collections::BTreeMap;
use std::thread::sleep;
use std::time::Duration;

use cairn_bootloader::{
    BootFiles, BootState, DefaultEntry, Generation, Options, Platform, Timeout,
};
use cairn_image_builder::Node;
use cairn_system::{Bootspec, MenuUser};

use crate::guest::{Access, Guest, Image};
use crate::menu::{END, ENTER, boot_of, pick};
use crate::trial::{boot_files, finished, id, options, state, with_state};

const SUBMENU: &str = "Cairn, factory reset: removes everything but /nix, /boot, /etc/nixos";
const NO: &str = "No, go back";
const RESET: &str = "12 generation=12 factory-reset";

/// A generation whose stage 1 does one.
fn forgetful(number: u64) -> Generation {
    let text = format!(
        r#"{{"org.nixos.bootspec.v1": {{"init": "/init-{number}", "kernel": "/k", "kernelParams": [],
           "label": "l", "system": "x86_64-linux", "toplevel": "/nix/store/x"}},
           "org.cairn.factory-reset.v1": {{"keep": ["/etc/nixos"], "fileSystems": ["/"]}}}}"#
    );
    let files = BootFiles {
        kernel: format!("/boot/kernels/{number}-vmlinuz"),
        initrd: Some(format!("/boot/kernels/{number}-initrd")),
    };
    let bootspec = Bootspec::parse(&text).unwrap();
    Generation::new(number, 0, "6.1.0", &bootspec, files, &BTreeMap::new()).unwrap()
}

fn disk(options: &Options, state: &BootState) -> BTreeMap<String, Node> {
    let options = Options {
        factory_reset_entry: true,
        ..options.clone()
    };
    let generations = [forgetful(12), forgetful(13)];
    with_state(boot_files(&generations, &options), state)
}

/// Waits for the question, and a while longer: nobody has answered it.
fn is_asked(guest: &mut Guest) {
    guest.text_up_to(NO);
    sleep(Duration::from_secs(3));
    let text = guest.text_up_to(NO);
    assert_eq!(finished(&text), 0, "{text}");
    guest.forget();
}

/// Neither what a configuration says nor what is kept as chosen gets further than to the question.
#[test]
fn no_boot_resets_by_itself() {
    let yes = "factory-reset>factory-reset-yes".to_owned();
    let own = Options {
        default: DefaultEntry::Entry(yes.clone()),
        ..options()
    };
    let saving = Options {
        default: DefaultEntry::Saved,
        ..options()
    };
    let mut chosen = state("12", None);
    chosen.saved = Some(yes);
    for (options, state) in [(own, state("12", None)), (saving, chosen)] {
        let image = Image::new(&disk(&options, &state));
        let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
        is_asked(&mut guest);
        // Back in the menu, which comes to the question again.
        guest.press(ENTER);
        is_asked(&mut guest);
        pick(&mut guest, 1);
        assert_eq!(boot_of(&mut guest), RESET);
        guest.forget();
        is_asked(&mut guest);
        drop(guest);
        let kept = BootState::parse(&image.read("/boot/grub/grubenv")).unwrap();
        assert_eq!(kept, state);
    }
}

/// It is of the generation that is good when the menu is run, and the next boot is like any other.
#[test]
fn the_good_generation_is_reset_once() {
    let options = Options {
        timeout: Timeout::Seconds(10),
        ..options()
    };
    for (good, platform) in [("12", Platform::Uefi), ("13", Platform::Bios)] {
        let image = Image::new(&disk(&options, &state(good, None)));
        let mut guest = Guest::start(&image, platform, Access::ReadWrite);
        guest.text_up_to(SUBMENU);
        guest.press(END);
        guest.press(ENTER);
        is_asked(&mut guest);
        pick(&mut guest, 1);
        let generation = format!("{good} generation={good}");
        assert_eq!(boot_of(&mut guest), format!("{generation} factory-reset"));
        guest.forget();
        assert_eq!(boot_of(&mut guest), generation);
        drop(guest);
        let kept = BootState::parse(&image.read("/boot/grub/grubenv")).unwrap();
        assert_eq!(kept, BootState::of_good(id(good)));
    }
}

#[test]
fn a_password_protects_it() {
    let protected = Options {
        timeout: Timeout::Never,
        users: vec![("root".to_owned(), MenuUser::Password("secret".to_owned()))],
        ..options()
    };
    let image = Image::new(&disk(&protected, &state("12", None)));
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    for password in ["wrong", "secret"] {
        guest.text_up_to(SUBMENU);
        guest.forget();
        guest.press(END);
        guest.press(ENTER);
        guest.text_up_to("Enter username:");
        guest.press("root\r");
        guest.text_up_to("Enter password:");
        guest.press(&format!("{password}\r"));
        if password == "wrong" {
            let text = guest.text_up_to("access denied");
            assert!(!text.contains(NO), "{text}");
        }
    }
    is_asked(&mut guest);
    pick(&mut guest, 1);
    assert_eq!(boot_of(&mut guest), RESET);
}
