//! Trials, as firmware, GRUB and a kernel that always fails make them: the machine is reset again
//! and again, and what it boots each time is compared.

use std::collections::BTreeMap;
use std::fmt::Write;

use cairn_bootloader::{
    BootFiles, BootState, DefaultEntry, EntryId, Generation, Options, Platform, STUB, Sequence,
    Serial, Slot, SlotFiles, Timeout, Trial, checksum_file, entries,
};
use cairn_image_builder::Node;
use cairn_system::Bootspec;

use crate::guest::{Access, Guest, Image, file};
use crate::kernel::{MARK, kernel};

pub fn id(text: &str) -> EntryId {
    text.parse().unwrap()
}

/// A generation with a kernel of its own, and specialisations that boot with it too.
pub fn generation(number: u64, label: &str, specialisations: &[&str]) -> Generation {
    let v1 = format!(
        r#""org.nixos.bootspec.v1": {{"init": "/init-{number}", "kernel": "/k", "kernelParams": [],
           "label": {label:?}, "system": "x86_64-linux", "toplevel": "/nix/store/x"}}"#
    );
    let others: Vec<_> = specialisations
        .iter()
        .map(|name| format!("{name:?}: {{{v1}}}"))
        .collect();
    let text = format!(
        r#"{{{v1}, "org.nixos.specialisation.v1": {{{}}}}}"#,
        others.join(",")
    );
    let files = BootFiles {
        kernel: format!("/boot/kernels/{number}-vmlinuz"),
        initrd: Some(format!("/boot/kernels/{number}-initrd")),
    };
    let of_specialisations: BTreeMap<_, _> = specialisations
        .iter()
        .map(|name| ((*name).to_owned(), files.clone()))
        .collect();
    let bootspec = Bootspec::parse(&text).unwrap();
    Generation::new(number, 0, "6.1.0", &bootspec, files, &of_specialisations).unwrap()
}

/// Generations 7 (the oldest), 12 (good) and 13 (new).
pub fn generations() -> [Generation; 3] {
    [
        generation(7, "oldest", &[]),
        generation(12, "good", &["b's"]),
        generation(13, "new", &["debug"]),
    ]
}

/// Boots at once; 12 is good and 13 may be tried.
pub fn options() -> Options {
    Options {
        timeout: Timeout::Seconds(0),
        serial: Some(Serial::COM1),
        good: Some(id("12")),
        trial: Some(id("13")),
        ..Options::default()
    }
}

/// Everything below `/boot` but the boot state.
pub fn boot_files(generations: &[Generation], options: &Options) -> BTreeMap<String, Node> {
    let menu = entries(generations, options);
    let slot = SlotFiles::new(Slot::A, Sequence::FIRST, &menu);
    let mut files = BTreeMap::from([("grub/grub.cfg".to_owned(), file(STUB))]);
    for (name, text) in slot.files() {
        files.insert(format!("grub/{name}"), file(text));
    }
    for generation in generations {
        let number = generation.number;
        for (suffix, content) in [
            ("vmlinuz", kernel(20_000 + usize::try_from(number).unwrap())),
            (
                "initrd",
                format!("initrd of {number}").repeat(2000).into_bytes(),
            ),
        ] {
            let name = format!("kernels/{number}-{suffix}");
            let (sum_name, sum) = checksum_file(&name, &mut content.as_slice()).unwrap();
            files.insert(name, file(content));
            files.insert(sum_name, file(sum));
        }
    }
    files
}

pub fn state(good: &str, trial: Option<(&str, u8)>) -> BootState {
    let mut state = BootState::of_good(id(good));
    state.trial = trial.map(|(entry, tries)| Trial {
        entry: id(entry),
        tries,
    });
    state
}

pub fn with_state(mut files: BTreeMap<String, Node>, state: &BootState) -> BTreeMap<String, Node> {
    let bytes = state.to_bytes().unwrap();
    files.insert("grub/grubenv".to_owned(), file(bytes));
    files
}

/// What the kernels say that have run: init, and our parameters, of each.
pub fn boots(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_prefix(MARK))
        .map(|line| {
            let ours = line.split(' ').filter(|word| word.starts_with("cairn."));
            let mut said = line
                .split(' ')
                .find_map(|word| word.strip_prefix("init=/init-"))
                .unwrap_or("?")
                .to_owned();
            for word in ours {
                write!(said, " {}", &word["cairn.".len()..]).unwrap();
            }
            said
        })
        .collect()
}

/// How many whole lines of kernels there are.
pub fn finished(text: &str) -> usize {
    let lines = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
    lines.lines().filter(|line| line.starts_with(MARK)).count()
}

/// Boots until as many kernels have run as are `wanted`, which must be those.
pub fn check(image: &Image, platform: Platform, access: Access, wanted: &[&str]) -> String {
    let mut guest = Guest::start(image, platform, access);
    let text = guest.text_when("kernel's line", |text| finished(text) >= wanted.len());
    assert_eq!(
        boots(&text)[..wanted.len()],
        *wanted,
        "{platform:?}: {text}"
    );
    text
}

fn saved(image: &Image) -> BootState {
    BootState::parse(&image.read("/boot/grub/grubenv")).unwrap()
}

const TRIED: &str = "13 generation=13 trial=13";
pub const GOOD: &str = "12 generation=12";

#[test]
fn tries_are_counted_down_to_the_good_entry() {
    for platform in [Platform::Bios, Platform::Uefi] {
        let files = boot_files(&generations(), &options());
        let image = Image::new(&with_state(files, &state("12", Some(("13", 2)))));
        check(
            &image,
            platform,
            Access::ReadWrite,
            &[TRIED, TRIED, GOOD, GOOD],
        );
        assert_eq!(saved(&image), state("12", Some(("13", 0))));
    }
}

#[test]
fn nine_tries_are_nine() {
    let files = boot_files(&generations(), &options());
    let image = Image::new(&with_state(files, &state("12", Some(("13", 9)))));
    let wanted = [[TRIED; 9].as_slice(), &[GOOD]].concat();
    check(&image, Platform::Bios, Access::ReadWrite, &wanted);
    assert_eq!(saved(&image), state("12", Some(("13", 0))));
}

/// What the boot state says, and what boots.
#[test]
fn what_the_state_says_boots() {
    let mut once = state("12", Some(("13", 2)));
    once.once = Some(id("7"));
    let mut once_gone = state("12", None);
    once_gone.once = Some(id("99"));
    let mut once_tried = state("12", Some(("13", 1)));
    once_tried.once = Some(id("13-debug"));
    for (state, wanted) in [
        (state("12", None), [GOOD, GOOD]),
        (state("12", Some(("13", 0))), [GOOD, GOOD]),
        // Another entry than the text knows to be on trial.
        (state("12", Some(("7", 2))), [GOOD, GOOD]),
        // Found to be good after the text was written.
        (state("13", None), ["13 generation=13", "13 generation=13"]),
        // Another one was made the good one, and the text is from before.
        (state("7", None), ["7 generation=7", "7 generation=7"]),
        (
            state("12-b%27s", None),
            ["12 generation=12-b%27s", "12 generation=12-b%27s"],
        ),
        (state("99", None), [GOOD, GOOD]),
        (once, ["7 generation=7", TRIED]),
        (once_gone, [GOOD, GOOD]),
        (once_tried, ["13 generation=13-debug", TRIED]),
    ] {
        let files = boot_files(&generations(), &options());
        let image = Image::new(&with_state(files, &state));
        check(&image, Platform::Bios, Access::ReadWrite, &wanted);
        assert_eq!(saved(&image).once, None);
        assert_eq!(saved(&image).good, state.good);
    }
}

/// The state is missing, cut, or full of nonsense: the good entry boots, as the text has it.
#[test]
fn a_damaged_state_boots_the_good_entry() {
    let whole = state("7", Some(("13", 2))).to_bytes().unwrap();
    let text = |text: &str| {
        let mut block = format!("# GRUB Environment Block\n{text}").into_bytes();
        block.resize(1024, b'#');
        Some(block)
    };
    for bytes in [
        None,
        Some(Vec::new()),
        Some(vec![0; 1024]),
        Some(vec![b'#'; 1024]),
        Some(whole[..20].to_vec()),
        text("cairn_good=\ncairn_trial=\ncairn_tries=\n"),
        text("cairn_good=x'y\ncairn_trial=13\ncairn_tries=many\ncairn_once=; halt\n"),
        text("cairn_good=>\ncairn_trial=13\ncairn_tries=\n"),
        text("cairn_good=12\ncairn_trial=13\ncairn_tries=-1\nprefix=/nowhere\nroot=hd9\n"),
    ] {
        let mut files = boot_files(&generations(), &options());
        if let Some(bytes) = &bytes {
            files.insert("grub/grubenv".to_owned(), file(bytes.clone()));
        }
        let image = Image::new(&files);
        check(&image, Platform::Bios, Access::ReadWrite, &[GOOD, GOOD]);
    }
}

/// A disk that GRUB cannot write to lets nothing be counted: the good entry boots.
#[test]
fn what_cannot_be_counted_is_not_tried() {
    let mut once = state("12", Some(("13", 2)));
    once.once = Some(id("7"));
    for state in [state("12", Some(("13", 2))), once] {
        let files = boot_files(&generations(), &options());
        let image = Image::new(&with_state(files, &state));
        let wanted = ["12 generation=12 fallback=uncounted"; 2];
        check(&image, Platform::Bios, Access::ReadOnly, &wanted);
        assert_eq!(saved(&image), state);
    }
}

/// Each damage to a file of the entry on trial ends in the good one, and is not tried again.
#[test]
fn damaged_files_are_not_tried() {
    type Damage = fn(&mut BTreeMap<String, Node>);
    fn change(files: &mut BTreeMap<String, Node>, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let Some(cairn_image_builder::Content::Bytes(bytes)) =
            files.get(name).map(|node| node.content.clone())
        else {
            panic!("no bytes in {name}");
        };
        let mut bytes = bytes;
        change(&mut bytes);
        files.insert(name.to_owned(), file(bytes));
    }
    let damages: [(&str, Damage); 6] = [
        ("a kernel cut short", |files| {
            change(files, "kernels/13-vmlinuz", |bytes| bytes.truncate(9000));
        }),
        ("an empty kernel", |files| {
            change(files, "kernels/13-vmlinuz", Vec::clear);
        }),
        ("no kernel", |files| {
            files.remove("kernels/13-vmlinuz");
        }),
        ("one bit of the initrd", |files| {
            change(files, "kernels/13-initrd", |bytes| bytes[12_345] ^= 1);
        }),
        ("an initrd cut short", |files| {
            change(files, "kernels/13-initrd", |bytes| bytes.truncate(1));
        }),
        ("no initrd", |files| {
            files.remove("kernels/13-initrd");
        }),
    ];
    for (number, (what, damage)) in damages.into_iter().enumerate() {
        let mut files = boot_files(&generations(), &options());
        damage(&mut files);
        let image = Image::new(&with_state(files, &state("12", Some(("13", 2)))));
        let platform = if number == 0 {
            Platform::Uefi
        } else {
            Platform::Bios
        };
        eprintln!("{what}");
        let wanted = ["12 generation=12 fallback=damaged", GOOD];
        check(&image, platform, Access::ReadWrite, &wanted);
        assert_eq!(saved(&image), state("12", Some(("13", 0))), "{what}");
    }
}

/// Another entry than ours that is the default stays it, and what was chosen last is kept.
#[test]
fn other_defaults() {
    let own = Options {
        default: DefaultEntry::Entry("mine".to_owned()),
        extra_entries: "menuentry Mine --id mine { linux /boot/kernels/7-vmlinuz init=/init-mine }"
            .to_owned(),
        ..options()
    };
    let saving = Options {
        default: DefaultEntry::Saved,
        ..options()
    };
    let mut seven = state("12", None);
    seven.saved = Some("7".to_owned());
    let mut gone = state("12", None);
    gone.saved = Some("99".to_owned());
    for (options, state, wanted) in [
        (&own, state("12", Some(("13", 2))), ["mine", "mine"]),
        (&saving, state("12", Some(("13", 1))), [TRIED, GOOD]),
        (&saving, seven, ["7 generation=7", "7 generation=7"]),
        (&saving, gone, [GOOD, GOOD]),
    ] {
        let files = boot_files(&generations(), options);
        let image = Image::new(&with_state(files, &state));
        check(&image, Platform::Bios, Access::ReadWrite, &wanted);
    }
}
