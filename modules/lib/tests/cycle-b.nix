{ lib, ... }:
{
  imports = [ ./cycle-a.nix ];
  options.l = lib.mkOption { type = lib.types.listOf lib.types.str; };
  config.l = [ "b" ];
}
