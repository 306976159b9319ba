# The demo with what tests need in it: an agent, a key for SSH, and services that misbehave when they
# are started.
{ agent, key }:
{ pkgs, ... }:
let
  sleep = "${pkgs.coreutils}/bin/sleep";
  script = text: [
    "${pkgs.bash}/bin/bash"
    "-c"
    text
  ];
in
{
  imports = [
    ../../examples/demo/configuration.nix
    (import ./agent.nix agent)
  ];

  users.users.root.openssh.authorizedKeys.keys = [ key ];

  # Tells at what time of the machine it was started.
  systemd.services.nightly = {
    serviceConfig.Type = "oneshot";
    script = "date +%T >> /run/nightly";
    startAt = "03:00";
  };
  systemd.services.clock = {
    serviceConfig.Type = "oneshot";
    script = "echo set >> /run/clock";
  };
  systemd.timers.clock = {
    wantedBy = [ "timers.target" ];
    timerConfig.OnClockChange = true;
  };

  # There for a disk that no hardware brings.
  systemd.services.for-loop = {
    bindsTo = [ "dev-loop0.device" ];
    after = [ "dev-loop0.device" ];
    wantedBy = [ "dev-loop0.device" ];
    serviceConfig.ExecStart = "${pkgs.coreutils}/bin/tail -f /dev/null";
  };

  services.udev.extraRules = ''
    KERNEL=="loop1", ENV{ID_FS_LABEL}=="data", SYMLINK+="backup", GROUP="audio", MODE="0640"
    KERNEL=="loop1", ENV{ID_FS_LABEL}=="data", TAG+="systemd", ENV{SYSTEMD_WANTS}+="for-data.service"
    KERNEL=="loop1", ACTION=="change", RUN+="touch /run/ran-%k"
    ACTION=="add", SUBSYSTEM=="net", ATTR{address}=="02:00:00:00:07:07", NAME="lan7"
  '';
  environment.systemPackages = [ pkgs.dmsetup ];
  environment.etc."debians-udevadm".text = "${pkgs.udev}/bin/udevadm";

  system.services = {
    # There for a disk with a label.
    for-data = {
      process.argv = [
        sleep
        "infinity"
      ];
      wantedAtBoot = false;
    };
    # There for an interface.
    for-wire = {
      process.argv = [
        "${pkgs.coreutils}/bin/tail"
        "-f"
        "/dev/null"
      ];
      devices = [ "/sys/class/net/wire0" ];
    };
    # Sleeps, and is restarted whatever happens.
    sleeper = {
      process.argv = [
        sleep
        "infinity"
      ];
      restart.policy = "always";
    };
    # Ignores SIGTERM.
    stubborn = {
      process.argv = script "trap '' TERM; while :; do ${sleep} 1000; done";
      stop.timeoutMs = 2000;
      wantedAtBoot = false;
    };
    # Counts, whatever happens around it.
    lasting = {
      process.argv = script "i=0; while :; do i=$((i+1)); echo $i; ${sleep} 0.01; done";
      outlivesUserSpace = true;
      wantedAtBoot = false;
    };
    # Exits at once, for ever.
    crashing = {
      process.argv = script "echo about to fail; exit 3";
      restart.policy = "always";
      wantedAtBoot = false;
    };
  };
}
