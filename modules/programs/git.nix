# git.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.programs.git;

  scalar = types.oneOf [
    types.bool
    types.int
    types.str
  ];

  quote = value: ''"${lib.escape [ "\\" "\"" ] value}"'';
  text = value: if builtins.isBool value then lib.boolToString value else quote (toString value);
  line = key: value: map (value: "\t${key} = ${text value}\n") (lib.toList value);
  # `url."https://…"` is a section with a part: a set in a set.
  section =
    name: settings:
    let
      plain = lib.filterAttrs (_: value: !(builtins.isAttrs value)) settings;
      parts = lib.filterAttrs (_: builtins.isAttrs) settings;
      block =
        title: values:
        "[${title}]\n" + lib.concatStrings (lib.concatLists (lib.mapAttrsToList line values));
    in
    lib.optionalString (plain != { }) (block name plain)
    + lib.concatStrings (lib.mapAttrsToList (part: block "${name} ${quote part}") parts);
in
{
  options.programs.git = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether `git` is there.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.git;
      defaultText = literalExpression "pkgs.git";
      description = "The package.";
    };
    config = mkOption {
      type = types.attrsOf (
        types.attrsOf (
          types.oneOf [
            scalar
            (types.listOf scalar)
            (types.attrsOf (types.either scalar (types.listOf scalar)))
          ]
        )
      );
      default = { };
      example = {
        init.defaultBranch = "main";
        url."https://github.com/".insteadOf = [ "gh:" ];
      };
      description = "What {file}`/etc/gitconfig` says, by section.";
    };
  };

  config = lib.mkIf cfg.enable {
    environment.systemPackages = [ cfg.package ];
    environment.etc.gitconfig = lib.mkIf (cfg.config != { }) {
      text = lib.concatStrings (lib.mapAttrsToList section cfg.config);
    };
  };
}
