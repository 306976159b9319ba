# User data of an EC2 instance: a script that is run at each boot, or a configuration that the machine
# becomes.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) mkOption types;

  script = pkgs.writeShellScript "amazon-init" ''
    set -eu
    data=/etc/ec2-metadata/user-data
    if ! [ -s "$data" ]; then
      echo "no user data"
      exit 0
    fi
    export HOME=/root
    cd /root
    # Zeros would be lost in a variable; nothing that is meant here begins with one.
    case $(head -c 2 "$data" | tr -d '\0') in
    '#!')
      echo "running user data"
      install -m 0700 "$data" /run/user-data
      exec /run/user-data
      ;;
    *)
      mkdir -p /etc/nixos
      if cmp --silent "$data" /etc/nixos/configuration.nix; then
        echo "the machine has the configuration in user data"
        exit 0
      fi
      echo "changing to the configuration in user data"
      install -m 0600 "$data" /etc/nixos/configuration.nix
      exec cairn switch
      ;;
    esac
  '';
in
{
  options.virtualisation.amazon-init.enable = mkOption {
    type = types.bool;
    default = true;
    description = ''
      Whether the machine obeys the user data of its instance. One that begins with `#!` is run as root
      at each boot; anything else is taken for a configuration, put into
      {file}`/etc/nixos/configuration.nix`, and switched to when it has changed.
    '';
  };

  config.system.services.amazon-init = lib.mkIf config.virtualisation.amazon-init.enable {
    description = "User data of the instance";
    kind = "oneshot";
    process.argv = [ script ];
    process.environment.PATH = "/run/wrappers/bin:/run/current-system/sw/bin:${
      lib.makeBinPath [
        pkgs.coreutils
        pkgs.diffutils
        pkgs.cairn
      ]
    }";
    after = [ "apply-ec2-data" ];
    # It may be what switches, and it is for the boot.
    restartIfChanged = false;
    startTimeoutMs = 3600000;
    wantedAtBoot = true;
  };
}
