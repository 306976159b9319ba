# A machine whose boot menu waits for somebody, with a memory test and a factory reset in it. What the variant `second`
# describes becomes its second generation, without building anything in the guest; in two others
# nobody can write to /etc.
{
  agent,
  key ? "",
}:
{ lib, ... }:
let
  sealed = text: {
    system.etc.overlay = {
      enable = true;
      mutable = false;
    };
    environment.etc."of-sealed".text = text;
  };
in
{
  imports = [ (import ./generations.nix { inherit agent key; }) ];

  # Of the images with one name, the cache keeps the newest alone.
  networking.hostName = lib.mkForce "boot-menu";

  # A busy host's emulated timer may miss the few ticks that the kernel tests it by.
  boot.kernelParams = [ "no_timer_check" ];

  boot.loader.timeout = null;
  boot.loader.grub.memtest86.enable = true;
  boot.factoryReset = {
    enable = true;
    menuEntry = true;
  };

  specialisation.second.configuration.system.nixos.label = "second";
  specialisation.sealed.configuration = sealed "one\n" // {
    users.users.alice.isNormalUser = true;
  };
  specialisation.sealed-again.configuration = sealed "two\n";
}
