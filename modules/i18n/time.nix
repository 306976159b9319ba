# The time zone.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.time;
in
{
  options.time = {
    timeZone = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*");
      default = null;
      example = "Europe/Berlin";
      description = "The time zone by its name in the tz database; UTC if `null`.";
    };
    hardwareClockInLocalTime = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported: the hardware's clock has UTC.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !cfg.hardwareClockInLocalTime;
        message = "time.hardwareClockInLocalTime is not supported: the hardware's clock has UTC.";
      }
    ];
    environment.etc = mkIf (cfg.timeZone != null) {
      localtime.source = "${pkgs.tzdata}/share/zoneinfo/${cfg.timeZone}";
      zoneinfo.source = "${pkgs.tzdata}/share/zoneinfo";
      timezone.text = "${cfg.timeZone}\n";
    };
    environment.sessionVariables = mkIf (cfg.timeZone != null) { TZDIR = "/etc/zoneinfo"; };
    systemd.globalEnvironment = mkIf (cfg.timeZone != null) { TZDIR = "/etc/zoneinfo"; };
  };
}
