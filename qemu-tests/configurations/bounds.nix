# Services with bounds, places in line, and too little memory.
{ lib, pkgs, ... }:
let
  busybox = "${pkgs.busybox-static}/bin/busybox";

  # What it has come to is in /run/<name>; what it starts takes more memory than there is.
  short =
    name: policy: script:
    {
      inherit script;
      preStop = "echo told >> /run/${name}";
      postStop = "echo $SERVICE_RESULT >> /run/${name}";
      serviceConfig = {
        MemoryMax = "16M";
        MemorySwapMax = 0;
      }
      // lib.optionalAttrs (policy != null) { OOMPolicy = policy; };
    };
  # Goes on when its child is killed, and says that it is asked to end.
  stay = ''
    while :; do
      sleep 1000000 &
      wait $! || true
    done
  '';
  until = name: ''
    trap 'echo asked >> /run/${name}; exit 0' TERM
    until [ -e /run/${name}.go ]; do sleep 0.2; done
    tail /dev/zero || true
    touch /run/${name}.done
  '';
in
{
  # Its main process is killed.
  systemd.services.greedy = short "greedy" null "exec tail /dev/zero";
  systemd.services.shaken = short "shaken" null ''
    touch /run/shaken.go
    ${until "shaken"}
    ${stay}
  '';
  systemd.services.crushed = short "crushed" "kill" ''
    tail /dev/zero || true
    echo alive >> /run/crushed
    ${stay}
  '';
  systemd.services.patient = short "patient" "continue" ''
    tail /dev/zero || echo $? > /run/patient
    exec sleep 1000000
  '';
  # It waits until somebody wants it to take too much.
  systemd.services.late = short "late" null ''
    ${until "late"}
    ${stay}
  '';

  # It says of itself what place in line it has.
  systemd.services.placed = {
    script = ''
      {
        cut -d' ' -f19 /proc/self/stat
        ${busybox} ionice -p $$
        grep Cpus_allowed_list /proc/self/status | tr -s '\t' ' '
        for file in cpu.weight cpu.max memory.high memory.max memory.swap.max pids.max; do
          cat /sys/fs/cgroup/cairn/placed/$file
        done
        grep -o '100' /sys/fs/cgroup/cairn/placed/io.weight || true
        ${busybox} tr -s ' ' < /proc/self/limits | grep -E '^Max (cpu time|core|open files|locked|nice|address)'
      } > /run/placed.new
      ${busybox} mv /run/placed.new /run/placed
      # With two shells, this is one more than there may be.
      ${busybox} sh -c 'for i in 1 2 3 4; do sleep 1000000 & done' || true
      exec sleep 1000000
    '';
    serviceConfig = {
      Nice = 7;
      IOSchedulingClass = "best-effort";
      IOSchedulingPriority = 6;
      CPUAffinity = "0";
      CPUWeight = 50;
      CPUQuota = "150%";
      IOWeight = 100;
      MemoryHigh = "48M";
      MemoryMax = "64M";
      MemorySwapMax = "1M";
      TasksMax = 5;
      LimitCPU = "1h:2h";
      LimitCORE = 0;
      LimitNOFILE = "512:1024";
      LimitMEMLOCK = "infinity";
      LimitNICE = 25;
      LimitAS = "4G";
    };
  };
  system.services.pinned = {
    process.argv = [ busybox "sleep" "1000000" ];
    cgroup."cpuset.cpus" = "0";
    wantedAtBoot = false;
  };
  # It takes as much of a processor as it gets.
  systemd.services.slow = {
    serviceConfig.ExecStart = "${busybox} sh -c 'while :; do :; done'";
    serviceConfig.CPUQuota = "10%";
  };
}
