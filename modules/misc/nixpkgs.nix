# The package set. NixOS's options about nixpkgs mean Cairn's own set here, Debian's packages.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.nixpkgs;

  platform = types.coercedTo types.raw (
    value:
    if builtins.isAttrs value then
      value.system or (throw "nixpkgs.hostPlatform names no system")
    else
      value
  ) types.str;
in
{
  options.nixpkgs = {
    pkgs = mkOption {
      type = types.raw;
      defaultText = literalExpression "the packages that cairn.lock pins";
      description = "The package set that modules get as `pkgs`.";
    };

    config = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      example = {
        allowUnfree = true;
      };
      description = ''
        Settings of the package set. `allowUnfree` and others of nixpkgs are accepted and change
        nothing: which packages there are is decided by the components of the archive that the
        machine's sources name.
      '';
    };

    overlays = mkOption {
      type = types.listOf types.raw;
      default = [ ];
      example = literalExpression ''
        [ (final: prev: { hello = final.writeShellScriptBin "hello" "echo hello"; }) ]
      '';
      description = ''
        Functions that add packages to the set or replace some: of the finished set and the one
        before, to new packages.
      '';
    };

    hostPlatform = mkOption {
      type = platform;
      default = "x86_64-linux";
      example = "x86_64-linux";
      description = "The machine's platform. `x86_64-linux` is the only one.";
    };

    buildPlatform = mkOption {
      type = platform;
      default = cfg.hostPlatform;
      defaultText = literalExpression "config.nixpkgs.hostPlatform";
      description = "The platform on which the system is built, which is the machine's.";
    };

    system = mkOption {
      type = types.str;
      default = cfg.hostPlatform;
      defaultText = literalExpression "config.nixpkgs.hostPlatform";
      description = "An older name of {option}`nixpkgs.hostPlatform`.";
    };
  };

  config = {
    _module.args.pkgs = cfg.pkgs;
    assertions =
      map
        (name: {
          assertion =
            cfg.${name} == "x86_64-linux" || (name != "hostPlatform" && cfg.${name} == cfg.hostPlatform);
          message = "nixpkgs.${name}: '${cfg.${name}}' is not supported; x86_64-linux is.";
        })
        [
          "hostPlatform"
          "buildPlatform"
          "system"
        ];
  };
}
