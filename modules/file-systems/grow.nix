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
      device=$(findmnt --noheadings --output SOURCE "$1")
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

  resize = fs: ''
    resize2fs "$(findmnt --noheadings --output SOURCE ${lib.escapeShellArg fs.mountPoint})"
  '';

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
      assertion = lib.elem fs.fsType [
        "auto"
        "ext2"
        "ext3"
        "ext4"
      ];
      message = ''fileSystems."${fs.mountPoint}".autoResize: only ext2, ext3 and ext4 grow, not ${fs.fsType}.'';
    }) resized;

    system.services.grow-file-systems = lib.mkIf (script != "") {
      description = "Partitions and file systems grow to the size of their disks";
      kind = "oneshot";
      process.argv = [ (pkgs.writeShellScript "grow-file-systems" "set -eu\n${script}") ];
      process.path = with pkgs; [
        coreutils
        e2fsprogs
        fdisk
        sed
        util-linux
      ];
    };
  };
}
