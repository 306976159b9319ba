# Volume groups of LVM.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.services.lvm;

  # There is no udev to ask, and no daemon that watches.
  configuration = ''
    activation {
      udev_sync = 0
      udev_rules = 0
      monitoring = 0
    }
    devices {
      obtain_device_list_from_udev = 0
      external_device_info_source = "none"
    }
  '';
  # Nor has the initrd a folder for copies of what is on the disks anyway.
  withoutBackups = ''
    backup {
      backup = 0
      archive = 0
    }
  '';
in
{
  options = {
    services.lvm = {
      enable = mkOption {
        type = types.bool;
        default = false;
        description = "Whether the machine has the programs of LVM.";
      };
      package = mkOption {
        type = types.package;
        default = pkgs.lvm2;
        defaultText = "pkgs.lvm2";
        description = "The package with the programs.";
      };
      boot.thin.enable = mkOption {
        type = types.bool;
        default = false;
        visible = false;
        description = "Not supported.";
      };
      boot.vdo.enable = mkOption {
        type = types.bool;
        default = false;
        visible = false;
        description = "Not supported.";
      };
      dmeventd.enable = mkOption {
        type = types.bool;
        default = false;
        visible = false;
        description = "Not supported.";
      };
    };
    boot.initrd.services.lvm.enable = mkOption {
      type = types.bool;
      default = cfg.enable;
      defaultText = "config.services.lvm.enable";
      description = ''
        Whether the initrd activates volume groups, each as soon as all of its physical volumes are
        there. It is the initrd that does it for all volumes, those of {file}`/` and others.
      '';
    };
  };

  config = lib.mkMerge [
    {
      assertions = [
        {
          assertion = !(cfg.boot.thin.enable || cfg.boot.vdo.enable || cfg.dmeventd.enable);
          message = "services.lvm: boot.thin, boot.vdo and dmeventd are not supported.";
        }
      ];
    }
    (mkIf cfg.enable {
      environment.systemPackages = [ cfg.package ];
      environment.etc."lvm/lvm.conf".text = configuration;
    })
    (mkIf config.boot.initrd.services.lvm.enable {
      boot.initrd = {
        availableKernelModules = [
          "dm_mod"
          "dm_snapshot"
          "dm_mirror"
          "dm_raid"
        ];
        programs.lvm = "${cfg.package}/bin/lvm";
        files."/etc/lvm/lvm.conf" = "${pkgs.writeText "lvm.conf" (configuration + withoutBackups)}";
        storage.volumeGroups = true;
      };
    })
  ];
}
