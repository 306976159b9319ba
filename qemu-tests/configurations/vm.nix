# Counts its boots on its own disk, says what its store is, and switches itself off.
{ agent, key }:
{ pkgs, ... }:
{
  networking.hostName = "counter";
  fileSystems."/".device = "/dev/sda1";
  users.users.root.openssh.authorizedKeys.keys = [ key ];

  system.services.counter = {
    description = "Counts boots";
    kind = "oneshot";
    process.path = [
      pkgs.coreutils
      pkgs.gnugrep
      pkgs.cairn
    ];
    process.argv = [
      "${pkgs.bash}/bin/bash"
      "-c"
      ''
        count=$(( $(cat /var/count 2>/dev/null || echo 0) + 1 ))
        echo $count > /var/count
        {
          echo "boots: $count"
          grep ' /nix/store ' /proc/mounts
          if touch /nix/store/mine; then echo "the store is writable"; fi
          echo "agent: $(stat --format=%F ${builtins.path {
            name = "agent";
            path = agent;
          }})"
        } > /dev/ttyS0 2>&1
        cairn poweroff
      ''
    ];
  };
}
