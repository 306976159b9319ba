# nano, the editor that explains itself.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  cfg = config.programs.nano;
in
{
  options.programs.nano = {
    enable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `nano` is there; it is the default editor unless another module is.";
    };
    nanorc = mkOption {
      type = types.lines;
      default = "";
      example = ''
        set tabsize 4
        set linenumbers
      '';
      description = "Lines of {file}`/etc/nanorc`.";
    };
    syntaxHighlight = mkOption {
      type = types.bool;
      default = true;
      description = "Whether `nano` colours the languages that it knows.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ pkgs.nano ];
    environment.variables.EDITOR = lib.mkOverride 1100 "nano";
    environment.etc.nanorc.text =
      lib.optionalString cfg.syntaxHighlight "include \"${pkgs.nano}/share/nano/*.nanorc\"\n"
      + cfg.nanorc;
  };
}
