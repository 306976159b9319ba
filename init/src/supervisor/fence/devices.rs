//! Which devices a control group may use, as a program.
//!
//! ```text
//! struct bpf_cgroup_dev_ctx
//! 0   kind of the device (1 block, 2 character), and 16 bits higher what is done (1 mknod, 2 read, 4 write)
//! 4   major number
//! 8   minor number
//! ```

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use cairn_sys::bpf::Instruction;
use cairn_system::{AllowedDevice, DeviceKind};
use nix::libc::{major, minor};

use super::assembly::{and, copy, load, rule, shift_right, verdict};

const KIND: u8 = 2;
const DONE: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

/// Everything that can be done.
const ALL: u32 = 7;

/// Devices, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    /// What may be done.
    access: u32,
}

/// The numbers of what is allowed, as the machine below `root` has the devices now. What is not there
/// is left out.
pub fn resolve(root: &Path, allowed: &[AllowedDevice]) -> Vec<Numbers> {
    let drivers = fs::read_to_string(root.join("proc/devices")).unwrap_or_else(|error| {
        log::error!("cannot read /proc/devices: {error}; groups of devices are not allowed");
        String::new()
    });
    let mut numbers = Vec::new();
    for one in allowed {
        let access = one.access.bits();
        match (one.kind, one.group()) {
            (Some(kind), Some(pattern)) => {
                let majors = majors(&drivers, kind, pattern);
                numbers.extend(majors.map(|major| Numbers {
                    kind,
                    major,
                    minor: None,
                    access,
                }));
            }
            _ => numbers.extend(
                nodes(root, &one.name)
                    .into_iter()
                    .map(|(kind, major, minor)| Numbers {
                        kind,
                        major: Some(major),
                        minor: Some(minor),
                        access,
                    }),
            ),
        }
    }
    numbers
}

/// The nodes that a path stands for, which may end in a pattern.
fn nodes(root: &Path, path: &str) -> Vec<(DeviceKind, u32, u32)> {
    let path = Path::new(path.trim_start_matches('/'));
    let name = path.file_name().and_then(|name| name.to_str());
    let paths = match (name, path.parent()) {
        (Some(pattern), Some(folder)) if is_pattern(pattern) => fs::read_dir(root.join(folder))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                let name = entry.file_name();
                name.to_str().is_some_and(|name| matches(pattern, name))
            })
            .map(|entry| entry.path())
            .collect(),
        _ => vec![root.join(path)],
    };
    let node = |path: &std::path::PathBuf| {
        let metadata = fs::metadata(path).ok()?;
        let kind = match metadata.file_type() {
            kind if kind.is_block_device() => DeviceKind::Block,
            kind if kind.is_char_device() => DeviceKind::Char,
            _ => return None,
        };
        let number = metadata.rdev();
        Some((kind, major(number), minor(number)))
    };
    paths.iter().filter_map(node).collect()
}

/// The major numbers of the drivers that the pattern names; none stands for all.
fn majors<'a>(
    drivers: &'a str,
    kind: DeviceKind,
    pattern: &'a str,
) -> impl Iterator<Item = Option<u32>> + 'a {
    let (begin, end) = match kind {
        DeviceKind::Char => ("Character devices:", "Block devices:"),
        DeviceKind::Block => ("Block devices:", "Character devices:"),
    };
    let all = (pattern == "*").then_some(None);
    let listed = drivers
        .lines()
        .skip_while(move |line| *line != begin)
        .take_while(move |line| *line != end)
        .filter_map(move |line| {
            let (number, name) = line.trim().split_once(' ')?;
            let number: u32 = number.parse().ok()?;
            (matches(pattern, name) && pattern != "*").then_some(Some(number))
        });
    all.into_iter().chain(listed)
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}

fn matches(pattern: &str, text: &str) -> bool {
    crate::autoload::wildcard::matches(pattern.as_bytes(), text.as_bytes())
}

/// The program that lets through what is `allowed`.
pub fn program(allowed: &[Numbers]) -> Vec<Instruction> {
    let mut program = vec![
        load(KIND, 1, 0),
        copy(DONE, KIND),
        and(KIND, 0xffff),
        shift_right(DONE, 16),
        load(MAJOR, 1, 4),
        load(MINOR, 1, 8),
    ];
    for one in allowed {
        let kind = match one.kind {
            DeviceKind::Block => 1,
            DeviceKind::Char => 2,
        };
        let mut parts = vec![(Vec::new(), KIND, kind)];
        if one.access != ALL {
            let beyond = vec![copy(SCRATCH, DONE), and(SCRATCH, ALL & !one.access)];
            parts.push((beyond, SCRATCH, 0));
        }
        parts.extend(one.major.map(|number| (Vec::new(), MAJOR, number)));
        parts.extend(one.minor.map(|number| (Vec::new(), MINOR, number)));
        program.extend(rule(&parts, true));
    }
    program.extend(verdict(false));
    program
}

#[cfg(test)]
mod tests {
    use super::super::assembly::{run, text};
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    #[test]
    fn a_program_asks_for_kind_access_and_numbers() {
        let allowed = [
            Numbers {
                kind: DeviceKind::Char,
                major: Some(1),
                minor: Some(3),
                access: 6,
            },
            Numbers {
                kind: DeviceKind::Block,
                major: None,
                minor: None,
                access: 7,
            },
        ];
        expect![[r#"
             0 w2 = [r1 + 0]
             1 r3 = r2
             2 w2 &= 0xffff
             3 w3 >>= 16
             4 w4 = [r1 + 4]
             5 w5 = [r1 + 8]
             6 if w2 != 0x2 goto 14
             7 r6 = r3
             8 w6 &= 0x1
             9 if w6 != 0x0 goto 14
            10 if w4 != 0x1 goto 14
            11 if w5 != 0x3 goto 14
            12 r0 = 1
            13 exit
            14 if w2 != 0x1 goto 17
            15 r0 = 1
            16 exit
            17 r0 = 0
            18 exit
        "#]]
        .assert_eq(&text(&program(&allowed)));
    }

    fn numbers() -> impl Strategy<Value = Numbers> {
        let kind = prop_oneof![Just(DeviceKind::Block), Just(DeviceKind::Char)];
        let number = || prop::option::of(0..3_u32);
        (kind, number(), number(), 0..8_u32).prop_map(|(kind, major, minor, access)| Numbers {
            kind,
            major,
            minor,
            access,
        })
    }

    proptest! {
        #[test]
        fn a_program_decides_as_the_list_says(
            allowed in prop::collection::vec(numbers(), 0..4),
            block: bool, major in 0..3_u32, minor in 0..3_u32, access in 1..8_u32,
        ) {
            let kind = if block { DeviceKind::Block } else { DeviceKind::Char };
            let expected = allowed.iter().any(|one| {
                one.kind == kind
                    && one.major.is_none_or(|number| number == major)
                    && one.minor.is_none_or(|number| number == minor)
                    && access & !one.access == 0
            });
            let first = access << 16 | if block { 1 } else { 2 };
            let context = [first, major, minor].map(u32::to_ne_bytes).concat();
            prop_assert_eq!(run(&program(&allowed), &context, &[]), Some(expected));
        }
    }

    #[test]
    fn names_become_numbers() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("proc")).unwrap();
        let drivers =
            "Character devices:\n  1 mem\n136 pts\n204 ttyMAX\n\nBlock devices:\n  8 sd\n 65 sd\n";
        fs::write(root.path().join("proc/devices"), drivers).unwrap();
        let check = |text: &str, expected: &expect_test::Expect| {
            let allowed = [text.parse().unwrap()];
            let numbers: Vec<String> = resolve(root.path(), &allowed)
                .iter()
                .map(|one| {
                    let part = |number: Option<u32>| {
                        number.map_or("*".to_owned(), |number| number.to_string())
                    };
                    let (major, minor) = (part(one.major), part(one.minor));
                    format!("{:?} {major}:{minor} {}", one.kind, one.access)
                })
                .collect();
            expected.assert_eq(&numbers.join(", "));
        };
        check("char-pts rw", &expect!["Char 136:* 6"]);
        check("block-sd", &expect!["Block 8:* 7, Block 65:* 7"]);
        check("char-tty* r", &expect!["Char 204:* 2"]);
        check("char-* m", &expect!["Char *:* 1"]);
        check("char-sd", &expect![""]);
        check("/dev/null", &expect![""]);
        let here = resolve(Path::new("/"), &["/dev/nul? rw".parse().unwrap()]);
        assert_eq!(
            here,
            [Numbers {
                kind: DeviceKind::Char,
                major: Some(1),
                minor: Some(3),
                access: 6
            }]
        );
    }
}
