# Whose signature the firmware asks for: the machine's owner's own keys.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.boot.secureBoot;

  # A path of Nix stays where it is: written into a text, it would be copied to the store.
  keyFile =
    description:
    mkOption {
      type = types.nullOr types.path;
      default = null;
      apply = file: if file == null then null else toString file;
      inherit description;
    };
in
{
  options.boot.secureBoot = {
    privateKeyFile =
      keyFile ''
        The key that signs the program that starts the machine, as PEM without a passphrase, on the machine that
        builds the image. It is read when the image is made, and is never in the store or the image.
      ''
      // {
        example = "/etc/secureboot/keys/db/db.key";
      };
    publicKeyFile =
      keyFile ''
        The certificate of that key, as PEM. It is what the firmware must have among those that it trusts (`db`).
      ''
      // {
        example = "/etc/secureboot/keys/db/db.pem";
      };
  };

  config.assertions = [
    {
      assertion = (cfg.privateKeyFile == null) == (cfg.publicKeyFile == null);
      message = "boot.secureBoot: privateKeyFile and publicKeyFile belong together; set both or none.";
    }
    {
      assertion =
        cfg.privateKeyFile == null || !(lib.hasPrefix "${builtins.storeDir}/" cfg.privateKeyFile);
      message = "boot.secureBoot.privateKeyFile: everybody can read the store; keep the key out of it.";
    }
  ];
}
