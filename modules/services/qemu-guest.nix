# The agent of virtual machines: their host asks it to shut down, to freeze file systems, for addresses.
{
  config,
  lib,
  pkgs,
  ...
}:
let
  inherit (lib) literalExpression mkOption types;
  cfg = config.services.qemuGuest;
  port = "/dev/virtio-ports/org.qemu.guest_agent.0";
in
{
  options.services.qemuGuest = {
    enable = mkOption {
      type = types.bool;
      default = false;
      example = true;
      description = "Whether QEMU's agent runs where the virtual machine has a port for it.";
    };
    package = mkOption {
      type = types.package;
      default = pkgs.qemu-guest-agent;
      defaultText = literalExpression "pkgs.qemu-guest-agent";
      description = "The package with it.";
    };
  };

  config = lib.mkIf cfg.enable {
    system.services.qemu-guest-agent = {
      description = "QEMU's agent";
      process.argv = [
        "${cfg.package}/bin/qemu-ga"
        "--method"
        "virtio-serial"
        "--path"
        port
        "--statedir"
        "/run/qemu-ga"
      ];
      directories = [
        {
          path = "/run/qemu-ga";
          root = true;
        }
      ];
      devices = [ port ];
    };
  };
}
