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
    "mpt3sas"
    "sd_mod"
    "usbhid"
  ];
  boot.initrd.kernelModules = [ ];
  boot.kernelModules = [ "kvm-amd" ];

  boot.swraid.enable = true;
  services.lvm.enable = true;

  fileSystems."/" = {
    device = "/dev/disk/by-uuid/2c4d6e8f-0000-4000-8000-0123456789ab";
    fsType = "xfs";
  };

  fileSystems."/backup" = {
    device = "backup.example.org:/box";
    fsType = "nfs4";
  };

  fileSystems."/boot/efi" = {
    device = "/dev/disk/by-uuid/AAAA-0001";
    fsType = "vfat";
    options = [
      "fmask=0022"
      "dmask=0022"
    ];
  };

  fileSystems."/srv" = {
    device = "/dev/mapper/data-srv";
    fsType = "xfs";
    options = [
      "noatime"
      "discard"
    ];
  };

  swapDevices = [ { device = "/dev/mapper/data-swap"; } ];

  # Addresses by DHCP on every interface; they can be told apart:
  # networking.interfaces."eth0".useDHCP = lib.mkDefault true;
  # networking.interfaces."eth1".useDHCP = lib.mkDefault true;
  networking.useDHCP = lib.mkDefault true;

  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
  hardware.cpu.amd.updateMicrocode = lib.mkDefault config.hardware.enableRedistributableFirmware;
}
