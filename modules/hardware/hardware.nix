# What hardware configurations say that were generated for NixOS.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;

  microcode =
    vendor:
    mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the initrd brings new microcode to ${vendor}'s processors. It is not supported yet: the
        firmware's own stays.
      '';
    };
in
{
  options = {
    hardware.cpu.amd.updateMicrocode = microcode "AMD";
    hardware.cpu.intel.updateMicrocode = microcode "Intel";

    boot.extraModulePackages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Packages with modules that are no part of the kernel's. They are not supported.";
    };

    powerManagement.cpuFreqGovernor = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "powersave";
      description = ''
        How the kernel chooses the processors' frequency: one of what
        {file}`/sys/devices/system/cpu/cpu0/cpufreq/scaling_available_governors` lists.
      '';
    };
  };

  config = {
    assertions = [
      {
        assertion = config.boot.extraModulePackages == [ ];
        message = "boot.extraModulePackages is not supported; there are the kernel's own modules alone.";
      }
    ];

    systemd.tmpfiles.rules =
      lib.optional (config.powerManagement.cpuFreqGovernor != null)
        "w /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor - - - - ${config.powerManagement.cpuFreqGovernor}";
  };
}
