# udev is not there: the supervisor loads drivers for what the kernel finds, and the kernel makes the
# device nodes.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.udev;
in
{
  options.services.udev = {
    enable = mkOption {
      type = types.bool;
      default = false;
      description = "Not supported.";
    };
    extraRules = mkOption {
      type = types.lines;
      default = "";
      description = "Not supported.";
    };
    extraHwdb = mkOption {
      type = types.lines;
      default = "";
      description = "Not supported.";
    };
    packages = mkOption {
      type = types.listOf types.package;
      default = [ ];
      description = "Not supported.";
    };
  };
  config.assertions = [
    {
      assertion = !cfg.enable && cfg.extraRules == "" && cfg.extraHwdb == "" && cfg.packages == [ ];
      message = "services.udev is not supported: drivers are loaded by the supervisor, and device nodes are the kernel's own; set rights with systemd.tmpfiles.rules (z /dev/… 0660 root group).";
    }
  ];
}
