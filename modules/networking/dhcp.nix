# Addresses by DHCP and router advertisements, and where names are looked up.
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
    optionalString
    types
    ;
  cfg = config.networking;
  interfaces = lib.attrValues cfg.interfaces;

  isFixed = interface: interface.ipv4.addresses != [ ];
  asks =
    interface:
    interface.useDHCP == true || (interface.useDHCP == null && cfg.useDHCP && !(isFixed interface));
  refused = map (interface: interface.name) (lib.filter (interface: !(asks interface)) interfaces);
  allowed = map (interface: interface.name) (
    lib.filter (interface: interface.useDHCP == true) interfaces
  );
  enabled = cfg.dhcpcd.enable && (cfg.useDHCP || allowed != [ ]);

  # Interfaces that others make, and that have no network of their own behind them.
  virtual = [
    "lo"
    "peth*"
    "vif*"
    "tap*"
    "tun*"
    "virbr*"
    "vnet*"
    "vboxnet*"
    "sit*"
    "veth*"
    "docker*"
    "podman*"
  ];

  allowInterfaces =
    if cfg.dhcpcd.allowInterfaces != null then
      cfg.dhcpcd.allowInterfaces
    else if cfg.useDHCP then
      [ ]
    else
      allowed;

  resolvers = lib.concatMapStrings (server: "nameserver ${server}\n") cfg.nameservers;
  domains = lib.unique (lib.optional (cfg.domain != null) cfg.domain ++ cfg.search);
  searchLine = optionalString (domains != [ ]) "search ${lib.concatStringsSep " " domains}\n";
  optionLine = optionalString (
    cfg.resolvconf.extraOptions != [ ]
  ) "options ${lib.concatStringsSep " " cfg.resolvconf.extraOptions}\n";
  fixedResolvers = searchLine + resolvers + optionLine;

  # dhcpcd tells of what has changed through its environment: dhcpcd-run-hooks(8). Each interface and
  # protocol leaves a part, and all parts make the whole; those of the configuration come first.
  hook = pkgs.writeShellScript "dhcpcd-hook" ''
    set -u
    PATH=${lib.makeBinPath [ pkgs.coreutils ]}
    parts=/run/resolvconf/parts
    mkdir -p "$parts"
    part=$parts/$interface.''${protocol:-none}
    has_servers=
    case $reason in
    BOUND | RENEW | REBIND | REBOOT | STATIC | INFORM)
      servers=''${new_domain_name_servers:-} search=''${new_domain_search:-''${new_domain_name:-}} ;;
    BOUND6 | RENEW6 | REBIND6 | REBOOT6 | INFORM6)
      servers=''${new_dhcp6_name_servers:-} search=''${new_dhcp6_domain_search:-} ;;
    ROUTERADVERT)
      servers=''${nd1_rdnss1_servers:-} search=''${nd1_dnssl1_search:-} ;;
    EXPIRE* | FAIL* | IPV4LL | NAK | NOCARRIER* | RELEASE* | STOP* | DEPARTED | NOAF)
      servers= search= has_servers=gone ;;
    *)
      servers= search= has_servers=ignored ;;
    esac
    if [ "$has_servers" = gone ] || { [ -z "$has_servers" ] && [ -z "$servers" ]; }; then
      rm -f "$part"
    elif [ -z "$has_servers" ]; then
      { for domain in $search; do echo "search $domain"; done
        for server in $servers; do echo "nameserver $server"; done
      } > "$part.new"
      mv "$part.new" "$part"
    fi
    ${optionalString cfg.resolvconf.enable ''
      if [ "$has_servers" != ignored ]; then
        search=${lib.escapeShellArg (lib.concatStringsSep " " domains)}
        lines=
        for file in "$parts"/*; do
          [ -e "$file" ] || continue
          while read -r key value; do
            case $key in
            search) case " $search " in *" $value "*) ;; *) search="$search $value" ;; esac ;;
            nameserver) case $lines in *"nameserver $value"*) ;; *) lines="$lines"$'\n'"nameserver $value" ;; esac ;;
            esac
          done < "$file"
        done
        { echo "# Made of what the network says."
          [ -z "''${search# }" ] || echo "search ''${search# }"
          printf '%s' ${lib.escapeShellArg resolvers}
          [ -z "$lines" ] || echo "''${lines#$'\n'}"
          printf '%s' ${lib.escapeShellArg optionLine}
        } > /run/resolvconf/resolv.conf.new
        mv /run/resolvconf/resolv.conf.new /run/resolvconf/resolv.conf
      fi
    ''}
    ${cfg.dhcpcd.runHook}
  '';

  configuration = pkgs.writeText "dhcpcd.conf" ''
    hostname
    duid
    persistent
    option domain_name_servers, domain_name, domain_search
    option classless_static_routes
    option ntp_servers
    option interface_mtu
    nohook lookup-hostname
    nodev
    denyinterfaces ${lib.concatStringsSep " " (refused ++ virtual ++ cfg.dhcpcd.denyInterfaces)}
    ${optionalString (
      allowInterfaces != [ ]
    ) "allowinterfaces ${lib.concatStringsSep " " allowInterfaces}"}
    ${optionalString (!cfg.enableIPv6 || !cfg.dhcpcd.IPv6rs) "noipv6rs"}
    ${optionalString (!cfg.enableIPv6) "noipv6"}
    ${optionalString (lib.elem cfg.dhcpcd.wait [
      "ipv4"
      "both"
    ]) "waitip 4"}
    ${optionalString (lib.elem cfg.dhcpcd.wait [
      "ipv6"
      "both"
    ]) "waitip 6"}
    ${optionalString (cfg.dhcpcd.wait == "if-carrier-up") "noipv4ll"}
    ${optionalString (!cfg.dhcpcd.setHostname) "nohook hostname"}
    ${cfg.dhcpcd.extraConfig}
  '';
in
{
  options.networking = {
    useDHCP = mkOption {
      type = types.bool;
      default = true;
      description = "Whether interfaces without a fixed address ask for one.";
    };
    nameservers = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "192.0.2.53" ];
      description = "Servers that are asked for names of hosts, before those that the network names.";
    };
    search = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "example.org" ];
      description = "Domains in which short names are looked up.";
    };
    resolvconf = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether {file}`/etc/resolv.conf` is made of what the network says.";
      };
      extraOptions = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "edns0" ];
        description = "Its options; see {manpage}`resolv.conf(5)`.";
      };
    };
    useNetworkd = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported.";
    };
    networkmanager.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported yet.";
    };
    dhcpcd = {
      enable = mkOption {
        type = types.bool;
        default = true;
        description = "Whether dhcpcd runs where an interface is to ask for its address.";
      };
      persistent = mkOption {
        type = types.bool;
        default = true;
        description = "Without effect: addresses stay when dhcpcd is stopped.";
      };
      denyInterfaces = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Interfaces that it leaves alone; patterns with `*`.";
      };
      allowInterfaces = mkOption {
        type = types.nullOr (types.listOf types.str);
        default = null;
        description = "The only interfaces that it looks at.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Further lines of {manpage}`dhcpcd.conf(5)`.";
      };
      runHook = mkOption {
        type = types.lines;
        default = "";
        description = "A text for bash that runs whenever something has changed: {manpage}`dhcpcd-run-hooks(8)`.";
      };
      setHostname = mkOption {
        type = types.bool;
        default = false;
        description = "Not supported: the host's name is {option}`networking.hostName`.";
      };
      IPv6rs = mkOption {
        type = types.nullOr types.bool;
        default = true;
        apply = value: value != false;
        description = "Whether routers are asked for networks of version 6.";
      };
      wait = mkOption {
        type = types.enum [
          "background"
          "any"
          "ipv4"
          "ipv6"
          "both"
          "if-carrier-up"
        ];
        default = "any";
        description = "What has to be there before `network-online.target` is reached.";
      };
    };
  };

  config = {
    assertions = [
      {
        assertion = !cfg.dhcpcd.setHostname;
        message = "networking.dhcpcd.setHostname is not supported: set networking.hostName.";
      }
      {
        assertion = !cfg.useNetworkd;
        message = "networking.useNetworkd is not supported: use networking.interfaces and networking.useDHCP.";
      }
      {
        assertion = !cfg.networkmanager.enable;
        message = "networking.networkmanager is not supported, as there is no D-Bus: use networking.wireless, networking.interfaces and networking.useDHCP.";
      }
    ];

    environment.etc."resolv.conf" =
      if enabled && cfg.resolvconf.enable then
        { source = "/run/resolvconf/resolv.conf"; }
      else
        mkIf (fixedResolvers != "") { text = fixedResolvers; };
    environment.systemPackages = mkIf enabled [ pkgs.dhcpcd-base ];
    users.users = mkIf enabled {
      dhcpcd = {
        isSystemUser = true;
        group = "dhcpcd";
        description = "DHCP client";
      };
    };
    users.groups = mkIf enabled { dhcpcd = { }; };

    # Until the network says more, the configuration's servers are there.
    systemd.tmpfiles.rules = mkIf enabled [ "d /run/resolvconf 0755 root root -" ];

    system.services.dhcpcd = mkIf enabled {
      description = "DHCP client";
      kind = "forking";
      # Down, it takes the addresses away through which the switch may have been asked for.
      stopIfChanged = false;
      process.argv = [
        "${pkgs.dhcpcd-base}/bin/dhcpcd"
        "--config"
        configuration
        "--script"
        hook
      ]
      ++ lib.optional (cfg.dhcpcd.wait == "background") "--background";
      process.environment.PATH = lib.makeBinPath [
        pkgs.coreutils
        pkgs.bash
      ];
      preStart = [
        [
          (pkgs.writeShellScript "resolv-conf" ''
            PATH=${lib.makeBinPath [ pkgs.coreutils ]}
            rm -rf /run/resolvconf/parts
            [ -e /run/resolvconf/resolv.conf ] || printf '%s' ${lib.escapeShellArg fixedResolvers} > /run/resolvconf/resolv.conf
          '')
        ]
      ];
      directories = [
        {
          path = "/run/dhcpcd";
          root = true;
        }
        {
          path = "/run/resolvconf";
          root = true;
        }
        {
          path = "/var/lib/dhcpcd";
          mode = "0700";
          root = true;
        }
      ];
      pidFile = "/run/dhcpcd/pid";
      startTimeoutMs = 90000;
      after = [ "network-pre.target" ];
      before = [
        "network-online.target"
        "multi-user.target"
      ];
    };
  };
}
