# What programs write to `/dev/log`, and the kernel's log: the output of a service, which the
# supervisor keeps in files of bounded size, as that of all others. The socket is there before anybody could
# write, and as long as the machine is up. What is to be sent to another machine as well is heard by busybox.
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
  least = lib.filterAttrs (_: service: service.leastLogLevel != null) config.system.services;
  levels = lib.concatStringsSep " " (
    lib.mapAttrsToList (name: service: "${name}=${toString service.leastLogLevel}") least
  );
  isSent = cfg.remote != null || cfg.extraParams != [ ];
in
{
  options.services = {
    syslogd = {
      enable = mkOption {
        type = types.bool;
        default = true;
        example = false;
        description = ''
          Whether what programs write to {file}`/dev/log` is kept: {command}`cairn log syslogd` shows all of it, and
          {command}`cairn log SERVICE` what a service's processes have written.
        '';
      };
      remote = mkOption {
        type = types.nullOr types.str;
        default = null;
        example = "log.example.org:514";
        description = ''
          A machine that gets everything too. Busybox's {command}`syslogd` sends it, and hears what is written instead:
          messages in the form of RFC 3164 alone, and {command}`cairn log` does not know whose they are.
        '';
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
        description = "Further arguments of busybox's `syslogd`, which is taken then as with {option}`services.syslogd.remote`.";
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
        # Of the generation whose services run.
        process.argv =
          if isSent then
            [
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
            ++ cfg.extraParams
          else
            [ "/run/cairn/generation/syslogd" ];
        # What services say that is not worth their log.
        process.environment.LEAST_LEVELS = if isSent || least == { } then null else levels;
        requires = optionals (!isSent) [ "syslogd.socket" ];
        restart.policy = "always";
        before = [ "network-pre.target" ];
      };
      "syslogd.socket" = mkIf (!isSent) {
        description = "What programs write to the system log";
        kind = "socket";
        restart.policy = "never";
        # Nobody waits for what happens to the service, and no message is lost.
        stopIfChanged = false;
        socket = {
          service = "syslogd";
          listen = [ { datagram = "/dev/log"; } ];
          passCredentials = true;
        };
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
