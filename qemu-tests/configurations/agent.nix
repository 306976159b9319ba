# The tests' agent on a virtio console: it runs commands for the host.
agent:
{ pkgs, ... }:
{
  boot.kernelModules = [ "virtio_console" ];

  system.services.test-agent = {
    description = "Runs commands for the host";
    restart = "always";
    process.argv = [
      "${builtins.path {
        name = "cairn-test-agent";
        path = agent;
      }}"
    ];
  };
}
