# The same machine in images of other kinds than its own disk: each is the configuration with more
# modules.
{
  config,
  lib,
  extendModules,
  ...
}:
let
  inherit (lib) mkOption types;

  # What each kind of image has otherwise than the machine, and where it keeps what its writer reads.
  kinds = {
    ami = {
      modules = [
        ../virtualisation/amazon-image.nix
        # A volume that an instance boots from is all that it has.
        {
          fileSystems = lib.mkImageMediaOverride {
            "/" = {
              device = "/dev/disk/by-label/nixos";
              fsType = "ext4";
              autoResize = true;
            };
          };
          swapDevices = lib.mkImageMediaOverride [ ];
          boot.loader.grub.enable = lib.mkImageMediaOverride true;
          image.sectorSize = lib.mkImageMediaOverride 512;
          image.swapSize = lib.mkImageMediaOverride null;
          image.verityStore.enable = lib.mkImageMediaOverride false;
        }
      ];
      facts = "imageFacts";
      example = lib.literalExpression "{ image.freeSpace = 4096; }";
    };
    iso = {
      modules = [ ./live.nix ];
      facts = "isoFacts";
      example = lib.literalExpression ''{ services.getty.autologinUser = "root"; }'';
    };
    netboot = {
      modules = [ ./live-netboot.nix ];
      facts = "netbootFacts";
      example = lib.literalExpression "{ services.openssh.enable = true; }";
    };
    tarball = {
      modules = [
        {
          boot.isContainer = lib.mkImageMediaOverride true;
          image.verityStore.enable = lib.mkImageMediaOverride false;
        }
      ];
      facts = "treeFacts";
      example = lib.literalExpression "{ services.chrony.enable = false; }";
    };
  };

  image =
    name: kind:
    let
      variant = extendModules { modules = kind.modules ++ [ config.image.modules.${name} ]; };
    in
    {
      toplevel = variant.config.system.build.toplevel;
      facts = variant.config.system.build.${kind.facts};
    };
in
{
  options = {
    image.modules = mkOption {
      type = types.submodule {
        options = lib.mapAttrs (
          name: kind:
          mkOption {
            type = types.deferredModule;
            default = { };
            inherit (kind) example;
            description = ''
              What the machine has in addition in the image that `cairn image ${name}` makes. It can
              set everything that a configuration can.
            '';
          }
        ) kinds;
      };
      default = { };
      description = "What the machine has in addition in images of one kind.";
    };

    system.build.images = mkOption {
      type = types.raw;
      internal = true;
      readOnly = true;
      description = "The machine in images of one kind: the toplevel, and what the image's writer reads.";
    };
  };

  config.system.build.images = lib.mapAttrs image kinds;
}
