# A disk whose sectors have 4096 bytes, with the tests' agent.
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

  networking.hostName = "large-sectors";
  networking.useDHCP = false;
  image.sectorSize = 4096;
  fileSystems."/" = {
    device = "LABEL=cairn-root";
    autoResize = true;
  };
  fileSystems."/boot/efi".device = "PARTLABEL=esp";
  boot.growPartition = true;
  boot.loader.timeout = 1;
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
}
