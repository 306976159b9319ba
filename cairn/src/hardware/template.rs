//! A first `configuration.nix`.

use crate::nix_text::{comment, string};

use super::{Firmware, Hardware};

/// What a person goes on from. It is a whole system as it is: the rest stands there as examples.
#[must_use]
pub fn configuration(hardware: &Hardware) -> String {
    let interface = hardware.interfaces.first().map_or("eth0", String::as_str);
    format!(
        r#"# What this machine is. After a change, `cairn switch` builds the system anew, runs it, and boots it
# from now on; `cairn rollback` goes back. `cairn options WORD` finds what else can be said here.
{{
  config,
  lib,
  pkgs,
  ...
}}:
{{
  imports = [
    # What was found on this machine.
    ./hardware-configuration.nix
  ];

{boot}
  networking.hostName = "cairn";
  # networking.interfaces.{interface}.ipv4.addresses = [
  #   {{ address = "192.0.2.10"; prefixLength = 24; }}
  # ];
  # networking.defaultGateway = "192.0.2.1";
  # networking.nameservers = [ "192.0.2.1" ];
  # networking.firewall.allowedTCPPorts = [ 80 443 ];

  # time.timeZone = "Europe/Amsterdam";
  # i18n.defaultLocale = "en_GB.UTF-8";
  # console.keyMap = "us";

  # A person, with the right to become root. `passwd alice` sets a password that stays;
  # hashedPassword takes what mkpasswd prints.
  # users.users.alice = {{
  #   isNormalUser = true;
  #   extraGroups = [ "wheel" ];
  #   openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA… alice@example" ];
  #   packages = with pkgs; [ tree ];
  # }};

  # Programs for everybody, by the names of Debian's packages.
  environment.systemPackages = with pkgs; [
    # vim
    # wget
  ];

  # services.openssh.enable = true;

  # The release that the machine was set up with. It says what old data look like: leave it as it is.
  system.stateVersion = {version};
}}
"#,
        boot = boot(hardware),
        interface = comment(&string(interface)),
        version = string(env!("CARGO_PKG_VERSION")),
    )
}

const UEFI: &str = "  # The firmware starts GRUB from the EFI system partition.\n  \
                    boot.loader.grub.device = \"nodev\";\n";

/// What a machine needs whose firmware starts only what is signed.
pub(crate) const SECURE_BOOT: &str = "  # Secure Boot is on: the firmware starts Debian's signed shim, GRUB and kernel.\n  \
     boot.loader.grub.secureBoot.enable = true;\n";

fn boot(hardware: &Hardware) -> String {
    match (hardware.firmware, &hardware.root_disk) {
        (Firmware::Uefi, _) => UEFI.to_owned(),
        (Firmware::SecureUefi, _) => format!("{UEFI}{SECURE_BOOT}"),
        (Firmware::Bios, Some(disk)) => format!(
            "  # The disk whose boot sector starts GRUB.\n  boot.loader.grub.device = {};\n",
            string(disk)
        ),
        (Firmware::Bios, None) => {
            "  # The disk whose boot sector starts GRUB; it could not be told which one that is.\n  \
             # boot.loader.grub.device = \"/dev/sda\";\n"
                .to_owned()
        }
    }
}
