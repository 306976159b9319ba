# Software RAID.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkIf mkOption types;
  cfg = config.boot.swraid;
in
{
  options.boot.swraid = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the initrd assembles arrays of software RAID, each as soon as all of its members are
        there; and, if the time for devices is over, without those that are missing.
      '';
    };
    mdadmConf = mkOption {
      type = types.lines;
      default = "";
      example = "ARRAY /dev/md0 UUID=01234567:89abcdef:01234567:89abcdef";
      description = ''
        {file}`mdadm.conf`: which arrays there are, and who is told of failures. Without a line about an
        array it is assembled all the same, under the name that it says itself.
      '';
    };
  };

  config = mkIf cfg.enable {
    boot.initrd = {
      availableKernelModules = [
        "md_mod"
        "raid0"
        "raid1"
        "raid10"
        "raid456"
      ];
      programs.mdadm = "${pkgs.mdadm}/bin/mdadm";
      # The initrd has no host name, and an array may be of another machine's making.
      files."/etc/mdadm/mdadm.conf" = "${pkgs.writeText "mdadm.conf" (
        cfg.mdadmConf + "\nHOMEHOST <ignore>\n"
      )}";
      storage.arrays = true;
    };
    environment.systemPackages = [ pkgs.mdadm ];
    environment.etc."mdadm/mdadm.conf".text = cfg.mdadmConf;
  };
}
