# The SSH client.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.programs.ssh;

  knownHost =
    { name, ... }:
    {
      options = {
        hostNames = mkOption {
          type = types.listOf types.str;
          default = [ name ];
          description = "Names and addresses of the host; the entry's name if there is no other.";
        };
        extraHostNames = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Further names and addresses.";
        };
        publicKey = mkOption {
          type = types.nullOr types.str;
          default = null;
          example = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…";
          description = "The host's public key.";
        };
        publicKeyFile = mkOption {
          type = types.nullOr types.path;
          default = null;
          description = "A file with the host's public key, read when the configuration is evaluated.";
        };
        certAuthority = mkOption {
          type = types.bool;
          default = false;
          description = "Whether the key is that of an authority, which signs the keys of hosts.";
        };
      };
    };

  hosts = lib.attrValues cfg.knownHosts;
  line =
    host:
    lib.optionalString host.certAuthority "@cert-authority "
    + lib.concatStringsSep "," (host.hostNames ++ host.extraHostNames)
    + " "
    + (if host.publicKey != null then host.publicKey else lib.fileContents host.publicKeyFile)
    + "\n";
in
{
  options.programs.ssh = {
    package = mkOption {
      type = types.package;
      default = pkgs.openssh-client;
      defaultText = literalExpression "pkgs.openssh-client";
      description = "The package with the client.";
    };
    extraConfig = mkOption {
      type = types.lines;
      default = "";
      example = ''
        Host *.example.org
          User alice
      '';
      description = "Lines of {file}`/etc/ssh/ssh_config`, before those of the other options.";
    };
    knownHosts = mkOption {
      type = types.attrsOf (types.submodule knownHost);
      default = { };
      example = literalExpression ''
        {
          "git.example.org".publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI…";
        }
      '';
      description = "Hosts whose keys are known, by name: {file}`/etc/ssh/ssh_known_hosts`.";
    };
    startAgent = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether each user who logs in has an agent that keeps keys.";
    };
    agentTimeout = mkOption {
      type = types.nullOr types.str;
      default = null;
      example = "1h";
      description = "How long it keeps a key; until the last session ends if `null`.";
    };
    forwardX11 = mkOption {
      type = types.nullOr types.bool;
      default = false;
      description = "Whether X11 connections come through by default; `null` says nothing.";
    };
  };

  config = {
    assertions = lib.mapAttrsToList (name: host: {
      assertion = (host.publicKey == null) != (host.publicKeyFile == null);
      message = ''programs.ssh.knownHosts."${name}": set either publicKey or publicKeyFile.'';
    }) cfg.knownHosts;

    environment.systemPackages = [ cfg.package ];
    systemd.user.services.ssh-agent = lib.mkIf cfg.startAgent {
      description = "Keys of SSH";
      wantedBy = [ "default.target" ];
      serviceConfig.ExecStart =
        "${cfg.package}/bin/ssh-agent -D -a %t/ssh-agent"
        + lib.optionalString (cfg.agentTimeout != null) " -t ${cfg.agentTimeout}";
    };
    environment.extraInit = lib.mkIf cfg.startAgent (
      lib.mkAfter ''
        if [ -z "''${SSH_AUTH_SOCK-}" ] && [ -n "''${XDG_RUNTIME_DIR-}" ]; then
          export SSH_AUTH_SOCK="$XDG_RUNTIME_DIR/ssh-agent"
        fi
      ''
    );
    environment.etc."ssh/ssh_config".text = ''
      ${cfg.extraConfig}
      Host *
        GlobalKnownHostsFile /etc/ssh/ssh_known_hosts
        ${lib.optionalString (cfg.forwardX11 != null)
          "ForwardX11 ${if cfg.forwardX11 then "yes" else "no"}"
        }
    '';
    environment.etc."ssh/ssh_known_hosts" = lib.mkIf (hosts != [ ]) {
      text = lib.concatMapStrings line hosts;
    };
  };
}
