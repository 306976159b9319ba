# Swap space in memory that is compressed.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.zramSwap;
in
{
  options.zramSwap = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether memory that is not used is compressed, as swap space in memory.";
    };
    memoryPercent = mkOption {
      type = types.ints.positive;
      default = 50;
      description = "How much may be in it, before it is compressed, in percent of the machine's memory.";
    };
    memoryMax = mkOption {
      type = types.nullOr types.ints.positive;
      default = null;
      example = 4294967296;
      description = "How much at most, in bytes.";
    };
    priority = mkOption {
      type = types.ints.between 0 32767;
      default = 5;
      description = "Its place among several swap spaces; the highest is filled first.";
    };
    algorithm = mkOption {
      type = types.str;
      default = "zstd";
      example = "lz4";
      description = "How it is compressed, by the kernel's name.";
    };
    swapDevices = mkOption {
      type = types.enum [ 1 ];
      default = 1;
      description = "How many there are.";
    };
  };

  config = mkIf cfg.enable {
    boot.kernelModules = [ "zram" ];
    system.services.zram-swap = {
      description = "Swap space in compressed memory";
      kind = "oneshot";
      process.path = [
        pkgs.coreutils
        pkgs.gawk
        pkgs.mount
        pkgs.util-linux
      ];
      process.argv = [
        (pkgs.writeShellScript "zram-swap" ''
          set -eu
          device=/sys/block/zram0
          size=$(awk '/^MemTotal:/ { printf "%d", $2 * 1024 * ${toString cfg.memoryPercent} / 100 }' /proc/meminfo)
          ${lib.optionalString (cfg.memoryMax != null) ''
            if [ "$size" -gt ${toString cfg.memoryMax} ]; then size=${toString cfg.memoryMax}; fi
          ''}
          echo 1 > $device/reset
          echo ${lib.escapeShellArg cfg.algorithm} > $device/comp_algorithm
          echo "$size" > $device/disksize
          mkswap --quiet /dev/zram0
          swapon --priority ${toString cfg.priority} /dev/zram0
        '')
      ];
      postStop = [
        {
          argv = [
            (pkgs.writeShellScript "zram-swap-off" ''
              ${pkgs.mount}/bin/swapoff /dev/zram0
              echo 1 > /sys/block/zram0/reset
            '')
          ];
          ignoreFailure = true;
        }
      ];
    };
  };
}
