# `/tmp`.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.boot.tmp;
in
{
  imports = [
    (lib.mkRenamedOptionModule [ "boot" "cleanTmpDir" ] [ "boot" "tmp" "cleanOnBoot" ])
    (lib.mkRenamedOptionModule [ "boot" "tmpOnTmpfs" ] [ "boot" "tmp" "useTmpfs" ])
    (lib.mkRenamedOptionModule [ "boot" "tmpOnTmpfsSize" ] [ "boot" "tmp" "tmpfsSize" ])
  ];

  options.boot.tmp = {
    cleanOnBoot = mkOption {
      type = types.bool;
      default = false;
      description = "Whether {file}`/tmp` is emptied at each boot.";
    };

    useTmpfs = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether {file}`/tmp` is in memory. Large temporary files may then need more memory than the
        machine has.
      '';
    };

    tmpfsSize = mkOption {
      type = types.oneOf [
        types.str
        types.ints.positive
      ];
      default = "50%";
      example = "2G";
      description = ''
        How much {file}`/tmp` may take with {option}`boot.tmp.useTmpfs`: bytes, a number with `k`, `m`
        or `g`, or a share of the memory.
      '';
    };
  };

  config = {
    fileSystems = lib.mkIf cfg.useTmpfs {
      "/tmp" = {
        device = "tmpfs";
        fsType = "tmpfs";
        options = [
          "mode=1777"
          "nosuid"
          "nodev"
          "size=${toString cfg.tmpfsSize}"
        ];
      };
    };
    systemd.tmpfiles.rules = lib.optional cfg.cleanOnBoot "D! /tmp 1777 root root";
  };
}
