# A small machine that changes its own generation: the command `cairn` and its configuration are on
# it. The guest's own /etc/nixos/configuration.nix imports this file too, and adds what a test wants
# to be different.
{
  agent,
  key ? "",
}:
{ lib, pkgs, ... }:
let
  sleep = "${pkgs.coreutils}/bin/sleep";
in
{
  imports = [ (import ./agent.nix agent) ];

  system.nixos.label = lib.mkDefault "first";
  networking.hostName = "generations";
  networking.useDHCP = false;

  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;
  boot.loader.timeout = lib.mkDefault 1;

  fileSystems."/" = {
    device = "LABEL=cairn-root";
    fsType = "ext4";
  };
  fileSystems."/boot/efi" = {
    device = "PARTLABEL=esp";
    fsType = "vfat";
    options = [
      "umask=0077"
      "nofail"
    ];
  };

  security.sudo.enable = false;
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;

  # So that GRUB can be written to a disk without a network.
  system.extraDependencies = [
    pkgs.grub-core
  ];

  # Nothing of it changes, whatever a test does.
  system.services.steady = {
    process.argv = [
      sleep
      "infinity"
    ];
    restart.policy = "always";
  };
}
