//! The machine that services run on, as far as conditions ask: its kind, power, size and kernel.
//!
//! Sources: `systemd.unit(5)`, "Conditions and Asserts"; `systemd-detect-virt(1)`; the kernel's
//! `Documentation/ABI/testing/sysfs-class-power` and `sysfs-firmware-dmi-entries`.

use std::cmp::Ordering;
use std::fs;
use std::path::Path;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;

use cairn_activate::{Capabilities, name_matches};
use cairn_system::{ConditionKind, UserName};

use super::accounts;
use crate::realm::realm;

/// Numbers of users from 1 to this are the system's own.
const LAST_SYSTEM_USER: u32 = 999;

/// What the firmware of a virtual machine says who made it.
const MAKERS: [(&str, &str); 13] = [
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
];

/// Whether this is so. What cannot be looked at is not.
pub fn hold(kind: ConditionKind, value: &str) -> bool {
    match kind {
        ConditionKind::KernelVersion => is_version(value, &line("/proc/sys/kernel/osrelease")),
        ConditionKind::KernelModuleLoaded => Path::new("/sys/module")
            .join(value.replace('-', "_"))
            .exists(),
        ConditionKind::Virtualization => is_virtual(value, virtualization()),
        ConditionKind::Architecture => value == "native" || value == architecture(),
        ConditionKind::Firmware => (value == "uefi") && Path::new("/sys/firmware/efi").exists(),
        ConditionKind::Host => is_host(value),
        ConditionKind::AcPower => is_yes(value) == has_power(Path::new("/sys/class/power_supply")),
        ConditionKind::Memory => fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| field(&text, "MemTotal:")?.parse::<u64>().ok())
            .is_some_and(|kibibytes| is_size(value, kibibytes.saturating_mul(1024))),
        ConditionKind::Cpus => sched_getaffinity(Pid::from_raw(0)).is_ok_and(|processors| {
            let given =
                (0..CpuSet::count()).filter(|number| processors.is_set(*number) == Ok(true));
            is_size(value, given.count() as u64)
        }),
        ConditionKind::User => is_user(value),
        ConditionKind::Capability => may_have(value),
        ConditionKind::ControlGroupController => {
            let there = line("/sys/fs/cgroup/cgroup.controllers");
            let is_there = |word| match word {
                "v2" => Path::new("/sys/fs/cgroup/cgroup.controllers").exists(),
                word => there.split(' ').any(|one| one == word),
            };
            value.split_whitespace().all(is_there)
        }
        ConditionKind::Security => is_in_force(value),
        // Those are paths, and the command line.
        _ => false,
    }
}

fn line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.trim_end_matches(['\n', '\0']).to_owned()
}

/// The first word after `name` at the beginning of a line.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()
}

fn is_yes(value: &str) -> bool {
    matches!(value, "yes" | "true" | "1" | "on" | "y")
}

/// `>=6.1 <7`, or a pattern.
fn is_version(value: &str, actual: &str) -> bool {
    value.split_whitespace().all(|word| match comparison(word) {
        Some((fits, bound)) => fits(compare_versions(actual, bound)),
        None => name_matches(word, actual),
    })
}

/// `>=2G`; without a sign it is at least so much.
fn is_size(value: &str, actual: u64) -> bool {
    let (fits, bound) = comparison(value).unwrap_or((Ordering::is_ge, value));
    let bound = bound.trim_start();
    let number = bound.trim_end_matches(['K', 'M', 'G', 'T', 'B']);
    let power = match bound.trim_end_matches('B').chars().next_back() {
        Some('K') => 10,
        Some('M') => 20,
        Some('G') => 30,
        Some('T') => 40,
        _ => 0,
    };
    (number.parse::<u64>().ok())
        .and_then(|number| number.checked_mul(1 << power))
        .is_some_and(|bound| fits(actual.cmp(&bound)))
}

/// Whether an order is as a sign asks.
type Fits = fn(Ordering) -> bool;

/// What a sign asks of an order, and what follows it.
fn comparison(text: &str) -> Option<(Fits, &str)> {
    let signs: [(&str, Fits); 8] = [
        (">=", Ordering::is_ge),
        ("<=", Ordering::is_le),
        ("!=", Ordering::is_ne),
        ("<>", Ordering::is_ne),
        ("==", Ordering::is_eq),
        ("=", Ordering::is_eq),
        (">", Ordering::is_gt),
        ("<", Ordering::is_lt),
    ];
    let mut signs = signs.into_iter();
    signs.find_map(|(sign, fits)| Some((fits, text.strip_prefix(sign)?)))
}

/// Part by part: numbers by what they are, words by their letters, and a number is more than a word.
fn compare_versions(left: &str, right: &str) -> Ordering {
    let (left, right) = (parts(left), parts(right));
    for (left, right) in left.iter().zip(&right) {
        let order = match (left.parse::<u64>(), right.parse::<u64>()) {
            (Ok(left), Ok(right)) => left.cmp(&right),
            (Ok(_), Err(_)) => Ordering::Greater,
            (Err(_), Ok(_)) => Ordering::Less,
            (Err(_), Err(_)) => left.cmp(right),
        };
        if order.is_ne() {
            return order;
        }
    }
    left.len().cmp(&right.len())
}

/// The runs of digits and of letters.
fn parts(version: &str) -> Vec<&str> {
    version
        .split(|c: char| !c.is_ascii_alphanumeric())
        .flat_map(split_runs)
        .collect()
}

fn split_runs(mut part: &str) -> Vec<&str> {
    let mut runs = Vec::new();
    while let Some(first) = part.chars().next() {
        let is_other = |c: char| c.is_ascii_digit() != first.is_ascii_digit();
        let (run, rest) = part.split_at(part.find(is_other).unwrap_or(part.len()));
        runs.push(run);
        part = rest;
    }
    runs
}

/// What a machine is that is no machine of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Virtual {
    Machine(&'static str),
    Container(&'static str),
}

fn is_virtual(value: &str, actual: Option<Virtual>) -> bool {
    match (value, actual) {
        ("vm", actual) => matches!(actual, Some(Virtual::Machine(_))),
        ("container", actual) => matches!(actual, Some(Virtual::Container(_))),
        // The first user namespace has all there are.
        ("private-users", _) => {
            let map = line("/proc/self/uid_map");
            !map.is_empty() && !map.ends_with(" 4294967295")
        }
        (value, actual) if is_yes(value) => actual.is_some(),
        ("no" | "false" | "0" | "off", actual) => actual.is_none(),
        (value, Some(Virtual::Machine(name) | Virtual::Container(name))) => value == name,
        (_, None) => false,
    }
}

fn virtualization() -> Option<Virtual> {
    let exists = |path: &str| Path::new(path).exists();
    // Whoever starts PID 1 in a container says so in its environment.
    let environment = fs::read("/proc/1/environ").unwrap_or_default();
    let said = environment
        .split(|byte| *byte == 0)
        .find_map(|one| one.strip_prefix(b"container="));
    let container = match said {
        Some(b"systemd-nspawn") => Some("systemd-nspawn"),
        Some(b"lxc" | b"lxc-libvirt") => Some("lxc"),
        Some(b"docker") => Some("docker"),
        Some(b"podman") => Some("podman"),
        Some(name) if !name.is_empty() => Some("container-other"),
        _ if exists("/run/.containerenv") => Some("podman"),
        _ if exists("/.dockerenv") => Some("docker"),
        _ if exists("/proc/vz") && !exists("/proc/bc") => Some("openvz"),
        _ => None,
    };
    if let Some(container) = container {
        return Some(Virtual::Container(container));
    }
    if line("/sys/hypervisor/type") == "xen" {
        return Some(Virtual::Machine("xen"));
    }
    let named = [
        "product_name",
        "sys_vendor",
        "board_vendor",
        "bios_vendor",
        "product_version",
    ]
    .iter()
    .find_map(|name| maker(&line(&format!("/sys/class/dmi/id/{name}"))));
    // What the firmware calls QEMU, the kernel's clock knows better.
    let clocks = line("/sys/devices/system/clocksource/clocksource0/available_clocksource");
    if matches!(named, None | Some("qemu")) && clocks.contains("kvm-clock") {
        return Some(Virtual::Machine("kvm"));
    }
    if clocks.contains("hyperv_clocksource") {
        return Some(Virtual::Machine("microsoft"));
    }
    let flagged = || {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let flags = text.lines().find(|line| line.starts_with("flags"));
        flags.is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor"))
    };
    named
        .or_else(|| flagged().then_some("vm-other"))
        .map(Virtual::Machine)
}

fn maker(text: &str) -> Option<&'static str> {
    let mut makers = MAKERS.iter();
    makers.find_map(|(start, name)| text.starts_with(start).then_some(*name))
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "x86-64",
        "aarch64" => "arm64",
        other => other,
    }
}

fn is_host(value: &str) -> bool {
    let name = line("/proc/sys/kernel/hostname");
    let id = value.replace('-', "").to_ascii_lowercase();
    name_matches(&value.to_ascii_lowercase(), &name.to_ascii_lowercase())
        || id == line("/etc/machine-id")
}

/// Whether some power comes from a socket, or none from a battery.
fn has_power(supplies: &Path) -> bool {
    let read = |path: &Path, name: &str| {
        let text = fs::read_to_string(path.join(name)).unwrap_or_default();
        text.trim_end().to_owned()
    };
    let Ok(entries) = fs::read_dir(supplies) else {
        return true;
    };
    let (mut unplugged, mut discharging) = (false, false);
    for path in entries.flatten().map(|entry| entry.path()) {
        // Of a keyboard, a mouse, …
        if read(&path, "scope") == "Device" {
            continue;
        }
        match read(&path, "type").as_str() {
            "Battery" => discharging |= read(&path, "status") == "Discharging",
            "Mains" | "USB" if read(&path, "online") == "1" => return true,
            "Mains" => unplugged = true,
            _ => {}
        }
    }
    !(unplugged || discharging)
}

fn is_user(value: &str) -> bool {
    let Some(owner) = &realm().owner else {
        return matches!(value, "root" | "0" | "@system");
    };
    let number = owner.credentials.uid;
    match value {
        "@system" => number <= LAST_SYSTEM_USER,
        value => {
            value == owner.name
                || value.parse() == Ok(number)
                || UserName::try_from(value).is_ok_and(|name| {
                    accounts::credentials(Path::new("/etc"), Some(&name), None, &[])
                        .is_ok_and(|found| found.uid == number)
                })
        }
    }
}

fn may_have(capability: &str) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = field(&status, "CapBnd:").and_then(|bits| u64::from_str_radix(bits, 16).ok());
    let name = capability.to_ascii_lowercase();
    let wanted = Capabilities::parse(std::iter::once(name.as_str())).map(Capabilities::bits);
    match (wanted, bounding) {
        (Ok(wanted), Some(bounding)) => bounding & wanted == wanted,
        _ => false,
    }
}

fn is_in_force(what: &str) -> bool {
    let is_yes = |path: &str| matches!(line(path).as_str(), "Y" | "1");
    let exists = |path: &str| Path::new(path).exists();
    match what {
        "apparmor" => is_yes("/sys/module/apparmor/parameters/enabled"),
        "selinux" => exists("/sys/fs/selinux/enforce"),
        "audit" => !line("/proc/self/loginuid").is_empty(),
        "ima" => exists("/sys/kernel/security/ima"),
        "tpm2" => exists("/sys/class/tpmrm/tpmrm0"),
        // Four bytes of attributes come first.
        "uefi-secureboot" => {
            let variable = "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
            fs::read(format!("/sys/firmware/efi/efivars/{variable}"))
                .is_ok_and(|bytes| bytes.get(4) == Some(&1))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_sizes() {
        let versions = [
            (">=6.1", true),
            (">6.1.0-50", false),
            ("<6.10", true),
            (">=6.1 <6.2", true),
            ("=6.1.0-49-amd64", true),
            ("6.1.*", true),
            ("5.*", false),
            ("!=6.1.0-49-amd64", false),
        ];
        for (value, expected) in versions {
            assert_eq!(is_version(value, "6.1.0-49-amd64"), expected, "{value}");
        }
        let sizes = [
            ("2", false),
            ("<2", true),
            (">=1K", false),
            ("=1", true),
            ("x", false),
        ];
        for (value, expected) in sizes {
            assert_eq!(is_size(value, 1), expected, "{value}");
        }
        assert!(is_size("4G", 4 << 30) && !is_size(">4GB", 4 << 30));
    }

    #[test]
    fn virtual_machines_and_containers() {
        let (machine, container) = (Virtual::Machine("kvm"), Virtual::Container("podman"));
        let table = [
            ("yes", true, true, false),
            ("vm", true, false, false),
            ("container", false, true, false),
            ("kvm", true, false, false),
            ("no", false, false, true),
        ];
        for (value, in_machine, in_container, on_metal) in table {
            assert_eq!(is_virtual(value, Some(machine)), in_machine, "{value}");
            assert_eq!(is_virtual(value, Some(container)), in_container, "{value}");
            assert_eq!(is_virtual(value, None), on_metal, "{value}");
        }
        assert_eq!(maker("QEMU Standard PC"), Some("qemu"));
        assert_eq!(maker("LENOVO"), None);
    }

    #[test]
    fn power_comes_from_somewhere() {
        let check = |supplies: &[(&str, &[(&str, &str)])]| {
            let folder = tempfile::tempdir().unwrap();
            for (name, files) in supplies {
                let supply = folder.path().join(name);
                fs::create_dir(&supply).unwrap();
                for (file, text) in *files {
                    fs::write(supply.join(file), format!("{text}\n")).unwrap();
                }
            }
            has_power(folder.path())
        };
        let unplugged: (_, &[_]) = ("AC", &[("type", "Mains"), ("online", "0")]);
        let plugged: (_, &[_]) = ("AC2", &[("type", "Mains"), ("online", "1")]);
        let battery: (_, &[_]) = ("BAT", &[("type", "Battery"), ("status", "Discharging")]);
        let mouse: (_, &[_]) = (
            "mouse",
            &[
                ("type", "Battery"),
                ("status", "Discharging"),
                ("scope", "Device"),
            ],
        );
        assert!(check(&[]) && check(&[mouse]) && check(&[unplugged, plugged, battery]));
        assert!(!check(&[unplugged]) && !check(&[battery]));
        assert!(has_power(Path::new("/nonexistent")));
    }

    #[test]
    fn what_this_machine_has() {
        for (kind, value) in [
            (ConditionKind::Memory, ">=1M"),
            (ConditionKind::Cpus, ">0"),
            (ConditionKind::Architecture, "native"),
            (ConditionKind::User, "root"),
            (ConditionKind::KernelVersion, ">=3"),
            (ConditionKind::Capability, "CAP_CHOWN"),
        ] {
            assert!(hold(kind, value), "{kind:?} {value}");
        }
        assert!(!hold(ConditionKind::Security, "magic"));
        assert!(!hold(ConditionKind::Host, "no-such-machine-?"));
    }
}
