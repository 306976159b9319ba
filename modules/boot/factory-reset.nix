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

  isWithin = parent: path: path == parent || lib.hasPrefix "${parent}/" path;

  # What has a state that is not kept. A file system that the initrd does not mount has it for good.
  stateful = lib.partition (fs: fs.early) (
    lib.filter (
      fs:
      fs.device != fs.fsType
      && !(lib.elem "ro" fs.options)
      && !(lib.any (path: isWithin path fs.mountPoint) kept)
    ) config.system.build.fileSystems
  );
  emptied = stateful.right;
  spared = stateful.wrong;

  # The request has to be where the initrd looks for it.
  hiding = lib.filter (
    fs: !fs.early && isWithin fs.mountPoint "/nix/var/cairn"
  ) config.system.build.fileSystems;
in
{
  options.boot.factoryReset = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether {command}`cairn factory-reset`, or the kernel parameter `cairn.factory-reset`, makes the initrd
        remove what the machine has become since it was made: everything in the file systems that it mounts
        but {file}`/nix`, {file}`/boot` and {option}`boot.factoryReset.keep`. Somebody who can change the boot
        menu's parameters can do it.
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
    menuEntry = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the boot menu has an entry for it, which boots the last known good generation with that
        parameter once somebody has said yes. It is the last one, and never boots by itself. Whoever can reach
        the menu can do it, unless {option}`boot.loader.grub.users` has somebody: then a password is asked for.
      '';
    };
  };

  options.system.build.factoryReset = mkOption {
    type = types.raw;
    internal = true;
    readOnly = true;
    description = "What is told of one before it is done, in `boot.json`; `null` if there is none.";
  };

  config = {
    assertions = [
      {
        assertion = cfg.menuEntry -> cfg.enable;
        message = "boot.factoryReset.menuEntry is set, and boot.factoryReset.enable is not: set both.";
      }
    ]
    ++ lib.optionals cfg.enable (
      map (fs: {
        assertion = false;
        message = ''
          boot.factoryReset: fileSystems."${fs.mountPoint}" would outlive it, as the initrd does not mount it.
          Set fileSystems."${fs.mountPoint}".neededForBoot, or have it in boot.factoryReset.keep.'';
      }) spared
      ++ map (fs: {
        assertion = false;
        message = ''
          boot.factoryReset: the initrd would see no request for it, as it does not mount fileSystems."${fs.mountPoint}".
          Set fileSystems."${fs.mountPoint}".neededForBoot.'';
      }) hiding
    );
    boot.initrd.factoryReset = lib.mkIf cfg.enable { inherit (cfg) keep; };
    system.build.factoryReset =
      if cfg.enable then
        {
          inherit (cfg) keep;
          fileSystems = map (fs: fs.mountPoint) emptied;
        }
      else
        null;
  };
}
