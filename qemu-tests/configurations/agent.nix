# The tests' agent on a virtio console: it runs commands for the host.
agent:
{ ... }:
{
  boot.kernelModules = [ "virtio_console" ];

  system.services.test-agent = {
    description = "Runs commands for the host";
    process.argv = [
      "${builtins.path {
        name = "cairn-test-agent";
        path = agent;
      }}"
    ];
    restart.policy = "always";
  };
}
