# The smallest example under a name of its own: of each name one image is kept.
{
  imports = [ ../../examples/minimal/configuration.nix ];
  networking.hostName = "minimal";
}
