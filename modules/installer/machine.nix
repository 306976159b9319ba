# A machine as the installer sets one up, with everything that can be chosen beside the root: what an
# installation medium has to have packages for. Nothing boots from it.
{
  networking.hostName = "machine";
  boot.initrd.luks.devices.root.device = "/dev/sda3";
  boot.swraid.enable = true;
  services.lvm.enable = true;
  fileSystems = {
    "/boot" = {
      device = "/dev/sda2";
      fsType = "ext4";
    };
    "/boot/efi" = {
      device = "/dev/sda1";
      fsType = "vfat";
    };
  };
  swapDevices = [
    { device = "/dev/sda4"; }
    {
      device = "/dev/sda5";
      randomEncryption = true;
    }
  ];

  time.timeZone = "UTC";
  console.keyMap = "de";
  users.users.person = {
    isNormalUser = true;
    extraGroups = [ "wheel" ];
  };
  services.openssh.enable = true;
}
