//! `hardware-configuration.nix`.

use crate::nix_text::{comment, string};

use super::{FileSystem, Hardware, Hypervisor, SwapSpace};

/// The text of the file. What the machine calls things is nothing but strings in it.
#[must_use]
pub fn hardware_configuration(hardware: &Hardware) -> String {
    let mut text = String::from(
        "# Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise\n\
         # belongs into configuration.nix.\n\
         {\n  config,\n  lib,\n  modulesPath,\n  ...\n}:\n\
         {\n",
    );
    let sections = [
        notes(hardware),
        imports(hardware),
        modules(hardware),
        firmware(hardware),
        below_file_systems(hardware),
        file_systems(hardware),
        swap_spaces(hardware),
        network(hardware),
        platform(hardware),
    ];
    let sections: Vec<String> = sections
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect();
    text += &sections.join("\n");
    text += "}\n";
    text
}

fn notes(hardware: &Hardware) -> String {
    let notes = hardware.notes.iter();
    let lines: Vec<String> = notes
        .map(|note| format!("  # {}\n", comment(note)))
        .collect();
    lines.concat()
}

fn imports(hardware: &Hardware) -> String {
    match hardware.hypervisor {
        Some(Hypervisor::Qemu) => {
            "  imports = [ (modulesPath + \"/profiles/qemu-guest.nix\") ];\n".to_owned()
        }
        Some(other) => format!("  # The machine runs in {}.\n", other.name()),
        None => String::new(),
    }
}

fn modules(hardware: &Hardware) -> String {
    let mut text = String::new();
    let processor = hardware.processor;
    let own = processor
        .vendor
        .filter(|_| processor.has_virtualization)
        .map(|vendor| format!("kvm-{}", vendor.name()));
    list(
        &mut text,
        "boot.initrd.availableKernelModules",
        &hardware.drivers,
    );
    text += "  boot.initrd.kernelModules = [ ];\n";
    list(&mut text, "boot.kernelModules", &own);
    text
}

/// Said and not done: a machine is installed without a network, and the firmware is large.
fn firmware(hardware: &Hardware) -> String {
    if hardware.without_firmware.is_empty() {
        return String::new();
    }
    let drivers: Vec<String> = hardware
        .without_firmware
        .iter()
        .map(|name| comment(name))
        .collect();
    format!(
        "  # These drivers may need firmware that was not there: {}.\n  \
         # All that Debian's component non-free-firmware has, 300 MB, comes with:\n  \
         # hardware.enableRedistributableFirmware = true;\n",
        drivers.join(", ")
    )
}

/// `name = [ "a" "b" ];`, in as many lines as the common layout takes.
fn list<'a>(text: &mut String, name: &str, values: impl IntoIterator<Item = &'a String>) {
    let values: Vec<String> = values.into_iter().map(|value| string(value)).collect();
    text.push_str(&definition(2, name, &values));
}

fn definition(indent: usize, name: &str, values: &[String]) -> String {
    let blanks = " ".repeat(indent);
    match values {
        [] => format!("{blanks}{name} = [ ];\n"),
        [value] if !value.contains('\n') => format!("{blanks}{name} = [ {value} ];\n"),
        _ => {
            let lines = values.iter();
            let lines: Vec<String> = lines.map(|value| format!("{blanks}  {value}\n")).collect();
            format!("{blanks}{name} = [\n{}{blanks}];\n", lines.concat())
        }
    }
}

/// What has to be set up before devices are there.
fn below_file_systems(hardware: &Hardware) -> String {
    let encrypted = hardware.encrypted.iter();
    let encrypted = encrypted.map(|(name, device)| {
        let (name, device) = (string(name), string(device));
        format!("  boot.initrd.luks.devices.{name}.device = {device};\n")
    });
    let others = [
        (hardware.has_arrays, "  boot.swraid.enable = true;\n"),
        (hardware.has_volumes, "  services.lvm.enable = true;\n"),
    ];
    let others = others.iter().filter(|(has, _)| *has);
    let all: Vec<String> = encrypted
        .chain(others.map(|(_, line)| (*line).to_owned()))
        .collect();
    all.concat()
}

fn file_systems(hardware: &Hardware) -> String {
    let all = hardware.file_systems.iter();
    let all: Vec<String> = all.map(file_system).collect();
    all.join("\n")
}

fn file_system(file_system: &FileSystem) -> String {
    let options: Vec<String> = file_system.options.iter().map(|it| string(it)).collect();
    let options = if options.is_empty() {
        String::new()
    } else {
        definition(4, "options", &options)
    };
    format!(
        "  fileSystems.{} = {{\n    device = {};\n    fsType = {};\n{options}  }};\n",
        string(&file_system.mount_point),
        string(&file_system.device),
        string(&file_system.fs_type),
    )
}

fn swap_spaces(hardware: &Hardware) -> String {
    let spaces = hardware.swap_spaces.iter();
    let spaces: Vec<String> = spaces
        .map(|space| match space {
            SwapSpace::Kept(device) => format!("{{ device = {}; }}", string(device)),
            SwapSpace::Volatile(device) => {
                let device = string(device);
                format!("{{\n      device = {device};\n      randomEncryption = true;\n    }}")
            }
        })
        .collect();
    definition(2, "swapDevices", &spaces)
}

fn network(hardware: &Hardware) -> String {
    let head = if hardware.interfaces.is_empty() {
        "  # No network interface was found.\n"
    } else {
        "  # Addresses by DHCP on every interface; they can be told apart:\n"
    };
    let interfaces = hardware.interfaces.iter().map(|name| {
        let name = comment(&string(name));
        format!("  # networking.interfaces.{name}.useDHCP = lib.mkDefault true;\n")
    });
    let interfaces: Vec<String> = interfaces.collect();
    [
        head,
        &interfaces.concat(),
        "  networking.useDHCP = lib.mkDefault true;\n",
    ]
    .concat()
}

fn platform(hardware: &Hardware) -> String {
    let platform = string(&format!("{}-linux", std::env::consts::ARCH));
    let platform = format!("  nixpkgs.hostPlatform = lib.mkDefault {platform};\n");
    // A virtual machine's processor gets its microcode from the machine that it is in.
    let microcode = match (hardware.processor.vendor, hardware.hypervisor) {
        (Some(vendor), None) => {
            let vendor = vendor.name();
            format!(
                "  hardware.cpu.{vendor}.updateMicrocode = \
                 lib.mkDefault config.hardware.enableRedistributableFirmware;\n"
            )
        }
        _ => String::new(),
    };
    platform + &microcode
}
