//! What is in the two folders of kernels at each step of a change.

use cairn_bootloader::{BootFileKind, Sequence, Slot, boot_file_name};

use super::*;

/// A boot folder, and the store beside it.
struct Boot {
    folder: tempfile::TempDir,
    folders: KernelFolders,
    slots: Slots,
}

fn name(content: &str) -> String {
    boot_file_name(&blake3::hash(content.as_bytes()), BootFileKind::Kernel)
}

impl Boot {
    fn new(folders: KernelFolders) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let slots = Slots::default();
        Self {
            folder,
            folders,
            slots,
        }
    }

    fn places(&self) -> Places {
        Places::of(self.folder.path(), self.folders, &self.slots).unwrap()
    }

    /// The plan for kernels with these contents.
    fn plan(&self, contents: &[&str], suspects: &[&str]) -> Kernels {
        let wanted = |content: &&str| {
            let source = self.folder.path().join(format!("store-{content}"));
            fs::write(&source, content).unwrap();
            let size = content.len() as u64;
            (name(content), Wanted { source, size })
        };
        let wanted = contents.iter().map(wanted).collect();
        let suspects = suspects.iter().map(|content| name(content)).collect();
        Kernels::plan(self.places(), wanted, &suspects).unwrap()
    }

    /// The plan, carried out; the next menu is then the one that boots. Gives what was copied.
    fn change(&mut self, contents: &[&str], suspects: &[&str]) -> usize {
        let kernels = self.plan(contents, suspects);
        kernels.place(("names.json", b"{}".to_vec())).unwrap();
        self.flip();
        kernels.remove_unneeded(&self.places()).unwrap();
        kernels.missing().count()
    }

    fn flip(&mut self) {
        let (slot, sequence) = next_slot(&self.slots).unwrap();
        *match slot {
            Slot::A => &mut self.slots.a,
            Slot::B => &mut self.slots.b,
        } = Some(sequence);
    }

    /// The contents of the kernels in a folder; `+` stands for a checksum, `?` for anything else.
    fn shows(&self, folder: &str) -> String {
        let names = names_in(&self.folder.path().join(folder)).unwrap();
        let show = |name: String| {
            let path = self.folder.path().join(folder).join(&name);
            if name.ends_with(".sha256") {
                "+".to_owned()
            } else if is_boot_file(&name) {
                fs::read_to_string(path).unwrap()
            } else if name == "names.json" || path.is_dir() {
                String::new()
            } else {
                "?".to_owned()
            }
        };
        let mut shown: Vec<String> = names.into_iter().map(show).collect();
        shown.sort();
        shown.concat()
    }

    fn both(&self) -> [String; 2] {
        ["kernels/a", "kernels/b"].map(|folder| self.shows(folder))
    }
}

#[test]
fn the_folder_that_boots_is_not_written() {
    let mut boot = Boot::new(KernelFolders::OfEachSlot);
    assert_eq!(boot.change(&["old"], &[]), 1);
    assert_eq!(boot.both(), ["+old", ""]);

    // Before the menu is written: the old folder is as it was, and the new one is whole.
    let kernels = boot.plan(&["new", "old"], &["new"]);
    assert!(!kernels.all_boot());
    let before = fs::metadata(boot.folder.path().join("kernels/a")).unwrap();
    kernels.place(("names.json", b"{}".to_vec())).unwrap();
    let after = fs::metadata(boot.folder.path().join("kernels/a")).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(boot.both(), ["+old", "++newold"]);

    // A file in both is one file.
    let old =
        ["kernels/a", "kernels/b"].map(|folder| boot.folder.path().join(folder).join(name("old")));
    assert!(is_same(&old[0], &old[1]));

    // After it is written, what it does not need goes from the other folder alone.
    boot.flip();
    let kernels = boot.plan(&["new", "old"], &[]);
    assert!(kernels.all_boot());
    kernels.remove_unneeded(&boot.places()).unwrap();
    assert_eq!(boot.both(), ["+old", "++newold"]);
    assert_eq!(boot.change(&["new"], &[]), 0);
    assert_eq!(boot.both(), ["+new", "+new"]);
}

#[test]
fn a_change_that_was_cut_off_is_taken_up() {
    let mut boot = Boot::new(KernelFolders::OfEachSlot);
    boot.change(&["old"], &[]);
    boot.plan(&["new", "old"], &[])
        .place(("names.json", b"{}".to_vec()))
        .unwrap();
    // Cut off before the menu: what is there is compared, and used.
    let next = boot.folder.path().join("kernels/b");
    fs::write(next.join(format!(".new-{}", name("half"))), "ha").unwrap();
    assert_eq!(boot.plan(&["new", "old"], &[]).missing().count(), 0);
    fs::write(next.join(name("new")), "neW").unwrap();
    assert_eq!(boot.plan(&["new", "old"], &[]).missing().count(), 1);
    assert_eq!(boot.change(&["new", "old"], &[]), 1);
    assert_eq!(boot.both(), ["+old", "++newold"]);
    // What another change had begun goes.
    boot.plan(&["other"], &[])
        .place(("names.json", b"{}".to_vec()))
        .unwrap();
    assert_eq!(boot.both(), ["+other", "++newold"]);
    boot.plan(&["new", "old"], &[])
        .remove_unneeded(&boot.places())
        .unwrap();
    assert_eq!(boot.both(), ["", "++newold"]);
}

#[test]
fn damage_is_not_passed_on() {
    let mut boot = Boot::new(KernelFolders::OfEachSlot);
    boot.change(&["old"], &[]);
    fs::write(
        boot.folder.path().join("kernels/a").join(name("old")),
        "olD",
    )
    .unwrap();
    assert!(boot.plan(&["old"], &[]).all_boot());
    assert!(!boot.plan(&["old"], &["old"]).all_boot());
    assert_eq!(boot.change(&["old"], &["old"]), 1);
    // The damaged one is not used when that slot is written again.
    assert_eq!(boot.both(), ["", "+old"]);
    assert_eq!(boot.change(&["old"], &[]), 0);
    assert_eq!(boot.both(), ["+old", "+old"]);
    // A file without its checksum gets one.
    let sum = checksum_name(&name("old"));
    fs::remove_file(boot.folder.path().join("kernels/a").join(sum)).unwrap();
    boot.change(&["old"], &[]);
    assert_eq!(boot.both(), ["old", "+old"]);
}

#[test]
fn without_hard_links_there_is_one_folder() {
    let mut boot = Boot::new(KernelFolders::Shared);
    assert_eq!(boot.change(&["old"], &[]), 1);
    let kernels = boot.plan(&["new"], &["new"]);
    kernels.place(("names.json", b"{}".to_vec())).unwrap();
    // The menu that boots needs the old one until another one is written.
    assert_eq!(boot.shows("kernels"), "++newold");
    boot.flip();
    kernels.remove_unneeded(&boot.places()).unwrap();
    assert_eq!(boot.shows("kernels"), "+new");
    fs::write(boot.folder.path().join("kernels").join(name("new")), "neW").unwrap();
    assert_eq!(boot.change(&["new"], &["new"]), 1);
    assert_eq!(boot.shows("kernels"), "+new");
}

#[test]
fn numbers_of_menus_end() {
    let slots = Slots {
        a: Sequence::new(i32::MAX as u32),
        b: None,
    };
    let places = Places::of(Path::new("/boot"), KernelFolders::OfEachSlot, &slots);
    assert_eq!(places.unwrap_err(), SlotsExhausted);
}
