# The toplevel: the one store object that is a system.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;
  kernel = config.system.build.kernel;

  package =
    description:
    mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      inherit description;
    };

  # Activation scripts are services, and every other one waits for them.
  isScript = service: lib.hasPrefix "activation-" service.name;
  scripts = map (service: service.name) (lib.filter isScript config.system.description.services);
  afterActivation =
    service:
    if scripts == [ ] || isScript service then
      service
    else
      service // { after = (service.after or [ ]) ++ scripts; };

  specialisations = lib.mapAttrs (
    _: specialisation: "${specialisation.toplevel}"
  ) config.specialisation;

  toplevel = pkgs.build "toplevel" (
    {
      name = config.system.name;
      init = "${pkgs.cairn-init}/bin/cairn-init";
      core = "${pkgs.cairn-core}/bin/cairn-core";
      etc = "${config.system.build.etc}";
      sw = "${config.system.path}";
      description = builtins.toJSON config.system.build.description;
    }
    // lib.optionalAttrs (!config.boot.isContainer) {
      kernel = "${kernel}/boot/vmlinuz-${kernel.modDirVersion}";
      kernelModules = "${config.system.build.kernelModules}";
      firmware = "${config.system.build.firmware}";
      kernelParams = lib.concatStringsSep "\n" config.boot.kernelParams;
      kernelRelease = kernel.modDirVersion;
      initrd = "${config.system.build.initrd}/initrd";
    }
    // lib.optionalAttrs (config.system.build.bootMenu != null) {
      menu = builtins.toJSON config.system.build.bootMenu;
    }
    // lib.optionalAttrs (config.system.build.factoryReset != null) {
      factoryReset = builtins.toJSON config.system.build.factoryReset;
    }
    // lib.optionalAttrs (specialisations != { }) {
      specialisations = builtins.toJSON specialisations;
    }
    // lib.optionalAttrs (config.system.extraDependencies != [ ]) {
      extraDependencies = lib.concatMapStrings (path: "${path}\n") config.system.extraDependencies;
    }
  );

  failed = map (assertion: assertion.message) (
    lib.filter (assertion: !assertion.assertion) config.assertions
  );

  # Every message, so that one correction is enough.
  indent = message: lib.concatStringsSep "\n  " (lib.splitString "\n" message);
  checked =
    if failed == [ ] then
      lib.foldr (warning: result: builtins.trace "warning: ${warning}" result) toplevel config.warnings
    else
      throw "the configuration contradicts itself:\n${
        lib.concatMapStrings (message: "- ${indent message}\n") failed
      }";
in
{
  options = {
    system.name = mkOption {
      type = types.str;
      default = "cairn-system-${config.networking.hostName}";
      defaultText = lib.literalExpression ''"cairn-system-''${config.networking.hostName}"'';
      description = "Name of the system in the store.";
    };

    system.extraDependencies = mkOption {
      type = types.listOf types.pathInStore;
      default = [ ];
      example = lib.literalExpression "[ pkgs.grub-common ]";
      description = ''
        Objects of the store that the system keeps with it without using them: what is to be there
        for a change without a network.
      '';
    };

    system.build.toplevel = package "The system.";

    system.build.description = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What `system.json` holds.";
    };
  };

  config.system.build = {
    toplevel = checked;
    description =
      lib.filterAttrs (_: value: value != null && value != [ ] && value != { }) config.system.description
      // {
        inherit (config.system.description) fileSystems users groups;
        services = map afterActivation config.system.description.services;
      };
  };
}
