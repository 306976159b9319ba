# Encrypted devices that the initrd opens.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib)
    literalExpression
    mkIf
    mkOption
    types
    ;
  cfg = config.boot.initrd.luks;
  devices = lib.attrValues cfg.devices;
  keyMap = config.console.keyMap;

  usesTpm = lib.any (device: device.tpm2.enable) devices;
  tpmModules = [
    "tpm_crb"
    "tpm_tis"
  ];
  # Opened by tpm2 while it runs, where its own libraries look for it.
  tpmDriver = "libtss2-tcti-device.so.0";

  # NixOS's ways to open a device that the initrd has nothing for, by their options' values when they
  # are off.
  unsupported = {
    fido2 = null;
    gpgCard = null;
    postOpenCommands = "";
    preOpenCommands = "";
    yubikey = null;
  };

  # The one word of crypttab(5) that means something here.
  tpmWord = "tpm2-device=auto";

  device =
    { name, config, ... }:
    {
      options = {
        name = mkOption {
          type = types.strMatching "[a-zA-Z0-9][a-zA-Z0-9_.+-]*";
          default = name;
          example = "root";
          description = "What it is called when it is open: {file}`/dev/mapper/<name>`.";
        };
        device = mkOption {
          type = types.nonEmptyStr;
          example = "/dev/disk/by-uuid/430e9eff-d852-4f68-aa3b-2fa3599ebe08";
          description = "The device that is encrypted.";
        };
        header = mkOption {
          type = types.nullOr types.nonEmptyStr;
          default = null;
          example = "/dev/disk/by-partlabel/header";
          description = "The device that has its header, if that is not on the device itself.";
        };
        keyFile = mkOption {
          type = types.nullOr types.nonEmptyStr;
          default = null;
          example = "/dev/disk/by-id/usb-key";
          description = ''
            The device, a stick for example, whose content opens it. Nobody is asked then, unless
            {option}`boot.initrd.luks.devices.<name>.fallbackToPassword` is set.
          '';
        };
        keyFileSize = mkOption {
          type = types.nullOr types.ints.positive;
          default = null;
          example = 4096;
          description = "Bytes of the key; all that there are if `null`.";
        };
        keyFileOffset = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          example = 4096;
          description = "Bytes before the key.";
        };
        keyFileTimeout = mkOption {
          type = types.nullOr types.ints.unsigned;
          default = null;
          example = 5;
          description = ''
            Seconds for which the device of the key is waited for;
            {option}`boot.initrd.deviceTimeoutSeconds` if `null`.
          '';
        };
        fallbackToPassword = mkOption {
          type = types.bool;
          default = false;
          description = "Whether a passphrase is asked for if the key does not come, or does not fit.";
        };
        tpm2.enable = mkOption {
          type = types.bool;
          default = lib.elem tpmWord config.crypttabExtraOpts;
          defaultText = literalExpression "elem \"tpm2-device=auto\" crypttabExtraOpts";
          description = ''
            Whether a key that the machine's TPM keeps opens it. {command}`cairn tpm2 enrol` makes the key. A
            passphrase is asked for if there is no TPM or no key, or if the machine was not started as when
            the key was made. With Secure Boot and a verified system nobody else starts the machine like
            that; without, this helps against somebody who has the disk, and not against one who has the
            machine, unless the key was made with {command}`--pin`: then the TPM asks for a PIN, too.
          '';
        };
        tpm2.timeout = mkOption {
          type = types.ints.unsigned;
          default = 10;
          description = "Seconds for which the TPM is waited for.";
        };
        crypttabExtraOpts = mkOption {
          type = types.listOf types.str;
          default = [ ];
          example = [ "tpm2-device=auto" ];
          description = ''
            Words of {manpage}`crypttab(5)`. There is one: `tpm2-device=auto`, which sets
            {option}`boot.initrd.luks.devices.<name>.tpm2.enable`.
          '';
        };
        tryEmptyPassphrase = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the empty passphrase is tried before anybody is asked.";
        };
        allowDiscards = mkOption {
          type = types.bool;
          default = false;
          description = ''
            Whether a solid-state disk is told which blocks are free. Somebody who has the disk can see
            then how much is used, and perhaps which file system it has.
          '';
        };
        bypassWorkqueues = mkOption {
          type = types.bool;
          default = false;
          description = "Whether reads and writes are encrypted at once, which is faster on fast disks.";
        };
        preLVM = mkOption {
          type = types.bool;
          default = true;
          description = ''
            Without effect: a device is opened as soon as it is there, whether it holds a volume group or
            lies in one.
          '';
        };
      }
      // lib.mapAttrs (
        _: off:
        mkOption {
          type = types.raw;
          default = off;
          visible = false;
          description = "Not supported.";
        }
      ) unsupported;
    };

  description =
    device:
    {
      inherit (device)
        name
        device
        allowDiscards
        bypassWorkqueues
        ;
      inherit (device) tryEmptyPassphrase;
    }
    // lib.optionalAttrs (device.header != null) { inherit (device) header; }
    // lib.optionalAttrs device.tpm2.enable { tpm2.timeoutSeconds = device.tpm2.timeout; }
    // lib.optionalAttrs (device.keyFile != null) {
      keyFile = {
        device = device.keyFile;
        offset = if device.keyFileOffset == null then 0 else device.keyFileOffset;
        orPassphrase = device.fallbackToPassword;
      }
      // lib.optionalAttrs (device.keyFileSize != null) { size = device.keyFileSize; }
      // lib.optionalAttrs (device.keyFileTimeout != null) { timeoutSeconds = device.keyFileTimeout; };
    };

  # For the passphrase: as the keyboard has it later.
  earlyKeyMap = pkgs.runCommand "keymap-${keyMap}" { nativeBuildInputs = [ pkgs.kbd ]; } ''
    map=$(find -L ${pkgs.console-data}/share/keymaps -name ${lib.escapeShellArg "${keyMap}.kmap.gz"} | head -n 1)
    if [ -z "$map" ]; then
      echo "console.keyMap: there is no ${keyMap} in Debian's package console-data" >&2
      exit 1
    fi
    loadkeys -q -b "$map" > $out
  '';
in
{
  options.boot.initrd.luks = {
    devices = mkOption {
      type = types.attrsOf (types.submodule device);
      default = { };
      example = literalExpression ''
        { root.device = "/dev/disk/by-uuid/430e9eff-d852-4f68-aa3b-2fa3599ebe08"; }
      '';
      description = ''
        Devices encrypted with LUKS that are opened before anything is mounted from them, as soon as they
        are there. A passphrase is asked for on every console that the kernel has, until it fits.
      '';
    };
    reusePassphrases = mkOption {
      type = types.bool;
      default = true;
      description = ''
        Whether a passphrase that has opened one device is tried on the others before somebody is asked
        again.
      '';
    };
    forceLuksSupportInInitrd = mkOption {
      type = types.bool;
      default = false;
      description = "Whether the initrd can open encrypted devices although none is configured.";
    };
    cryptoModules = mkOption {
      type = types.listOf types.str;
      default = [
        "aes"
        "cbc"
        "essiv"
        "xts"
        "sha1"
        "sha256"
        "sha512"
        "af_alg"
        "algif_skcipher"
      ];
      description = ''
        Modules and algorithms of the kernel that the headers of encrypted devices may name.
      '';
    };
  };

  config = mkIf (devices != [ ] || cfg.forceLuksSupportInInitrd) {
    assertions = lib.concatMap (
      device:
      lib.mapAttrsToList (option: off: {
        assertion = device.${option} == off;
        message = "boot.initrd.luks.devices.${device.name}.${option} is not supported: a device is opened by a passphrase, a key file or a TPM.";
      }) unsupported
      ++ [
        {
          assertion = lib.subtractLists [ tpmWord ] device.crypttabExtraOpts == [ ];
          message = "boot.initrd.luks.devices.${device.name}.crypttabExtraOpts: only ${tpmWord} is supported.";
        }
        {
          assertion = !(device.tpm2.enable && device.keyFile != null);
          message = "boot.initrd.luks.devices.${device.name} has a keyFile, and a key in the TPM (tpm2.enable); choose one.";
        }
      ]
    ) devices;

    boot.initrd = {
      availableKernelModules = [ "dm_crypt" ] ++ cfg.cryptoModules ++ lib.optionals usesTpm tpmModules;
      programs = {
        cryptsetup = "${pkgs.cryptsetup}/bin/cryptsetup";
      }
      // lib.optionalAttrs usesTpm { tpm2 = "${pkgs.tpm2-tools}/bin/tpm2"; };
      files = lib.mkMerge [
        (mkIf (config.console.enable && keyMap != "us") { "/etc/keymap" = "${earlyKeyMap}"; })
        (mkIf usesTpm { "/lib/${tpmDriver}" = "${pkgs.libtss2-tcti-device0}/lib/x86_64-linux-gnu/${tpmDriver}"; })
      ];
      storage = {
        encrypted = map description devices;
        reusePassphrases = cfg.reusePassphrases;
      };
    };
    environment.systemPackages = [ pkgs.cryptsetup ] ++ lib.optional usesTpm pkgs.tpm2-tools;
  };
}
