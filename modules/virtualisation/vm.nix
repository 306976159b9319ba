# What a virtual machine of `cairn vm` has otherwise than the machine that is described: its root is
# a disk of its own, its store is the host's, and it is started without a boot loader.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption mkVMOverride types;
  cfg = config.virtualisation;

  port = mkOption {
    type = types.port;
    example = 22;
    description = "The port.";
  };
  address =
    description:
    mkOption {
      type = types.str;
      default = "";
      inherit description;
    };
in
{
  options = {
    virtualisation.memorySize = mkOption {
      type = types.ints.positive;
      default = 1024;
      example = 4096;
      description = "The virtual machine's memory, in MiB.";
    };

    virtualisation.cores = mkOption {
      type = types.ints.positive;
      default = 1;
      example = 2;
      description = "How many processors the virtual machine has.";
    };

    virtualisation.diskSize = mkOption {
      type = types.ints.positive;
      default = 1024;
      example = 8192;
      description = ''
        MiB that are free on the virtual machine's disk when it is made. The file grows as they are
        used.
      '';
    };

    virtualisation.graphics = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the virtual machine has a window. Without one, its serial console is on the terminal.
      '';
    };

    virtualisation.forwardPorts = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            proto = mkOption {
              type = types.enum [
                "tcp"
                "udp"
              ];
              default = "tcp";
              description = "The protocol.";
            };
            host.address = address "Where the host listens; its loopback if empty.";
            host.port = port;
            guest.address = address "The address in the virtual network; the machine's own if empty.";
            guest.port = port;
          };
        }
      );
      default = [ ];
      example = [
        {
          host.port = 2222;
          guest.port = 22;
        }
      ];
      description = "Ports of the host that lead into the virtual machine.";
    };

    virtualisation.qemu.options = mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "-device virtio-balloon" ];
      description = "Further arguments of QEMU, each split at blanks.";
    };

    system.build.vmFacts = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What QEMU is to be told.";
    };
  };

  config = {
    # The file systems of the described machine are on disks that the virtual one does not have.
    fileSystems = mkVMOverride {
      "/" = {
        device = "/dev/vda";
        fsType = "ext4";
        options = [ "noatime" ];
      };
      "/nix/store" = {
        device = "nix-store";
        fsType = "9p";
        options = [
          "trans=virtio"
          "version=9p2000.L"
          # The host's store never changes under the guest: what was read once is still so.
          "cache=loose"
          "msize=262144"
          "ro"
          "nosuid"
          "nodev"
        ];
      };
      "/tmp" = {
        device = "tmpfs";
        fsType = "tmpfs";
        options = [
          "mode=1777"
          "nosuid"
          "nodev"
        ];
      };
    };
    swapDevices = mkVMOverride [ ];
    boot.loader.grub.enable = mkVMOverride false;
    image.verityStore.enable = mkVMOverride false;
    boot.initrd.hardware = mkVMOverride "virtual-machine";
    # The kernels for clouds do not know 9p.
    boot.kernelPackages = mkVMOverride pkgs.linuxPackages;

    system.build.vmFacts = {
      hostName = config.networking.hostName;
      inherit (cfg)
        memorySize
        cores
        diskSize
        graphics
        forwardPorts
        ;
      qemuOptions = cfg.qemu.options;
    };
  };
}
