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

/// The mounts, in the order in which they were made; a line that is none is left out. Paths may be any bytes.
pub fn parse(table: &[u8]) -> impl Iterator<Item = Mounted> {
    table.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b' ');
        let point = unescape(fields.nth(4)?);
        // After the options come some fields, or none, and a hyphen.
        let fs_type = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Mounted {
            point: point.into(),
            fs_type: String::from_utf8_lossy(fs_type).into_owned(),
        })
    })
}

/// A path as the kernel's lists have it, plainly.
pub fn unescape(text: &[u8]) -> OsString {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
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
        let text = b"\
22 1 254:2 / / rw,relatime shared:1 - ext4 /dev/vda2 rw
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw,size=1k
24 22 8:1 / /mnt/a\\040b rw,nosuid master:3 propagate_from:2 - vfat /dev/sda1 rw
25 22 8:2 / /mnt/\xfcber rw - vfat /dev/sda2 rw
broken line
26 22 8:2 / /broken rw -
";
        let mounts: Vec<String> = parse(text)
            .map(|mounted| format!("{:?} {}", mounted.point, mounted.fs_type))
            .collect();
        expect_test::expect![[r#"
            "/" ext4
            "/dev" devtmpfs
            "/mnt/a b" vfat
            "/mnt/\xFCber" vfat"#]]
        .assert_eq(&mounts.join("\n"));
    }

    #[test]
    fn a_broken_escape_stays() {
        assert_eq!(unescape(br"a\040b\9\13\+12\777"), r"a b\9\13\+12\777");
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
            let mounted: Vec<Mounted> = parse(line.as_bytes()).collect();
            let expected = Mounted { point: path.into(), fs_type: "tmpfs".to_owned() };
            prop_assert_eq!(mounted, [expected]);
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in "[ \\\\0-9a-z/\n-]{0,100}") {
            let count = parse(text.as_bytes()).count();
            prop_assert!(count <= text.lines().count());
        }
    }
}
