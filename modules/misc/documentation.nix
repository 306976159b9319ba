# Documentation on the machine.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.documentation;
in
{
  options.documentation = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether documentation is on the machine, as the other options say.";
    };
    man.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether `man` and the pages that Debian has in packages of their own are on the machine. Pages
        of the programs themselves are left out when packages are imported.
      '';
    };
    doc.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Without effect: what packages have in {file}`share/doc` is left out.";
    };
    info.enable = mkOption {
      type = types.bool;
      default = true;
      description = "Without effect: what packages have in {file}`share/info` is left out.";
    };
    dev.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the pages for programmers are there, with {option}`documentation.man.enable`.";
    };
    nixos.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Without effect: `cairn options` shows the options on the machine that builds it.";
    };
  };

  config = lib.mkIf (cfg.enable && cfg.man.enable) {
    environment.systemPackages = [
      pkgs.man-db
      pkgs.manpages
    ]
    ++ lib.optional cfg.dev.enable pkgs.manpages-dev;
    environment.variables.MANPATH = "/run/current-system/sw/share/man";
  };
}
