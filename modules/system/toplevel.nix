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

  specialisations = lib.mapAttrs (
    _: specialisation: "${specialisation.toplevel}"
  ) config.specialisation;

  toplevel = pkgs.build "toplevel" (
    {
      name = config.system.name;
      init = "${pkgs.cairn-init}/bin/cairn-init";
      kernel = "${kernel}/boot/vmlinuz-${kernel.modDirVersion}";
      kernelModules = "${config.system.build.kernelModules}";
      firmware = "${config.system.build.firmware}";
      kernelParams = lib.concatStringsSep "\n" config.boot.kernelParams;
      kernelRelease = kernel.modDirVersion;
      initrd = "${config.system.build.initrd}/initrd";
      etc = "${config.system.build.etc}";
      sw = "${config.system.path}";
      description = builtins.toJSON config.system.build.description;
    }
    // lib.optionalAttrs (specialisations != { }) {
      specialisations = builtins.toJSON specialisations;
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
      throw "the configuration contradicts itself:\n${lib.concatMapStrings (message: "- ${indent message}\n") failed}";

  root = lib.findFirst (fs: fs.mountPoint == "/") null config.system.build.fileSystems;
  esp = lib.findFirst (
    fs: fs.mountPoint == config.boot.loader.efi.efiSysMountPoint
  ) null config.system.build.fileSystems;

  fileSystemFacts =
    fs:
    if fs == null then
      null
    else
      {
        inherit (fs.description) device options;
        inherit (fs) fsType mountPoint label;
      };
in
{
  options = {
    system.name = mkOption {
      type = types.str;
      default = "cairn-system-${config.networking.hostName}";
      defaultText = lib.literalExpression ''"cairn-system-''${config.networking.hostName}"'';
      description = "Name of the system in the store.";
    };

    system.build.toplevel = package "The system.";

    system.build.description = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What `system.json` holds.";
    };

    system.build.imageFacts = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = ''
        What a builder of images must know of the configuration, as data that JSON can hold.
      '';
    };

    system.systemBuilderArgs = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      internal = true;
      description = "Not used; there is no shell script that would take them.";
    };
  };

  config.system.build = {
    toplevel = checked;
    description = lib.filterAttrs (_: value: value != null && value != [ ]) config.system.description
      // {
        inherit (config.system.description)
          fileSystems
          users
          groups
          services
          ;
      };
    imageFacts = {
      hostName = config.networking.hostName;
      inherit (config.system.description) label;
      inherit (config.system) image;
      root = fileSystemFacts root;
      esp = fileSystemFacts esp;
      fileSystems = map fileSystemFacts config.system.build.fileSystems;
      kernelRelease = kernel.modDirVersion;
      inherit (config.boot) kernelParams consoles;
      loader = {
        inherit (config.boot.loader) timeout;
        inherit (config.boot.loader) efi;
        grub = {
          inherit (config.boot.loader.grub)
            enable
            device
            devices
            efiSupport
            efiInstallAsRemovable
            default
            extraEntries
            extraEntriesBeforeNixOS
            extraConfig
            configurationLimit
            ;
        };
      };
    };
  };
}
