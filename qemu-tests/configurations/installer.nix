# A live medium that installs: what divides a disk, and what a small machine with the tests' agent is made
# of. What is installed has `extra`, a file with a module.
{
  agent,
  key ? "",
  extra,
}:
{ lib, pkgs, ... }:
{
  imports = [ (import ./live.nix { inherit agent key; }) ];

  networking.hostName = lib.mkForce "install-medium";
  isoImage.volumeID = lib.mkForce "INSTALL_TEST";

  environment.systemPackages = with pkgs; [
    btrfs-progs
    cryptsetup-bin
    dosfstools
    e2fsprogs
    efibootmgr
    fdisk
    xfsprogs
  ];

  # One for each way to the root: their initrds hold different things.
  isoImage.installable =
    let
      machine = root: {
        imports = [ extra ];
        time.timeZone = "UTC";
        users.users.somebody.isNormalUser = true;
        swapDevices = [ { device = "LABEL=swap"; } ];
        fileSystems."/" = root;
        fileSystems."/boot/efi" = {
          device = "LABEL=ESP";
          fsType = "vfat";
        };
      };
      plain = fsType: {
        device = "LABEL=cairn-root";
        inherit fsType;
      };
    in
    [
      (machine (plain "ext4"))
      (machine (plain "btrfs"))
      (machine (plain "xfs"))
      (lib.recursiveUpdate (machine (plain "ext4")) {
        boot.initrd.luks.devices.cairn-root.device = "LABEL=container";
        swapDevices = [
          {
            device = "/dev/sda4";
            randomEncryption = true;
          }
        ];
      })
    ];
}
