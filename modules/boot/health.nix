# Whether a generation that was booted is good: health checks, and the service that judges.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkOption
    types
    ;
  cfg = config.boot.health;
  trial = config.boot.loader.trial;

  string = types.coercedTo types.package toString types.str;

  check = types.submodule {
    options = {
      command = mkOption {
        type = types.either types.lines (types.listOf string);
        example = literalExpression ''[ "''${pkgs.curl}/bin/curl" "--fail" "http://localhost/" ]'';
        description = ''
          What is run: a script for bash, which ends at the first command that fails, or a program
          with its arguments. The check is passed when it ends with status 0.
        '';
      };
      timeout = mkOption {
        type = types.ints.between 1 86400;
        default = 30;
        description = ''
          Seconds within which it must have ended; after that it is killed with all its children, and
          has failed.
        '';
      };
      required = mkOption {
        type = types.bool;
        default = true;
        description = ''
          Whether a generation that fails it is left for the last good one. The failure of another
          check is only reported.
        '';
      };
      user = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "nobody";
        description = "The user that runs it; root if there is none.";
      };
    };
  };

  argv =
    name: check:
    if lib.isList check.command then
      check.command
    else
      [ (pkgs.writeShellScript "health-${name}" "set -euo pipefail\n${check.command}") ];

  service = name: check: {
    description = "Health check ${name}";
    kind = "oneshot";
    process = {
      argv = argv name check;
      inherit (check) user;
      environment.PATH = "/run/wrappers/bin:/run/current-system/sw/bin";
    };
    wantedAtBoot = false;
    # Each request runs it again.
    staysUp = false;
    restart.policy = "never";
    startTimeoutMs = check.timeout * 1000;
  };
in
{
  options.boot.health = {
    checks = mkOption {
      type = types.attrsOf check;
      default = { };
      example = literalExpression ''
        {
          web.command = "curl --fail --silent --max-time 5 http://localhost/ > /dev/null";
          mail = {
            command = [ "''${pkgs.netcat-openbsd}/bin/nc" "-z" "localhost" "25" ];
            required = false;
          };
        }
      '';
      description = ''
        What has to work before a new generation counts as good, beside the services wanted at boot,
        which have to be up. They are run when those are. A generation on trial that fails a required
        one is left: the machine restarts into the last good one by itself.
      '';
    };

    stableSeconds = mkOption {
      type = types.ints.between 0 3600;
      default = 10;
      description = ''
        Seconds for which the services wanted at boot must have been up, without a restart of one,
        before the checks are run. It is what tells a service that comes up from one that crashes
        again and again.
      '';
    };
  };

  options.boot.loader.trial.watchdog = mkOption {
    type = types.bool;
    default = true;
    description = ''
      Whether a watchdog of the hardware, or the kernel's own, guards a generation on trial, so
      that a kernel that hangs is restarted too. It is held only until the generation is judged;
      a service that opens {file}`/dev/watchdog` itself at boot does not get it before that.
    '';
  };

  config = {
    assertions = map (name: {
      assertion = builtins.match "[[:alnum:]][[:alnum:]_.@:-]{0,55}" name != null;
      message = "boot.health.checks.\"${name}\": the name of a check is made of 1 to 56 letters, digits, _ . @ : and -, a letter or digit first.";
    }) (lib.attrNames cfg.checks);

    boot.kernelParams =
      lib.optional (trial.timeout != 300) "cairn.trial_timeout=${toString trial.timeout}"
      ++ lib.optional (!trial.watchdog) "cairn.trial_watchdog=0";

    system.services = {
      # Nothing waits for it, and it ends when it has judged.
      boot-assessment = {
        description = "Judge of the generation that was booted";
        process.argv = [
          "${pkgs.cairn}/bin/cairn"
          "assess"
          "--stable-seconds"
          (toString cfg.stableSeconds)
        ];
        process.environment.PATH = "/run/current-system/sw/bin";
        restart.policy = "never";
      };
    }
    // lib.mapAttrs' (name: check: lib.nameValuePair "health-${name}" (service name check)) cfg.checks;

    system.description.health = lib.mapAttrsToList (name: check: {
      inherit name;
      service = "health-${name}";
      need = if check.required then "required" else "wanted";
    }) cfg.checks;
  };
}
