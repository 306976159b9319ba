//! What a virtual machine runs in.
//!
//! Source: the names that firmware has in its DMI tables, `/sys/class/dmi/id`.

use std::path::Path;

use super::read::{self, HardwareError};

/// What runs the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hypervisor {
    /// QEMU, with KVM or without, and clouds that stand on it.
    Qemu,
    /// `VirtualBox`.
    VirtualBox,
    /// `VMware`.
    Vmware,
    /// Hyper-V.
    HyperV,
    /// Xen.
    Xen,
    /// Another one.
    Other,
}

impl Hypervisor {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Qemu => "QEMU",
            Self::VirtualBox => "VirtualBox",
            Self::Vmware => "VMware",
            Self::HyperV => "Hyper-V",
            Self::Xen => "Xen",
            Self::Other => "a hypervisor",
        }
    }
}

/// The beginning of a name, and whose it is.
const NAMES: [(&str, Hypervisor); 11] = [
    ("QEMU", Hypervisor::Qemu),
    ("KVM", Hypervisor::Qemu),
    ("OpenStack", Hypervisor::Qemu),
    ("Amazon EC2", Hypervisor::Qemu),
    ("Google Compute Engine", Hypervisor::Qemu),
    ("DigitalOcean", Hypervisor::Qemu),
    ("VirtualBox", Hypervisor::VirtualBox),
    ("innotek GmbH", Hypervisor::VirtualBox),
    ("VMware", Hypervisor::Vmware),
    ("VMW", Hypervisor::Vmware),
    ("Xen", Hypervisor::Xen),
];

pub(super) fn read(machine: &Path) -> Result<Option<Hypervisor>, HardwareError> {
    let folder = machine.join("sys/class/dmi/id");
    let field = |name| Ok(read::text(&folder.join(name))?.unwrap_or_default());
    let fields = [
        field("product_name")?,
        field("sys_vendor")?,
        field("board_vendor")?,
        field("bios_vendor")?,
    ];
    let processor = super::processor::read(machine)?;
    Ok(detect(&fields, processor.is_virtual))
}

/// Of the product, its maker, and who has made board and firmware. A real machine may have an odd
/// name too, and firmware of a virtual one may hide it: what the processor says settles it.
fn detect(fields: &[String; 4], is_virtual: bool) -> Option<Hypervisor> {
    let [product, vendor, ..] = fields;
    if vendor == "Microsoft Corporation" && product == "Virtual Machine" {
        return Some(Hypervisor::HyperV);
    }
    let named = fields.iter().find_map(|field| {
        let found = NAMES.iter().find(|(name, _)| field.starts_with(name));
        found.map(|(_, hypervisor)| *hypervisor)
    });
    match (named, is_virtual) {
        // Amazon's machines without a hypervisor have its name as well.
        (Some(hypervisor), _) if is_virtual || !vendor.starts_with("Amazon") => Some(hypervisor),
        (None, true) => Some(Hypervisor::Other),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hypervisors() {
        for (product, vendor, is_virtual, expected) in [
            (
                "Standard PC (Q35 + ICH9, 2009)",
                "QEMU",
                true,
                Some(Hypervisor::Qemu),
            ),
            (
                "Standard PC (i440FX + PIIX, 1996)",
                "QEMU",
                false,
                Some(Hypervisor::Qemu),
            ),
            (
                "Google Compute Engine",
                "Google",
                true,
                Some(Hypervisor::Qemu),
            ),
            (
                "VirtualBox",
                "innotek GmbH",
                true,
                Some(Hypervisor::VirtualBox),
            ),
            ("VMware7,1", "VMware, Inc.", true, Some(Hypervisor::Vmware)),
            (
                "Virtual Machine",
                "Microsoft Corporation",
                true,
                Some(Hypervisor::HyperV),
            ),
            ("Surface Pro", "Microsoft Corporation", false, None),
            ("HVM domU", "Xen", true, Some(Hypervisor::Xen)),
            ("c5.metal", "Amazon EC2", false, None),
            ("m5.large", "Amazon EC2", true, Some(Hypervisor::Qemu)),
            ("20XW", "LENOVO", false, None),
            ("", "", true, Some(Hypervisor::Other)),
            ("", "", false, None),
        ] {
            let fields = [product, vendor, "", ""].map(str::to_owned);
            assert_eq!(detect(&fields, is_virtual), expected, "{product}");
        }
    }
}
