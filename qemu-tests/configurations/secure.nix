# A machine that is started by Secure Boot, with the tests' agent.
{
  agent,
  key ? "",
}:
{ lib, modulesPath, ... }:
{
  imports = [
    (import ./agent.nix agent)
    ./emulated.nix
    "${modulesPath}/profiles/minimal.nix"
  ];

  networking.hostName = "secure-boot";
  networking.useDHCP = false;
  boot.loader.grub.secureBoot.enable = true;
  # No BIOS starts it.
  boot.loader.grub.device = "nodev";
  boot.loader.timeout = 1;
  fileSystems."/".device = "LABEL=cairn-root";
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
}
