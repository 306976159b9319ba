//! What a device says that it holds. `blkid` reads it from the device itself: `lsblk` knows only what udev
//! has found out, and there is no udev.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::listing::plain;
use crate::program;

/// `blkid` has found nothing.
const NOTHING: i32 = 2;
/// `blkid` has found several things that cannot be there at the same time.
const SEVERAL: i32 = 8;

/// What is known of a device by its content, and of a partition by the table that it is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Signature {
    /// The kind of its table of partitions: `gpt`, `dos`.
    pub table: Option<String>,
    /// The type of its file system, or of what else takes all of it.
    pub file_system: Option<String>,
    /// The label of that.
    pub label: Option<String>,
    /// The name that the table has for it.
    pub name: Option<String>,
    /// What the table says that it is for: a GUID, or a number.
    pub kind: Option<String>,
}

/// Reads it from `device`.
///
/// # Errors
/// `blkid` is missing, or cannot read the device.
pub fn read(device: &Path) -> Result<Signature> {
    // What cannot be opened is nothing to blkid, as an empty device is.
    File::open(device).with_context(|| format!("cannot read '{}'", device.display()))?;
    let output = program::command("blkid")
        .args(["--probe", "--output", "export", "--"])
        .arg(device)
        .env("LC_ALL", "C")
        .output()
        .context("cannot run blkid; it is in util-linux")?;
    match output.status.code() {
        Some(0 | NOTHING) => Ok(parse(&String::from_utf8_lossy(&output.stdout))),
        Some(SEVERAL) => Ok(Signature {
            file_system: Some("several file systems at once".to_owned()),
            ..Signature::default()
        }),
        _ => bail!(
            "cannot find out what {} holds: blkid ended with {}: {}",
            device.display(),
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ),
    }
}

/// Lines `KEY=value`, with a backslash before what a shell would obey.
fn parse(text: &str) -> Signature {
    let field = |name: &str| {
        let value = text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key == name).then(|| unescape(value))
        });
        plain(value.as_ref())
    };
    Signature {
        table: field("PTTYPE"),
        file_system: field("TYPE"),
        label: field("LABEL"),
        name: field("PART_ENTRY_NAME"),
        kind: field("PART_ENTRY_TYPE"),
    }
}

/// Bytes that cannot be printed are left as they are written there, `\x1b`.
fn unescape(value: &str) -> String {
    let mut text = String::new();
    let mut characters = value.chars();
    while let Some(character) = characters.next() {
        match (character, characters.clone().next()) {
            ('\\', Some(next)) if next != 'x' => {
                text.push(next);
                characters.next();
            }
            _ => text.push(character),
        }
    }
    text
}

/// Where an ext file system was mounted last, as it was called there; nothing if it never was. What cannot be
/// found out counts as somewhere.
pub fn last_mount(device: &Path) -> Option<String> {
    let output = program::command("dumpe2fs")
        .arg("-h")
        .arg(device)
        .env("LC_ALL", "C")
        .output();
    match output {
        Ok(output) if output.status.success() => {
            parse_last_mount(&String::from_utf8_lossy(&output.stdout))
        }
        _ => Some("?".to_owned()),
    }
}

fn parse_last_mount(text: &str) -> Option<String> {
    let field = |line: &str| Some(line.strip_prefix("Last mounted on:")?.to_owned());
    match text.lines().find_map(field) {
        Some(place) => plain(Some(&place)).filter(|place| place != "<not available>"),
        None => Some("?".to_owned()),
    }
}

/// What the kinds of partitions of such a table are called; nothing if `sfdisk` does not know them.
///
/// # Errors
/// There is no `sfdisk`.
pub fn names_of_kinds(table: &str) -> Result<String> {
    let output = program::command("sfdisk")
        .args(["--list-types", "--label", table])
        .env("LC_ALL", "C")
        .output()
        .context("cannot run sfdisk; it is in Debian's package fdisk")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The name of `kind` in what `sfdisk` lists.
#[must_use]
pub fn name_of_kind<'a>(list: &'a str, kind: &str) -> Option<&'a str> {
    let kind = kind.trim_start_matches("0x");
    list.lines().find_map(|line| {
        let (word, name) = line.trim().split_once(char::is_whitespace)?;
        word.eq_ignore_ascii_case(kind).then(|| name.trim())
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn what_blkid_tells() {
        let text = "DEVNAME=/dev/sda2\nLABEL=it\\'s\\ mine\\x1b\nUUID=A\nTYPE=ext4\nUSAGE=filesystem\n\
                    PART_ENTRY_SCHEME=gpt\nPART_ENTRY_NAME=my\\ photos\n\
                    PART_ENTRY_TYPE=0fc63daf-8483-4772-8e79-3d69d8477de4\nPART_ENTRY_NUMBER=2\n";
        expect![[r#"
            Signature {
                table: None,
                file_system: Some(
                    "ext4",
                ),
                label: Some(
                    "it's mine\\x1b",
                ),
                name: Some(
                    "my photos",
                ),
                kind: Some(
                    "0fc63daf-8483-4772-8e79-3d69d8477de4",
                ),
            }
        "#]]
        .assert_debug_eq(&parse(text));
        assert_eq!(parse(""), Signature::default());
    }

    #[test]
    fn where_it_was_mounted_last() {
        for (text, expected) in [
            (
                "Last mounted on:          /srv/my photos\n",
                Some("/srv/my photos"),
            ),
            (
                "Filesystem volume name:   x\nLast mounted on:          <not available>\n",
                None,
            ),
            ("", Some("?")),
        ] {
            assert_eq!(parse_last_mount(text).as_deref(), expected, "{text}");
        }
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(8 << 20).unwrap();
        assert_eq!(last_mount(image.path()).as_deref(), Some("?"));
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F"])
            .arg(image.path())
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        assert_eq!(last_mount(image.path()), None);
        let mounted = Command::new("debugfs")
            .args(["-w", "-R", "ssv last_mounted /boot"])
            .arg(image.path())
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
        assert_eq!(last_mount(image.path()).as_deref(), Some("/boot"));
    }

    #[test]
    fn kinds_have_names() {
        let gpt = "Id  Name\n\nC12A7328-F81F-11D2-BA4B-00A0C93EC93B  EFI System\n";
        let name = name_of_kind(gpt, "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
        assert_eq!(name, Some("EFI System"));
        let dos = "Id  Name\n\n 0  Empty\n83  Linux\n";
        assert_eq!(name_of_kind(dos, "0x83"), Some("Linux"));
        assert_eq!(name_of_kind(dos, "0x7"), None);
    }

    /// A disk as an installation leaves it, and what is not one.
    #[test]
    fn the_program_itself() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        std::fs::File::create(&image)
            .unwrap()
            .set_len(8 << 20)
            .unwrap();
        assert_eq!(read(&image).unwrap(), Signature::default());
        let made = Command::new("mkswap")
            .args(["--label", "my swap"])
            .arg(&image)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let signature = read(&image).unwrap();
        assert_eq!(signature.file_system.as_deref(), Some("swap"));
        assert_eq!(signature.label.as_deref(), Some("my swap"));
        read(&folder.path().join("absent")).unwrap_err();
        let list = names_of_kinds("gpt").unwrap();
        let swap = name_of_kind(&list, "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");
        assert_eq!(swap, Some("Linux swap"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in ".*") {
            parse(&text);
            assert!(name_of_kind(&text, &text).is_none_or(|name| text.contains(name)));
        }
    }
}
