# The state of a machine, removed by the initrd when somebody asks for it.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.boot.factoryReset;
  kept = [
    "/nix"
    "/boot"
  ]
  ++ cfg.keep;

  # A file system that the initrd does not mount has its state for good.
  isWithin = parent: path: path == parent || lib.hasPrefix "${parent}/" path;
  spared = lib.filter (
    fs:
    !fs.early
    && fs.device != fs.fsType
    && !(lib.elem "ro" fs.options)
    && !(lib.any (path: isWithin path fs.mountPoint) kept)
  ) config.system.build.fileSystems;
in
{
  options.boot.factoryReset = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the kernel parameter `cairn.factory-reset`, or the file
        {file}`/nix/var/cairn/factory-reset`, makes the initrd remove what the machine has become since it
        was made: everything in the file systems that it mounts but {file}`/nix`, {file}`/boot` and
        {option}`boot.factoryReset.keep`. Somebody who can change the boot menu's parameters can do it.
        Accounts then have the passwords of the configuration, and none that was set on the machine.
        Files are removed, and not overwritten.
      '';
    };
    keep = mkOption {
      type = types.listOf (types.strMatching "(/[^/]+)+");
      default = [ "/etc/nixos" ];
      example = [
        "/etc/nixos"
        "/var/lib/licence"
      ];
      description = "Files and folders that outlive it.";
    };
  };

  config = lib.mkIf cfg.enable {
    assertions = map (fs: {
      assertion = false;
      message = ''
        boot.factoryReset: fileSystems."${fs.mountPoint}" would outlive it, as the initrd does not mount it.
        Set fileSystems."${fs.mountPoint}".neededForBoot, or have it in boot.factoryReset.keep.'';
    }) spared;
    boot.initrd.factoryReset = { inherit (cfg) keep; };
  };
}
