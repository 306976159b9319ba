# Disks are told now and then which blocks are free.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.services.fstrim;
in
{
  options.services.fstrim = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether file systems tell their disks which blocks are free.";
    };
    interval = mkOption {
      type = types.str;
      default = "weekly";
      description = "When they do, as a calendar expression.";
    };
  };

  config = lib.mkIf cfg.enable {
    systemd.services.fstrim = {
      description = "Free blocks of disks";
      serviceConfig.Type = "oneshot";
      serviceConfig.ExecStart = "${pkgs.util-linux}/bin/fstrim --listed-in /etc/fstab:/proc/self/mountinfo --verbose --quiet-unsupported";
    };
    systemd.timers.fstrim.timerConfig = {
      OnCalendar = cfg.interval;
      Persistent = true;
      RandomizedDelaySec = 6000;
    };
  };
}
