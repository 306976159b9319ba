# A machine with little beside what it is for.
{ lib, ... }:
{
  documentation.enable = lib.mkDefault false;
  environment.defaultPackages = lib.mkDefault [ ];
  programs.nano.enable = lib.mkDefault false;
  security.sudo.enable = lib.mkDefault false;
  system.archive.enable = lib.mkDefault false;
}
