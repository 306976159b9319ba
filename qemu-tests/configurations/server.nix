# The server of the examples, with what tests need in it.
{ agent, key }:
{ lib, ... }:
{
  imports = [
    ../../examples/server/configuration.nix
    (import ./agent.nix agent)
  ];

  # The tests' machine has one disk and one console.
  fileSystems."/srv".enable = lib.mkForce false;
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;

  users.users.alice.openssh.authorizedKeys.keys = [ key ];
}
