//! What is found on several machines, the files that are written of it, and that they are systems.

#![forbid(unsafe_code)]
#![cfg(test)]

#[allow(dead_code, reason = "other tests use more of it")]
#[path = "../evaluation/mod.rs"]
mod evaluation;
mod machine;
mod machines;

use cairn::hardware::{Firmware, Hardware, configuration, hardware_configuration};
use evaluation::Evaluation;
use expect_test::{Expect, expect, expect_file};

/// The file is as expected, and a system of the modules.
fn check(hardware: &Hardware, name: &str) {
    check_text(hardware, name);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("configuration.nix");
    std::fs::write(
        folder.path().join("hardware-configuration.nix"),
        hardware_configuration(hardware),
    )
    .unwrap();
    std::fs::write(&file, configuration(hardware)).unwrap();
    let evaluation = Evaluation::of(&file);
    let output = evaluation.run(&[], "machine.system");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {errors}");
}

/// The file is as expected, and in the common layout.
fn check_text(hardware: &Hardware, name: &str) {
    let text = hardware_configuration(hardware);
    expect_file![format!(
        "{}/tests/hardware/expected/{name}.nix",
        env!("CARGO_MANIFEST_DIR")
    )]
    .assert_eq(&text);
    for text in [&text, &configuration(hardware)] {
        assert_eq!(&nixfmt_rs::format(text).unwrap(), text);
    }
}

#[test]
fn a_laptop() {
    check(&machines::laptop().scan(), "laptop");
}

#[test]
fn a_virtual_machine() {
    check(&machines::virtual_machine().scan(), "virtual-machine");
}

#[test]
fn a_server() {
    check(&machines::server().scan(), "server");
}

#[test]
fn names_that_want_to_be_more_are_strings() {
    check(&machines::hostile().scan(), "hostile");
}

/// Four bytes of attributes, and whether Secure Boot is on.
#[test]
fn what_starts_under_secure_boot_is_signed() {
    let variable = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    for (content, firmware) in [
        ("\u{6}\0\0\0\u{1}", Firmware::SecureUefi),
        ("\u{6}\0\0\0\0", Firmware::Uefi),
        ("", Firmware::Uefi),
    ] {
        let machine = machines::laptop();
        machine.file(variable, content);
        let hardware = machine.scan();
        assert_eq!(hardware.firmware, firmware, "{content:?}");
        let text = configuration(&hardware);
        assert_eq!(nixfmt_rs::format(&text).unwrap(), text);
        assert_eq!(
            text.contains("\n  boot.loader.grub.secureBoot.enable = true;\n"),
            firmware == Firmware::SecureUefi,
            "{text}"
        );
    }
}

fn check_configuration(hardware: &Hardware, expected: &Expect) {
    expected.assert_eq(&configuration(hardware));
}

#[test]
fn a_first_configuration() {
    check_configuration(
        &machines::virtual_machine().scan(),
        &expect![[r##"
            # What this machine is. After a change, `cairn switch` builds the system anew, runs it, and boots it
            # from now on; `cairn rollback` goes back. `cairn options WORD` finds what else can be said here.
            {
              config,
              lib,
              pkgs,
              ...
            }:
            {
              imports = [
                # What was found on this machine.
                ./hardware-configuration.nix
              ];

              # The disk whose boot sector starts GRUB.
              boot.loader.grub.device = "/dev/vda";

              networking.hostName = "cairn";
              # networking.interfaces."eth0".ipv4.addresses = [
              #   { address = "192.0.2.10"; prefixLength = 24; }
              # ];
              # networking.defaultGateway = "192.0.2.1";
              # networking.nameservers = [ "192.0.2.1" ];
              # networking.firewall.allowedTCPPorts = [ 80 443 ];

              # time.timeZone = "Europe/Amsterdam";
              # i18n.defaultLocale = "en_GB.UTF-8";
              # console.keyMap = "us";

              # A person, with the right to become root. `passwd alice` sets a password that stays;
              # hashedPassword takes what mkpasswd prints.
              # users.users.alice = {
              #   isNormalUser = true;
              #   extraGroups = [ "wheel" ];
              #   openssh.authorizedKeys.keys = [ "ssh-ed25519 AAAA… alice@example" ];
              #   packages = with pkgs; [ tree ];
              # };

              # Programs for everybody, by the names of Debian's packages.
              environment.systemPackages = with pkgs; [
                # vim
                # wget
              ];

              # services.openssh.enable = true;

              # The release that the machine was set up with. It says what old data look like: leave it as it is.
              system.stateVersion = "0.1.0";
            }
        "##]],
    );
}

#[test]
fn what_cannot_be_described_is_said() {
    expect![[r#"
        The mount on '/' is left out: overlay is not described.
        The device 'cached' is of a kind of the device mapper that is not known.
        The mount on '/image' is left out: it is the file '/srv/image file'.
        The mount on '/part' is left out: it is the folder '/only/this' of a file system that is not mounted as a whole.
        The mount on '/remote' is left out: fuse.sshfs is not described.
        No file system that can be booted from is mounted on /mnt.
        The swap space '/dev/gone' is left out: it is no device."#]].assert_eq(&machines::odd().scan().notes.join("\n"));
}

/// On the machine that runs the test, whatever it has.
#[test]
fn the_tool_of_nixos_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("nixos-generate-config");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_cairn"), &link).unwrap();
    let run = |arguments: &[&str]| {
        let output = std::process::Command::new(&link).args(arguments).output();
        let output = output.unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
            errors,
        )
    };
    let target = folder.path().join("files");
    let target = target.to_str().unwrap();
    let (success, told, errors) = run(&["--no-filesystems", "--dir", target]);
    assert!(success, "{errors}");
    assert_eq!(
        told,
        format!("{target}/hardware-configuration.nix\n{target}/configuration.nix\n")
    );
    let (success, shown, errors) = run(&["--no-filesystems", "--show-hardware-config"]);
    assert!(success, "{errors}");
    let written = std::fs::read_to_string(format!("{target}/hardware-configuration.nix")).unwrap();
    assert_eq!(shown, written);
    assert!(!shown.contains("fileSystems"), "{shown}");
    let (success, _, errors) = run(&["--root", "/nowhere/at/all"]);
    assert!(!success);
    expect![[r#"
        cairn: cannot look below '/nowhere/at/all': No such file or directory (os error 2)
    "#]]
    .assert_eq(&errors);
}

/// Each root that the dialogue offers has its initrd's parts on the medium.
#[test]
fn the_medium_has_the_parts_of_machines() {
    let example = evaluation::repository().join("examples/iso/configuration.nix");
    let evaluation = Evaluation::of(&example);
    let parts = "map (item: builtins.seq item.drvPath item.name) config.isoImage.storeContents";
    let parts = evaluation.value(parts);
    assert_eq!(
        parts,
        serde_json::json!([
            "parts-of-a-machine",
            "parts-of-a-machine",
            "parts-of-a-machine"
        ])
    );
}
