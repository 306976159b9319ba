# A live medium with what a machine is rescued, set up and installed with, and a way in by console and by
# SSH. Installing takes no network.
#
#   imports = [ "${modulesPath}/installer/cd-dvd/installation-cd-minimal.nix" ];
{ lib, pkgs, ... }:
{
  imports = [
    ../../image/live.nix
    ../../profiles/base.nix
    ../offline.nix
  ];

  isoImage.edition = lib.mkOverride 500 "minimal";
  networking.hostName = lib.mkOverride 900 "cairn";
  boot.loader.timeout = lib.mkOverride 900 10;
  boot.loader.grub.memtest86.enable = lib.mkDefault true;
  documentation.enable = lib.mkOverride 500 false;
  # The whole of vim takes as much room as GRUB and all that it comes with.
  programs.vim.package = lib.mkDefault pkgs.vim-tiny;

  # Whoever is at the machine can take it apart anyway.
  services.getty.autologinUser = lib.mkDefault "root";
  users.users.root.initialHashedPassword = lib.mkOverride 900 "";

  # Nobody comes in over the network until root has a password or a key.
  services.openssh.enable = lib.mkOverride 900 true;
  services.openssh.settings.PermitRootLogin = lib.mkOverride 900 "yes";
}
