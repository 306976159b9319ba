# What generated hardware configurations import: hardware may be there that nobody has looked for.
{ lib, ... }:
{
  hardware.enableRedistributableFirmware = lib.mkDefault true;
}
