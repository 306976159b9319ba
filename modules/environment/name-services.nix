# How names of users, hosts and services are looked up, and what login and its kin go by.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  database =
    default: description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = default;
      inherit description;
    };

  setting = types.oneOf [
    types.bool
    types.int
    types.str
  ];
  settingText =
    value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else
      toString value;
in
{
  options = {
    system.nssDatabases = {
      passwd = database [ "files" ] "Where users are looked up.";
      group = database [ "files" ] "Where groups are looked up.";
      shadow = database [ "files" ] "Where passwords are looked up.";
      hosts = database [
        "files"
        "dns"
      ] "Where hosts are looked up.";
      services = database [ "files" ] "Where names of ports are looked up.";
    };

    security.loginDefs.settings = mkOption {
      type = types.submodule { freeformType = types.attrsOf setting; };
      default = { };
      example = {
        UMASK = "027";
      };
      description = "What {file}`/etc/login.defs` says; see {manpage}`login.defs(5)`.";
    };
  };

  config = {
    system.nssDatabases = {
      passwd = lib.mkBefore [ "files" ];
      group = lib.mkBefore [ "files" ];
      shadow = lib.mkBefore [ "files" ];
      hosts = lib.mkMerge [
        (lib.mkOrder 998 [ "files" ])
        (lib.mkOrder 1499 [ "dns" ])
      ];
      services = lib.mkBefore [ "files" ];
    };

    security.loginDefs.settings = lib.mapAttrs (_: lib.mkDefault) {
      ENV_PATH = "PATH=/run/wrappers/bin:/run/current-system/sw/bin";
      ENV_SUPATH = "PATH=/run/wrappers/bin:/run/current-system/sw/bin";
      LOG_UNKFAIL_ENAB = false;
      MAIL_DIR = "/var/mail";
      UMASK = "077";
      UID_MIN = 1000;
      UID_MAX = 29999;
      GID_MIN = 1000;
      GID_MAX = 29999;
      SYS_UID_MIN = 400;
      SYS_UID_MAX = 999;
      SYS_GID_MIN = 400;
      SYS_GID_MAX = 999;
      TTYGROUP = "tty";
      TTYPERM = "0620";
      ENCRYPT_METHOD = "YESCRYPT";
    };

    environment.etc = {
      "nsswitch.conf".text =
        lib.concatStrings (
          lib.mapAttrsToList (
            name: sources: "${name}: ${lib.concatStringsSep " " sources}\n"
          ) config.system.nssDatabases
        )
        + ''
          networks: files
          protocols: files
          ethers: files
        '';
      "login.defs".text = lib.concatStrings (
        lib.mapAttrsToList (
          name: value: "${name} ${settingText value}\n"
        ) config.security.loginDefs.settings
      );
      protocols.source = "${pkgs.netbase}/etc/protocols";
      services.source = "${pkgs.netbase}/etc/services";
    };

    systemd.tmpfiles.rules = [
      "d /var/mail 0755 root root -"
      "d /run/user 0755 root root -"
    ];
  };
}
