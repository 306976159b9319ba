# What helps where a machine does not do what it should: partitions, file systems, hardware, network.
{ lib, pkgs, ... }:
{
  environment.systemPackages = with pkgs; [
    # Partitions and disks.
    fdisk
    gdisk
    parted
    mdadm
    cryptsetup
    smartmontools
    hdparm
    nvme-cli
    testdisk

    # File systems.
    btrfs-progs
    dosfstools
    e2fsprogs
    exfatprogs
    ntfs-3g
    xfsprogs-minimal

    # Hardware.
    pciutils
    usbutils
    dmidecode
    efibootmgr
    ethtool

    # Network and files.
    curl
    rsync
    netcat-openbsd
    iproute2
    file
    less
    psmisc
    screen
    unzip
    zstd
  ];

  # Its programs, told that there is no udev; groups are activated by whoever repairs them.
  services.lvm.enable = lib.mkDefault true;
  boot.initrd.services.lvm.enable = lib.mkDefault false;

  programs.vim.enable = lib.mkDefault true;
  programs.nano.enable = lib.mkDefault true;
}
