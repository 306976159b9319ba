# A synthetic system for measuring: `modules` modules with five options each, shaped as services of
# real systems are (an `enable`, conditional definitions, lists that many add to, submodules), each
# looking at its neighbour's values. Evaluates all of them; the result is one number.
#
#   nix-instantiate --eval modules/lib/tests/synthetic.nix --arg modules 400
{
  modules ? 400,
  lib ? import ../.,
}:
let
  inherit (lib) mkIf mkMerge mkOption types;

  number = n: lib.fixedWidthNumber 4 n;
  group = n: "group${toString (lib.mod n 20)}";

  service =
    n:
    let
      name = "service${number n}";
      before = if n == 0 then null else "service${number (n - 1)}";
    in
    {
      config,
      lib,
      options,
      ...
    }:
    let
      cfg = config.services.${group n}.${name};
      neighbour = config.services.${group (n - 1)}.${before};
    in
    {
      _file = "/synthetic/${name}.nix";
      key = name;

      options.services.${group n}.${name} = {
        enable = lib.mkEnableOption "the service ${name}";
        port = mkOption {
          type = types.port;
          default = 1000 + n;
          example = 8080;
          description = "Where ${name} listens.";
        };
        extraConfig = mkOption {
          type = types.lines;
          default = "";
          description = "Lines for the configuration of ${name}.";
        };
        packages = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "What ${name} needs.";
        };
        instances = mkOption {
          default = { };
          description = "Instances of ${name}.";
          type = types.attrsOf (
            types.submodule (
              { name, ... }:
              {
                options = {
                  address = mkOption {
                    type = types.nullOr types.str;
                    default = null;
                    description = "Address.";
                  };
                  title = mkOption {
                    type = types.str;
                    default = name;
                    description = "Title.";
                  };
                  weight = mkOption {
                    type = types.ints.between 0 100;
                    default = 1;
                    description = "Weight.";
                  };
                };
              }
            )
          );
        };
      };

      config = mkMerge [
        { services.${group n}.${name}.enable = lib.mkDefault (before == null || !neighbour.enable || lib.mod n 3 != 0); }
        (mkIf cfg.enable {
          services.${group n}.${name} = {
            packages = [ name ] ++ lib.optional (before != null) before;
            extraConfig = lib.mkBefore "listen ${toString cfg.port}\n";
            instances.main.address = "10.0.0.${toString (lib.mod n 256)}";
            instances.spare = mkIf (lib.mod n 2 == 0) { weight = lib.mod n 100; };
          };
          environment.systemPackages = cfg.packages;
          environment.etc."${name}.conf".text = cfg.extraConfig;
          warnings = lib.optional (cfg.port < 1024) "${name} listens on a privileged port";
        })
        (mkIf (!cfg.enable) {
          services.${group n}.${name}.extraConfig = "disabled";
          environment.etc."${name}.conf".enable = lib.mkForce false;
        })
      ];
    };

  shared = {
    _file = "/synthetic/environment.nix";
    key = "environment";
    options.environment.systemPackages = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Packages.";
    };
    options.environment.etc = mkOption {
      default = { };
      description = "Files.";
      type = types.attrsOf (
        types.submodule (
          { name, config, ... }:
          {
            options = {
              enable = mkOption {
                type = types.bool;
                default = true;
                description = "Whether there is the file.";
              };
              target = mkOption {
                type = types.str;
                description = "Path.";
              };
              text = mkOption {
                type = types.nullOr types.lines;
                default = null;
                description = "Content.";
              };
              mode = mkOption {
                type = types.strMatching "0?[0-7]{3}|symlink";
                default = "symlink";
                description = "Mode.";
              };
            };
            config.target = lib.mkDefault name;
          }
        )
      );
    };
    options.warnings = mkOption {
      type = types.listOf types.str;
      default = [ ];
      description = "Warnings.";
    };
  };

  system = lib.evalModules { modules = [ shared ] ++ lib.genList service modules; };
in
builtins.stringLength (builtins.toJSON system.config)
