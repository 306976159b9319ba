//! `grub.cfg`, which never changes, and the configuration inside GRUB's core image.

use crate::options::Serial;

/// GRUB's directory on the root file system.
pub const GRUB_DIRECTORY: &str = "/boot/grub";

/// GRUB's environment block: what boots next, see [`crate::BootState`].
pub const GRUBENV: &str = "/boot/grub/grubenv";

/// The kind of a disk's partition table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionTable {
    /// A GUID partition table.
    Gpt,
    /// That of MS-DOS, in the master boot record.
    Msdos,
}

impl PartitionTable {
    /// What GRUB's name of a partition begins with.
    fn grub_name(self) -> &'static str {
        match self {
            Self::Gpt => "gpt",
            Self::Msdos => "msdos",
        }
    }
}

/// The text of `grub.cfg`. It chooses the newest slot that is whole (see [`crate::Slots::newest`])
/// and runs its menu. Nothing of a slot that is not whole is run.
///
/// `cairn_hashsum` is set by the configuration in a core image that has the module `hashsum`, and
/// exported: `configfile` begins with what is exported alone.
/// GRUB accepts an empty list of checksums as right, hence the `-s`.
pub const STUB: &str = r#"# Runs the newest whole boot menu of two. This file never changes.
set cairn_newest=0
set cairn_slot=none
function cairn_try {
  set cairn_name=$1
  set cairn_seq=0
  set cairn_end=none
  set cairn_sound=no
  if [ -s "$prefix/entries-$cairn_name.cfg" ]; then
    if [ "$cairn_hashsum" != yes ]; then
      set cairn_sound=yes
    elif [ -s "$prefix/entries-$cairn_name.sum" ]; then
      if hashsum --hash sha256 --check "$prefix/entries-$cairn_name.sum" --prefix "$prefix"; then
        set cairn_sound=yes
      fi
    fi
  fi
  if [ $cairn_sound = yes ]; then
    source "$prefix/entries-$cairn_name.cfg"
    if [ "$cairn_seq" = "$cairn_end" ]; then
      if [ "$cairn_seq" -gt "$cairn_newest" ]; then
        set cairn_newest=$cairn_seq
        set cairn_slot=$cairn_name
      fi
    fi
  fi
}
cairn_try a
cairn_try b
if [ $cairn_slot = a ]; then
  cairn_menu_a
elif [ $cairn_slot = b ]; then
  cairn_menu_b
else
  echo "No whole boot menu in $prefix: entries-a.cfg and entries-b.cfg are missing or damaged."
  echo "Boot by hand with the commands search, linux, initrd and boot, or from other media."
fi
"#;

/// How GRUB finds the file system that has [`GRUB_DIRECTORY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root<'a> {
    /// The partition of this number on the disk that a BIOS has started: right even beside a copy
    /// of the disk, and the same core image serves every disk.
    OnBootDisk {
        /// The kind of its table.
        table: PartitionTable,
        /// Counted from 1.
        partition: u32,
    },
    /// The file system with this UUID, `01234567-89ab-…`, on any disk.
    WithUuid(&'a str),
    /// The file system, on any disk or disc, that has this file: `/cairn/01234567-…`.
    WithFile(&'a str),
    /// The disk or disc that a BIOS has started if it has this file, otherwise the first one that has it. The
    /// same core image serves every medium.
    Started(&'a str),
}

/// The configuration inside the core image: finds the root and runs its `grub.cfg`. With `serial`,
/// messages go there too from the start.
#[must_use]
pub fn early_config(root: Root<'_>, serial: Option<Serial>) -> String {
    let serial = serial.map(Serial::early_commands).unwrap_or_default();
    let menu = menu_at(root);
    format!(
        "{serial}\
         set cairn_hashsum=yes\n\
         export cairn_hashsum\n\
         {menu}"
    )
}

/// The file that Debian's signed GRUB reads, from wherever it was started itself.
pub const SIGNED_CONFIG: &str = "EFI/debian/grub.cfg";

/// The text of [`SIGNED_CONFIG`]. That GRUB has no module but its own, and `hashsum` is none of them.
#[must_use]
pub fn signed_config(root: Root<'_>, serial: Option<Serial>) -> String {
    serial.map(Serial::early_commands).unwrap_or_default() + &menu_at(root)
}

/// Finds the root and runs its `grub.cfg`.
fn menu_at(root: Root<'_>) -> String {
    let root = match root {
        // GRUB for BIOS begins with the boot disk, `hd0`, as root.
        Root::OnBootDisk { table, partition } => {
            format!("set root=$root,{}{partition}", table.grub_name())
        }
        Root::WithUuid(uuid) => format!("search --no-floppy --fs-uuid --set=root {uuid}"),
        Root::WithFile(file) => format!("search --no-floppy --file --set=root {file}"),
        // GRUB for BIOS begins with what it was started from as root. Its configuration knows no `if`.
        Root::Started(file) => {
            format!("search --no-floppy --file --hint=$root --set=root {file}")
        }
    };
    format!(
        "{root}\n\
         set prefix=($root){GRUB_DIRECTORY}\n\
         configfile $prefix/grub.cfg\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn early_configuration() {
        let uuid = "01234567-89ab-8cde-8f01-23456789abcd";
        expect![[r#"
            serial --unit=0 --speed=115200
            terminal_input console serial
            terminal_output console serial
            set cairn_serial=0,115200
            export cairn_serial
            set cairn_hashsum=yes
            export cairn_hashsum
            search --no-floppy --fs-uuid --set=root 01234567-89ab-8cde-8f01-23456789abcd
            set prefix=($root)/boot/grub
            configfile $prefix/grub.cfg
        "#]]
        .assert_eq(&early_config(Root::WithUuid(uuid), Some(Serial::COM1)));
        expect![[r#"
            set cairn_hashsum=yes
            export cairn_hashsum
            set root=$root,gpt1
            set prefix=($root)/boot/grub
            configfile $prefix/grub.cfg
        "#]]
        .assert_eq(&early_config(
            Root::OnBootDisk {
                table: PartitionTable::Gpt,
                partition: 1,
            },
            None,
        ));
        expect![[r#"
            set cairn_hashsum=yes
            export cairn_hashsum
            search --no-floppy --file --hint=$root --set=root /cairn/manifest
            set prefix=($root)/boot/grub
            configfile $prefix/grub.cfg
        "#]]
        .assert_eq(&early_config(Root::Started("/cairn/manifest"), None));
    }

    #[test]
    fn the_file_of_the_signed_program() {
        expect![[r#"
            search --no-floppy --file --set=root /cairn/01234567
            set prefix=($root)/boot/grub
            configfile $prefix/grub.cfg
        "#]]
        .assert_eq(&signed_config(Root::WithFile("/cairn/01234567"), None));
    }
}
