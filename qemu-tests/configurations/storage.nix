# A machine whose image is an ext4 like any other. It makes file systems on its other disks, and each of
# its variants has the root there; the store stays on the image.
{ agent, key }:
{ lib, pkgs, ... }:
let
  image = {
    device = "LABEL=storage-image";
    fsType = "ext4";
  };

  on = import ./variant.nix lib;
in
{
  imports = [ (import ./agent.nix agent) ];

  networking.hostName = "storage";
  networking.useDHCP = false;
  users.users.root.openssh.authorizedKeys.keys = [ key ];
  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  boot.initrd.deviceTimeoutSeconds = 20;
  boot.initrd.rebootDelaySeconds = 1;
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;

  fileSystems."/" = image;
  boot.supportedFilesystems = [
    "btrfs"
    "xfs"
  ];
  environment.systemPackages = [
    pkgs.cryptsetup
    pkgs.fdisk
    pkgs.mdadm
  ];
  services.lvm.enable = true;
  boot.initrd.services.lvm.enable = lib.mkDefault false;

  specialisation = {
    # The machine itself, which forgets what it was when it is asked to; and what it is told of modules.
    factory.configuration = {
      boot.factoryReset.enable = true;
      boot.extraModprobeConfig = ''
        softdep virtio_blk post: dummy
        options dummy numdummies=3
      '';
    };

    # btrfs in a volume in a device that a passphrase opens.
    encrypted = on {
      device = "/dev/vg-a/root";
      fsType = "btrfs";
      options = [
        "subvol=@root"
        "noatime"
      ];
    } {
      boot.initrd.luks.devices.secret.device = "LABEL=secret";
      boot.initrd.services.lvm.enable = true;
      fileSystems."/home" = {
        device = "/dev/vg-a/root";
        fsType = "btrfs";
        options = [ "subvol=@home" ];
      };
    };

    # xfs on a mirror.
    mirrored = on {
      device = "LABEL=mirrored";
      fsType = "xfs";
    } { boot.swraid.enable = true; };

    # btrfs on two disks, which the file system itself mirrors.
    pair = on {
      device = "LABEL=pair";
      fsType = "btrfs";
    } { };

    # Opened by a key on another disk.
    keyed =
      on
        {
          device = "/dev/mapper/keyed";
          fsType = "ext4";
        }
        {
          boot.initrd.luks.devices.keyed = {
            device = "LABEL=keyed";
            keyFile = "/dev/disk/by-partlabel/key";
            keyFileOffset = 512;
            keyFileSize = 64;
            keyFileTimeout = 3;
            fallbackToPassword = true;
          };
          console.keyMap = "de-latin1";
        };

    # Opened by a key that the TPM keeps.
    measured =
      on
        {
          device = "/dev/mapper/measured";
          fsType = "ext4";
        }
        {
          boot.initrd.luks.devices.measured = {
            device = "LABEL=measured";
            tpm2.enable = true;
            tpm2.timeout = 3;
          };
        };

    # Nothing of the root lasts; what is swapped out is encrypted.
    volatile =
      on
        {
          fsType = "tmpfs";
          options = [ "mode=0755" ];
        }
        {
          swapDevices = [
            {
              device = "/dev/vdc";
              randomEncryption = true;
            }
          ];
          fileSystems."/persist" = {
            device = "/dev/vdb";
            fsType = "ext4";
            neededForBoot = true;
          };
          fileSystems."/var/lib" = {
            device = "/persist/lib";
            fsType = "none";
            options = [ "bind" ];
          };
        };
  };
}
