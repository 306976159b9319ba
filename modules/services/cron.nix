# Commands at given times: Debian's cron.
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
    types
    ;
  cfg = config.services.cron;

  path = "/run/wrappers/bin:/run/current-system/sw/bin";
  table = ''
    SHELL=${pkgs.bash}/bin/bash
    PATH=${path}
    ${lib.optionalString (cfg.mailto != null) ''MAILTO="${cfg.mailto}"''}
    ${lib.concatMapStrings (job: "${job}\n") cfg.systemCronJobs}
  '';

  # Five times (or one word that stands for them), a user, a command.
  isJob =
    job:
    builtins.match "[[:space:]]*(#.*|[A-Za-z_]+[[:space:]]*=.*|@[a-z]+[[:space:]]+[^[:space:]]+[[:space:]]+.+|([^[:space:]]+[[:space:]]+){6}.+)?" job
    != null;
in
{
  options.services.cron = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether cron runs.";
    };
    systemCronJobs = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = literalExpression ''[ "*/5 * * * * root date >> /var/log/cron-test" ]'';
      description = "Lines of {file}`/etc/crontab`: five times, a user, and a command.";
    };
    mailto = mkOption {
      type = types.nullOr types.str;
      default = null;
      description = "To whom the output goes.";
    };
    cronFiles = mkOption {
      type = types.listOf types.path;
      default = [ ];
      description = "Further files of lines.";
    };
  };

  config = lib.mkMerge [
    {
      services.cron.enable = mkIf (cfg.systemCronJobs != [ ] || cfg.cronFiles != [ ]) (
        lib.mkDefault true
      );
    }
    (mkIf cfg.enable {
      assertions = map (job: {
        assertion = isJob job;
        message = "services.cron.systemCronJobs: '${job}' has not five times, a user and a command, such as: 0 3 * * * root backup";
      }) cfg.systemCronJobs;

      environment.systemPackages = [ pkgs.cron ];
      environment.etc = {
        # cron looks there, whether there is something or not.
        "cron.d/.placeholder".text = "";
        crontab = {
          text = table;
          mode = "0644";
        };
      }
      // lib.listToAttrs (
        lib.imap0 (
          number: file:
          lib.nameValuePair "cron.d/${toString number}" {
            source = file;
            mode = "0644";
          }
        ) cfg.cronFiles
      );
      security.pam.services.cron = { };
      users.groups.crontab = { };
      # Users edit their own tables, which lie in a folder that only the group may enter.
      security.wrappers.crontab = {
        source = "${pkgs.cron}/bin/crontab";
        owner = "root";
        group = "crontab";
        setgid = true;
      };
      system.services.cron = {
        description = "Commands at given times";
        process.argv = [
          "${pkgs.cron}/bin/cron"
          "-f"
          "-L"
          "5"
        ];
        process.environment.PATH = path;
        process.heedsSigpipe = true;
        preStart = [
          [
            "${pkgs.coreutils}/bin/install"
            "-d"
            "-m"
            "1730"
            "-g"
            "crontab"
            "/var/spool/cron/crontabs"
          ]
        ];
        stop.killMode = "main";
        # It goes by the times of files, which are all the same in the store.
        restartTriggers = map (file: file.source) (
          lib.attrValues (
            lib.filterAttrs (
              name: file: file.enable && (name == "crontab" || lib.hasPrefix "cron.d/" name)
            ) config.environment.etc
          )
        );
      };
    })
  ];
}
