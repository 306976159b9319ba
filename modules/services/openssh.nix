# OpenSSH's server.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkIf
    mkOption
    types
    ;
  cfg = config.services.openssh;

  scalar = types.oneOf [
    types.bool
    types.int
    types.str
    types.path
  ];
  valueText =
    value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else
      toString value;

  # Keywords whose lists are one word, and those whose lists are words.
  commaLists = [
    "Ciphers"
    "HostKeyAlgorithms"
    "KexAlgorithms"
    "Macs"
    "MACs"
    "PubkeyAcceptedAlgorithms"
    "CASignatureAlgorithms"
  ];
  settingLine =
    key: value:
    if builtins.isList value then
      lib.optionalString (value != [ ]) (
        "${key} ${lib.concatMapStringsSep (if lib.elem key commaLists then "," else " ") valueText value}\n"
      )
    else
      "${key} ${valueText value}\n";
  settings = lib.filterAttrs (_: value: value != null) cfg.settings;

  # IPv6 addresses with a port stand in brackets.
  listen =
    address:
    let
      host =
        if lib.hasInfix ":" address.addr && !(lib.hasPrefix "[" address.addr) then
          "[${address.addr}]"
        else
          address.addr;
    in
    "ListenAddress ${host}${lib.optionalString (address.port != null) ":${toString address.port}"}\n";

  text = lib.concatStrings [
    "AddressFamily ${if config.networking.enableIPv6 then "any" else "inet"}\n"
    (lib.concatMapStrings (port: "Port ${toString port}\n") cfg.ports)
    (lib.concatMapStrings listen cfg.listenAddresses)
    (lib.concatMapStrings (key: "HostKey ${key.path}\n") cfg.hostKeys)
    "AuthorizedKeysFile ${toString cfg.authorizedKeysFiles}\n"
    (lib.optionalString (cfg.authorizedKeysCommand != "none") ''
      AuthorizedKeysCommand ${cfg.authorizedKeysCommand}
      AuthorizedKeysCommandUser ${cfg.authorizedKeysCommandUser}
    '')
    (lib.optionalString (cfg.banner != null) "Banner ${pkgs.writeText "ssh-banner" cfg.banner}\n")
    (lib.optionalString cfg.allowSFTP "Subsystem sftp ${
      toString ([ cfg.sftpServerExecutable ] ++ cfg.sftpFlags)
    }\n")
    # Commands without a login shell find programs too.
    "SetEnv PATH=/run/wrappers/bin:/run/current-system/sw/bin\n"
    (lib.concatStrings (lib.mapAttrsToList settingLine settings))
    cfg.extraConfig
  ];

  # A key appears under its name when it is whole, after its public half.
  makeKey =
    key:
    let
      option =
        flag: name:
        lib.optionalString (key.${name} or null != null)
          " ${flag} ${lib.escapeShellArg (toString key.${name})}";
    in
    ''
      key=${lib.escapeShellArg key.path}
      if ! [ -s "$key" ]; then
        mkdir -p "$(dirname "$key")"
        rm -f "$key.new" "$key.new.pub"
        ssh-keygen -q -t ${lib.escapeShellArg key.type}${option "-b" "bits"}${option "-a" "rounds"} -N "" \
          -C ${
            if key.comment or null != null then
              lib.escapeShellArg key.comment
            else
              ''"root@$(cat /proc/sys/kernel/hostname)"''
          } -f "$key.new"
        sync "$key.new" "$key.new.pub"
        mv "$key.new.pub" "$key.pub"
        mv "$key.new" "$key"
      fi
    '';

  renamed =
    name:
    lib.mkRenamedOptionModule [
      "services"
      "openssh"
      name
    ];
in
{
  imports = [
    (lib.mkAliasOptionModule [ "services" "sshd" "enable" ] [ "services" "openssh" "enable" ])
    (renamed "permitRootLogin" [
      "services"
      "openssh"
      "settings"
      "PermitRootLogin"
    ])
    (renamed "passwordAuthentication" [
      "services"
      "openssh"
      "settings"
      "PasswordAuthentication"
    ])
    (renamed "kbdInteractiveAuthentication" [
      "services"
      "openssh"
      "settings"
      "KbdInteractiveAuthentication"
    ])
    (renamed "forwardX11" [
      "services"
      "openssh"
      "settings"
      "X11Forwarding"
    ])
    (renamed "gatewayPorts" [
      "services"
      "openssh"
      "settings"
      "GatewayPorts"
    ])
    (renamed "useDns" [
      "services"
      "openssh"
      "settings"
      "UseDns"
    ])
    (renamed "logLevel" [
      "services"
      "openssh"
      "settings"
      "LogLevel"
    ])
    (renamed "ciphers" [
      "services"
      "openssh"
      "settings"
      "Ciphers"
    ])
    (renamed "macs" [
      "services"
      "openssh"
      "settings"
      "Macs"
    ])
    (renamed "kexAlgorithms" [
      "services"
      "openssh"
      "settings"
      "KexAlgorithms"
    ])
  ];

  options.services.openssh = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether people can log in through SSH. `services.sshd.enable` is the same.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.openssh-server;
      defaultText = literalExpression "pkgs.openssh-server";
      description = "The package with the server.";
    };
    startWhenNeeded = mkOption {
      type = types.bool;
      default = false;
      description = "Whether a server is started for each connection; otherwise one always runs.";
    };
    ports = mkOption {
      type = types.listOf types.port;
      default = [ 22 ];
      description = "Ports that it listens on.";
    };
    openFirewall = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the firewall lets its ports through.";
    };
    listenAddresses = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            addr = mkOption {
              type = types.str;
              description = "Name or address.";
            };
            port = mkOption {
              type = types.nullOr types.port;
              default = null;
              description = "Port; {option}`services.openssh.ports` if there is none.";
            };
          };
        }
      );
      default = [ ];
      example = [ { addr = "192.0.2.1"; } ];
      description = "Addresses that it listens on; all of the machine's if there is none.";
    };
    hostKeys = mkOption {
      type = types.listOf types.attrs;
      default = [
        {
          type = "ed25519";
          path = "/etc/ssh/ssh_host_ed25519_key";
        }
      ];
      example = [
        {
          type = "rsa";
          bits = 4096;
          path = "/etc/ssh/ssh_host_rsa_key";
        }
      ];
      description = ''
        Keys by which the machine is known, each with {var}`type` and {var}`path`, and if need be
        {var}`bits`, {var}`rounds` and {var}`comment`. What does not exist is made before the server
        starts. An RSA key is not among the defaults, since it takes seconds to make.
      '';
    };
    generateHostKeys = mkOption {
      type = types.bool;
      default = true;
      description = "Whether keys that do not exist are made.";
    };
    authorizedKeysFiles = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Further files in which a user's keys are looked for, in sshd's own words.";
    };
    authorizedKeysInHomedir = mkOption {
      type = types.bool;
      default = true;
      description = "Whether users add keys of their own in {file}`~/.ssh/authorized_keys`.";
    };
    authorizedKeysCommand = mkOption {
      type = types.str;
      default = "none";
      description = "A program that prints a user's keys.";
    };
    authorizedKeysCommandUser = mkOption {
      type = types.str;
      default = "nobody";
      description = "Whom that program runs as.";
    };
    banner = mkOption {
      type = types.nullOr types.lines;
      default = null;
      description = "What everybody sees before logging in.";
    };
    allowSFTP = mkOption {
      type = types.bool;
      default = true;
      description = "Whether files can be copied by SFTP.";
    };
    sftpServerExecutable = mkOption {
      type = types.str;
      default = "internal-sftp";
      description = "The program that does it.";
    };
    sftpFlags = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "-l INFO" ];
      description = "Its arguments.";
    };
    moduliFile = mkOption {
      type = types.nullOr types.path;
      default = null;
      description = "Groups for the key exchange by Diffie-Hellman; the package's own if there is none.";
    };
    settings = mkOption {
      default = { };
      example = {
        PasswordAuthentication = false;
        AllowUsers = [ "alice" ];
      };
      description = "Lines of {file}`/etc/ssh/sshd_config` by keyword; see {manpage}`sshd_config(5)`.";
      type = types.submodule {
        freeformType = types.attrsOf (types.nullOr (types.either scalar (types.listOf scalar)));
        options = {
          PermitRootLogin = mkOption {
            type = types.enum [
              "yes"
              "without-password"
              "prohibit-password"
              "forced-commands-only"
              "no"
            ];
            default = "prohibit-password";
            description = "Whether root may log in.";
          };
          PasswordAuthentication = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether a password lets somebody in.";
          };
          KbdInteractiveAuthentication = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether PAM may ask questions.";
          };
          UsePAM = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether PAM has a say.";
          };
          X11Forwarding = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether X11 connections come through.";
          };
          GatewayPorts = mkOption {
            type = types.nullOr types.str;
            default = "no";
            description = "Whether forwarded ports are open to other machines.";
          };
          LogLevel = mkOption {
            type = types.nullOr types.str;
            default = "INFO";
            description = "How much it writes to its log.";
          };
          UseDns = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether names of clients are looked up.";
          };
          StrictModes = mkOption {
            type = types.nullOr types.bool;
            default = true;
            description = "Whether files that others may write are refused.";
          };
          PrintMotd = mkOption {
            type = types.nullOr types.bool;
            default = false;
            description = "Whether {file}`/etc/motd` is shown.";
          };
        };
      };
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = ''
        Match User backup
          ForceCommand internal-sftp
      '';
      description = "Further lines of {file}`/etc/ssh/sshd_config`, after all others.";
    };
  };

  config = mkIf cfg.enable {
    assertions = [
      {
        assertion = cfg.authorizedKeysCommand == "none" || lib.hasPrefix "/" cfg.authorizedKeysCommand;
        message = "services.openssh.authorizedKeysCommand has to be an absolute path.";
      }
    ]
    ++ map (key: {
      assertion = key ? type && key ? path;
      message = "services.openssh.hostKeys: each key has a type and a path.";
    }) cfg.hostKeys;

    services.openssh.authorizedKeysFiles =
      lib.optional cfg.authorizedKeysInHomedir "%h/.ssh/authorized_keys"
      ++ [ "/etc/ssh/authorized_keys.d/%u" ];

    users.users.sshd = {
      isSystemUser = true;
      group = "sshd";
      description = "SSH privilege separation";
    };
    users.groups.sshd = { };

    security.pam.services.sshd.unixAuth = mkDefault (
      cfg.settings.PasswordAuthentication == true || cfg.settings.KbdInteractiveAuthentication == true
    );
    networking.firewall.allowedTCPPorts = mkIf cfg.openFirewall (
      cfg.ports ++ lib.filter (port: port != null) (map (address: address.port) cfg.listenAddresses)
    );
    environment.etc."ssh/sshd_config".text = text;
    environment.etc."ssh/moduli" = mkIf (cfg.moduliFile != null) { source = cfg.moduliFile; };

    system.services.sshd-keygen = mkIf (cfg.generateHostKeys && cfg.hostKeys != [ ]) {
      description = "SSH host keys";
      kind = "oneshot";
      restart.policy = "on-failure";
      process.argv = [
        (pkgs.writeShellScript "sshd-keygen" "set -eu\n${lib.concatMapStrings makeKey cfg.hostKeys}")
      ];
      process.path = [
        pkgs.coreutils
        config.programs.ssh.package
      ];
    };

    system.services.${if cfg.startWhenNeeded then "sshd@" else "sshd"} = {
      description = if cfg.startWhenNeeded then "SSH connection" else "SSH server";
      process.argv = [
        "${cfg.package}/bin/sshd"
        (if cfg.startWhenNeeded then "-i" else "-D")
        "-e"
        "-f"
        "/etc/ssh/sshd_config"
      ];
      # What it has to say of a connection is for the log.
      process.connected = lib.optionals cfg.startWhenNeeded [
        "input"
        "output"
      ];
      process.environment.PATH = "/run/wrappers/bin:/run/current-system/sw/bin";
      directories = [ { path = "/run/sshd"; } ];
      requires = lib.optional (cfg.generateHostKeys && cfg.hostKeys != [ ]) "sshd-keygen";
      after = [ "network.target" ];
      before = [ "multi-user.target" ];
      reload.signal = "SIGHUP";
      # Sessions outlive a restart, and nobody is locked out for as long as an activation takes.
      stop.killMode = "main";
      stopIfChanged = false;
      restartTriggers = [ text ];
      wantedAtBoot = !cfg.startWhenNeeded;
    };

    system.services."sshd.socket" = mkIf cfg.startWhenNeeded {
      description = "SSH connections";
      kind = "socket";
      restart.policy = "never";
      stopIfChanged = false;
      socket = {
        service = "sshd@";
        accept = true;
        # Those addresses may come later than the socket.
        freeBind = cfg.listenAddresses != [ ];
        listen =
          let
            bracketed = addr: if lib.hasInfix ":" addr then "[${addr}]" else addr;
            at =
              address:
              map (port: { stream = "${bracketed address.addr}:${toString port}"; }) (
                if address.port == null then cfg.ports else [ address.port ]
              );
          in
          if cfg.listenAddresses == [ ] then
            map (port: { stream = toString port; }) cfg.ports
          else
            lib.concatMap at cfg.listenAddresses;
      };
    };
  };
}
