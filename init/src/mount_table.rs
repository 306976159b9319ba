//! The kernel's list of mounts, `/proc/self/mountinfo`.
//!
//! ```text
//! 24 22 8:1 / /mnt/a\040b rw,nosuid master:3 - vfat /dev/sda1 rw
//!             mount point                      type
//! ```
//! Blanks, tabs, line feeds and backslashes of paths are written as octal numbers.
//!
//! Source: `proc_pid_mountinfo(5)`.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// Where the list is.
pub const MOUNT_TABLE: &str = "/proc/self/mountinfo";

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounted {
    /// Where.
    pub point: PathBuf,
    /// The type of the file system.
    pub fs_type: String,
}

/// The mounts, in the order in which they were made; a line that is none is left out.
pub fn parse(text: &str) -> impl Iterator<Item = Mounted> {
    text.lines().filter_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        Some(Mounted {
            point: unescape(left.split(' ').nth(4)?).into(),
            fs_type: right.split(' ').next()?.to_owned(),
        })
    })
}

/// A path as the kernel's lists have it, plainly.
pub fn unescape(text: &str) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let octal = match after {
            [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] if *first == b'\\' => {
                Some((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'))
            }
            _ => None,
        };
        plain.push(octal.unwrap_or(*first));
        let skipped = if octal.is_some() { 3 } else { 0 };
        rest = after.get(skipped..).unwrap_or_default();
    }
    OsString::from_vec(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fmt::Write as _;

    #[test]
    fn mounts_are_read() {
        let text = "\
22 1 254:2 / / rw,relatime shared:1 - ext4 /dev/vda2 rw
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw,size=1k
24 22 8:1 / /mnt/a\\040b rw,nosuid master:3 propagate_from:2 - vfat /dev/sda1 rw
broken line
";
        let mounts: Vec<String> = parse(text)
            .map(|mounted| format!("{:?} {}", mounted.point, mounted.fs_type))
            .collect();
        expect_test::expect![[r#"
            "/" ext4
            "/dev" devtmpfs
            "/mnt/a b" vfat"#]]
        .assert_eq(&mounts.join("\n"));
    }

    #[test]
    fn a_broken_escape_stays() {
        assert_eq!(unescape(r"a\040b\9\13\+12\777"), r"a b\9\13\+12\777");
    }

    proptest! {
        #[test]
        fn paths_come_back(path in "/[ \\\t\na-z0-9é]{0,20}") {
            let escaped = path.chars().fold(String::new(), |mut escaped, character| {
                match character {
                    ' ' | '\t' | '\n' | '\\' => write!(escaped, "\\{:03o}", u32::from(character)).unwrap(),
                    other => escaped.push(other),
                }
                escaped
            });
            let line = format!("1 2 0:5 / {escaped} rw - tmpfs none rw\n");
            let mounted: Vec<Mounted> = parse(&line).collect();
            let expected = Mounted { point: path.into(), fs_type: "tmpfs".to_owned() };
            prop_assert_eq!(mounted, [expected]);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[ \\\\0-9a-z/\n-]{0,100}") {
            let count = parse(&text).count();
            prop_assert!(count <= text.lines().count());
        }
    }
}
