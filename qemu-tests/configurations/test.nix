# The demo with what tests need in it: an agent, a key for SSH, and services that misbehave when they
# are started.
{ agent, key }:
{ lib, pkgs, ... }:
let
  idle = argv: {
    wantedBy = lib.mkForce [ ];
    process = { inherit argv; };
  };
in
{
  imports = [
    ../../examples/demo/configuration.nix
    (import ./agent.nix agent)
  ];

  users.users.root.openssh.authorizedKeys.keys = [ key ];
}
