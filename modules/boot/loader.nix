# What every boot loader has.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
in
{
  options.boot.loader = {
    timeout = mkOption {
      type = types.nullOr types.ints.unsigned;
      default = 5;
      example = 1;
      description = ''
        Seconds until the default entry is started. `null` waits for somebody to choose one.
      '';
    };

    trial.tries = mkOption {
      type = types.ints.between 0 9;
      default = 2;
      example = 1;
      description = ''
        How often a generation that has become the default is booted before it has shown that it is
        good. GRUB counts the boots down; when none is left, and nobody chooses otherwise, it boots
        the last generation that was good. Good is one whose services have come up and whose
        {option}`boot.health.checks` pass. With 0 a new default counts as good at once.
      '';
    };

    trial.timeout = mkOption {
      type = types.ints.between 10 86400;
      default = 300;
      example = 900;
      description = ''
        How many seconds a generation on trial has, from the start of its kernel, to show that it is
        good. After that the machine boots again.
      '';
    };

    systemd-boot.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        The boot loader systemd-boot. It is not supported: GRUB starts on UEFI too, without being told.
      '';
    };

    generic-extlinux-compatible.enable = mkOption {
      type = types.bool;
      default = false;
      description = "Entries for U-Boot. They are not supported.";
    };

    efi.canTouchEfiVariables = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether installing the boot loader gives the machine an entry in the firmware's menu, before all
        others. One that is there stays where people have put it. Many machines need it to start from a
        disk beside another system's. {command}`cairn install` and {command}`cairn switch --install-bootloader`
        write it, on a machine that was started by UEFI firmware; images never do.
      '';
    };

    efi.efiSysMountPoint = mkOption {
      type = types.str;
      default = "/boot/efi";
      description = ''
        Where the EFI system partition is mounted.
      '';
    };
  };

  config.assertions = [
    {
      assertion = !config.boot.loader.systemd-boot.enable;
      message = ''
        boot.loader.systemd-boot.enable is not supported.
        Leave it out: GRUB is there by default, and starts on UEFI too.'';
    }
    {
      assertion = !config.boot.loader.generic-extlinux-compatible.enable;
      message = "boot.loader.generic-extlinux-compatible.enable is not supported.";
    }
  ];
}
