# What every boot loader has.
{ lib, ... }:
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

    efi.canTouchEfiVariables = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether installing the boot loader may write the firmware's boot order. Images never do: GRUB
        lies where firmware looks for it on any disk.
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
}
