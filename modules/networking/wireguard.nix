# WireGuard: interfaces that are set up by `wg-quick`, which also routes what its peers are allowed to send.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkOption
    optional
    types
    ;
  cfg = config.networking;

  peer = {
    options = {
      publicKey = mkOption {
        type = types.strMatching "[A-Za-z0-9+/]{43}=";
        example = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
        description = "The peer's public key.";
      };
      presharedKeyFile = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "/etc/wireguard/peer.psk";
        description = "A file on the machine with a key that both have.";
      };
      allowedIPs = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "10.100.0.0/24" ];
        description = "What is sent to the peer, and may come from it.";
      };
      endpoint = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "vpn.example.org:51820";
        description = "Where the peer is, if it does not begin.";
      };
      persistentKeepalive = mkOption {
        type = types.nullOr types.ints.unsigned;
        default = null;
        example = 25;
        description = "Seconds after which something is sent, so that the way back stays open.";
      };
    };
  };

  options = addresses: {
    ${addresses} = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "10.100.0.2/24" ];
      description = "The interface's addresses.";
    };
    privateKeyFile = mkOption {
      type = types.str;
      example = "/etc/wireguard/private.key";
      description = "A file on the machine with its private key, as `wg genkey` prints it.";
    };
    generatePrivateKeyFile = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a key is made there if there is none.";
    };
    listenPort = mkOption {
      type = types.nullOr types.port;
      default = null;
      example = 51820;
      description = "The port that peers begin at; any if `null`. The firewall opens it if {option}`networking.firewall.allowedUDPPorts` has it.";
    };
    mtu = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 1420;
      description = "Longest packet in bytes.";
    };
    peers = mkOption {
      type = types.listOf (types.submodule peer);
      default = [ ];
      description = "Who it speaks to.";
    };
  };
  commands =
    description:
    mkOption {
      type = types.lines;
      default = "";
      inherit description;
    };

  interfaces =
    lib.mapAttrs (
      _: interface:
      interface
      // {
        address = interface.ips;
        preUp = interface.preSetup;
        postUp = interface.postSetup;
        preDown = "";
        postDown = interface.postShutdown;
        table = if interface.allowedIPsAsRoutes then "auto" else "off";
        autostart = true;
      }
    ) cfg.wireguard.interfaces
    // cfg.wg-quick.interfaces;

  # Secrets are read when the interface comes up.
  text =
    name: interface:
    let
      line = key: value: optional (value != null) "${key} = ${toString value}";
      script = key: text: optional (text != "") "${key} = ${pkgs.writeShellScript "${name}-${key}" text}";
      peerText =
        peer:
        [ "[Peer]" ]
        ++ line "PublicKey" peer.publicKey
        ++ optional (peer.allowedIPs != [ ]) "AllowedIPs = ${lib.concatStringsSep ", " peer.allowedIPs}"
        ++ line "Endpoint" peer.endpoint
        ++ line "PersistentKeepalive" peer.persistentKeepalive;
      secret =
        peer:
        optional (
          peer.presharedKeyFile != null
        ) "PostUp = wg set %i peer ${peer.publicKey} preshared-key ${peer.presharedKeyFile}";
    in
    lib.concatMapStrings (line: "${line}\n") (
      [ "[Interface]" ]
      ++ map (address: "Address = ${address}") interface.address
      ++ line "ListenPort" interface.listenPort
      ++ line "MTU" interface.mtu
      ++ line "Table" interface.table
      ++ script "PreUp" interface.preUp
      ++ [ "PostUp = wg set %i private-key ${interface.privateKeyFile}" ]
      ++ lib.concatMap secret interface.peers
      ++ script "PostUp" interface.postUp
      ++ script "PreDown" interface.preDown
      ++ script "PostDown" interface.postDown
      ++ lib.concatMap peerText interface.peers
    );

  service =
    name: interface:
    let
      file = "${pkgs.writeTextDir "${name}.conf" (text name interface)}/${name}.conf";
      quick = action: [
        "${pkgs.wireguard-tools}/bin/wg-quick"
        action
        file
      ];
    in
    lib.nameValuePair "wireguard-${name}" {
      description = "WireGuard's interface ${name}";
      kind = "oneshot";
      wantedAtBoot = interface.autostart;
      restart.policy = "on-failure";
      restart.maxDelayMs = 60000;
      process.path = [
        pkgs.bash
        pkgs.coreutils
        pkgs.grep
        pkgs.iproute2
        pkgs.nftables
        pkgs.procps
        pkgs.wireguard-tools
      ];
      preStart = optional interface.generatePrivateKeyFile {
        argv = [
          (pkgs.writeShellScript "wireguard-${name}-key" ''
            key=${lib.escapeShellArg interface.privateKeyFile}
            if [ ! -s "$key" ]; then
              umask 077
              mkdir -p "''${key%/*}"
              ${pkgs.wireguard-tools}/bin/wg genkey > "$key"
            fi
          '')
        ];
      };
      process.argv = quick "up";
      # Also after a start that came no further, when nothing may be there.
      postStop = [
        {
          argv = quick "down";
          ignoreFailure = true;
        }
      ];
      # Endpoints are names.
      after = [
        "network-online.target"
        "nss-lookup.target"
      ];
      wants = [ "network-online.target" ];
    };
in
{
  options.networking = {
    wireguard.interfaces = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = options "ips" // {
            allowedIPsAsRoutes = mkOption {
              type = types.bool;
              default = true;
              description = "Whether what peers are allowed to send is routed to them.";
            };
            preSetup = commands "A text for bash that runs before the interface is made.";
            postSetup = commands "A text for bash that runs when it is up.";
            postShutdown = commands "A text for bash that runs when it is gone.";
          };
        }
      );
      default = { };
      example = {
        wg0 = {
          ips = [ "10.100.0.1/24" ];
          listenPort = 51820;
          privateKeyFile = "/etc/wireguard/private.key";
          peers = [
            {
              publicKey = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
              allowedIPs = [ "10.100.0.2/32" ];
            }
          ];
        };
      };
      description = "WireGuard's interfaces by name.";
    };
    wg-quick.interfaces = mkOption {
      type = types.attrsOf (
        types.submodule {
          options = options "address" // {
            autostart = mkOption {
              type = types.bool;
              default = true;
              description = "Whether it comes up at boot.";
            };
            table = mkOption {
              type = types.nullOr types.str;
              default = null;
              example = "off";
              description = "The routing table, `off` for no routes; see {manpage}`wg-quick(8)`.";
            };
            preUp = commands "A text for bash that runs before the interface is made.";
            postUp = commands "A text for bash that runs when it is up.";
            preDown = commands "A text for bash that runs before it goes.";
            postDown = commands "A text for bash that runs when it is gone.";
          };
        }
      );
      default = { };
      description = "The same, with the words of {manpage}`wg-quick(8)`.";
    };
  };

  config = mkIf (interfaces != { }) {
    boot.kernelModules = [ "wireguard" ];
    environment.systemPackages = [ pkgs.wireguard-tools ];
    networking.dhcpcd.denyInterfaces = lib.attrNames interfaces;
    system.services = lib.mapAttrs' service interfaces;
  };
}
