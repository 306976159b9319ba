//! The file `uevent` of a device's folder: what the kernel says in its events, a line each.
//!
//! Invariant: what a device says of itself is no line of its own. The kernel writes names of keyboards and the like into
//! this file as they are, with line ends in them (in its events lines end with a NUL, which no name has). So the first
//! line of a name counts, numbers are those that the kernel says elsewhere too, and names are none that only rules give
//! or that would change what a program does.
//!
//! Source: `uevent_show` in the kernel's `drivers/base/core.c`, which writes numbers first.

use super::Properties;

/// What only rules say of a device, and what is no matter of devices.
const NEVER_THE_KERNELS: [&str; 12] = [
    "ACTION",
    "BASH_ENV",
    "CURRENT_TAGS",
    "DEVLINKS",
    "DEVPATH",
    "ENV",
    "IFS",
    "PATH",
    "SEQNUM",
    "SUBSYSTEM",
    "TAGS",
    "USEC_INITIALIZED",
];

/// The beginnings of such names.
const NEVER_AT_THE_START: [&str; 8] = [
    "DM_", "ID_", "LD_", "MD_", "PERL", "PYTHON", "SYSTEMD_", "UDEV_",
];

/// The lines of the file.
pub(super) fn parse(text: &str) -> Properties {
    let mut properties = Properties::new();
    let lines = text.lines().filter_map(|line| line.split_once('='));
    for (name, value) in lines.filter(|(name, _)| is_the_kernels(name)) {
        properties
            .entry(name.to_owned())
            .or_insert_with(|| value.to_owned());
    }
    properties
}

fn is_the_kernels(name: &str) -> bool {
    let mut starts = NEVER_AT_THE_START.iter();
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !NEVER_THE_KERNELS.contains(&name)
        && !starts.any(|start| name.starts_with(start))
}

/// Without numbers that the device's files `dev` and `ifindex`, which `said` reads, do not say as well.
pub(super) fn trusted(
    mut properties: Properties,
    said: impl Fn(&str) -> Option<Vec<u8>>,
) -> Properties {
    let is_said = |file: &str, number: &str| {
        said(file).is_some_and(|text| String::from_utf8_lossy(&text).trim_end() == number)
    };
    if let (Some(major), Some(minor)) = (properties.get("MAJOR"), properties.get("MINOR")) {
        if !is_said("dev", &format!("{major}:{minor}")) {
            for name in ["MAJOR", "MINOR", "DEVNAME", "DEVMODE", "DEVUID", "DEVGID"] {
                properties.remove(name);
            }
        }
    } else {
        // Without numbers there is no node.
        properties.remove("DEVNAME");
    }
    if properties
        .get("IFINDEX")
        .is_some_and(|number| !is_said("ifindex", number))
    {
        properties.remove("IFINDEX");
    }
    properties
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    #[test]
    fn a_keyboards_name_is_no_line() {
        let text = "MAJOR=13\nMINOR=64\nDEVNAME=input/event0\nNAME=\"x\nMAJOR=8\nDEVNAME=sda\nIFINDEX=1\n\
            ID_BUS=usb\nSYSTEMD_WANTS=evil\nLD_PRELOAD=/media/x.so\nPATH=/media\na b=c\n.X=y\nPHYS=\"y\"\n";
        let said = |name: &str| (name == "dev").then(|| b"13:64\n".to_vec());
        expect![[r#"
            {
                "DEVNAME": "input/event0",
                "MAJOR": "13",
                "MINOR": "64",
                "NAME": "\"x",
                "PHYS": "\"y\"",
            }
        "#]]
        .assert_debug_eq(&trusted(parse(text), said));
        let text = "NAME=x\nMAJOR=8\nMINOR=0\nDEVNAME=sda\n";
        expect![[r#"
            {
                "NAME": "x",
            }
        "#]]
        .assert_debug_eq(&trusted(parse(text), |_| None));
    }
}
