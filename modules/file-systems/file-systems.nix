# What is mounted where.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkDefault
    mkIf
    mkOption
    types
    ;

  # Without a device of their own; `mount` shows the type in its place.
  withoutDevice = [
    "tmpfs"
    "ramfs"
    "proc"
    "sysfs"
    "devtmpfs"
    "devpts"
    "overlay"
  ];

  # The initrd mounts these whatever `neededForBoot` says.
  always = [
    "/"
    "/nix"
    "/nix/store"
    "/var"
    "/var/log"
    "/etc"
  ];

  text = types.addCheck types.str (value: builtins.match "[[:space:]]*" value == null) // {
    description = "non-empty string";
  };

  mountPoint =
    types.addCheck types.str (value: value == "/" || builtins.match "(/[^/]+)+" value != null)
    // {
      description = "absolute path without a trailing slash";
    };

  fileSystem =
    { name, config, ... }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether the file system is mounted at all.";
        };
        mountPoint = mkOption {
          type = mountPoint;
          default = name;
          example = "/srv";
          description = "Where it is mounted. The entry's name is the default.";
        };
        device = mkOption {
          type = types.nullOr text;
          default = null;
          example = "/dev/disk/by-label/data";
          description = ''
            What is mounted: the path of a block device; `LABEL=`, `UUID=`, `PARTLABEL=` or
            `PARTUUID=` and a value, or the same as {file}`/dev/disk/by-label/…` and so on; or a
            folder, with the option `bind`.
          '';
        };
        label = mkOption {
          type = types.nullOr text;
          default = null;
          example = "data";
          description = ''
            The label of the file system, in the place of {option}`fileSystems.<name>.device`.
          '';
        };
        fsType = mkOption {
          type = text;
          default = "auto";
          example = "ext4";
          description = ''
            The type of the file system by the kernel's name. `auto` looks at the device; an image
            that is built with it gets ext4.
          '';
        };
        options = mkOption {
          type = types.addCheck (types.listOf text) (list: list != [ ]) // {
            description = "non-empty list of non-empty strings";
          };
          default = [ "defaults" ];
          example = [
            "noatime"
            "nofail"
          ];
          description = ''
            Mount options. `noauto` leaves it for `mount` to mount, and a boot goes on without a file
            system that has `nofail`.
          '';
        };
        depends = mkOption {
          type = types.listOf mountPoint;
          default = [ ];
          example = [ "/persist" ];
          description = ''
            Paths that must be mounted before it. What holds its mount point or its device is, without
            being named.
          '';
        };
        neededForBoot = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether the initrd mounts it, and the machine does not start without it. It does so in any
            case for {file}`/`, {file}`/nix`, {file}`/nix/store`, {file}`/var`, {file}`/var/log` and
            {file}`/etc`.
          '';
        };
        noCheck = mkOption {
          type = types.bool;
          default = false;
          description = "Whether `fsck` is left out.";
        };
        autoFormat = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Making the file system if the device has none. It is not supported: a device that is wrongly
            taken for an empty one would lose what is on it.
          '';
        };
        autoResize = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether the file system grows to its partition's size at boot. btrfs, ext2, ext3, ext4 and xfs
            can, while they are mounted. `auto` is taken for an ext4.
          '';
        };
        early = mkOption {
          type = types.bool;
          internal = true;
          readOnly = true;
          description = "Whether the initrd mounts it.";
        };
        description = mkOption {
          type = types.raw;
          internal = true;
          readOnly = true;
          description = "The file system in `system.json`.";
        };
      };

      config = {
        device = lib.mkMerge [
          (mkIf (config.label != null) (mkDefault "/dev/disk/by-label/${config.label}"))
          (mkIf (config.label == null && lib.elem config.fsType withoutDevice) (mkDefault config.fsType))
        ];
        early = config.neededForBoot || lib.elem config.mountPoint always;
        description = {
          inherit (config) mountPoint fsType noCheck;
          device =
            if config.device != null then
              config.device
            else
              throw ''
                fileSystems."${name}" names no device.
                Set fileSystems."${name}".device to one, such as "/dev/sda1" or "LABEL=data".'';
          options = lib.filter (option: option != "defaults") config.options;
          neededForBoot = config.early;
        };
      };
    };

  # Whether `path` is `parent` or below it.
  isWithin = parent: path: parent == "/" || path == parent || lib.hasPrefix "${parent}/" path;

  # Whether `a` must be mounted before `b`.
  mountsBefore =
    a: b:
    a.mountPoint != b.mountPoint
    && (
      isWithin a.mountPoint b.mountPoint
      || lib.any (isWithin a.mountPoint) b.depends
      || (
        b.device != null
        && lib.hasPrefix "/" b.device
        && !(lib.hasPrefix "/dev/" b.device)
        && isWithin a.mountPoint b.device
      )
    );

  sorted = lib.toposort mountsBefore (lib.attrValues config.fileSystems);
  fileSystems = sorted.result or (lib.attrValues config.fileSystems);

  # What mounts, makes and checks them; e2fsprogs and dosfstools are everywhere.
  tools = {
    btrfs = "btrfs-progs";
    cifs = "cifs-utils";
    exfat = "exfatprogs";
    f2fs = "f2fs-tools";
    nfs = "nfs-common";
    nfs4 = "nfs-common";
    ntfs = "ntfs-3g";
    ntfs3 = "ntfs-3g";
    xfs = "xfsprogs-minimal";
  };
  supported = lib.attrNames (lib.filterAttrs (_: enabled: enabled) config.boot.supportedFilesystems);

  # fstab(5) separates by blanks.
  escape = lib.replaceStrings [ " " "\t" ] [ "\\040" "\\011" ];
  fstabLine =
    fs:
    "${escape fs.description.device} ${escape fs.mountPoint} ${fs.fsType} ${escape (lib.concatStringsSep "," fs.options)} 0 0\n";
in
{
  options = {
    fileSystems = mkOption {
      type = types.attrsOf (types.submodule fileSystem);
      default = { };
      apply = lib.filterAttrs (_: fs: fs.enable);
      example = literalExpression ''
        {
          "/".device = "/dev/sda1";
          "/srv" = {
            device = "LABEL=data";
            fsType = "ext4";
            options = [ "noatime" "nofail" ];
          };
        }
      '';
      description = ''
        The file systems, by mount point. The root file system, `/`, must be among them.
      '';
    };

    boot.supportedFilesystems = mkOption {
      type = types.coercedTo (types.listOf types.str) (names: lib.genAttrs names (_: true)) (
        types.attrsOf types.bool
      );
      default = { };
      example = [ "xfs" ];
      description = ''
        Types of file systems that the machine shall be able to mount, beside those that
        {option}`fileSystems` has. The kernel loads their modules when they are mounted, and the
        programs that make and check them are there.
      '';
    };

    system.build.fileSystems = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "The file systems in the order in which they are mounted.";
    };
  };

  config = {
    assertions = [
      {
        assertion =
          config.boot.isContainer
          || config.fileSystems ? "/"
          || lib.any (fs: fs.mountPoint == "/") fileSystems;
        message = ''
          There is no root file system.
          Set fileSystems."/".device to the device that has it, such as "/dev/sda1".'';
      }
      {
        assertion = !(lib.elem "zfs" supported);
        message = "boot.supportedFilesystems: zfs is not part of the kernel, and is not supported.";
      }
      {
        assertion = sorted ? result;
        message =
          "fileSystems: each of these would have to be mounted before the next: "
          + lib.concatMapStringsSep ", " (fs: fs.mountPoint) ((sorted.cycle or [ ]) ++ (sorted.loops or [ ]));
      }
    ]
    ++ lib.concatMap (fs: [
      {
        assertion = fs.label == null || fs.device == "/dev/disk/by-label/${fs.label}";
        message = ''fileSystems."${fs.mountPoint}": device and label are both set; set one of them.'';
      }
      {
        assertion = !fs.autoFormat;
        message = ''fileSystems."${fs.mountPoint}".autoFormat is not supported; make the file system before it is mounted.'';
      }
    ]) fileSystems;

    environment.systemPackages = map (type: pkgs.${tools.${type}}) (
      lib.filter (type: tools ? ${type}) supported
    );

    boot.supportedFilesystems = lib.genAttrs (map (fs: fs.fsType) fileSystems) (_: mkDefault true);

    environment.etc.fstab.text =
      lib.concatMapStrings fstabLine fileSystems
      + lib.concatMapStrings (swap: "${escape swap.realDevice} none swap defaults 0 0\n") config.swapDevices;

    system.build = { inherit fileSystems; };
    system.description.fileSystems = map (fs: fs.description) fileSystems;
  };
}
