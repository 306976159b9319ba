# What the system calls itself.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.system.nixos;
  version = import ../version.nix;

  # os-release(5): quoted wherever a shell might read something else.
  quote = value: ''"${lib.escape [ "\\" "$" "\"" "`" ] value}"'';
  isPlain = value: builtins.match "[A-Za-z0-9._-]+" value != null;
  osRelease = lib.concatStrings (
    lib.mapAttrsToList (key: value: "${key}=${if isPlain value then value else quote value}\n") (
      lib.filterAttrs (_: value: value != null) {
        ID = cfg.distroId;
        NAME = cfg.distroName;
        PRETTY_NAME = config.system.description.label;
        VERSION_ID = cfg.release;
        VARIANT_ID = cfg.variant_id;
        IMAGE_ID = config.system.image.id;
        IMAGE_VERSION = config.system.image.version;
      }
    )
  );
in
{
  options = {
    system.stateVersion = mkOption {
      type = types.strMatching "[0-9]+\\.[0-9]+(\\.[0-9]+)?";
      default = cfg.release;
      defaultText = lib.literalExpression "config.system.nixos.release";
      example = "0.1.0";
      description = ''
        The release with which this machine was first installed. Defaults that would not fit the data
        of an older one follow it. Set it once, and leave it.
      '';
    };

    system.nixos = {
      distroId = mkOption {
        type = types.strMatching "[a-z0-9._-]+";
        default = "cairn";
        internal = true;
        description = "The system's name for programs, `ID` of {file}`/etc/os-release`.";
      };
      distroName = mkOption {
        type = types.str;
        default = "Cairn";
        internal = true;
        description = "The system's name for people.";
      };
      release = mkOption {
        type = types.str;
        default = version;
        readOnly = true;
        description = "The release of the modules, such as `0.1.0`.";
      };
      version = mkOption {
        type = types.str;
        default = version;
        internal = true;
        description = "The version of the modules.";
      };
      codeName = mkOption {
        type = types.nullOr types.str;
        default = null;
        readOnly = true;
        description = "A release's name; these have none.";
      };
      variant_id = mkOption {
        type = types.nullOr (types.strMatching "[a-z0-9._-]+");
        default = null;
        example = "installer";
        description = "What kind of system this is, `VARIANT_ID` of {file}`/etc/os-release`.";
      };
      tags = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "with-xen" ];
        description = ''
          Words that are part of the label, so that variants of a configuration can be told apart.
        '';
      };
      label = mkOption {
        type = types.strMatching "[a-zA-Z0-9:_. -]+";
        default = lib.concatStringsSep "-" (lib.sort (a: b: a < b) cfg.tags ++ [ cfg.version ]);
        defaultText = lib.literalExpression ''concatStringsSep "-" (tags ++ [ version ])'';
        example = "before-the-upgrade";
        description = "How boot menus tell this system from others, after the system's name.";
      };
    };

    system.image = {
      id = mkOption {
        type = types.nullOr (types.strMatching "[a-z0-9._-]+");
        default = null;
        example = "kiosk";
        description = "Name of the image, `IMAGE_ID` of {file}`/etc/os-release`.";
      };
      version = mkOption {
        type = types.nullOr (types.strMatching "[a-z0-9._-]+");
        default = null;
        example = "2.1";
        description = "Version of the image, `IMAGE_VERSION` of {file}`/etc/os-release`.";
      };
    };
  };

  config = {
    system.description.label =
      if config.boot.loader.grub.configurationName != "" then
        config.boot.loader.grub.configurationName
      else
        "${cfg.distroName} ${cfg.label}";
    environment.etc.os-release.text = osRelease;
  };
}
