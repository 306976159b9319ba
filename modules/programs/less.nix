# less, the pager.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkDefault mkOption types;
  cfg = config.programs.less;
in
{
  options.programs.less = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `less` is there, and is what programs show long texts with.";
    };
    envVariables = mkOption {
      type = types.attrsOf types.str;
      default = {
        LESS = "-R";
      };
      example = {
        LESS = "-R --quit-if-one-screen";
      };
      description = "Variables that `less` reads.";
    };
    lessopen = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "|/run/current-system/sw/bin/lesspipe %s";
      description = "A program that files go through before they are shown, `LESSOPEN`.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ pkgs.less ];
    environment.variables = {
      PAGER = mkDefault "less";
      LESSOPEN = cfg.lessopen;
    }
    // lib.mapAttrs (_: mkDefault) cfg.envVariables;
  };
}
