//! Processors, as `/proc/cpuinfo` has them.

use std::path::Path;

use super::read::{self, HardwareError};

/// What the first processor is; the others are like it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Processor {
    /// Who has made it.
    pub vendor: Option<Vendor>,
    /// Whether it can run virtual machines.
    pub has_virtualization: bool,
    /// Whether it says that it is a virtual machine's.
    pub is_virtual: bool,
}

/// Makers whose processors take microcode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// AMD.
    Amd,
    /// Intel.
    Intel,
}

impl Vendor {
    /// Its name in options and modules.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd => "amd",
            Self::Intel => "intel",
        }
    }
}

pub(super) fn read(machine: &Path) -> Result<Processor, HardwareError> {
    let text = read::text(&machine.join("proc/cpuinfo"))?;
    Ok(parse(&text.unwrap_or_default()))
}

fn parse(text: &str) -> Processor {
    let field = |name| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == name).then(|| value.trim())
        })
    };
    let flags: Vec<&str> = field("flags").unwrap_or_default().split(' ').collect();
    let has = |flag: &str| flags.contains(&flag);
    Processor {
        vendor: match field("vendor_id") {
            Some("AuthenticAMD") => Some(Vendor::Amd),
            Some("GenuineIntel") => Some(Vendor::Intel),
            _ => None,
        },
        has_virtualization: has("vmx") || has("svm"),
        is_virtual: has("hypervisor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors() {
        for (text, vendor, has_virtualization, is_virtual) in [
            (
                "vendor_id\t: GenuineIntel\nflags\t\t: fpu vmx\n\n",
                Some(Vendor::Intel),
                true,
                false,
            ),
            (
                "vendor_id\t: AuthenticAMD\nflags\t\t: svm hypervisor\n",
                Some(Vendor::Amd),
                true,
                true,
            ),
            (
                "vendor_id\t: AuthenticAMD\nflags\t\t: svm_lock\n",
                Some(Vendor::Amd),
                false,
                false,
            ),
            ("vendor_id\t: CentaurHauls\n", None, false, false),
            ("", None, false, false),
        ] {
            let expected = Processor {
                vendor,
                has_virtualization,
                is_virtual,
            };
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
