# A machine that is started by Secure Boot, with the tests' agent.
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

  networking.hostName = "secure-boot";
  networking.useDHCP = false;
  boot.loader.grub.secureBoot.enable = true;
  boot.loader.timeout = 1;
  fileSystems."/".device = "LABEL=cairn-root";
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
