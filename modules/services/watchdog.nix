# A watchdog, which resets a machine that hangs.
{ config, lib, ... }:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.systemd.watchdog;
  inherit (import ./systemd/values.nix {
    inherit lib;
    scope = "system";
  })
    milliseconds
    ;
  seconds = name: milliseconds "systemd.watchdog.${name}" cfg.${name} / 1000;

  unsupported =
    why:
    mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "Not supported: ${why}.";
    };
in
{
  options.systemd.watchdog = {
    runtimeTime = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "30s";
      description = ''
        The time after which a watchdog resets a machine on which the supervisor gives no answer: the machine's own, or
        the kernel's, whose module {file}`softdog` is named in {option}`boot.kernelModules`. The service `watchdog`
        does it.
      '';
    };
    rebootTime = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "2min";
      description = ''
        How long the machine's end may take, from when services are stopped: a watchdog resets a machine that is neither off
        nor restarted by then. Without a value ten minutes, and `"0"` stops the watchdog before. It is the one of
        {option}`systemd.watchdog.runtimeTime`, and is stopped, too, if it cannot count so far: some count to 255 seconds.
      '';
    };
    device = unsupported "the first one that can be stopped again is taken, hardware rather than the kernel's own";
    kexecTime = unsupported "the watchdog is stopped then";
  };

  config = {
    assertions =
      lib.mapAttrsToList
        (name: why: {
          assertion = cfg.${name} == null;
          message = "systemd.watchdog.${name} is not supported: ${why}.";
        })
        {
          device = "the first watchdog that can be stopped again is taken";
          kexecTime = "the watchdog is stopped then";
        }
      ++ [
        {
          assertion = cfg.runtimeTime == null || seconds "runtimeTime" > 0;
          message = "systemd.watchdog.runtimeTime: a watchdog counts seconds, and at least one.";
        }
        {
          assertion = cfg.rebootTime == null || cfg.runtimeTime != null;
          message = "systemd.watchdog.rebootTime: it is the watchdog of systemd.watchdog.runtimeTime, which has no value.";
        }
      ];

    system.services.watchdog = mkIf (cfg.runtimeTime != null) {
      description = "Watchdog of the machine";
      # Of the generation whose services run.
      process.argv = [
        "/run/cairn/generation/watchdog"
        (toString (seconds "runtimeTime"))
        (toString (if cfg.rebootTime == null then 600 else seconds "rebootTime"))
      ];
      # The last to be ended where memory is short.
      process.oomScoreAdjust = -1000;
      restart.policy = "always";
      # One of the last to be stopped.
      before = [ "network-pre.target" ];
    };
  };
}
