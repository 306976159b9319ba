# Interfaces with fixed addresses, routes, and names of hosts. Each interface is set up by one run of
# `ip -batch`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkIf
    mkOption
    optional
    optionalString
    types
    ;
  cfg = config.networking;

  addressType =
    family: longest:
    types.submodule {
      options = {
        address = mkOption {
          type = types.strMatching (if family == "4" then "[0-9]+([.][0-9]+){3}" else "[0-9a-fA-F:.]+");
          example = if family == "4" then "192.0.2.10" else "2001:db8::10";
          description = "Address of version ${family}.";
        };
        prefixLength = mkOption {
          type = types.ints.between 0 longest;
          description = "Bits of it that name the network.";
        };
      };
    };
  routeType =
    family: longest:
    types.submodule {
      options = {
        address = mkOption {
          type = types.str;
          description = "Network of version ${family}.";
        };
        prefixLength = mkOption {
          type = types.ints.between 0 longest;
          description = "Bits of the address that name it.";
        };
        via = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The next router.";
        };
        options = mkOption {
          type = types.attrsOf types.str;
          default = { };
          example = {
            metric = "100";
          };
          description = "Further words of {manpage}`ip-route(8)`.";
        };
        type = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "blackhole";
          description = "Kind of the route.";
        };
      };
    };
  family = version: longest: {
    addresses = mkOption {
      type = types.listOf (addressType version longest);
      default = [ ];
      example = [
        {
          address = if version == "4" then "192.0.2.10" else "2001:db8::10";
          prefixLength = if version == "4" then 24 else 64;
        }
      ];
      description = "Fixed addresses of version ${version}.";
    };
    routes = mkOption {
      type = types.listOf (routeType version longest);
      default = [ ];
      description = "Routes of version ${version}.";
    };
  };

  interfaceName = types.strMatching "[^/[:space:]]{1,15}";
  interface =
    { name, ... }:
    {
      options = {
        name = mkOption {
          type = interfaceName;
          default = name;
          description = "The interface, by the kernel's name.";
        };
        useDHCP = mkOption {
          type = types.nullOr types.bool;
          default = null;
          description = "Whether it asks for an address; as {option}`networking.useDHCP` says if `null`.";
        };
        macAddress = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "00:11:22:33:44:55";
          description = "Hardware address in place of its own.";
        };
        mtu = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 9000;
          description = "Longest packet in bytes.";
        };
        wakeOnLan.enable = mkOption {
          type = types.bool;
          default = false;
          description = "Not supported.";
        };
        ipv4 = family "4" 32;
        ipv6 = family "6" 128;
        tempAddress = mkOption {
          type = types.nullOr (
            types.enum [
              "default"
              "enabled"
              "disabled"
            ]
          );
          default = null;
          description = "Whether it has temporary addresses of version 6; the kernel's default if `null`.";
        };
      };
    };

  gatewayType = types.coercedTo types.str (address: { inherit address; }) (
    types.submodule {
      options = {
        address = mkOption {
          type = types.str;
          description = "The router's address.";
        };
        interface = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "The interface towards it.";
        };
        metric = mkOption {
          type = types.nullOr types.int;
          default = null;
          description = "Its place among several; the lowest comes first.";
        };
        source = mkOption {
          type = types.nullOr types.str;
          default = null;
          description = "Address that packets get as their sender's.";
        };
      };
    }
  );

  interfaces = lib.attrValues cfg.interfaces;
  isFixed = interface: interface.ipv4.addresses != [ ] || interface.ipv6.addresses != [ ];
  addressText = address: "${address.address}/${toString address.prefixLength}";

  routeLine =
    interface: route:
    lib.concatStringsSep " " (
      [ "route replace" ]
      ++ optional (route.type != null) route.type
      ++ [ (addressText route) ]
      ++ optional (route.via != null) "via ${route.via}"
      ++ lib.mapAttrsToList (key: value: "${key} ${value}") route.options
      ++ optional (route.type == null) "dev ${interface.name}"
    )
    + "\n";

  gatewayLine =
    gateway:
    lib.concatStringsSep " " (
      [ "route replace default via ${gateway.address}" ]
      ++ optional (gateway.interface != null) "dev ${gateway.interface}"
      ++ optional (gateway.metric != null) "metric ${toString gateway.metric}"
      ++ optional (gateway.source != null) "src ${gateway.source}"
    )
    + "\n";

  batch =
    interface:
    let
      name = interface.name;
      address = more: address: "address replace ${addressText address} dev ${name}${more}\n";
    in
    lib.concatStrings (
      optional (
        interface.macAddress != null
      ) "link set ${name} down\nlink set ${name} address ${interface.macAddress}\n"
      ++ optional (interface.mtu != null) "link set ${name} mtu ${toString interface.mtu}\n"
      ++ map (address "") interface.ipv4.addresses
      # It is there at once, without asking whether somebody else has it.
      ++ map (address " nodad") interface.ipv6.addresses
      ++ [ "link set ${name} up\n" ]
      ++ map (routeLine interface) interface.ipv4.routes
      ++ map (routeLine interface) interface.ipv6.routes
    );

  gateways =
    optional (cfg.defaultGateway != null) (gatewayLine cfg.defaultGateway)
    ++ optional (cfg.defaultGateway6 != null) (gatewayLine cfg.defaultGateway6);

  setUp = name: description: text: after: {
    inherit description after;
    kind = "oneshot";
    stopIfChanged = false;
    restart.policy = "on-failure";
    restart.maxDelayMs = 5000;
    process.argv = [
      "${pkgs.iproute2}/bin/ip"
      "-batch"
      (pkgs.writeText "${name}.batch" text)
    ];
    before = [ "network.target" ];
  };

  # What it takes to send something with a fixed address: devices come by themselves.
  configured = lib.filter (
    interface:
    isFixed interface
    || interface.macAddress != null
    || interface.mtu != null
    || interface.ipv4.routes != [ ]
    || interface.ipv6.routes != [ ]
  ) interfaces;
  serviceName = interface: "network-${lib.replaceStrings [ "@" ] [ "-" ] interface.name}";

  hostNames = lib.unique (optional (cfg.domain != null) cfg.fqdn ++ [ cfg.hostName ]);
  hostLines = lib.concatStrings (
    lib.mapAttrsToList (
      address: names: optionalString (names != [ ]) "${address} ${lib.concatStringsSep " " names}\n"
    ) cfg.hosts
  );
in
{
  options.networking = {
    interfaces = mkOption {
      type = types.attrsOf (types.submodule interface);
      default = { };
      example = literalExpression ''
        {
          eth0.ipv4.addresses = [ { address = "192.0.2.10"; prefixLength = 24; } ];
        }
      '';
      description = ''
        Network interfaces by the kernel's names (`eth0`, `wlan0`), or by those that
        {option}`services.udev.extraRules` give them.
      '';
    };
    defaultGateway = mkOption {
      type = types.nullOr gatewayType;
      default = null;
      example = "192.0.2.1";
      description = "The router for everything else, version 4.";
    };
    defaultGateway6 = mkOption {
      type = types.nullOr gatewayType;
      default = null;
      example = {
        address = "fe80::1";
        interface = "eth0";
      };
      description = "The router for everything else, version 6.";
    };
    enableIPv6 = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the machine has addresses of version 6.";
    };
    usePredictableInterfaceNames = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported: interfaces keep the kernel's names.";
    };
    hosts = mkOption {
      type = types.attrsOf (types.listOf types.str);
      default = { };
      example = {
        "192.0.2.20" = [
          "db.example.org"
          "db"
        ];
      };
      description = "Names of hosts by their address, for {file}`/etc/hosts`.";
    };
    extraHosts = mkOption {
      type = types.lines;
      default = "";
      description = "Further lines of {file}`/etc/hosts`.";
    };
    configuredInterfaces = mkOption {
      type = types.listOf types.str;
      default = map (interface: interface.name) configured;
      readOnly = true;
      internal = true;
      description = "Interfaces that a service sets up.";
    };
    hostFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      internal = true;
      description = "Files whose lines are in {file}`/etc/hosts`.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !cfg.usePredictableInterfaceNames;
        message = "networking.usePredictableInterfaceNames is not supported: interfaces keep the kernel's names, such as eth0.";
      }
      {
        assertion = cfg.enableIPv6 || lib.all (interface: interface.ipv6.addresses == [ ]) interfaces;
        message = "networking.interfaces has IPv6 addresses, but networking.enableIPv6 is false.";
      }
    ]
    ++ map (interface: {
      assertion = !interface.wakeOnLan.enable;
      message = "networking.interfaces.${interface.name}.wakeOnLan is not supported.";
    }) interfaces;

    networking.hosts = {
      "127.0.0.1" = [ "localhost" ];
      "::1" = mkIf cfg.enableIPv6 [ "localhost" ];
      "127.0.0.2" = hostNames;
    };
    environment.etc.hosts.text =
      hostLines
      + cfg.extraHosts
      + lib.concatMapStrings (file: builtins.readFile file + "\n") cfg.hostFiles;

    boot.kernel.sysctl = lib.mkMerge [
      (mkIf (!cfg.enableIPv6) {
        "net.ipv6.conf.all.disable_ipv6" = true;
        "net.ipv6.conf.default.disable_ipv6" = true;
      })
      (lib.listToAttrs (
        map (interface: {
          name = "net.ipv6.conf.${lib.replaceStrings [ "." ] [ "/" ] interface.name}.use_tempaddr";
          value =
            {
              default = 2;
              enabled = 1;
              disabled = 0;
            }
            .${interface.tempAddress};
        }) (lib.filter (interface: interface.tempAddress != null) interfaces)
      ))
    ];

    system.services = lib.mkMerge [
      {
        network-loopback = setUp "network-loopback" "Loopback interface" "link set lo up\n" [
          "network-pre.target"
        ];
      }
      (lib.listToAttrs (
        map (
          interface:
          lib.nameValuePair (serviceName interface) (
            setUp (serviceName interface) "Network interface ${interface.name}" (batch interface) [
              "network-pre.target"
            ]
          )
        ) configured
      ))
      (mkIf (gateways != [ ]) {
        network-routes = setUp "network-routes" "Default routes" (lib.concatStrings gateways) (
          [ "network-pre.target" ] ++ map serviceName configured
        );
      })
      # A network with fixed addresses can be used as soon as they are there.
      { "network-online.target".after = [ "network.target" ]; }
    ];
  };
}
