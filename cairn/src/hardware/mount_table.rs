//! `/proc/self/mountinfo`.
//!
//! Source: `proc_pid_mountinfo(5)`:
//!
//! ```text
//! 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
//!       |    |     |     |                      |    |         |
//!       device     mount point                  type source    the file system's options
//!            |           the mount's options
//!            folder of the file system
//! ```

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Major and minor number; the major one is 0 where the file system has no device of its own.
    pub(crate) number: String,
    /// The folder of the file system that is mounted.
    pub(crate) folder: String,
    pub(crate) point: String,
    pub(crate) options: Vec<String>,
    pub(crate) fs_type: String,
    pub(crate) source: String,
    pub(crate) fs_options: Vec<String>,
}

/// Reads the table. A line that is not understood is left out: the kernel writes none.
pub(crate) fn parse(text: &str) -> Vec<Mount> {
    text.lines().filter_map(line).collect()
}

fn line(line: &str) -> Option<Mount> {
    // A source may be empty, so that blanks count.
    let (mount, file_system) = line.split_once(" - ")?;
    let mut mount = mount.split(' ').skip(2);
    let mut file_system = file_system.split(' ');
    let list = |text: &str| text.split(',').map(unescaped).collect();
    Some(Mount {
        number: mount.next()?.to_owned(),
        folder: unescaped(mount.next()?),
        point: unescaped(mount.next()?),
        options: list(mount.next()?),
        fs_type: file_system.next()?.to_owned(),
        source: unescaped(file_system.next()?),
        fs_options: list(file_system.next()?),
    })
}

/// Blanks, tabs, line ends and backslashes are octal numbers.
pub(crate) fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        let code = more.get(..3).filter(|_| *first == b'\\').and_then(octal);
        if let Some(byte) = code {
            bytes.push(byte);
            rest = more.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_of_the_kernel() {
        let text = "36 35 8:1 / /mnt\\040a\\134b rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n\
                    37 35 0:22 / /empty rw - tmpfs  rw,size=10k\n\
                    nonsense\n";
        expect![[r#"
            [
                Mount {
                    number: "8:1",
                    folder: "/",
                    point: "/mnt a\\b",
                    options: [
                        "rw",
                        "noatime",
                    ],
                    fs_type: "ext4",
                    source: "/dev/sda1",
                    fs_options: [
                        "rw",
                        "errors=remount-ro",
                    ],
                },
                Mount {
                    number: "0:22",
                    folder: "/",
                    point: "/empty",
                    options: [
                        "rw",
                    ],
                    fs_type: "tmpfs",
                    source: "",
                    fs_options: [
                        "rw",
                        "size=10k",
                    ],
                },
            ]
        "#]]
        .assert_debug_eq(&parse(text));
    }

    proptest! {
        #[test]
        fn what_was_escaped_comes_back(text in "[a \\t\\n\\\\é0-9]{0,20}") {
            let escape = |character| match character {
                ' ' | '\t' | '\n' | '\\' => format!("\\{:03o}", u32::from(character)),
                other => String::from(other),
            };
            let escaped: String = text.chars().map(escape).collect();
            prop_assert_eq!(unescaped(&escaped), text);
        }

        #[test]
        fn no_table_panics(text in "[0-9:/ a,\\\\-]{0,80}") {
            parse(&text);
        }
    }
}
