# A variant of the machine `storage.nix` with another root: the store stays on the image.
lib: root: more: {
  configuration = {
    imports = [ more ];
    fileSystems = {
      "/" = lib.mkForce root;
      "/image" = {
        device = "LABEL=storage-image";
        fsType = "ext4";
        neededForBoot = true;
      };
      "/nix" = {
        device = "/image/nix";
        fsType = "none";
        options = [ "bind" ];
      };
    };
  };
}
