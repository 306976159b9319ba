# Network address translation, for machines behind this one.
{ config, lib, ... }:
let
  inherit (lib)
    concatMapStrings
    mkIf
    mkOption
    optionalString
    types
    ;
  cfg = config.networking.nat;

  quoted = names: "{ ${lib.concatMapStringsSep ", " (name: ''"${name}"'') names} }";
  out = optionalString (cfg.externalInterface != null) ''oifname "${cfg.externalInterface}" '';
  source = if cfg.externalIP == null then "masquerade" else "snat to ${cfg.externalIP}";

  # nft writes ranges with a hyphen.
  portsOf = ports: lib.replaceStrings [ ":" ] [ "-" ] (toString ports);
  forward =
    rule:
    "  ${
          optionalString (cfg.externalInterface != null) ''iifname "${cfg.externalInterface}" ''
        }${rule.proto} dport ${portsOf rule.sourcePort} dnat to ${rule.destination}\n";

  table = ''
    chain destination {
      type nat hook prerouting priority dstnat; policy accept;
    ${concatMapStrings forward cfg.forwardPorts}${
      optionalString (cfg.dmzHost != null)
        "  ${
              optionalString (cfg.externalInterface != null) ''iifname "${cfg.externalInterface}" ''
            }fib daddr type local dnat to ${cfg.dmzHost}\n"
    }}

    chain source {
      type nat hook postrouting priority srcnat; policy accept;
    ${
      optionalString (
        cfg.internalInterfaces != [ ]
      ) "  iifname ${quoted cfg.internalInterfaces} ${out}${source}\n"
    }${concatMapStrings (network: "  ip saddr ${network} ${out}${source}\n") cfg.internalIPs}}
  '';
in
{
  options.networking.nat = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether machines behind this one reach the network with its address.";
    };
    internalInterfaces = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "eth1" ];
      description = "Interfaces that those machines are behind.";
    };
    internalIPs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "192.168.1.0/24" ];
      description = "Networks that they are in.";
    };
    externalInterface = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "eth0";
      description = "The interface towards the network; any if `null`.";
    };
    externalIP = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "203.0.113.7";
      description = "The address that is shown; the interface's own if `null`.";
    };
    forwardPorts = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            sourcePort = mkOption {
              type = types.either types.port (types.strMatching "[[:digit:]]+:[[:digit:]]+");
              example = 8080;
              description = "The port here, or a range such as `\"3000:3010\"`.";
            };
            destination = mkOption {
              type = types.str;
              example = "192.168.1.20:80";
              description = "The address and the port there.";
            };
            proto = mkOption {
              type = types.enum [
                "tcp"
                "udp"
              ];
              default = "tcp";
              description = "The protocol.";
            };
          };
        }
      );
      default = [ ];
      description = "Ports whose connections go on to machines behind this one.";
    };
    dmzHost = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "192.168.1.20";
      description = "The machine that gets all other connections.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = config.networking.nftables.enable;
        message = "networking.nat.enable needs networking.nftables.enable, which is on unless it is switched off.";
      }
      {
        assertion = cfg.internalInterfaces != [ ] || cfg.internalIPs != [ ] || cfg.forwardPorts != [ ];
        message = "networking.nat: set internalInterfaces or internalIPs.";
      }
    ];
    networking.nftables.enable = lib.mkDefault true;
    networking.nftables.tables.cairn-nat = {
      family = "ip";
      content = table;
    };
    networking.firewall.extraForwardRules = mkIf config.networking.firewall.filterForward (
      "ct status dnat accept\n"
      + optionalString (
        cfg.internalInterfaces != [ ]
      ) "iifname ${quoted cfg.internalInterfaces} ${out}accept\n"
      + concatMapStrings (network: "ip saddr ${network} ${out}accept\n") cfg.internalIPs
    );
    boot.kernel.sysctl = {
      "net.ipv4.conf.all.forwarding" = lib.mkOverride 99 true;
      "net.ipv4.conf.default.forwarding" = lib.mkOverride 99 true;
    };
  };
}
