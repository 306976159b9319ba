# What programs write to `/dev/log`, and the kernel's log: the output of a service, which the
# supervisor keeps in files of bounded size, as that of all others.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkIf
    mkOption
    optionals
    types
    ;
  cfg = config.services.syslogd;
  busybox = "${pkgs.busybox-static}/bin/busybox";
in
{
  options.services = {
    syslogd = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = "Whether what programs write to {file}`/dev/log` is kept: {command}`cairn log syslogd` shows it.";
      };
      remote = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "log.example.org:514";
        description = "A machine that gets everything too.";
      };
      kernelLog = mkOption {
        type = types.bool;
        default = true;
        description = "Whether the kernel's messages are kept too.";
      };
      defaultConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Not supported.";
      };
      extraConfig = mkOption {
        type = types.lines;
        default = "";
        description = "Not supported: everything is in the log of the service `syslogd`.";
      };
      extraParams = mkOption {
        type = types.listOf types.str;
        default = [ ];
        description = "Further arguments of busybox's `syslogd`.";
      };
    };
    rsyslogd.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported: {option}`services.syslogd` is there.";
    };
    journald.extraConfig = mkOption {
      type = types.lines;
      default = "";
      description = "Without effect: there is no journal of systemd's. Logs of services are bounded by themselves.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !config.services.rsyslogd.enable;
        message = "services.rsyslogd is not supported: use services.syslogd, or run it as systemd.services.rsyslogd with services.syslogd.enable = false.";
      }
      {
        assertion = cfg.extraConfig == "" && cfg.defaultConfig == "";
        message = "services.syslogd.extraConfig and defaultConfig are not supported: everything is in the log of the service syslogd.";
      }
    ];
    system.services = mkIf cfg.enable {
      syslogd = {
        description = "System log";
        process.argv = [
          busybox
          "syslogd"
          "-n"
          "-O"
          "-"
        ]
        ++ optionals (cfg.remote != null) [
          "-L"
          "-R"
          cfg.remote
        ]
        ++ cfg.extraParams;
        before = [ "network-pre.target" ];
      };
      klogd = mkIf cfg.kernelLog {
        description = "The kernel's log";
        process.argv = [
          busybox
          "klogd"
          "-n"
        ];
        after = [ "syslogd" ];
      };
    };
  };
}
