# A guest of QEMU.
{ lib, ... }:
{
  boot.initrd.hardware = lib.mkDefault "virtual-machine";
  boot.initrd.availableKernelModules = [
    "virtio_net"
    "virtio_pci"
    "virtio_blk"
    "virtio_scsi"
  ];
}
