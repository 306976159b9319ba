# Do not modify this file: `cairn generate-config` writes it anew. What you want otherwise
# belongs into configuration.nix.
{
  config,
  lib,
  modulesPath,
  ...
}:
{
  # The encrypted device 'a"; boot.x = ${y}' is left out: open it with a name of letters, digits and . _ + - alone.

  boot.initrd.availableKernelModules = [
    "ahci"
    "sd_mod"
  ];
  boot.initrd.kernelModules = [ ];
  boot.kernelModules = [ ];

  fileSystems."/" = {
    device = "/dev/disk/by-uuid/0d9bd9c3-0000-4000-8000-0123456789ab";
    fsType = "ext4";
  };

  fileSystems."/a\"b\${c}\n d\\" = {
    device = "/dev/mapper/a\"; boot.x = \${y}";
    fsType = "ext4";
  };

  fileSystems."/bound\ttab" = {
    device = "/srv/\";\nx";
    fsType = "none";
    options = [ "bind" ];
  };

  swapDevices = [ ];

  # Addresses by DHCP on every interface; they can be told apart:
  # networking.interfaces."a\${b}\"".useDHCP = lib.mkDefault true;
  # networking.interfaces."eth0".useDHCP = lib.mkDefault true;
  networking.useDHCP = lib.mkDefault true;

  nixpkgs.hostPlatform = lib.mkDefault "x86_64-linux";
  hardware.cpu.intel.updateMicrocode = lib.mkDefault config.hardware.enableRedistributableFirmware;
}
