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

  # A link to the file below `folder`; one that is not there is an error of the build.
  found =
    option: folder: pattern: package:
    pkgs.runCommand "console-${option}" { } ''
      file=$(find -L ${folder} -name ${lib.escapeShellArg pattern} | sort | head -n 1)
      if [ -z "$file" ]; then
        echo ${lib.escapeShellArg "console.${option}: there is no ${cfg.${option}} in Debian's package ${package}"} >&2
        exit 1
      fi
      ln -s "$file" $out
    '';
  # By its own name, which tells loadkeys and setfont how it is compressed.
  file = link: ''"$(readlink ${link})"'';

  script = pkgs.writeShellScript "console-setup" ''
    set -eu
    ${lib.optionalString (cfg.keyMap != "us") ''
      loadkeys -q -C /dev/tty1 ${
        file (found "keyMap" "${pkgs.console-data}/share/keymaps" "${cfg.keyMap}.kmap.gz" "console-data")
      }
    ''}
    ${lib.optionalString (cfg.font != null) ''
      setfont -C /dev/tty1 ${
        if lib.hasPrefix "/" cfg.font then
          lib.escapeShellArg cfg.font
        else
          file (
            found "font" "${pkgs.console-setup-linux}/share/consolefonts" "${cfg.font}.psf*"
              "console-setup-linux"
          )
      }
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
