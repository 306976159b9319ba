# A machine that is made into an image of each kind.
{
  agent,
  key ? "",
}:
{ lib, pkgs, ... }:
{
  imports = [
    (import ./agent.nix agent)
    ./emulated.nix
  ];

  networking.hostName = "formats";
  fileSystems."/".device = "LABEL=cairn-root";
  fileSystems."/boot".device = "LABEL=formats-boot";
  swapDevices = [ { label = "formats-swap"; } ];
  image.bootFreeSpace = 64;
  image.swapSize = 64;
  image.size = 2500;
  boot.initrd.availableKernelModules = [
    "ahci"
    "ata_piix"
    "mmc_block"
    "sdhci_pci"
    "uas"
    "usb_storage"
    "xhci_pci"
  ];
  boot.loader.timeout = 1;

  services.openssh.enable = true;
  users.users.root.initialPassword = "formats";
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
  environment.systemPackages = [
    pkgs.tar
    pkgs.zstd
  ];

  # Nobody waits for a lease in a network without a server.
  image.modules.tarball = {
    networking.useDHCP = false;
    system.services.test-agent.wantedAtBoot = lib.mkForce false;
  };
  image.modules.ami = {
    # Those of the machine would be in the way of the instance's.
    users.users.root.openssh.authorizedKeys.keys = lib.mkForce [ ];
  };
}
