# Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
# belongs into configuration.nix.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  imports = [ (modulesPath + "/profiles/qemu-guest.nix") ];

  boot.initrd.availableKernelModules = [
    "ata_piix"
    "sr_mod"
    "virtio_blk"
    "virtio_pci"
  ];
  boot.initrd.kernelModules = [ ];
  boot.kernelModules = [ "kvm-amd" ];

  fileSystems."/" = {
    device = "/dev/disk/by-uuid/8d4d2cd5-2ac5-4f49-9e5e-0d1c2f5a3c11";
    fsType = "ext4";
  };

  fileSystems."/srv/www" = {
    device = "/var/www";
    fsType = "none";
    options = [
      "bind"
      "ro"
    ];
  };

  fileSystems."/tmp" = {
    device = "/scratch";
    fsType = "none";
    options = [ "bind" ];
  };

  fileSystems."/var/cache" = {
    device = "tmpfs";
    fsType = "tmpfs";
    options = [
      "nosuid"
      "nodev"
      "size=102400k"
      "mode=755"
    ];
  };

  swapDevices = [
    { device = "/var/swap file"; }
    {
      device = "/dev/disk/by-partuuid/0d1c2f5a-9e5e-4f49-8000-3c118d4d2cd5";
      randomEncryption = true;
    }
  ];

  # Addresses by DHCP on every interface; they can be told apart:
  # networking.interfaces."eth0".useDHCP = lib.mkDefault true;
  networking.useDHCP = lib.mkDefault true;

  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
}
