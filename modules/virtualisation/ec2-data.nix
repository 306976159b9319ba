# What the instance metadata service of EC2 says of the machine: fetched once a boot, and applied.
{
  config,
  lib,
  options,
  pkgs,
  ...
}:
let
  # A name that nobody has chosen gives way to the one that the cloud has.
  takesHostName = options.networking.hostName.highestPrio >= 1500;

  # Version 2 of the service: each request has a token, which a request of another kind has given.
  fetch = pkgs.writeShellScript "fetch-ec2-metadata" ''
    set -u
    umask 077
    PATH=${
      lib.makeBinPath [
        pkgs.coreutils
        pkgs.curl
      ]
    }
    service=http://169.254.169.254/latest
    folder=/etc/ec2-metadata
    mkdir -p "$folder"

    ask() {
      curl --silent --show-error --fail --noproxy '*' --connect-timeout 2 --max-time 20 "$@"
    }
    token=
    for try in $(seq 60); do
      token=$(ask --request PUT --header 'X-aws-ec2-metadata-token-ttl-seconds: 600' "$service/api/token") && break
      sleep 1
    done
    if [ -z "$token" ]; then
      echo "no metadata: $service gives no token"
      exit 0
    fi

    # What the instance does not have is not there, rather than old.
    get() {
      if ask --header "X-aws-ec2-metadata-token: $token" --output "$folder/.new" "$service/$1"; then
        mv "$folder/.new" "$folder/$2"
      else
        rm -f "$folder/.new" "$folder/$2"
      fi
    }
    get meta-data/ami-manifest-path ami-manifest-path
    get user-data user-data
    get meta-data/hostname hostname
    get meta-data/public-keys/0/openssh-key public-keys-0-openssh-key
    echo "metadata is in $folder:" $(ls "$folder")
  '';

  apply = pkgs.writeShellScript "apply-ec2-data" ''
    set -u
    PATH=${
      lib.makeBinPath [
        pkgs.coreutils
        pkgs.hostname
      ]
    }
    folder=/etc/ec2-metadata
    ${lib.optionalString takesHostName ''
      if [ -s "$folder/hostname" ]; then
        name=$(head -n 1 "$folder/hostname")
        hostname "''${name%%.*}"
      fi
    ''}
    # A key that somebody has put there stays the only one.
    if [ -s "$folder/public-keys-0-openssh-key" ] && ! [ -e /root/.ssh/authorized_keys ]; then
      mkdir -p -m 0700 /root/.ssh
      umask 077
      cp "$folder/public-keys-0-openssh-key" /root/.ssh/authorized_keys.new
      mv /root/.ssh/authorized_keys.new /root/.ssh/authorized_keys
      echo "root's key is that of the instance"
    fi
  '';

  # The console's log can be read from outside: there is no other way to know whom one talks to.
  print = pkgs.writeShellScript "print-host-key" ''
    set -u
    {
      echo "-----BEGIN SSH HOST KEY FINGERPRINTS-----"
      for key in /etc/ssh/ssh_host_*_key.pub; do
        ${pkgs.openssh-client}/bin/ssh-keygen -l -f "$key"
      done
      echo "-----END SSH HOST KEY FINGERPRINTS-----"
    } > /dev/console
  '';

  once = script: more: {
    kind = "oneshot";
    process.argv = [ script ];
    # It is for the boot.
    restartIfChanged = false;
    wantedAtBoot = true;
  } // more;
in
{
  config.system.services = {
    fetch-ec2-metadata = once fetch {
      description = "Metadata of the instance";
      after = [ "network-online.target" ];
      startTimeoutMs = 300000;
    };
    apply-ec2-data = once apply {
      description = "Name and key of the instance";
      after = [ "fetch-ec2-metadata" ];
      before = [ "sshd" ];
    };
    print-host-key = lib.mkIf config.services.openssh.enable (
      once print {
        description = "Fingerprints of this machine's keys on its console";
        after = [ "sshd" ];
      }
    );
  };
}
