# What hardware configurations say that were generated for NixOS.
{
  config,
  lib,
  pkgs,
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
        Whether the initrd brings new microcode to ${vendor}'s processors, before anything else of the system
        runs. It is in Debian's component `non-free-firmware`.
      '';
    };

  # Debian's packages, which the machine's sources need not have.
  packages = {
    intel = "intel-microcode";
    amd = "amd64-microcode";
  };
  wanted = lib.filterAttrs (vendor: _: config.hardware.cpu.${vendor}.updateMicrocode) packages;
  missing = lib.filterAttrs (_: package: !(pkgs ? ${package})) wanted;
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
    boot.initrd.microcode = lib.mapAttrsToList (vendor: package: "${vendor}:${pkgs.${package}}") (
      lib.removeAttrs wanted (lib.attrNames missing)
    );

    warnings = lib.mapAttrsToList (vendor: package: ''
      hardware.cpu.${vendor}.updateMicrocode: the archive has no ${package}.
      Debian keeps it in its component non-free-firmware; add that to the machine's sources.'') missing;

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
