//! A thousand generations: the list opens at once, and the oldest can be picked.

use std::time::{Duration, Instant};

use cairn_bootloader::{
    BootFiles, DefaultEntry, Generation, Options, Platform, STUB, Sequence, Slot, SlotFiles,
    Timeout, checksum_file, entries,
};
use cairn_system::Bootspec;

use crate::guest::{Access, Guest, Image, file};
use crate::kernel::kernel;
use crate::menu::{END, ENTER, UP, boot_of, pick, waiting};
use crate::trial::{boots, finished, id, state, with_state};

const COUNT: u64 = 1000;

/// Opening a list or a page takes an emulated processor less than a second; a list of all of them in
/// one file took it four minutes. The host may be busy with others.
const PATIENCE: Duration = Duration::from_secs(30);

/// A generation as long as real ones are, with one specialisation.
fn generation(number: u64) -> Generation {
    let digest = "0123456789abcdfghijklmnpqrsvwxyz";
    let v1 = format!(
        r#""org.nixos.bootspec.v1": {{
            "init": "/init-{number}", "kernel": "/nix/store/{digest}-k",
            "kernelParams": ["console=tty0", "console=ttyS0,115200", "loglevel=4", "quiet"],
            "label": "12.7.20261122 (Linux 6.1.0-42-amd64)", "system": "x86_64-linux",
            "toplevel": "/nix/store/{digest}-cairn-system-box"}}"#
    );
    let text = format!(r#"{{{v1}, "org.nixos.specialisation.v1": {{"debug": {{{v1}}}}}}}"#);
    let bootspec = Bootspec::parse(&text).unwrap();
    let files = BootFiles {
        kernel:
            "/boot/kernels/0123456789abcdfghijklmnpqrsvwxyz0123456789abcdfghijklmnpqrsvwxyz-vmlinuz"
                .to_owned(),
        initrd: Some(
            "/boot/kernels/0123456789abcdfghijklmnpqrsvwxyz0123456789abcdfghijklmnpqrsvwxyz-initrd"
                .to_owned(),
        ),
    };
    let specialisations = [("debug".to_owned(), files.clone())].into();
    let date = 1_795_336_200 + 3600 * i64::try_from(number).unwrap();
    Generation::new(
        number,
        date,
        "6.1.0-42-amd64",
        &bootspec,
        files,
        &specialisations,
    )
    .unwrap()
}

fn image(options: &Options, once: Option<&str>) -> Image {
    let generations: Vec<_> = (1..=COUNT).map(generation).collect();
    let menu = entries(&generations, options);
    let mut files = std::collections::BTreeMap::from([("grub/grub.cfg".to_owned(), file(STUB))]);
    for (name, text) in SlotFiles::new(Slot::A, Sequence::FIRST, &menu).files() {
        files.insert(format!("grub/{name}"), file(text));
    }
    let entry = &generations[0].entry;
    for (path, content) in [
        (entry.files().kernel.clone(), kernel(0)),
        (entry.files().initrd.clone().unwrap(), b"initrd".to_vec()),
    ] {
        let name = path.strip_prefix("/boot/").unwrap();
        let (sum_name, sum) = checksum_file(name, &mut content.as_slice()).unwrap();
        files.insert(name.to_owned(), file(content));
        files.insert(sum_name, file(sum));
    }
    let mut state = state("1000", None);
    state.once = once.map(id);
    Image::new(&with_state(files, &state))
}

fn many() -> Options {
    Options {
        good: Some(id("1000")),
        trial: None,
        default: DefaultEntry::Good,
        ..waiting()
    }
}

/// The list and its last page open, and the oldest generation boots by keys.
#[test]
fn a_thousand_generations_are_listed_at_once() {
    let image = image(&many(), None);
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    guest.text_up_to("Cairn, all generations");
    guest.forget();
    let begin = Instant::now();
    pick(&mut guest, 2);
    guest.text_up_to("1000, 2027-01-03 ");
    let list = begin.elapsed();
    // The last of the list are the pages, the last of the page is the oldest.
    guest.press(END);
    guest.text_up_to("*25 to 1, 2026-11-23 to 2026-11-22");
    guest.forget();
    let begin = Instant::now();
    guest.press(ENTER);
    guest.text_up_to("25, 2026-11-23 ");
    let page = begin.elapsed();
    guest.press(END);
    guest.text_up_to("*1, specialisation debug");
    guest.press(UP);
    guest.text_up_to("*1, 2026-11-22 ");
    guest.press(ENTER);
    assert_eq!(boot_of(&mut guest), "1 generation=1");
    eprintln!("a thousand generations: list {list:?}, page {page:?}");
    assert!(list < PATIENCE && page < PATIENCE, "{list:?}, {page:?}");
}

/// What is to boot once is found in its page.
#[test]
fn an_old_generation_boots_once() {
    let unattended = Options {
        timeout: Timeout::Seconds(0),
        ..many()
    };
    let image = image(&unattended, Some("437-debug"));
    let mut guest = Guest::start(&image, Platform::Bios, Access::ReadWrite);
    let text = guest.text_when("kernel's line", |text| finished(text) >= 2);
    assert_eq!(
        boots(&text)[..2],
        ["437 generation=437-debug", "1000 generation=1000"]
    );
}
