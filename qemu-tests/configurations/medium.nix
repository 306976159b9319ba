# The installation medium, without anything of its own: what people install from.
{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix" ];

  networking.hostName = "medium";
  isoImage.volumeID = "MEDIUM_TEST";
  isoImage.contents = [
    {
      source = ./medium.nix;
      target = "/docs/about.nix";
    }
  ];
  boot.loader.timeout = 1;
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  # An emulated machine on a busy host loses ticks, and the kernel panics where it misses them.
  boot.kernelParams = [ "no_timer_check" ];
}
