# Who may operate the services of the running system beside root.
{ config, lib, ... }:
let
  inherit (lib) mkOption types;
  cfg = config.services.supervisor;
  groups =
    description:
    mkOption {
      type = types.listOf types.str;
      default = [ ];
      example = [ "wheel" ];
      inherit description;
    };
in
{
  options.services.supervisor = {
    operators = groups ''
      Groups whose members may start, stop, restart, reload, enable and disable services
      ({command}`cairn start` and its kin) without becoming root.
    '';
    administrators = groups ''
      Groups whose members may ask the supervisor for all that root may ask it for: the end of the machine
      too, and a switch to another generation's services.
    '';
  };

  config.system.description = lib.mkIf (cfg.operators != [ ] || cfg.administrators != [ ]) {
    control = { inherit (cfg) operators administrators; };
  };
}
