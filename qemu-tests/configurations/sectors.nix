# A disk whose sectors have 4096 bytes, with the tests' agent.
{
  agent,
  key ? "",
}:
{ lib, modulesPath, ... }:
{
  imports = [
    (import ./agent.nix agent)
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
  boot.initrd.hardware = "virtual-machine";
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  # An emulated machine on a busy host loses ticks, and the kernel panics where it misses them.
  boot.kernelParams = [ "no_timer_check" ];
  boot.initrd.rebootDelaySeconds = 1;
  boot.initrd.deviceTimeoutSeconds = 90;
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
}
