# A machine as the installer sets one up, with everything that can be chosen: what an installation
# medium has to have packages for. Nothing boots from it.
{ lib, ... }:
{
  networking.hostName = "machine";
  boot.loader.grub.device = "/dev/sda";
  fileSystems = {
    "/" = {
      device = "/dev/sda3";
      fsType = "btrfs";
    };
    "/boot" = {
      device = "/dev/sda2";
      fsType = "ext4";
    };
    "/boot/efi" = {
      device = "/dev/sda1";
      fsType = "vfat";
    };
    "/data" = {
      device = "/dev/sdb1";
      fsType = "xfs";
    };
  };
  swapDevices = [ { device = "/dev/sda4"; } ];

  time.timeZone = "UTC";
  console.keyMap = "de";
  users.users.person = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
    hashedPassword = "!";
  };
  services.openssh.enable = true;
  networking.useDHCP = lib.mkDefault true;
}
