# A machine in Amazon EC2: drivers of its disks and networks, the serial console, a root that grows to its
# volume, and what the instance's metadata says. `cairn image ami` makes its disk of any configuration;
# one for such machines alone has
#
#   imports = [ "${modulesPath}/virtualisation/amazon-image.nix" ];
{ lib, ... }:
let
  inherit (lib) mkDefault;
in
{
  imports = [
    ../profiles/headless.nix
    ./amazon-init.nix
    ./ec2-data.nix
  ];

  fileSystems."/" = {
    device = mkDefault "/dev/disk/by-label/nixos";
    fsType = mkDefault "ext4";
    autoResize = mkDefault true;
  };
  boot.growPartition = mkDefault true;

  # Nitro machines have NVMe and ENA, older ones the devices of Xen or of Intel.
  boot.initrd.availableKernelModules = [
    "nvme"
    "xen-blkfront"
    "ena"
    "ixgbevf"
    "xen-netfront"
  ];
  boot.kernelParams = [
    # A volume that is late has not failed.
    "nvme_core.io_timeout=4294967295"
    "random.trust_cpu=on"
  ];
  boot.blacklistedKernelModules = [
    "nouveau"
    "xen_fbfront"
  ];
  boot.loader.grub.device = mkDefault "/dev/xvda";
  boot.loader.timeout = mkDefault 1;

  services.openssh.enable = mkDefault true;
  services.openssh.settings.PermitRootLogin = mkDefault "prohibit-password";

  # The metadata service has an address of version 4.
  networking.dhcpcd.wait = mkDefault "ipv4";
}
