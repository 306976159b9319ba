# Programs of which a configuration says only that they are to be there.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  # The name in `programs`, and the package in the set.
  plain = {
    bandwhich = "bandwhich";
    htop = "htop";
    iftop = "iftop";
    iotop = "iotop";
    mosh = "mosh";
    mtr = "mtr-tiny";
    screen = "screen";
    tcpdump = "tcpdump";
    tmux = "tmux";
    traceroute = "traceroute";
  };

  shells = {
    fish = "fish";
  };

  programs = plain // shells;
  enabled = names: lib.filterAttrs (name: _: config.programs.${name}.enable) names;
  package = name: pkgs.${name};
in
{
  options.programs =
    lib.mapAttrs (name: package: {
      enable = mkOption {
        type = types.bool;
        default = false;
        example = true;
        description = "Whether `${name}` is there, from Debian's package `${package}`.";
      };
    }) programs
    // {
      command-not-found.enable = mkOption {
        type = types.bool;
        default = false;
        description = "Suggestions for commands that are not there. They are not supported.";
      };
    };

  config = {
    assertions = [
      {
        assertion = !config.programs.command-not-found.enable;
        message = "programs.command-not-found.enable is not supported.";
      }
    ];

    environment.systemPackages = map package (lib.attrValues (enabled programs));
    environment.shells = map (name: "/run/current-system/sw/bin/${name}") (
      lib.attrNames (enabled shells)
    );

    # These need rights of the superuser's to look at or send packets.
    security.wrappers = lib.mkIf config.programs.mtr.enable {
      mtr-packet = {
        source = "${pkgs.mtr-tiny}/bin/mtr-packet";
        owner = "root";
        group = "root";
        capabilities = "cap_net_raw+p";
      };
    };
  };
}
