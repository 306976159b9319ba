# Keyboard and font of the machine's own console.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.console;

  script = pkgs.writeShellScript "console-setup" ''
    set -eu
    ${lib.optionalString (cfg.keyMap != "us") ''
      map=$(find -L ${pkgs.console-data}/share/keymaps -name ${lib.escapeShellArg "${cfg.keyMap}.kmap.gz"} | head -n 1)
      if [ -z "$map" ]; then
        echo "console.keyMap: there is no ${cfg.keyMap} in Debian's package console-data" >&2
        exit 1
      fi
      loadkeys -q -C /dev/tty1 "$map"
    ''}
    ${lib.optionalString (cfg.font != null) ''
      font=${
        if lib.hasPrefix "/" cfg.font then
          lib.escapeShellArg cfg.font
        else
          "$(find -L ${pkgs.console-setup-linux}/share/consolefonts -name ${lib.escapeShellArg "${cfg.font}.psf*"} | head -n 1)"
      }
      if [ -z "$font" ]; then
        echo "console.font: there is no ${cfg.font} in Debian's package console-setup-linux" >&2
        exit 1
      fi
      setfont -C /dev/tty1 "$font"
    ''}
  '';
in
{
  options.console = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether keyboard and font are set.";
    };
    keyMap = mkOption {
      type = types.str;
      default = "us";
      example = "de-latin1";
      description = "The keyboard, by its name in Debian's package `console-data`.";
    };
    font = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "Lat15-Terminus16";
      description = ''
        The font, by its name in Debian's package `console-setup-linux`, or as a path; the kernel's own
        if `null`.
      '';
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Without effect: give the font's path.";
    };
    earlySetup = mkOption {
      type = types.bool;
      default = false;
      description = "Without effect: it is done when services are started.";
    };
    useXkbConfig = mkOption {
      type = types.bool;
      default = false;
      description = "Without effect: there is no X.";
    };
  };

  config = mkIf (cfg.enable && (cfg.keyMap != "us" || cfg.font != null)) {
    environment.systemPackages = [ pkgs.kbd ];
    system.services.console-setup = {
      description = "Keyboard and font";
      kind = "oneshot";
      restart.policy = "never";
      process.argv = [ script ];
      process.path = [
        pkgs.coreutils
        pkgs.findutils
        pkgs.gzip
        pkgs.kbd
      ];
      conditions = [
        {
          kind = "path-exists";
          value = "/dev/tty1";
        }
      ];
    };
  };
}
