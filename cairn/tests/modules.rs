//! The modules, evaluated by real Nix and by Cairn's evaluator: the examples, every option's
//! example, and what is said of configurations that contradict themselves.

#![forbid(unsafe_code)]
#![cfg(test)]

mod evaluation;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use cairn_system::SystemDescription;
use evaluation::{Evaluation, repository};
use expect_test::{Expect, expect};
use serde_json::json;

/// A machine with no more than it must have, and `text`.
fn check(text: &str, expected: &Expect) {
    let module = format!(
        "{{ config, lib, pkgs, ... }}: {{ fileSystems.\"/\".device = \"LABEL=root\";\n{text}\n}}"
    );
    expected.assert_eq(&Evaluation::of_text(&module).error());
}

#[test]
fn the_smallest_example_is_as_people_write_it() {
    let text = fs::read_to_string(repository().join("examples/minimal/configuration.nix")).unwrap();
    expect![[r#"
        { config, pkgs, ... }:
        {
          boot.loader.grub.device = "/dev/sda";
          fileSystems."/".device = "/dev/sda1";
          services.sshd.enable = true;
        }
    "#]]
    .assert_eq(&text);
}

#[test]
fn the_modules_are_of_this_version() {
    let text = fs::read_to_string(repository().join("modules/version.nix")).unwrap();
    assert!(text.contains(&format!("\"{}\"", env!("CARGO_PKG_VERSION"))));
}

fn examples() -> Vec<PathBuf> {
    let folder = repository().join("examples");
    let mut examples: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path().join("configuration.nix"))
        .collect();
    examples.sort();
    assert!(examples.len() >= 3);
    examples
}

#[test]
fn every_example_is_a_system() {
    for example in examples() {
        let evaluation = Evaluation::of(&example);
        let output = evaluation.run(&[], "machine.system");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {errors}", example.display());
        let ours = evaluation.run_ours(&["--readonly-mode"], "machine.system");
        let errors = String::from_utf8_lossy(&ours.stderr);
        assert_eq!(
            ours.stdout,
            output.stdout,
            "{}: {errors}",
            example.display()
        );
        let description = evaluation
            .value("config.system.build.description")
            .to_string();
        let description = SystemDescription::parse(&description);
        assert!(
            description.is_ok(),
            "{}: {description:?}",
            example.display()
        );
        let facts = evaluation.value("config.system.build.imageFacts");
        assert!(facts.is_object(), "{}", example.display());
    }
}

/// As `nixos-generate-config` writes them, and as people go on from there.
#[test]
fn a_configuration_for_nixos_is_taken() {
    let evaluation = Evaluation::of_text(
        r#"{ config, lib, pkgs, modulesPath, ... }:
        {
          imports = [ (modulesPath + "/installer/scan/not-detected.nix") ];
          boot.initrd.availableKernelModules = [ "ahci" "xhci_pci" "virtio_pci" "sr_mod" ];
          boot.initrd.kernelModules = [ ];
          boot.kernelModules = [ "kvm-intel" ];
          boot.extraModulePackages = [ ];
          boot.loader.grub.enable = true;
          boot.loader.grub.version = 2;
          boot.loader.grub.device = "/dev/sda";
          boot.plymouth.enable = false;
          fileSystems."/" = {
            device = "/dev/disk/by-uuid/8d4d2cd5-2ac5-4f49-9e5e-0d1c2f5a3c11";
            fsType = "ext4";
          };
          swapDevices = [ { device = "/dev/disk/by-uuid/0f0e2a5c-5a37-4f0f-bb45-9c31cf4f8d9e"; } ];
          networking.useDHCP = lib.mkDefault true;
          networking.hostName = "nixos";
          nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
          nixpkgs.config.allowUnfree = true;
          nix.settings.experimental-features = [ "nix-command" "flakes" ];
          hardware.cpu.intel.updateMicrocode =
            lib.mkDefault config.hardware.enableRedistributableFirmware;
          time.timeZone = "Europe/Amsterdam";
          users.users.alice = {
            isNormalUser = true;
            extraGroups = [ "wheel" ];
            packages = with pkgs; [ tree ];
            shell = pkgs.zsh;
          };
          programs.zsh.enable = true;
          programs.mtr.enable = true;
          environment.systemPackages = with pkgs; [ vim wget ];
          services.openssh.enable = true;
          networking.firewall.allowedTCPPorts = [ 80 443 ];
          networking.bridges.br0.interfaces = [ "eth1" ];
          networking.vlans.office = { id = 10; interface = "br0"; };
          networking.bonds.bond0 = { interfaces = [ "eth2" "eth3" ]; driverOptions.mode = "active-backup"; };
          networking.interfaces.office.ipv4.addresses =
            [ { address = "192.168.10.1"; prefixLength = 24; } ];
          networking.nat = {
            enable = true;
            externalInterface = "eth0";
            internalInterfaces = [ "office" ];
            forwardPorts = [ { sourcePort = 8080; destination = "192.168.10.20:80"; } ];
          };
          networking.wireless = {
            enable = true;
            networks.home.psk = "correct horse";
            networks."cafe free" = { };
          };
          zramSwap.enable = true;
          nix.gc = { automatic = true; dates = "weekly"; options = "--delete-older-than 30d"; };
          programs.ssh.startAgent = true;
          services.qemuGuest.enable = true;
          services.printing.enable = false;
          services.xserver.xkb = { layout = "de"; variant = ""; };
          networking.wireguard.interfaces.wg0 = {
            ips = [ "10.100.0.1/24" ];
            listenPort = 51820;
            privateKeyFile = "/etc/wireguard/private.key";
            generatePrivateKeyFile = true;
            peers = [ {
              publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
              allowedIPs = [ "10.100.0.2/32" ];
            } ];
          };
          networking.wg-quick.interfaces.wg1 = {
            address = [ "10.101.0.2/24" ];
            privateKeyFile = "/etc/wireguard/other.key";
            peers = [ {
              publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
              presharedKeyFile = "/etc/wireguard/other.psk";
              allowedIPs = [ "10.101.0.0/24" ];
              endpoint = "vpn.example.org:51820";
              persistentKeepalive = 25;
            } ];
          };
          system.activationScripts.hello = { text = "echo hello"; deps = [ "users" ]; };
          specialisation.other = { inheritParentConfig = false; configuration = {
            fileSystems."/".device = "/dev/sda1";
          }; };
          system.stateVersion = "24.11";
        }"#,
    );
    let output = evaluation.run(&[], "machine.system");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let services = evaluation.value(
        "map (s: s.after or [ ]) (builtins.filter (s: s.name == \"sshd\") \
           config.system.build.description.services)",
    );
    assert!(
        services.to_string().contains("activation-hello"),
        "{services}"
    );
}

/// Interfaces that are made, and what needs them.
#[test]
fn interfaces_are_made_before_they_have_addresses() {
    let evaluation = Evaluation::of_text(
        r#"{
          fileSystems."/".device = "LABEL=root";
          networking.bridges.br0.interfaces = [ "eth1" "bond0" ];
          networking.vlans.office = { id = 10; interface = "br0"; };
          networking.bonds.bond0 = {
            interfaces = [ "eth2" "eth3" ];
            driverOptions.mode = "active-backup";
          };
          networking.interfaces.office.ipv4.addresses =
            [ { address = "192.168.10.1"; prefixLength = 24; } ];
          networking.nat = {
            enable = true;
            externalInterface = "eth0";
            internalInterfaces = [ "office" ];
            internalIPs = [ "192.0.2.0/24" ];
            forwardPorts = [
              { sourcePort = 8080; destination = "192.168.10.20:80"; }
              { sourcePort = "3000:3010"; destination = "192.168.10.20:3000-3010"; proto = "udp"; }
            ];
          };
        }"#,
    );
    let needs = evaluation.value(
        "builtins.listToAttrs (map (s: { inherit (s) name; value = s.requires or [ ]; }) \
           (builtins.filter (s: builtins.match \"net(dev|work)-.*\" s.name != null) \
             config.system.build.description.services))",
    );
    expect![[r#"
        {
          "netdev-bond0": [],
          "netdev-br0": [
            "netdev-bond0"
          ],
          "netdev-office": [
            "netdev-br0"
          ],
          "network-loopback": [],
          "network-office": [
            "netdev-office"
          ],
          "network-online.target": [],
          "network-pre.target": []
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&needs).unwrap());
    let value = evaluation.value("config.networking.nftables.tables.cairn-nat.content");
    expect![[r#"
        chain destination {
          type nat hook prerouting priority dstnat; policy accept;
          iifname "eth0" tcp dport 8080 dnat to 192.168.10.20:80
          iifname "eth0" udp dport 3000-3010 dnat to 192.168.10.20:3000-3010
        }

        chain source {
          type nat hook postrouting priority srcnat; policy accept;
          iifname { "office" } oifname "eth0" masquerade
          ip saddr 192.0.2.0/24 oifname "eth0" masquerade
        }
    "#]]
    .assert_eq(value.as_str().unwrap());
    let value = evaluation.value("config.networking.dhcpcd.denyInterfaces");
    assert_eq!(value, json!(["eth1", "bond0", "eth2", "eth3"]));
}

/// All options, those of submodules too, as `{ name, option }`.
const OPTIONS: &str = r#"
  let
    collect = path: value:
      if value._type or null == "option" then
        [ { name = builtins.concatStringsSep "." path; option = value; } ]
        ++ (if value.visible or true == "shallow" then [ ]
            else collect path (value.type.getSubOptions path))
      else if builtins.isAttrs value then
        builtins.concatLists (map (name: collect (path ++ [ name ]) value.${name})
          (builtins.attrNames (removeAttrs value [ "_module" ])))
      else [ ];
  in collect [ ] options"#;

#[test]
fn every_option_has_a_description() {
    let evaluation = Evaluation::of_text("{ }");
    let without = evaluation.value(&format!(
        "map (item: item.name) (builtins.filter (item: item.option.description or \"\" == \"\") ({OPTIONS}))"
    ));
    assert_eq!(without, json!([]));
}

/// An example that is Nix is read as the user would write it into a configuration.
#[test]
fn every_example_is_a_value_that_its_option_takes() {
    let evaluation = Evaluation::of_text("{ fileSystems.\"/\".device = \"LABEL=root\"; }");
    let texts = evaluation.value(&format!(
        "builtins.listToAttrs (map ({{ name, option }}: {{ inherit name; value = option.example.text; }}) \
           (builtins.filter (item: item.option.example._type or null == \"literalExpression\") ({OPTIONS})))"
    ));
    let texts: BTreeMap<String, String> = serde_json::from_value(texts).unwrap();
    let attributes: Vec<String> = texts
        .iter()
        .map(|(name, text)| format!("\"{name}\" = (\n{text}\n);\n"))
        .collect();
    let attributes = attributes.concat();
    let file = evaluation.folder.path().join("examples.nix");
    fs::write(
        &file,
        format!("{{ config, lib, pkgs }}: {{\n{attributes}}}"),
    )
    .unwrap();
    let wrong = evaluation.value(&format!(
        "let written = import {} {{ inherit config lib pkgs; }}; in \
         map (item: item.name) (builtins.filter ({{ name, option }}: \
           option ? example && !(option.type.check (written.${{name}} or option.example))) ({OPTIONS}))",
        file.display()
    ));
    assert_eq!(wrong, json!([]));
}

#[test]
fn what_does_not_exist_is_named_with_what_is_meant() {
    check(
        "boot.kernelPramas = [ ];",
        &expect![[r#"
        The option `boot.kernelPramas' does not exist.
          - <folder>/configuration.nix:2:1: [ ]
        hint: did you mean `boot.kernelParams'?"#]],
    );
    check(
        "users.users.alice = { isNormalUser = true; extraGroup = [ ]; };",
        &expect![[r#"
            The option `users.users.alice.extraGroup' does not exist.
              - <folder>/configuration.nix:2:44: [ ]
            hint: did you mean `users.users.alice.extraGroups'?"#]],
    );
}

#[test]
fn a_value_of_the_wrong_type_is_shown_with_its_place() {
    check(
        "boot.consoleLogLevel = \"high\";",
        &expect![[r#"
        The option `boot.consoleLogLevel' has a value that is not of type `signed integer', but a string:
          - <folder>/configuration.nix:2:1: "high"
        example: boot.consoleLogLevel = 7;"#]],
    );
    check(
        "fileSystems.\"/srv\" = { device = \"LABEL=srv\"; options = \"noatime\"; };",
        &expect![[r#"
            The option `fileSystems."/srv".options' has a value that is not of type `non-empty list of non-empty strings', but a string:
              - <folder>/configuration.nix:2:46: "noatime"
            hint: a list is written in brackets: [ "noatime" ]
            example: fileSystems."/srv".options = [ "noatime" "nofail" ];"#]],
    );
}

#[test]
fn two_definitions_that_exclude_each_other() {
    check(
        "imports = [ { networking.hostName = \"a\"; } { networking.hostName = \"b\"; } ];",
        &expect![[r#"
            The option `networking.hostName' has conflicting definition values; they differ:
              - <folder>/configuration.nix:2:46: "b"
              - <folder>/configuration.nix:2:15: "a"
            hint: remove all but one, or let one win: networking.hostName = lib.mkForce "b";"#]],
    );
}

#[test]
fn what_contradicts_itself_is_refused_with_the_way_out() {
    let table = [
        "imports = [ { fileSystems = lib.mkForce { }; } ];",
        "fileSystems.\"/srv\" = { };",
        "fileSystems.\"/a\".device = \"/b/x\"; fileSystems.\"/b\".device = \"/a/x\";",
        "users.mutableUsers = false;",
        "users.users.alice = { };",
        "users.users.alice = { isNormalUser = true; uid = 1000; }; \
         users.users.bob = { isNormalUser = true; uid = 1000; };",
        "users.users.alice = { isNormalUser = true; extraGroups = [ \"nobodys\" ]; };",
        "systemd.tmpfiles.rules = [ \"c /dev/x 0600 root root - 1:3\" ];",
        "systemd.tmpfiles.rules = [ \"d relative\" ];",
        "systemd.tmpfiles.rules = [ \"d /srv rwx\" ];",
        "systemd.tmpfiles.rules = [ \"L /srv/link\" ];",
        "systemd.tmpfiles.rules = [ \"d /srv ~0755\" ];",
        "systemd.tmpfiles.rules = [ \"d /srv/%m\" ];",
        "systemd.tmpfiles.rules = [ \"d /srv - 1000\" ];",
        "systemd.tmpfiles.rules = [ \"d /srv/*\" ];",
        "systemd.tmpfiles.settings.x.\"/srv\".\"1\" = { };",
        "boot.extraModprobeConfig = \"install x /bin/true\";",
        "boot.loader.grub = { device = \"/dev/sda\"; devices = [ \"/dev/sdb\" ]; };",
        "boot.loader.grub.efiInstallAsRemovable = false;",
        "boot.initrd.luks.devices.x = { device = \"LABEL=x\"; crypttabExtraOpts = \
         [ \"tpm2-device=auto\" \"fido2-device=auto\" ]; keyFile = \"/dev/sdb\"; };",
        "boot.factoryReset.menuEntry = true;",
        "boot.factoryReset.enable = true; fileSystems.\"/srv\".device = \"LABEL=srv\"; \
         fileSystems.\"/nix/var\".device = \"LABEL=state\";",
        "security.pam.services.login.rootOK = true;",
        "security.wrappers.x = { source = \"/x\"; owner = \"root\"; group = \"root\"; \
         capabilities = \"net_raw\"; };",
        "nixpkgs.hostPlatform = \"aarch64-linux\";",
        "systemd.timers.report = { wantedBy = [ \"timers.target\" ]; \
         timerConfig.OnCalendar = \"daily\"; };",
        "networking.networkmanager.enable = true; services.postgresql.enable = true;",
        "networking.nat.enable = true;",
        "services.logind.lidSwitch = \"suspend\"; security.acme.acceptTerms = true;",
        "networking.wireless = { enable = true; networks.x = { psk = \"12345678\"; pskRaw = \"0\"; }; };",
        "networking.interfaces.eth0.ipv4.addresses = [ { address = \"192.0.2.1/24\"; prefixLength = 24; } ];",
        "imports = [ ({ config, lib }: { }) ];",
        "nix.channel.enable = true;",
        "system.userActivationScripts.x = \"\";",
        "specialisation.\"a/b\".configuration = { };",
    ];
    let said: Vec<String> = table
        .iter()
        .map(|text| {
            let module =
                format!("{{ lib, ... }}: {{ fileSystems.\"/\".device = \"LABEL=root\"; {text} }}");
            format!("{text}\n{}\n", Evaluation::of_text(&module).error())
        })
        .collect();
    expect![[r#"
        imports = [ { fileSystems = lib.mkForce { }; } ];
        the configuration contradicts itself:
        - There is no root file system.
          Set fileSystems."/".device to the device that has it, such as "/dev/sda1".

        fileSystems."/srv" = { };
        fileSystems."/srv" names no device.
        Set fileSystems."/srv".device to one, such as "/dev/sda1" or "LABEL=data".

        fileSystems."/a".device = "/b/x"; fileSystems."/b".device = "/a/x";
        the configuration contradicts itself:
        - fileSystems: each of these would have to be mounted before the next: /a, /b, /a

        users.mutableUsers = false;
        the configuration contradicts itself:
        - Nobody could log in and become root, since users.mutableUsers is off.
          Give root or a user in the group wheel a password or a key, or set
          users.allowNoPasswordLogin.

        users.users.alice = { };
        the configuration contradicts itself:
        - users.users.alice: set isNormalUser for a person, or isSystemUser for a service.
        - users.users.alice.group is not set. If the user shall have a group of its own, write
          users.groups.alice = { }; and users.users.alice.group = "alice";

        users.users.alice = { isNormalUser = true; uid = 1000; }; users.users.bob = { isNormalUser = true; uid = 1000; };
        the configuration contradicts itself:
        - users.users: alice and bob have the same uid, 1000.

        users.users.alice = { isNormalUser = true; extraGroups = [ "nobodys" ]; };
        the configuration contradicts itself:
        - users.users.alice: there is no group 'nobodys'; define users.groups.nobodys.

        systemd.tmpfiles.rules = [ "c /dev/x 0600 root root - 1:3" ];
        systemd.tmpfiles.rules: 'c /dev/x 0600 root root - 1:3': the type 'c' is not supported.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d relative" ];
        systemd.tmpfiles.rules: 'd relative': it has no absolute path.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d /srv rwx" ];
        systemd.tmpfiles.rules: 'd /srv rwx': 'rwx' is no mode; write it in octal, such as 0755.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "L /srv/link" ];
        systemd.tmpfiles.rules: 'L /srv/link': it does not say what the link points to.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d /srv ~0755" ];
        systemd.tmpfiles.rules: 'd /srv ~0755': '~0755' is no mode; write it in octal, such as 0755.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d /srv/%m" ];
        systemd.tmpfiles.rules: 'd /srv/%m': specifiers such as %m are not supported.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d /srv - 1000" ];
        systemd.tmpfiles.rules: 'd /srv - 1000': '1000' is a number; name the user or group.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.rules = [ "d /srv/*" ];
        systemd.tmpfiles.rules: 'd /srv/*': a pattern does not say what to make.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        systemd.tmpfiles.settings.x."/srv"."1" = { };
        systemd.tmpfiles.rules: '1 /srv': '1' is no type.
        The types d D e f F L r R w z Z are known, with the modifiers + and !.

        boot.extraModprobeConfig = "install x /bin/true";
        boot.extraModprobeConfig: 'install x /bin/true' is not supported.
        Lines `options MODULE PARAMETER=VALUE …`, `blacklist MODULE` and
        `softdep MODULE pre: OTHER … post: OTHER …` are. There is no modprobe.d, and no shell that could
        run `install` lines.

        boot.loader.grub = { device = "/dev/sda"; devices = [ "/dev/sdb" ]; };
        the configuration contradicts itself:
        - boot.loader.grub.device and boot.loader.grub.devices are both set; set one of them.

        boot.loader.grub.efiInstallAsRemovable = false;
        the configuration contradicts itself:
        - boot.loader.grub.efiInstallAsRemovable is off: firmware then finds GRUB by an entry in its menu alone.
          Set boot.loader.efi.canTouchEfiVariables, so that it gets one.

        boot.initrd.luks.devices.x = { device = "LABEL=x"; crypttabExtraOpts = [ "tpm2-device=auto" "fido2-device=auto" ]; keyFile = "/dev/sdb"; };
        the configuration contradicts itself:
        - boot.initrd.luks.devices.x.crypttabExtraOpts: only tpm2-device=auto is supported.
        - boot.initrd.luks.devices.x has a keyFile, and a key in the TPM (tpm2.enable); choose one.

        boot.factoryReset.menuEntry = true;
        the configuration contradicts itself:
        - boot.factoryReset.menuEntry is set, and boot.factoryReset.enable is not: set both.

        boot.factoryReset.enable = true; fileSystems."/srv".device = "LABEL=srv"; fileSystems."/nix/var".device = "LABEL=state";
        the configuration contradicts itself:
        - boot.factoryReset: fileSystems."/srv" would outlive it, as the initrd does not mount it.
          Set fileSystems."/srv".neededForBoot, or have it in boot.factoryReset.keep.
        - boot.factoryReset: the initrd would see no request for it, as it does not mount fileSystems."/nix/var".
          Set fileSystems."/nix/var".neededForBoot.

        security.pam.services.login.rootOK = true;
        the configuration contradicts itself:
        - security.pam.services: rootOK of login or sshd would let everybody in as root.

        security.wrappers.x = { source = "/x"; owner = "root"; group = "root"; capabilities = "net_raw"; };
        security.wrappers: 'net_raw' is no capability; write cap_net_raw or cap_net_raw+ep

        nixpkgs.hostPlatform = "aarch64-linux";
        the configuration contradicts itself:
        - nixpkgs.hostPlatform: 'aarch64-linux' is not supported; x86_64-linux is.

        systemd.timers.report = { wantedBy = [ "timers.target" ]; timerConfig.OnCalendar = "daily"; };
        the configuration contradicts itself:
        - system.services.report: a timer starts it, and there is nothing to execute; describe the service, as systemd.services.report or with process.argv.

        networking.networkmanager.enable = true; services.postgresql.enable = true;
        the configuration contradicts itself:
        - networking.networkmanager is not supported, as there is no D-Bus: use networking.wireless, networking.interfaces and networking.useDHCP.
        - services.postgresql.enable is not supported: install its package, and run it as one of systemd.services.

        networking.nat.enable = true;
        the configuration contradicts itself:
        - networking.nat: set internalInterfaces or internalIPs.

        services.logind.lidSwitch = "suspend"; security.acme.acceptTerms = true;
        the configuration contradicts itself:
        - security.acme is not supported: get certificates in a service of your own, with a timer, by the package certbot or lego.
        - services.logind is not supported: there are no seats; the power button switches the machine off.

        networking.wireless = { enable = true; networks.x = { psk = "12345678"; pskRaw = "0"; }; };
        the configuration contradicts itself:
        - networking.wireless.networks."x": set either psk or pskRaw.

        networking.interfaces.eth0.ipv4.addresses = [ { address = "192.0.2.1/24"; prefixLength = 24; } ];
        The option `networking.interfaces.eth0.ipv4.addresses.[definition 1-entry 1].address' has a value that is not of type `string matching the pattern [0-9]+([.][0-9]+){3}', but a string:
          - <folder>/configuration.nix:1:104: "192.0.2.1/24"
        example: networking.interfaces.eth0.ipv4.addresses.[definition 1-entry 1].address = "192.0.2.10";

        imports = [ ({ config, lib }: { }) ];
        anonymous function at <folder>/configuration.nix:1:69 called with an unexpected argument

        nix.channel.enable = true;
        the configuration contradicts itself:
        - nix.channel.enable is not supported; packages are pinned by cairn.lock.

        system.userActivationScripts.x = "";
        the configuration contradicts itself:
        - system.userActivationScripts is not supported; use a service with a user.

        specialisation."a/b".configuration = { };
        the configuration contradicts itself:
        - specialisation: 'a/b' is no name; a-z A-Z 0-9 _ . - are allowed.
    "#]].assert_eq(&said.join("\n"));
}

#[test]
fn cairns_own_evaluator_says_the_same() {
    let text = "{ fileSystems.\"/\".device = \"LABEL=root\"; boot.kernelPramas = [ ]; }";
    let evaluation = Evaluation::of_text(text);
    let output = evaluation.run_ours(&["--eval"], "machine.system.drvPath");
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    for part in [
        "The option `boot.kernelPramas' does not exist.",
        "configuration.nix:1:42",
        "did you mean `boot.kernelParams'?",
    ] {
        assert!(errors.contains(part), "{errors}");
    }
}

#[test]
fn rules_about_paths_are_read() {
    let evaluation = Evaluation::of_text(
        r##"{ lib, ... }: {
          fileSystems."/".device = "LABEL=root";
          systemd.tmpfiles.rules = lib.mkForce [
            ""
            "# a remark"
            "d /srv/queue 0750 root users 10d"
            "d	'/srv/with blank'"
            "f+ /srv/file 644 0 0 - two\nlines 100%%"
            "L+ /opt/tool - - - - /run/current-system/sw/bin/tool"
            "r! /tmp/.X*-lock"
            "x /tmp/kept"
          ];
          systemd.tmpfiles.settings."10-x"."/srv/set".d = { mode = "0700"; user = "nobody"; };
        }"##,
    );
    let rules = evaluation.value("config.system.description.paths");
    let lines: Vec<String> = rules
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| format!("{rule}\n"))
        .collect();
    expect![[r#"
        {"atBootOnly":false,"kind":"directory","mode":"0700","path":"/srv/set","replace":false,"user":"nobody"}
        {"atBootOnly":false,"group":"users","kind":"directory","mode":"0750","path":"/srv/queue","replace":false,"user":"root"}
        {"atBootOnly":false,"kind":"directory","path":"/srv/with blank","replace":false}
        {"argument":"two\nlines 100%","atBootOnly":false,"group":"root","kind":"file","mode":"644","path":"/srv/file","replace":true,"user":"root"}
        {"argument":"/run/current-system/sw/bin/tool","atBootOnly":false,"kind":"link","path":"/opt/tool","replace":true}
        {"atBootOnly":true,"kind":"remove","path":"/tmp/.X*-lock","replace":false}
    "#]].assert_eq(&lines.concat());
}

/// Each is a module that a machine can have, or what stands inside of one.
#[test]
fn every_block_of_nix_in_the_documents_is_a_module() {
    let mut documents: Vec<PathBuf> = fs::read_dir(repository().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.push(repository().join("README.md"));
    documents.sort();
    let mut blocks = 0;
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for block in text.split("```nix\n").skip(1) {
            let (block, _) = block.split_once("```").unwrap();
            let inside = block.trim_end().ends_with(';');
            let block = if inside {
                format!("{{ config, lib, pkgs, ... }}: {{\n{block}}}")
            } else {
                block.to_owned()
            };
            let module = format!(
                "{{ lib, ... }}: {{ imports = [ (\n{block}) ]; \
                 fileSystems.\"/\".device = lib.mkDefault \"LABEL=root\"; }}"
            );
            let output = Evaluation::of_text(&module).run(&[], "machine.system");
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.success(),
                "{}:\n{block}\n{errors}",
                document.display()
            );
            blocks += 1;
        }
    }
    assert!(blocks >= 5);
}
