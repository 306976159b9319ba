# `/etc`.
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

  # A path below /etc: no empty part, no `.` and no `..`.
  target =
    types.addCheck types.str (
      value:
      builtins.match "[^/]+(/[^/]+)*" value != null && builtins.match "(.*/)?\\.\\.?(/.*)?" value == null
    )
    // {
      description = "path relative to /etc";
    };

  storeName = name: lib.replaceStrings [ "/" "@" " " ] [ "-" "-" "-" ] (lib.removePrefix "." name);

  entry =
    {
      name,
      config,
      options,
      ...
    }:
    {
      options = {
        enable = mkOption {
          type = types.bool;
          default = true;
          example = false;
          description = "Whether the file is there. It allows to leave out what another module has.";
        };
        target = mkOption {
          type = target;
          default = name;
          description = "Its path below {file}`/etc`. The entry's name is the default.";
        };
        text = mkOption {
          type = types.nullOr types.lines;
          default = null;
          description = "What the file holds.";
        };
        source = mkOption {
          type = types.path;
          description = ''
            The file or directory that the entry is a link to. A link may point to anywhere; a path
            in the configuration's own folder is copied into the store.
          '';
        };
        mode = mkOption {
          type = types.strMatching "symlink|direct-symlink|0?[0-7]{3,4}";
          default = "symlink";
          example = "0440";
          description = ''
            `symlink`, a link through {file}`/etc/static` that changes at one moment with all others;
            `direct-symlink`, a link to the source itself, for programs that look at what a link says;
            or permission bits in octal: then the file is copied, and not linked to.
          '';
        };
        user = mkOption {
          type = types.str;
          default = "root";
          description = "Owner of the copy.";
        };
        group = mkOption {
          type = types.str;
          default = "root";
          description = "Group of the copy.";
        };
        uid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = "The owner's number; name {option}`environment.etc.<name>.user` instead.";
        };
        gid = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          description = "The group's number; name {option}`environment.etc.<name>.group` instead.";
        };
      };
      config.source = mkIf (config.text != null) (
        mkDefault (pkgs.writeText "etc-${storeName name}" config.text)
      );
    };

  readOnly = config.system.etc.overlay.enable && !config.system.etc.overlay.mutable;

  keysInEtc = lib.optionals config.services.openssh.enable (
    lib.filter (key: lib.hasPrefix "/etc/" key.path) config.services.openssh.hostKeys
  );

  entries = lib.filter (entry: entry.enable) (lib.attrValues config.environment.etc);

  describe =
    entry:
    {
      inherit (entry) target;
      source = "${entry.source}";
    }
    // lib.optionalAttrs (builtins.match "0?[0-7]{3,4}" entry.mode != null) {
      copy = {
        inherit (entry) mode user group;
      };
    }
    // lib.optionalAttrs (entry.mode == "direct-symlink") { direct = true; };
in
{
  options = {
    environment.etc = mkOption {
      type = types.attrsOf (types.submodule entry);
      default = { };
      example = literalExpression ''
        {
          "motd".text = "Welcome.";
          "secret" = { source = ./secret; mode = "0400"; };
        }
      '';
      description = ''
        Files and directories in {file}`/etc`, by their path below it. They change together with the
        system; what is not listed here is left alone.
      '';
    };

    system.etc.overlay.enable = mkOption {
      type = types.bool;
      default = false;
      description = ''
        Whether {file}`/etc` changes at one moment, and is read-only unless
        {option}`system.etc.overlay.mutable` is on. It always changes at one moment here, without an
        overlay.
      '';
    };

    system.etc.overlay.mutable = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether {file}`/etc` can be written to. If not (and {option}`system.etc.overlay.enable` is on),
        it is mounted read-only: only a change of the system's generation changes it, users and
        passwords included. {file}`/etc/nixos` stays writable.
      '';
    };

    system.build.etc = mkOption {
      type = types.package;
      internal = true;
      readOnly = true;
      description = "The tree behind {file}`/etc/static`.";
    };
  };

  config = {
    assertions =
      map (entry: {
        assertion = entry.uid == null && entry.gid == null;
        message = ''environment.etc."${entry.target}": uid and gid are not supported; name user and group.'';
      }) entries
      ++ [
        {
          assertion = !readOnly || keysInEtc == [ ];
          message = ''
            services.openssh.hostKeys: ${lib.concatMapStringsSep ", " (key: key.path) keysInEtc} cannot be made in a read-only /etc.
            Give each key a path elsewhere, such as /var/lib/ssh/ssh_host_ed25519_key.'';
        }
      ];
    system.description.etc = map describe entries;
    # Said only where it is so: programs of older generations do not know the word.
    system.description.readOnlyEtc = mkIf readOnly true;
    system.build.etc = pkgs.build "etc" {
      name = "etc";
      entries = builtins.toJSON config.system.description.etc;
    };
  };
}
