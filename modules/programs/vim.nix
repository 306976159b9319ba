# vim.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.programs.vim;
in
{
  options.programs.vim = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether `vim` is there.";
    };
    defaultEditor = mkOption {
      type = types.bool;
      default = false;
      description = "Whether programs that need an editor start `vim`.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.vim;
      defaultText = literalExpression "pkgs.vim";
      example = literalExpression "pkgs.vim-nox";
      description = "The package.";
    };
  };

  config = lib.mkIf (cfg.enable || cfg.defaultEditor) {
    environment.systemPackages = [ cfg.package ];
    environment.variables.EDITOR = lib.mkIf cfg.defaultEditor "vim";
  };
}
