# The tests' agent on a virtio console: it runs commands for the host.
agent:
{ pkgs, ... }:
{
  boot.kernelModules = [ "virtio_console" ];

  system.services.test-agent = {
    description = "Runs commands for the host";
    # Under its own name, which the list of processes shows.
    process.argv = [
      "${
        pkgs.linkFarm "test-agent" [
          {
            name = "bin/cairn-test-agent";
            path = builtins.path {
              name = "cairn-test-agent";
              path = agent;
            };
          }
        ]
      }/bin/cairn-test-agent"
    ];
    restart.policy = "always";
  };
}
