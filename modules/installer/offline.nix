# What a medium has beside the system that it boots, so that machines are installed from it.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  # One for each root: their initrds hold different things.
  isoImage.installable = map (fsType: {
    imports = [ ./machine.nix ];
    fileSystems."/" = {
      device = "/dev/sda3";
      inherit fsType;
    };
  }) [ "ext4" "btrfs" "xfs" ];

  # What the dialogue offers.
  environment.etc = {
    "cairn/keymaps".source = "${pkgs.console-data}/share/keymaps";
    "cairn/locales".source = "${pkgs.locales}/share/i18n/SUPPORTED";
  };
  # The time zones.
  time.timeZone = lib.mkOverride 900 "UTC";
  # Sets the keyboard while it is asked for.
  environment.systemPackages = [ pkgs.kbd ];

  services.getty.helpLine = lib.mkDefault ''
    `cairn install` puts ${config.system.nixos.distroName} on a disk of this machine: it asks, shows its plan, and writes nothing before
    you agree. `cairn generate-config --root DIR` helps those who partition by hand.
  '';
}
