# The firewall: nftables, loaded in one transaction.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    concatMapStrings
    concatStrings
    literalExpression
    mkIf
    mkOption
    optionalString
    types
    ;
  cfg = config.networking.firewall;
  nft = config.networking.nftables;

  ports = types.listOf types.port;
  range = types.submodule {
    options = {
      from = mkOption {
        type = types.port;
        description = "First port.";
      };
      to = mkOption {
        type = types.port;
        description = "Last port.";
      };
    };
  };
  list =
    type: example: description:
    mkOption {
      inherit type example description;
      default = [ ];
    };
  openPorts = {
    allowedTCPPorts = list ports [
      22
      80
    ] "TCP ports that are open.";
    allowedTCPPortRanges = list (types.listOf range) [
      {
        from = 8000;
        to = 8010;
      }
    ] "Ranges of TCP ports that are open.";
    allowedUDPPorts = list ports [ 53 ] "UDP ports that are open.";
    allowedUDPPortRanges = list (types.listOf range) [
      {
        from = 60000;
        to = 61000;
      }
    ] "Ranges of UDP ports that are open.";
  };
  flag =
    default: description:
    mkOption {
      type = types.bool;
      inherit default description;
    };
  rules =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  set = items: "{ ${lib.concatStringsSep ", " items} }";
  portSet =
    ports: ranges:
    map toString (lib.sort (a: b: a < b) (lib.unique ports))
    ++ map (range: "${toString range.from}-${toString range.to}") ranges;
  quoted = map (name: ''"${name}"'');

  accept =
    interface: open:
    let
      where = optionalString (interface != null) ''iifname "${interface}" '';
      rule =
        protocol: items:
        optionalString (items != [ ]) "    ${where}${protocol} dport ${set items} accept\n";
    in
    rule "tcp" (portSet open.allowedTCPPorts open.allowedTCPPortRanges)
    + rule "udp" (portSet open.allowedUDPPorts open.allowedUDPPortRanges);

  indent =
    text:
    concatMapStrings (line: optionalString (line != "") "    ${line}\n") (lib.splitString "\n" text);

  table = ''
    chain reverse-path {
      type filter hook prerouting priority mangle + 10; policy ${
        if cfg.checkReversePath == false then "accept" else "drop"
      };
  ''
  + optionalString (cfg.checkReversePath != false) ''
    meta nfproto ipv4 udp sport . udp dport { 67 . 68, 68 . 67 } accept comment "DHCP"
      fib saddr . mark${optionalString (cfg.checkReversePath != "loose") " . iif"} oif exists accept
      ${optionalString cfg.logReversePathDrops ''log level info prefix "reverse path drop: "''}
  ''
  + indent cfg.extraReversePathFilterRules
  + ''
    }

    chain input {
      type filter hook input priority filter; policy drop;
      iifname ${set (quoted ([ "lo" ] ++ cfg.trustedInterfaces))} accept
      ct state vmap { invalid : drop, established : accept, related : accept, new : jump input-allow, untracked : jump input-allow }
  ''
  + optionalString cfg.logRefusedConnections ''
    tcp flags syn / fin,syn,rst,ack limit rate 10/second log level info prefix "refused connection: "
  ''
  + optionalString cfg.logRefusedPackets ''
    ${optionalString cfg.logRefusedUnicastsOnly "pkttype host "}limit rate 10/second log level info prefix "refused packet: "
  ''
  + "    counter name refused\n"
  + optionalString cfg.rejectPackets ''
    meta l4proto tcp reject with tcp reset
      reject
  ''
  + ''
    }

    chain input-allow {
  ''
  + accept null cfg
  + concatStrings (lib.mapAttrsToList accept cfg.interfaces)
  + optionalString cfg.allowPing (
    "    icmp type echo-request "
    + optionalString (cfg.pingLimit != null) "limit rate ${cfg.pingLimit} "
    + "accept\n"
  )
  + ''
    icmpv6 type != { nd-redirect, 139 } accept comment "RFC 4890, 4.4"
    ip6 daddr fe80::/64 udp dport 546 accept comment "DHCPv6"
  ''
  + indent cfg.extraInputRules
  + ''
    }
  ''
  + optionalString cfg.filterForward (
    ''

      chain forward {
        type filter hook forward priority filter; policy drop;
        ct state vmap { invalid : drop, established : accept, related : accept, new : jump forward-allow, untracked : jump forward-allow }
      }

      chain forward-allow {
        icmpv6 type != { router-renumbering, 139 } accept comment "RFC 4890, 4.3"
        ct status dnat accept
    ''
    + indent cfg.extraForwardRules
    + ''
      }
    ''
  )
  + ''

    counter refused {
      comment "packets that no rule has let in"
    }
  '';

  tableType = types.submodule (
    { name, ... }:
    {
      options = {
        enable = flag true "Whether the table is there.";
        name = mkOption {
          type = types.str;
          default = name;
          description = "Its name.";
        };
        family = mkOption {
          type = types.enum [
            "ip"
            "ip6"
            "inet"
            "arp"
            "bridge"
            "netdev"
          ];
          description = "Its family.";
        };
        content = mkOption {
          type = types.lines;
          description = "Its chains and sets, in nft's language.";
        };
      };
    }
  );

  tables = lib.filter (table: table.enable) (lib.attrValues nft.tables);

  # A table that is there already is replaced as a whole.
  declare = table: ''
    table ${table.family} ${table.name} { }
    delete table ${table.family} ${table.name}
    table ${table.family} ${table.name} {
    ${table.content}
    }

  '';
  remove = table: ''
    table ${table.family} ${table.name} { }
    delete table ${table.family} ${table.name}
  '';

  ruleset = pkgs.writeText "nftables-rules" (
    optionalString nft.flushRuleset "flush ruleset\n"
    + nft.extraDeletions
    + concatMapStrings declare tables
    + (if nft.rulesetFile != null then ''include "${nft.rulesetFile}"${"\n"}'' else nft.ruleset)
  );
  removal = pkgs.writeText "nftables-removal" (
    if nft.flushRuleset then "flush ruleset\n" else nft.extraDeletions + concatMapStrings remove tables
  );

  unsupported = name: instead: {
    assertion = cfg.${name} == "";
    message = "networking.firewall.${name} is not supported: the firewall is nftables; use ${instead}.";
  };
in
{
  options.networking.firewall = openPorts // {
    enable = mkOption {
      type = types.bool;
      default = true;
      example = false;
      description = ''
        Whether connections from outside are refused unless their port is open. Services open theirs
        by options of their own.
      '';
    };
    interfaces = mkOption {
      type = types.attrsOf (types.submodule { options = openPorts; });
      default = { };
      example = literalExpression "{ eth1.allowedTCPPorts = [ 5432 ]; }";
      description = "Ports that are open on one interface alone.";
    };
    trustedInterfaces = list (types.listOf types.str) [
      "br0"
    ] "Interfaces from which everything is let in.";
    allowPing = flag true "Whether the machine answers to pings.";
    pingLimit = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "2/second";
      description = "How many pings are answered, in nft's language.";
    };
    rejectPackets = flag false "Whether who is refused is told so; otherwise packets are dropped.";
    checkReversePath = mkOption {
      type = types.either types.bool (
        types.enum [
          "strict"
          "loose"
        ]
      );
      default = true;
      description = ''
        Whether packets are dropped whose answer would leave by another interface; `loose` drops only
        those that have no way back at all.
      '';
    };
    logReversePathDrops = flag false "Whether those are written to the kernel's log.";
    logRefusedConnections = flag true "Whether refused connections are written to the kernel's log, at most ten a second.";
    logRefusedPackets = flag false "Whether all refused packets are.";
    logRefusedUnicastsOnly = flag true "Whether broadcasts are left out of that.";
    filterForward = flag false "Whether packets for other machines are refused unless a rule allows them.";
    extraInputRules = rules "Further rules for what comes in, in nft's language.";
    extraForwardRules = rules "Further rules for what is forwarded.";
    extraReversePathFilterRules = rules "Further rules of the check of the reverse path.";
    extraCommands = rules "Not supported: commands for iptables.";
    extraStopCommands = rules "Not supported: commands for iptables.";
    package = mkOption {
      type = types.package;
      default = pkgs.nftables;
      defaultText = literalExpression "pkgs.nftables";
      description = "The package with {command}`nft`.";
    };
  };

  options.networking.nftables = {
    enable = mkOption {
      type = types.bool;
      default = cfg.enable;
      defaultText = literalExpression "config.networking.firewall.enable";
      description = "Whether rules for packets are loaded.";
    };
    tables = mkOption {
      type = types.attrsOf tableType;
      default = { };
      description = "Tables of rules, each replaced as a whole.";
    };
    ruleset = rules "Further rules, in nft's language.";
    rulesetFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "A file of further rules.";
    };
    flushRuleset = mkOption {
      type = types.bool;
      default = nft.ruleset != "" || nft.rulesetFile != null;
      defaultText = literalExpression "there are rules beside the tables";
      description = "Whether everything that was there is removed before.";
    };
    extraDeletions = rules "What else is removed before, in nft's language.";
    checkRuleset = flag true "Without effect: rules are checked when they are loaded, all or none.";
  };

  config = lib.mkMerge [
    {
      assertions = [
        (unsupported "extraCommands" "networking.firewall.extraInputRules or networking.nftables.ruleset")
        (unsupported "extraStopCommands" "networking.nftables")
        {
          assertion = nft.ruleset == "" || nft.rulesetFile == null;
          message = "networking.nftables: set either ruleset or rulesetFile.";
        }
        {
          assertion = cfg.enable -> nft.enable;
          message = "networking.firewall.enable needs networking.nftables.enable, which is on unless it is switched off: leave it out.";
        }
      ];
    }
    (mkIf cfg.enable {
      networking.nftables.tables.cairn-firewall = {
        family = "inet";
        content = table;
      };
    })
    (mkIf nft.enable {
      environment.systemPackages = [ cfg.package ];
      boot.kernelModules = [ "nf_tables" ];
      system.services.firewall = {
        description = "Rules for packets";
        kind = "oneshot";
        # The rules are replaced at once: there is no moment without any.
        reloadIfChanged = true;
        restart.policy = "on-failure";
        process.argv = [
          "${cfg.package}/bin/nft"
          "--file"
          ruleset
        ];
        reload.commands = [
          [
            "${cfg.package}/bin/nft"
            "--file"
            ruleset
          ]
        ];
        postStop = [
          {
            argv = [
              "${cfg.package}/bin/nft"
              "--file"
              "${removal}"
            ];
            ignoreFailure = true;
          }
        ];
        before = [ "network-pre.target" ];
      };
    })
  ];
}
