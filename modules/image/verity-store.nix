# A machine whose store the kernel verifies as it reads it, and that one program starts: `cairn image disk`.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    mkDefault
    mkIf
    mkOption
    types
    ;
  cfg = config.image.verityStore;
  secureBoot = config.boot.secureBoot;
  compression = import ./compression.nix { inherit lib; };
in
{
  options = {
    image.verityStore.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether the store is a read-only file system of its own on the disk that `cairn image disk` makes, with a
        hash of each block (dm-verity), and the machine is started, by UEFI alone, by one program that has
        kernel, initrd, parameters and the root of the hashes in it. Signed with
        {option}`boot.secureBoot.privateKeyFile`, nothing that the machine runs can be changed without it.
        Such a machine is replaced as a whole: {command}`cairn switch` cannot change it.
      '';
    };

    image.verityStore.squashfsCompression = compression.option ''
      How the store is compressed: zstd, with a level from 1 to 22.
    '';

    system.build.verityStore = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "What the image's writer reads; `null` if the store is part of the root.";
    };
  };

  config = lib.mkMerge [
    {
      system.build.verityStore =
        if cfg.enable then
          {
            veritysetup = pkgs.cryptsetup;
            tools = pkgs.grub-core;
            uefi = pkgs.grub-core;
            serial = lib.any (lib.hasPrefix "console=ttyS0") config.boot.kernelParams;
            compressionLevel = compression.level cfg.squashfsCompression;
            signer =
              if secureBoot.privateKeyFile == null then
                null
              else
                {
                  tool = pkgs.osslsigncode;
                  inherit (secureBoot) privateKeyFile publicKeyFile;
                };
          }
        else
          null;
    }
    (mkIf cfg.enable {
      assertions = [
        {
          assertion = !config.boot.loader.grub.enable;
          message = ''
            image.verityStore.enable: the machine is started by one program, and has no boot menu.
            Leave boot.loader.grub.enable out.'';
        }
        {
          assertion = config.specialisation == { };
          message = "image.verityStore.enable: without a boot menu nobody can choose a specialisation.";
        }
      ];

      boot.loader.grub.enable = mkDefault false;
      # Stage 1 knows this name.
      fileSystems."/nix/store" = {
        device = "verity-store";
        fsType = "squashfs";
        options = [ "ro" ];
        noCheck = true;
      };
      boot.initrd.availableKernelModules = [
        "dm_verity"
        "sha256"
      ];
    })
  ];
}
