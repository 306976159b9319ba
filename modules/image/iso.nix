# What a live medium is like: `cairn image iso`.
{
  config,
  lib,
  ...
}:
let
  inherit (lib) mkOption types;
  nixos = config.system.nixos;
  cfg = config.isoImage;
  compression = import ./compression.nix { inherit lib; };
in
{
  options = {
    isoImage.edition = mkOption {
      type = types.str;
      default = "";
      example = "rescue";
      description = "A word for what the live medium is for, in its label.";
    };

    isoImage.volumeID = mkOption {
      type = types.addCheck types.str (text: text != "" && lib.stringLength text <= 32) // {
        description = "string of 1 to 32 characters";
      };
      default = lib.substring 0 32 (
        lib.concatStringsSep "-" (
          [ nixos.distroId ]
          ++ lib.optional (cfg.edition != "") cfg.edition
          ++ [
            nixos.release
            "x86_64"
          ]
        )
      );
      defaultText = lib.literalMD "the system's id, the edition, the release and the platform";
      example = "RESCUE";
      description = ''
        The label of the live medium. The medium is not found by it, so that media with the same label
        can be in one machine.
      '';
    };

    isoImage.prependToMenuLabel = mkOption {
      type = types.str;
      default = "";
      example = "Our ";
      description = "What stands before the system's name in the menu of the live medium.";
    };

    isoImage.appendToMenuLabel = mkOption {
      type = types.str;
      default = " live system";
      example = " for rescue";
      description = "What stands behind the system's name in the menu of the live medium.";
    };

    isoImage.squashfsCompression = compression.option ''
      How the system on the live medium is compressed: zstd, with a level from 1 to 22. Above 3, an
      eighth of the size takes twenty times as long.
    '';

    isoImage.makeEfiBootable = mkOption {
      type = types.bool;
      default = true;
      description = "Whether the live medium boots by UEFI. It boots by BIOS in any case.";
    };

    isoImage.contents = mkOption {
      type = types.listOf (
        types.submodule {
          options = {
            source = mkOption {
              type = types.path;
              example = lib.literalExpression "./handbook.pdf";
              description = "A file, or a folder with all that is in it; of a link, what it leads to.";
            };
            target = mkOption {
              type = types.str;
              example = "/docs/handbook.pdf";
              description = "Its path on the live medium, where nothing else may be.";
            };
          };
        }
      );
      default = [ ];
      example = lib.literalExpression ''[ { source = ./handbook.pdf; target = "/docs/handbook.pdf"; } ]'';
      description = ''
        Files on the live medium itself, beside what it boots from: any machine can read them on the disc or stick,
        as the media check does.
      '';
    };

    isoImage.storeContents = mkOption {
      type = types.listOf types.package;
      default = [ ];
      example = lib.literalExpression "[ pkgs.gdb ]";
      description = ''
        Packages whose objects are on the live medium beside those of the system, without being part of
        it.
      '';
    };

    isoImage.persistenceLabel = mkOption {
      type = types.nullOr (types.strMatching "[A-Za-z0-9_.-]{1,16}");
      default = "cairn-persist";
      description = ''
        The label of a file system that keeps what the live system writes, if the machine has one when
        the medium is found. `null` forgets it in any case.
      '';
    };
  };
}
