# A machine whose boot menu waits for somebody, with a memory test in it. What the variant `second`
# describes becomes its second generation, without building anything in the guest.
{
  agent,
  key ? "",
}:
{ lib, ... }:
{
  imports = [ (import ./generations.nix { inherit agent key; }) ];

  # Of the images with one name, the cache keeps the newest alone.
  networking.hostName = lib.mkForce "boot-menu";

  boot.loader.timeout = null;
  boot.loader.grub.memtest86.enable = true;

  specialisation.second.configuration.system.nixos.label = "second";
}
