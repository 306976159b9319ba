# A machine with variants that are broken, each in its own way, so that a test can boot them on trial
# without building anything in the guest. Times are short: what hangs is left soon.
{
  agent,
  key ? "",
}:
{ lib, pkgs, ... }:
let
  inherit (lib) mkForce;
  bash = "${pkgs.bash}/bin/bash";

  script = text: [
    bash
    "-c"
    text
  ];

  nowhere = {
    fileSystems."/".device = mkForce "LABEL=nowhere";
  };

  # A service that does this once.
  once = text: {
    process.argv = script text;
    process.environment.PATH = "/run/current-system/sw/bin";
    restart.policy = "never";
    kind = "oneshot";
  };

  # Its files in /boot are its own. It has drivers of hardware watchdogs, too.
  anotherKernel = {
    boot.kernelPackages = mkForce pkgs.linuxPackages;
  };

  variant = configuration: { inherit configuration; };
in
{
  imports = [ (import ./generations.nix { inherit agent key; }) ];

  # Of the images with one name, the cache keeps the newest alone.
  networking.hostName = mkForce "bad-generations";

  boot.loader.trial = {
    tries = 1;
    timeout = 240;
  };
  # An emulated machine on a busy host loses ticks, and the kernel panics where it misses them.
  boot.kernelParams = [ "no_timer_check" ];
  boot.health.stableSeconds = 3;
  # What no generation can do without.
  boot.health.checks.well.command = "test ! -e /var/lib/ill";
  boot.initrd.deviceTimeoutSeconds = 5;
  boot.initrd.rebootDelaySeconds = 1;

  specialisation = {
    # Nothing is wrong with it.
    good = variant { boot.health.checks.fine.command = "true"; };

    # The initrd waits, and gives up.
    no-root = variant nowhere;
    # The initrd waits, and does not give up.
    hangs-in-stage-1 = variant {
      imports = [ nowhere ];
      boot.initrd.deviceTimeoutSeconds = mkForce 3600;
      boot.loader.trial.timeout = mkForce 30;
    };
    # No driver of the disk.
    no-drivers = variant {
      boot.initrd.includeDefaultModules = false;
    };
    # The kernel finds no init, and panics.
    panics = variant { boot.kernelParams = [ "rdinit=/nowhere" ]; };
    # The kernel panics when everything is up.
    panics-late = variant {
      system.services.panics = once "echo c > /proc/sysrq-trigger";
    };
    # As hostile as a name can be.
    "..-1-.." = variant nowhere;

    # These are damaged by the test when they are to boot next.
    damaged-initrd = variant { boot.initrd.kernelModules = [ "loop" ]; };
    damaged-kernel = variant anotherKernel;
    damaged-init = variant { environment.etc.a.text = "a"; };
    damaged-core = variant { environment.etc.d.text = "d"; };
    damaged-description = variant { environment.etc.b.text = "b"; };
    hangs-in-stage-2 = variant {
      environment.etc.c.text = "c";
      boot.loader.trial.timeout = mkForce 120;
    };
    damaged-program = variant {
      system.services.damaged.process.argv = [ "${pkgs.writeShellScript "damaged" "sleep infinity"}" ];
      system.services.damaged.restart.policy = "never";
    };

    # A file system that is not there.
    no-data = variant {
      fileSystems."/data" = {
        device = "LABEL=data";
        fsType = "ext4";
      };
    };
    activation-fails = variant { system.activationScripts.broken.text = "exit 1"; };
    crash-loop = variant {
      system.services.crashing = {
        process.argv = script "echo about to fail; exit 3";
        restart.policy = "always";
      };
      boot.loader.trial.timeout = mkForce 180;
    };
    service-fails = variant {
      system.services.broken = once "echo no database >&2; exit 9";
    };
    check-fails = variant {
      boot.health.checks.web.command = "echo nobody listens; exit 7";
    };
    check-hangs = variant {
      boot.health.checks.web = {
        command = "echo still waiting; sleep 1000 & sleep 1000";
        timeout = 3;
      };
    };
    clock = variant {
      system.services.clock = once "date --set @86400"; # not before the boot: the kernel refuses that
      boot.health.checks.date.command = "test $(date +%s) -gt 1000000000";
    };
    # Killed as often as it is started.
    no-supervisor = variant {
      system.services.killer = {
        process.argv = script ''
          while true; do
            for name in /proc/[0-9]*/comm; do
              read -r comm 2> /dev/null < "$name" || continue
              if [ "$comm" = supervisor ]; then
                pid=''${name%/comm}
                kill -KILL "''${pid#/proc/}"
              fi
            done
          done'';
        restart.policy = "always";
      };
      boot.loader.trial.timeout = mkForce 120;
    };
    # Without a guard, nobody keeps the kernel's watchdog quiet.
    no-guard = variant {
      system.services.killer = once "pkill -KILL -f ^@cairn-guard; sleep infinity";
    };
    # Nothing but interrupts is served any more.
    starves = variant {
      system.services.hog = once ''
        echo -1 > /proc/sys/kernel/sched_rt_runtime_us
        exec chrt --fifo 99 ${bash} -c "while :; do :; done"
      '';
    };
    # The test stops its processor before it is judged.
    hangs-hard = variant {
      imports = [ anotherKernel ];
      boot.health.checks.slow = {
        command = "sleep 200";
        timeout = 300;
      };
      boot.loader.trial.timeout = mkForce 600;
    };
    # A report has no room.
    fills-disk = variant {
      system.services.fill = once ''
        free=$(($(stat -f -c "%f * %S" /)))
        fallocate --length $((free / 100 * 99)) /var/lib/filler
        dd if=/dev/zero of=/var/lib/filler-too bs=4k || true
        sync
        exit 1
      '';
    };
  };
}
