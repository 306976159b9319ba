# A live medium for rescue: `cairn image iso -c examples/iso/configuration.nix -o rescue.iso`.
{ modulesPath, ... }:
{
  imports = [ "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix" ];

  networking.hostName = "rescue";
  isoImage.volumeID = "CAIRN_RESCUE";
  isoImage.appendToMenuLabel = " for rescue";

  # The serial port shows menu and system too.
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];

  # Who may come in over the network.
  users.users.root.openssh.authorizedKeys.keys = [
    # "ssh-ed25519 AAAA… you@example.org"
  ];
}
