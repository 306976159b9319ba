# Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
# belongs into configuration.nix.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  boot.initrd.availableKernelModules = [
    "nvme"
    "thunderbolt"
    "usb_storage"
    "xhci_pci"
  ];
  boot.initrd.kernelModules = [ ];
  boot.kernelModules = [ "kvm-intel" ];

  boot.initrd.luks.devices."root".device = "/dev/disk/by-uuid/1f0e8a52-0c53-4f0b-9f5d-7a1f5f0a3c22";
  boot.initrd.luks.devices."swap".device = "/dev/disk/by-uuid/77cd1d1a-3bb2-4a54-b7bb-0a42b6e6d033";

  fileSystems."/" = {
    device = "/dev/mapper/root";
    fsType = "btrfs";
    options = [
      "noatime"
      "compress=zstd:1"
      "subvol=/root"
    ];
  };

  fileSystems."/boot" = {
    device = "/dev/disk/by-uuid/6b3a7c39-8f5e-4f0d-9d0a-3a4c1e6f2b11";
    fsType = "ext4";
  };

  fileSystems."/boot/efi" = {
    device = "/dev/disk/by-uuid/12CE-A600";
    fsType = "vfat";
    options = [
      "fmask=0077"
      "dmask=0077"
    ];
  };

  fileSystems."/home" = {
    device = "/dev/mapper/root";
    fsType = "btrfs";
    options = [
      "noatime"
      "compress=zstd:1"
      "subvol=/home"
    ];
  };

  fileSystems."/nix" = {
    device = "/dev/mapper/root";
    fsType = "btrfs";
    options = [
      "noatime"
      "compress=zstd:1"
      "subvol=/nix"
    ];
  };

  swapDevices = [ { device = "/dev/mapper/swap"; } ];

  # Addresses by DHCP on every interface; they can be told apart:
  # networking.interfaces."wlan0".useDHCP = lib.mkDefault true;
  networking.useDHCP = lib.mkDefault true;

  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
  hardware.cpu.intel.updateMicrocode = lib.mkDefault config.hardware.enableRedistributableFirmware;
}
