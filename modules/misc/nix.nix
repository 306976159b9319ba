# Options about Nix, the program. No daemon of Nix runs on a Cairn machine: `cairn` itself builds
# and keeps the store, and real Nix can be installed beside it. What only tunes the daemon is
# accepted, so that configurations can be shared; what would have to have an effect is refused.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.nix;

  scalar = types.nullOr (
    types.oneOf [
      types.bool
      types.int
      types.float
      types.str
      types.path
      types.package
    ]
  );

  text =
    value:
    if builtins.isBool value then
      lib.boolToString value
    else if builtins.isList value then
      lib.concatMapStringsSep " " toString value
    else
      toString value;
in
{
  options.nix = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether {file}`/etc/nix/nix.conf` is there, for Nix if it is among the packages. Its daemon is
        not started: `cairn` builds and keeps the store.
      '';
    };

    settings = mkOption {
      type = types.submodule {
        freeformType = types.attrsOf (types.either scalar (types.listOf scalar));
      };
      default = { };
      example = {
        experimental-features = [ "nix-command" ];
      };
      description = "What {file}`/etc/nix/nix.conf` says, with {option}`nix.enable`.";
    };

    extraOptions = mkOption {
      type = types.lines;
      default = "";
      description = "Further lines of {file}`/etc/nix/nix.conf`.";
    };

    package = mkOption {
      type = types.nullOr types.package;
      default = null;
      example = literalExpression "pkgs.nix-bin";
      description = "The package with Nix; `null` installs none.";
    };

    nixPath = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "nixpkgs=/srv/nixpkgs" ];
      description = "Places where `<name>` is looked for, `NIX_PATH`.";
    };

    channel.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Nix's channels. They are not supported: `cairn.lock` pins the packages.";
    };

    registry = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      description = "Names of flakes. Flakes are not supported.";
    };

    gc.automatic = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether what nobody needs is removed from the store by time, as by `cairn gc`.";
    };

    gc.dates = mkOption {
      type = types.either types.str (types.listOf types.str);
      default = "03:15";
      example = "weekly";
      description = "When that is.";
    };

    gc.options = mkOption {
      type = types.str;
      default = "";
      example = "--delete-older-than 30d";
      description = "Arguments for `cairn gc`; those that remove old generations remove no generation that is needed.";
    };

    gc.persistent = mkOption {
      type = types.bool;
      default = true;
      description = "Whether it is made up for when the machine was off at that time.";
    };

    gc.randomizedDelaySec = mkOption {
      type = types.str;
      default = "0";
      example = "45min";
      description = "By how much it is put off at most, by chance.";
    };

    optimise.automatic = mkOption {
      type = types.bool;
      default = false;
      description = "Without effect: files that are the same are stored once anyway.";
    };
  };

  config = {
    assertions = [
      {
        assertion = !cfg.channel.enable;
        message = "nix.channel.enable is not supported; packages are pinned by cairn.lock.";
      }
      {
        assertion = cfg.registry == { };
        message = "nix.registry is not supported; there are no flakes.";
      }
    ];
    systemd.services.nix-gc = lib.mkIf cfg.gc.automatic {
      description = "Removal of what nobody needs from the store";
      serviceConfig.Type = "oneshot";
      script = "exec ${pkgs.cairn}/bin/cairn gc ${cfg.gc.options}";
    };
    systemd.timers.nix-gc = lib.mkIf cfg.gc.automatic {
      wantedBy = [ "timers.target" ];
      timerConfig = {
        OnCalendar = cfg.gc.dates;
        Persistent = cfg.gc.persistent;
        RandomizedDelaySec = cfg.gc.randomizedDelaySec;
      };
    };
    environment.systemPackages = lib.optional (cfg.package != null) cfg.package;
    environment.variables = lib.mkIf (cfg.nixPath != [ ]) { NIX_PATH = cfg.nixPath; };
    environment.etc."nix/nix.conf" = lib.mkIf cfg.enable {
      text =
        lib.concatStrings (
          lib.mapAttrsToList (name: value: "${name} = ${text value}\n") (
            lib.filterAttrs (_: value: value != null) cfg.settings
          )
        )
        + cfg.extraOptions;
    };
  };
}
