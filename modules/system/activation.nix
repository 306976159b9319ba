# Commands at activation. Cairn runs no shell there: what activation does is planned, compared with
# what is there, and can be shown beforehand. Scripts become services that run once, before all
# others are started.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;

  script = types.submodule {
    options = {
      text = mkOption {
        type = types.lines;
        description = "Commands for bash.";
      };
      deps = mkOption {
        type = types.listOf types.str;
        default = [ ];
        example = [ "users" ];
        description = "Scripts that come before. What activation itself does comes before in any case.";
      };
      supportsDryActivation = mkOption {
        type = types.bool;
        default = false;
        description = "Without effect: a dry run runs no script.";
      };
    };
  };

  scripts = config.system.activationScripts;

  # Names that NixOS's own scripts have: what they do is done before.
  builtin = [
    "binsh"
    "etc"
    "groups"
    "hostname"
    "modprobe"
    "specialfs"
    "stdio"
    "tmpfs"
    "users"
    "usrbinenv"
    "var"
    "wrappers"
  ];

  serviceName = name: "activation-${name}";
  serviceOf = name: script: {
    name = serviceName name;
    description = "Activation script ${name}";
    kind = "oneshot";
    process = {
      argv = [
        "${pkgs.bash}/bin/bash"
        "${pkgs.writeText "activation-${name}" "set -eu\n${script.text}"}"
      ];
      environment.PATH = lib.makeBinPath [
        pkgs.coreutils
        pkgs.grep
        pkgs.findutils
        pkgs.sed
      ];
    };
    after = map serviceName (lib.filter (dep: !(lib.elem dep builtin)) script.deps);
    wantedAtBoot = true;
  };
in
{
  options = {
    system.activationScripts = mkOption {
      type = types.attrsOf (
        types.coercedTo types.str (text: {
          inherit text;
        }) script
      );
      default = { };
      example = literalExpression ''
        {
          queue.text = "mkdir -p /srv/queue";
        }
      '';
      description = ''
        Commands that are run at each boot, when activation is done, and before every other service.
        Each becomes a service `activation-<name>` that runs once; its output is in that service's log.
        Where {option}`systemd.tmpfiles.rules` can do it, prefer those: they are compared with what is
        there, and a dry run shows them.
      '';
    };

    system.userActivationScripts = mkOption {
      type = types.attrsOf types.raw;
      default = { };
      description = "Commands that each user runs at activation. They are not supported.";
    };
  };

  config = {
    assertions = [
      {
        assertion = config.system.userActivationScripts == { };
        message = "system.userActivationScripts is not supported; use a service with a user.";
      }
    ]
    ++ lib.concatLists (
      lib.mapAttrsToList (
        name: script:
        map (dep: {
          assertion = scripts ? ${dep} || lib.elem dep builtin;
          message = "system.activationScripts.${name}.deps: there is no script '${dep}'.";
        }) script.deps
      ) scripts
    );
    system.description.services = lib.mapAttrsToList serviceOf scripts;
  };
}
