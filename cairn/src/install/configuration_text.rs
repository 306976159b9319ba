//! `configuration.nix` as the answers have it: readable, to be gone on from.

use super::answers::{Account, Answers, FileSystemKind};
use super::words::SshKey;
use crate::hardware::{Firmware, SECURE_BOOT_LINES};
use crate::nix_text::string;

/// Whether the machine gets an entry in the menu of its firmware.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirmwareEntry {
    /// It does.
    Written,
    /// It has no such menu, or the disk is one that goes from machine to machine.
    None,
}

/// The text of the file.
#[must_use]
pub fn configuration(answers: &Answers, firmware: Firmware, entry: FirmwareEntry) -> String {
    let sections = [
        boot(answers, firmware, entry),
        machine(answers),
        place(answers),
        people(answers),
        extra(answers),
    ];
    let sections: Vec<String> = sections
        .into_iter()
        .filter(|section| !section.is_empty())
        .collect();
    format!(
        "# What this machine is, as `cairn install` was told. After a change, `cairn switch` builds the\n\
         # system anew, runs it, and boots it from now on; `cairn rollback` goes back. `cairn options WORD`\n\
         # finds what else can be said here.\n\
         {{ config, lib, pkgs, ... }}:\n\
         {{\n  \
           imports = [\n    \
             # What was found on this machine, and how its disk is divided.\n    \
             ./hardware-configuration.nix\n  \
           ];\n\n\
         {}\n  \
           # The release that the machine was set up with. It says what old data look like: leave it as it\n  \
           # is.\n  \
           system.stateVersion = {};\n\
         }}\n",
        sections.join("\n"),
        string(env!("CARGO_PKG_VERSION")),
    )
}

/// What GRUB starts from is found from where `/boot` is: names of disks change when disks are added.
fn boot(answers: &Answers, firmware: Firmware, entry: FirmwareEntry) -> String {
    let mut text =
        "  # GRUB is on the disk that has /boot, for BIOS and for UEFI firmware.\n".to_owned();
    if answers.layout.file_system != FileSystemKind::Ext4 || answers.layout.encryption.is_some() {
        text += "  # It does not read the root: kernels are on a partition of their own.\n";
    }
    text += "  boot.loader.grub.enable = true;\n";
    if firmware == Firmware::SecureUefi {
        text += SECURE_BOOT_LINES;
    }
    if entry == FirmwareEntry::Written {
        text += "  # The firmware's own menu has an entry for it, before all others.\n";
        text += "  boot.loader.efi.canTouchEfiVariables = true;\n";
    }
    text
}

fn machine(answers: &Answers) -> String {
    let name = answers.host_name.as_ref();
    let name = name.map_or("cairn", |name| name.as_str());
    format!("  networking.hostName = {};\n", string(name))
}

fn place(answers: &Answers) -> String {
    let lines = [
        ("time.timeZone", &answers.time_zone),
        ("i18n.defaultLocale", &answers.locale),
        ("console.keyMap", &answers.keyboard),
    ];
    let lines = lines.into_iter().filter_map(|(option, value)| {
        let value = value.as_ref()?;
        Some(format!("  {option} = {};\n", string(value.as_str())))
    });
    lines.collect()
}

fn people(answers: &Answers) -> String {
    let mut text = String::new();
    if !answers.root.ssh_keys.is_empty() {
        text += "  users.users.root.openssh.authorizedKeys.keys = [\n";
        text += &keys(4, &answers.root.ssh_keys);
        text += "  ];\n";
    }
    if !answers.users.is_empty() {
        text += "  # Passwords were set when the machine was installed, and are not here: `passwd` changes them.\n";
    }
    text.extend(answers.users.iter().map(user));
    let has_keys = |user: &Account| !user.ssh_keys.is_empty();
    if !answers.root.ssh_keys.is_empty() || answers.users.iter().any(has_keys) {
        text += "  services.openssh.enable = true;\n";
    }
    text
}

fn user(user: &Account) -> String {
    let name = user.full_name.as_ref();
    let lines = [
        Some(format!("  users.users.{} = {{", string(user.name.as_str()))),
        Some("    isNormalUser = true;".to_owned()),
        name.map(|name| format!("    description = {};", string(name.as_str()))),
        user.administrator
            .then(|| "    extraGroups = [ \"wheel\" ];".to_owned()),
        (!user.ssh_keys.is_empty()).then(|| {
            let keys = keys(6, &user.ssh_keys);
            format!("    openssh.authorizedKeys.keys = [\n{keys}    ];")
        }),
        Some("  };".to_owned()),
    ];
    lines
        .into_iter()
        .flatten()
        .map(|line| line + "\n")
        .collect()
}

fn keys(indent: usize, keys: &[SshKey]) -> String {
    let blanks = " ".repeat(indent);
    let lines = keys.iter().map(|key| string(key.as_str()));
    lines
        .map(|key| [&blanks, key.as_str(), "\n"].concat())
        .collect()
}

/// What was to be in the configuration as it is.
fn extra(answers: &Answers) -> String {
    let Some(extra) = &answers.extra else {
        return String::new();
    };
    // Blanks would become a part of strings that go on in another line.
    let is_closed = |line: &str| line.matches('"').count().is_multiple_of(2);
    let has_strings = extra.contains("''") || extra.contains("\\\"");
    if has_strings || !extra.lines().all(is_closed) {
        return format!("  # As it was asked for.\n{}\n", extra.trim_end());
    }
    let lines = extra.lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("  {line}\n"),
    });
    format!("  # As it was asked for.\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_of_several_lines_stay_as_they_are() {
        for (given, written) in [
            ("a = 1;\n\nb = \"x\";", "  a = 1;\n\n  b = \"x\";\n"),
            ("a = \"x\ny\";", "a = \"x\ny\";\n"),
            ("a = ''x\n  y'';\n", "a = ''x\n  y'';\n"),
            ("a = \"x\\\"\ny\";", "a = \"x\\\"\ny\";\n"),
        ] {
            let mut answers = Answers::parse("disk = '/dev/x'").unwrap();
            answers.extra = Some(given.to_owned());
            let text = extra(&answers);
            assert_eq!(text, format!("  # As it was asked for.\n{written}"));
        }
    }
}
