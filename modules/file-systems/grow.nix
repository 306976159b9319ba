# An image is as large as what it holds; the disk that it is written to is larger.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  resized = lib.filter (fs: fs.autoResize) config.system.build.fileSystems;

  # The table is written anew without the bounds of the old disk: its second copy then lies at the
  # new end. The kernel is told of the one partition, since others are in use.
  growPartition = ''
    grow_partition() {
      device=$(findmnt --noheadings --nofsroot --output SOURCE "$1")
      block=/sys/class/block/''${device##*/}
      if ! [ -e "$block/partition" ]; then
        echo "$device is no partition"
        return
      fi
      folder=$(dirname "$(readlink -f "$block")")
      disk=/dev/''${folder##*/}
      start=$(cat "$block/start")
      end=$((start + $(cat "$block/size")))
      for other in "$folder"/*/start; do
        if [ "$(cat "$other")" -gt "$start" ]; then
          echo "$device is not the last partition of $disk"
          return
        fi
      done
      # A table's copy, and what is lost to alignment.
      if [ $(($(cat "$folder/size") - end)) -le 4096 ]; then
        return
      fi
      sfdisk --dump "$disk" \
        | sed -E "/^last-lba:/d; s|^($device : start= *[0-9]+), size= *[0-9]+|\1|" \
        | sfdisk --quiet --no-reread --no-tell-kernel --force "$disk"
      partx --update --nr "$(cat "$block/partition")" "$disk"
      echo "$device has grown to $(cat "$block/size") sectors"
    }
    grow_partition /
  '';

  # All of them while they are mounted. What has the whole of its device already stays as it is.
  resizers =
    let
      ext = point: "resize2fs \"$(findmnt --noheadings --nofsroot --output SOURCE ${point})\"";
    in
    {
      btrfs = point: "btrfs filesystem resize max ${point}";
      ext2 = ext;
      ext3 = ext;
      ext4 = ext;
      xfs = point: "xfs_growfs -d ${point}";
    };

  # What is refused below has none.
  resize =
    fs:
    let
      type = if fs.fsType == "auto" then "ext4" else fs.fsType;
      resizer = resizers.${type} or (_: "");
    in
    resizer (lib.escapeShellArg fs.mountPoint) + "\n";

  script =
    lib.optionalString config.boot.growPartition growPartition + lib.concatMapStrings resize resized;
in
{
  options.boot.growPartition = mkOption {
    type = types.bool;
    default = false;
    description = ''
      Whether the partition of the root file system grows to the end of its disk at boot, if it is the
      disk's last one. {option}`fileSystems.<name>.autoResize` of {file}`/` then grows the file system.
    '';
  };

  config = {
    assertions = map (fs: {
      assertion = fs.fsType == "auto" || resizers ? ${fs.fsType};
      message = ''fileSystems."${fs.mountPoint}".autoResize: ${
        lib.concatStringsSep ", " (lib.attrNames resizers)
      } grow while they are mounted, and ${fs.fsType} does not.'';
    }) resized;

    system.services.grow-file-systems = lib.mkIf (script != "") {
      description = "Partitions and file systems grow to the size of their disks";
      kind = "oneshot";
      process.argv = [ (pkgs.writeShellScript "grow-file-systems" "set -eu\n${script}") ];
      process.path =
        with pkgs;
        [
          coreutils
          e2fsprogs
          fdisk
          sed
          util-linux
        ]
        ++ lib.optional (lib.any (fs: fs.fsType == "btrfs") resized) btrfs-progs
        ++ lib.optional (lib.any (fs: fs.fsType == "xfs") resized) xfsprogs;
    };
  };
}
