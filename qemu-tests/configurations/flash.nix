# A machine with its root on f2fs, of which the kernels for clouds know nothing.
arguments:
{ lib, pkgs, ... }:
{
  imports = [ (import ./storage.nix arguments) ];

  networking.hostName = lib.mkForce "flash";
  boot.kernelPackages = lib.mkForce pkgs.linuxPackages;
  boot.supportedFilesystems = [ "f2fs" ];

  specialisation = lib.mkForce {
    flash.configuration = {
      fileSystems = {
        "/" = lib.mkForce {
          device = "LABEL=flash";
          fsType = "f2fs";
        };
        "/image" = {
          device = "LABEL=storage-image";
          fsType = "ext4";
          neededForBoot = true;
        };
        "/nix" = {
          device = "/image/nix";
          fsType = "none";
          options = [ "bind" ];
        };
      };
    };
  };
}
