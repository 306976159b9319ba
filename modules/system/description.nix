# `system.json`: what crosses from build time to boot time. Modules put into `system.description`
# what activation, init and the supervisor read; the Rust crate `cairn-system` is its definition,
# and refuses what it does not know.
{ lib, ... }:
let
  inherit (lib) mkOption types;

  # A part that several modules add to: its value is checked where it is read.
  entries =
    description:
    mkOption {
      type = types.listOf types.raw;
      default = [ ];
      inherit description;
    };
in
{
  options.system.description = mkOption {
    internal = true;
    default = { };
    description = ''
      The system description, `system.json`, as activation and the supervisor read it.
    '';
    type = types.submodule {
      freeformType = types.attrsOf types.raw;
      options = {
        version = mkOption {
          type = types.int;
          default = 1;
          readOnly = true;
          description = "Version of the document.";
        };
        label = mkOption {
          type = types.str;
          description = "What boot menus call the system.";
        };
        hostName = mkOption {
          type = types.str;
          description = "The host's name, without its domain.";
        };
        sysctl = mkOption {
          type = types.attrsOf types.str;
          default = { };
          description = "Kernel settings below `/proc/sys`.";
        };
        kernelModules = mkOption {
          type = types.listOf types.str;
          default = [ ];
          description = "Modules that are loaded after the initrd.";
        };
        mutableUsers = mkOption {
          type = types.bool;
          description = "Whether users that are not described survive activation.";
        };
        binSh = mkOption {
          type = types.str;
          description = "Target of `/bin/sh`.";
        };
        usrBinEnv = mkOption {
          type = types.str;
          description = "Target of `/usr/bin/env`.";
        };
        fileSystems = entries "Mounts, a parent before its children.";
        etc = entries "Entries of `/etc`.";
        users = entries "Users.";
        groups = entries "Groups.";
        wrappers = entries "Programs with rights of their own.";
        directories = entries "Directories that activation makes.";
        services = entries "Services.";
        timers = entries "What starts services at given times.";
        health = entries "Health checks.";
      };
    };
  };
}
