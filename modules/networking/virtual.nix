# Interfaces that are made: bridges, VLANs and bonds. Each is a service that makes it, and that the
# service with its addresses needs.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.networking;

  interfaceName = types.strMatching "[^/[:space:]]{1,15}";
  members = mkOption {
    type = types.listOf interfaceName;
    example = [
      "eth0"
      "eth1"
    ];
    description = "The interfaces that belong to it. They have no addresses of their own.";
  };

  # What makes the interface, and what is to be done when it is there.
  bridge = name: bridge: {
    add = "link add name ${name} type bridge";
    text =
      lib.concatMapStrings (member: "link set dev ${member} master ${name} up\n") bridge.interfaces
      + "link set dev ${name} up\n";
    below = bridge.interfaces;
  };
  vlan = name: vlan: {
    add = "link add link ${vlan.interface} name ${name} type vlan id ${toString vlan.id}";
    # One that follows from the interface itself, as a link that is up does, is made by nobody else.
    text = "link set dev ${vlan.interface} up\nlink set dev ${name} up\n";
    below = [ vlan.interface ];
  };
  bond = name: bond: {
    add =
      "link add name ${name} type bond"
      + lib.concatStrings (lib.mapAttrsToList (key: value: " ${key} ${value}") bond.driverOptions);
    text =
      lib.concatMapStrings (
        member:
        "link set dev ${member} down\nlink set dev ${member} master ${name}\nlink set dev ${member} up\n"
      ) bond.interfaces
      + "link set dev ${name} up\n";
    below = bond.interfaces;
  };
  made =
    lib.mapAttrs bridge cfg.bridges // lib.mapAttrs vlan cfg.vlans // lib.mapAttrs bond cfg.bonds;

  plain = lib.replaceStrings [ "@" ] [ "-" ];
  maker = name: "netdev-${plain name}";
  configurer = name: "network-${plain name}";
  ip = "${pkgs.iproute2}/bin/ip";

  make =
    name: device:
    lib.nameValuePair (maker name) {
      description = "Network interface ${name}, which is made";
      kind = "oneshot";
      restart.policy = "on-failure";
      restart.maxDelayMs = 5000;
      after = [ "network-pre.target" ] ++ map maker (lib.filter (below: made ? ${below}) device.below);
      before = [ "network.target" ];
      requires = map maker (lib.filter (below: made ? ${below}) device.below);
      # Left behind by a start that came no further.
      preStart = [
        {
          argv = [
            ip
            "link"
            "delete"
            "dev"
            name
          ];
          ignoreFailure = true;
        }
      ];
      process.argv = [
        ip
        "-batch"
        (pkgs.writeText "${maker name}.batch" "${device.add}\n${device.text}")
      ];
      postStop = [
        {
          argv = [
            ip
            "link"
            "delete"
            "dev"
            name
          ];
          ignoreFailure = true;
        }
      ];
    };
in
{
  options.networking = {
    bridges = mkOption {
      type = types.attrsOf (
        types.submodule {
          options.interfaces = members;
        }
      );
      default = { };
      example = {
        br0.interfaces = [ "eth0" ];
      };
      description = "Bridges by name. Their addresses are in {option}`networking.interfaces`.";
    };
    vlans = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            id = mkOption {
              type = types.ints.between 1 4094;
              description = "The number that its packets have.";
            };
            interface = mkOption {
              type = interfaceName;
              description = "The interface that they pass through.";
            };
          };
        }
      );
      default = { };
      example = {
        office = {
          id = 10;
          interface = "eth0";
        };
      };
      description = "VLANs (802.1Q) by name. Their addresses are in {option}`networking.interfaces`.";
    };
    bonds = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = {
            interfaces = members;
            driverOptions = mkOption {
              type = types.attrsOf types.str;
              default = { };
              example = {
                mode = "802.3ad";
                miimon = "100";
              };
              description = "Options of {manpage}`ip-link(8)` for bonds.";
            };
          };
        }
      );
      default = { };
      example = {
        bond0.interfaces = [
          "eth0"
          "eth1"
        ];
      };
      description = "Interfaces that are used as one, by name.";
    };
  };

  config = mkIf (made != { }) {
    assertions = lib.mapAttrsToList (name: _: {
      assertion = builtins.match "[^/[:space:]]{1,15}" name != null;
      message = "networking: '${name}' is no name of an interface, which has 1 to 15 characters, and no space or slash.";
    }) made;

    # Whatever belongs to another interface asks for nothing itself.
    networking.dhcpcd.denyInterfaces = lib.concatMap (device: device.interfaces) (
      lib.attrValues cfg.bridges ++ lib.attrValues cfg.bonds
    );

    boot.kernelModules =
      lib.optional (cfg.bridges != { }) "bridge"
      ++ lib.optional (cfg.vlans != { }) "8021q"
      ++ lib.optional (cfg.bonds != { }) "bonding";
    # It makes an interface by itself otherwise.
    boot.kernelParams = lib.optional (cfg.bonds != { }) "bonding.max_bonds=0";

    system.services = lib.mkMerge [
      (lib.mapAttrs' make made)
      (lib.listToAttrs (
        map (
          name:
          lib.nameValuePair (configurer name) {
            requires = [ (maker name) ];
            after = [ (maker name) ];
          }
        ) (lib.filter (name: lib.elem name cfg.configuredInterfaces) (lib.attrNames made))
      ))
    ];
  };
}
