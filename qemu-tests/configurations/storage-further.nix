# Roots that no test of every run has: the machine of `storage.nix` with the kernel that knows everything.
arguments:
{ lib, pkgs, ... }:
let
  on = import ./variant.nix lib;

  # A partition of its own, which was made smaller than its disk.
  grown =
    fsType:
    on {
      device = "PARTLABEL=grown";
      inherit fsType;
      autoResize = true;
    } { boot.growPartition = true; };
in
{
  imports = [ (import ./storage.nix arguments) ];

  networking.hostName = lib.mkForce "storage-further";
  boot.kernelPackages = lib.mkForce pkgs.linuxPackages;
  boot.supportedFilesystems = [ "f2fs" ];

  specialisation = lib.mkForce {
    # Of which the kernels for clouds know nothing.
    flash = on {
      device = "LABEL=flash";
      fsType = "f2fs";
    } { };

    # Encrypted, and nothing on the device says so.
    detached = on {
      device = "/dev/mapper/detached";
      fsType = "xfs";
    } {
      boot.initrd.luks.devices.detached = {
        device = "/dev/vdb";
        header = "/dev/disk/by-partlabel/header";
      };
    };

    # Falls asleep with its memory on a disk.
    asleep = on {
      device = "/dev/vdb";
      fsType = "ext4";
    } {
      boot.resumeDevice = "LABEL=asleep";
      swapDevices = [ { label = "asleep"; } ];
    };

    grown-btrfs = grown "btrfs";
    grown-xfs = grown "xfs";
  };
}
