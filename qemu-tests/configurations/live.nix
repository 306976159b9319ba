# A live medium with the tests' agent, and without rescue tools.
{
  agent,
  key ? "",
}:
{ lib, modulesPath, ... }:
{
  imports = [
    (import ./agent.nix agent)
    "${modulesPath}/image/live.nix"
    "${modulesPath}/profiles/minimal.nix"
  ];

  networking.hostName = "live-medium";
  isoImage.volumeID = "LIVE_TEST";
  isoImage.appendToMenuLabel = "";
  boot.loader.timeout = 3;
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;
  # An emulated machine on a busy host loses ticks, and the kernel panics where it misses them.
  boot.kernelParams = [ "no_timer_check" ];
  boot.initrd.rebootDelaySeconds = 1;
  boot.initrd.deviceTimeoutSeconds = 90;

  networking.useDHCP = false;
  users.users.root.initialPassword = "live";
  users.users.root.openssh.authorizedKeys.keys = lib.optional (key != "") key;
}
