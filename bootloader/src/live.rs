//! The menu of a live medium: one system in several ways, and what helps a machine that does not
//! boot.
//!
//! It is there twice: `grub.cfg` is for the medium itself, `loopback.cfg` for a stick that has the
//! medium as one file of many. Its boot loader shows the file as a disc, leaves its name in
//! `iso_path`, and reads that menu: a convention of live media of many makers.

use cairn_system::live::{
    CHECK_PARAMETER, COPY_PARAMETER, FIND_ISO_PARAMETER, LIVE_PARAMETER, MediumId,
};

use crate::generation::{Entry, Generation};
use crate::menu::{indented, loading, memtest, menu_entry};
use crate::options::{Options, user_commands};
use crate::slot::Addition;
use crate::stub::GRUB_DIRECTORY;

/// The menu of a live medium.
#[derive(Debug, Clone)]
pub struct LiveMenu<'a> {
    /// The system, and its specialisations.
    pub generation: &'a Generation,
    /// What menus do.
    pub options: &'a Options,
    /// The medium that the kernel is to look for.
    pub medium: &'a MediumId,
    /// What the system is called.
    pub title: &'a str,
    /// The serial number of the medium's own EFI system partition: `1234-ABCD`.
    pub esp: &'a str,
}

/// How GRUB has come to the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LiveSource {
    /// It is a disc or a stick.
    Medium,
    /// It is the file `iso_path` on another file system.
    File,
}

/// Boot loaders of a disk, by patterns of GRUB's: where firmware looks without an entry in its menu, and where
/// systems put theirs that have one.
const PROGRAMS: &str = "$device/EFI/BOOT/BOOTX64.EFI $device/EFI/*/shimx64.efi $device/EFI/*/grubx64.efi \
                        $device/EFI/Microsoft/Boot/bootmgfw.efi";

/// What an entry adds to the kernel's parameters, with what its title and id say of it.
const WAYS: [(&str, &str, &[&str]); 5] = [
    ("copytoram", "copied to memory", &[COPY_PARAMETER]),
    ("nomodeset", "without graphics drivers", &["nomodeset"]),
    ("serial", "on the serial port", &["console=ttyS0,115200"]),
    ("check", "the medium is checked first", &[CHECK_PARAMETER]),
    (
        "debug",
        "with messages and a shell on failure",
        &["boot.shell_on_fail", "boot.trace", "loglevel=7"],
    ),
];

impl LiveMenu<'_> {
    /// Name and content of each file of it in GRUB's directory.
    #[must_use]
    pub fn files(&self) -> Vec<(String, String)> {
        let menus = [
            ("grub.cfg".to_owned(), self.text(LiveSource::Medium)),
            ("loopback.cfg".to_owned(), self.text(LiveSource::File)),
        ];
        let additions = self.options.additions();
        let additions = additions.map(|(addition, text)| (name_of(addition), text));
        menus.into_iter().chain(additions).collect()
    }

    /// GRUB's command that reads an addition, where there is one: a mistake in it ends with it.
    fn reading(&self, wanted: Addition) -> String {
        if self
            .options
            .additions()
            .any(|(addition, _)| addition == wanted)
        {
            format!("source {GRUB_DIRECTORY}/{}\n", name_of(wanted))
        } else {
            String::new()
        }
    }

    /// Its text.
    fn text(&self, source: LiveSource) -> String {
        let options = self.options;
        let title = self.title;
        let entry = |title: &str, id: &str, entry: &Entry, further: &[&str]| {
            menu_entry(title, id, "", &self.loading(entry, further, source))
        };
        let main = &self.generation.entry;
        let specialisations = self.generation.specialisations.iter();
        let specialisations: String = specialisations
            .map(|(name, other)| {
                let title = format!("{title}, specialisation {name}");
                entry(&title, &other.id().menu_id(), other, &[])
            })
            .collect();
        let ways: String = WAYS
            .iter()
            .map(|(id, way, further)| entry(&format!("{title}, {way}"), id, main, further))
            .collect();
        [
            options
                .serial
                .map(crate::Serial::commands)
                .unwrap_or_default(),
            user_commands(&options.users),
            options.timeout.commands(),
            self.reading(Addition::Config),
            "set default=0\n".to_owned(),
            entry(title, "live", main, &[]),
            specialisations,
            ways,
            self.installed(source),
            memtest(options),
            self.reading(Addition::Entries),
        ]
        .concat()
    }

    fn loading(&self, entry: &Entry, further: &[&str], source: LiveSource) -> String {
        let live = format!("{LIVE_PARAMETER}={}", self.medium);
        let further: Vec<_> = std::iter::once(live.as_str())
            .chain(further.iter().copied())
            .collect();
        let last = match source {
            LiveSource::Medium => String::new(),
            LiveSource::File => format!("{FIND_ISO_PARAMETER}=\"$iso_path\""),
        };
        loading(entry, &further, &last)
    }

    /// What the machine has on its own disks. For a BIOS, the first disk that is not the medium: a medium is the
    /// root, and the disk of a stick that has the medium as a file is where its boot loader has come from; if no
    /// other disk starts, it was no stick but the machine's own disk. For UEFI, the first boot loader of
    /// [`PROGRAMS`] on another disk.
    fn installed(&self, source: LiveSource) -> String {
        // A disk's number is what its first sector is told to have come from.
        let bios = match source {
            LiveSource::Medium => {
                "set medium=$root\n\
                 if regexp '^hd0' \"$root\"; then\n  \
                   drivemap -s hd0 hd1\n  \
                   set root=hd1\n\
                 else\n  \
                   set root=hd0\n\
                 fi\n\
                 if chainloader +1; then\n  \
                   boot\n\
                 fi\n\
                 drivemap -r\n"
            }
            LiveSource::File => {
                "set medium=$root\n\
                 if regexp '^.hd0' \"$cmdpath$prefix\"; then\n  \
                   drivemap -s hd0 hd1\n  \
                   set root=hd1\n  \
                   if chainloader +1; then\n    \
                     boot\n  \
                   fi\n  \
                   drivemap -r\n\
                 fi\n\
                 set root=hd0\n\
                 if chainloader +1; then\n  \
                   boot\n\
                 fi\n"
            }
        };
        let bios = format!(
            "{bios}set root=$medium\n\
             echo 'This machine has no other disk that starts.'\n\
             sleep --interruptible 10\n"
        );
        let (find_stick, if_stick) = match source {
            LiveSource::Medium => ("", "if"),
            LiveSource::File => (
                "set stick=none\n\
                 regexp --set=1:stick '^.([^,)]*)' \"$cmdpath$prefix\"\n",
                "if regexp \"^.$stick,\" \"$device\"; then\n        \
                   set uuid=\n      \
                 elif",
            ),
        };
        let uefi = format!(
            "{find_stick}for device in (hd*,*); do\n  \
               for program in {PROGRAMS}; do\n    \
                 if [ -f $program ]; then\n      \
                   probe --set=uuid --fs-uuid $device\n      \
                   {if_stick} [ \"$uuid\" != '{}' ]; then\n        \
                     chainloader $program\n        \
                     boot\n      \
                   fi\n    \
                 fi\n  \
               done\n\
             done\n\
             echo 'No disk of this machine has a boot loader for UEFI.'\n\
             sleep --interruptible 10\n",
            self.esp
        );
        let body = format!(
            "if [ \"$grub_platform\" = efi ]; then\n{}else\n{}fi\n",
            indented(&uefi),
            indented(&bios)
        );
        menu_entry(
            "The system on this machine's disk",
            "installed",
            "",
            &indented(&body),
        )
    }
}

/// The name of the file that has it.
fn name_of(addition: Addition) -> String {
    format!("{}live.cfg", addition.stem())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::BootFiles;
    use crate::options::Serial;
    use cairn_system::{Bootspec, Memtest};
    use expect_test::expect_file;
    use std::collections::BTreeMap;

    fn bootspec(label: &str) -> Bootspec {
        let text = format!(
            r#"{{"org.nixos.bootspec.v1": {{
                "init": "/nix/store/a-{label}/init", "initrd": "/i", "kernel": "/k",
                "kernelParams": ["loglevel=4"], "label": "{label}", "system": "x86_64-linux",
                "toplevel": "/nix/store/a-{label}"}}}}"#
        );
        Bootspec::parse(&text).unwrap()
    }

    #[test]
    fn whole_menus() {
        let mut bootspec_with = bootspec("live");
        bootspec_with
            .specialisations
            .insert("quiet".to_owned(), bootspec("quiet"));
        let files = |name: &str| BootFiles {
            kernel: format!("/boot/{name}-kernel"),
            initrd: Some(format!("/boot/{name}-initrd")),
        };
        let others = BTreeMap::from([("quiet".to_owned(), files("quiet"))]);
        let generation =
            Generation::new(1, 0, "6.1.0", &bootspec_with, files("live"), &others).unwrap();
        let options = Options {
            serial: Some(Serial::COM1),
            memtest: Some(Memtest {
                bios: "/boot/memtest".to_owned(),
                uefi: "/boot/memtest.efi".to_owned(),
                params: Vec::new(),
            }),
            ..Options::default()
        };
        let menu = LiveMenu {
            generation: &generation,
            options: &options,
            medium: &MediumId::new("397e55e7-c7d8-8823-8749-8b304cacefdb").unwrap(),
            title: "Cairn 26.11 (it's live)",
            esp: "2C07-51C6",
        };
        expect_file!["menus/live.cfg"].assert_eq(&menu.text(LiveSource::Medium));
        expect_file!["menus/loopback.cfg"].assert_eq(&menu.text(LiveSource::File));
    }
}
