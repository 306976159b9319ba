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
  seconds = milliseconds "systemd.watchdog.runtimeTime" cfg.runtimeTime / 1000;

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
    device = unsupported "the first one that can be stopped again is taken, hardware rather than the kernel's own";
    rebootTime = unsupported "a machine that goes down has a deadline of its own, and the watchdog is stopped then";
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
          rebootTime = "a machine that goes down has a deadline of its own";
          kexecTime = "the watchdog is stopped then";
        }
      ++ [
        {
          assertion = cfg.runtimeTime == null || seconds > 0;
          message = "systemd.watchdog.runtimeTime: a watchdog counts seconds, and at least one.";
        }
      ];

    system.services.watchdog = mkIf (cfg.runtimeTime != null) {
      description = "Watchdog of the machine";
      # Of the generation whose services run.
      process.argv = [
        "/run/cairn/generation/watchdog"
        (toString seconds)
      ];
      # The last to be ended where memory is short.
      process.oomScoreAdjust = -1000;
      restart.policy = "always";
    };
  };
}
