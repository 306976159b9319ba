# What runs the services of users: for each normal user a service of the machine that becomes the user.
{ config, lib, ... }:
let
  cfg = config.system.userServices;

  # Whoever logs in; services of the machine have none.
  users = lib.filterAttrs (_: user: user.enable && user.isNormalUser) config.users.users;

  # Of the generation whose services run.
  program = "/run/cairn/generation/user-services";

  supervisor = name: user: {
    description = "Services of ${user.name}";
    kind = "notify";
    wantedAtBoot = user.linger == true;
    process.argv = [ program ] ++ lib.optional (user.linger == true) "--linger" ++ [ user.name ];
    postStop = [
      {
        argv = [
          program
          "--clean"
          user.name
        ];
      }
    ];
    delegated = true;
    # What services of users may be bounded by.
    cgroup = {
      "cpu.weight" = "100";
      "io.weight" = "default 100";
      "memory.max" = "max";
      "pids.max" = "max";
    };
    stop = {
      killMode = "mixed";
      timeoutMs = lib.mkDefault 20000;
    };
    restart.policy = "on-failure";
    # Somebody's desktop is not ended by a switch.
    restartIfChanged = false;
  };
in
{
  config = lib.mkIf (cfg != { }) {
    system.services = lib.mapAttrs' (
      name: user: lib.nameValuePair "user@${user.name}" (supervisor name user)
    ) users;

    environment.extraInit = ''
      if [ -z "''${XDG_RUNTIME_DIR-}" ] && [ -d "/run/user/$(id -u)" ]; then
        XDG_RUNTIME_DIR="/run/user/$(id -u)"
        export XDG_RUNTIME_DIR
      fi
    '';

    security.pam.services = lib.genAttrs [ "login" "sshd" ] (_: {
      startSession = lib.mkDefault true;
    });
  };
}
