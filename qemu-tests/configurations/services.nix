# A machine with services of every kind, an address by DHCP, and a firewall.
{ agent, key }:
{ pkgs, ... }:
{
  imports = [
    (import ./agent.nix agent)
    ./bounds.nix
  ];

  networking.hostName = "services";
  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;
  # A BIOS alone starts it.
  boot.loader.grub.device = "/dev/vda";
  boot.loader.grub.efiSupport = false;
  boot.loader.timeout = 1;
  # Of any type that this kernel has.
  fileSystems."/".device = "LABEL=services";
  time.timeZone = "Asia/Tokyo";
  environment.systemPackages = [ pkgs.curl ];

  services.openssh = {
    enable = true;
    startWhenNeeded = true;
  };
  users.users.root.openssh.authorizedKeys.keys = [ key ];
  services.getty.autologinUser = "root";
  services.chrony.enable = true;
  services.cron.systemCronJobs = [ "* * * * * root echo fired >> /run/cron" ];
  services.nginx = {
    enable = true;
    virtualHosts.localhost = {
      root = pkgs.writeTextDir "index.html" "It works.\n";
    };
  };
  networking.firewall.allowedTCPPorts = [ 80 ];

  # Not open to others.
  system.services.closed = {
    process.argv = [
      "${pkgs.busybox-static}/bin/busybox"
      "httpd"
      "-f"
      "-p"
      "8081"
    ];
    process.user = "nobody";
  };

  systemd.services.confined = {
    wantedBy = [ "multi-user.target" ];
    preStart = "id -un > $STATE_DIRECTORY/who";
    script = ''
      {
        touch $STATE_DIRECTORY/mine /tmp/mine && ls /tmp
        touch /var/lib/others /etc/others || true
        ls /dev /proc/sys /root || true
        [ $(ls /proc | grep -c '^[0-9]') -lt 8 ] && echo 'few processes'
        grep -c : /proc/self/net/dev
        mkdir /nix/store/mine || true
        grep Seccomp: /proc/self/status
      } > $STATE_DIRECTORY/seen 2>&1
      exec sleep 1000000
    '';
    serviceConfig = {
      DynamicUser = true;
      StateDirectory = "confined";
      PrivateTmp = true;
      PrivateDevices = true;
      PrivateNetwork = true;
      PrivateUsers = true;
      ProtectSystem = "strict";
      ProtectHome = true;
      ProtectHostname = true;
      ProtectKernelTunables = true;
      ProtectKernelModules = true;
      ProtectKernelLogs = true;
      ProtectControlGroups = true;
      ProtectProc = "invisible";
      ProcSubset = "pid";
      RestrictAddressFamilies = "AF_UNIX";
      RestrictNamespaces = true;
      RestrictRealtime = true;
      RestrictSUIDSGID = true;
      LockPersonality = true;
      MemoryDenyWriteExecute = true;
      SystemCallArchitectures = "native";
      SystemCallFilter = [
        "@system-service"
        "~@privileged @resources"
      ];
      SystemCallErrorNumber = "EPERM";
      RuntimeDirectory = "confined";
      AmbientCapabilities = "CAP_NET_BIND_SERVICE";
      CapabilityBoundingSet = "CAP_NET_BIND_SERVICE";
      NoNewPrivileges = true;
      LimitNOFILE = 4096;
      MemoryMax = "64M";
      UMask = "0027";
    };
  };
  # Where packages are /usr.
  systemd.services.vendor = {
    wantedBy = [ "multi-user.target" ];
    serviceConfig = {
      ExecStart = "/usr/bin/bash -c 'echo $(ls /); /lib64/ld-linux-x86-64.so.2 /bin/true && echo runs; exec sleep 1000000'";
      Environment = "PATH=/usr/bin";
      RootDirectory = "${(pkgs.fhs { name = "vendor"; }).root}";
      DynamicUser = true;
    };
  };
  systemd.services.enclosed = {
    wantedBy = [ "multi-user.target" ];
    confinement = {
      enable = true;
      packages = [ pkgs.coreutils ];
    };
    script = ''
      echo $(ls / /bin)
      [ $(ls /nix/store | wc -l) -lt 20 ] && echo 'few objects'
      touch $STATE_DIRECTORY/mine && touch /mine
    '';
    serviceConfig = {
      Type = "oneshot";
      RemainAfterExit = true;
      StateDirectory = "enclosed";
      SuccessExitStatus = 1;
    };
  };
  systemd.services.tick = {
    script = "date >> /run/ticks";
    startAt = "*:*:0/5";
    serviceConfig.Type = "oneshot";
  };
  systemd.services.failing = {
    wantedBy = [ "multi-user.target" ];
    onFailure = [ "rescue.service" ];
    serviceConfig.Type = "oneshot";
    script = "exit 3";
  };
  systemd.services.rescue = {
    serviceConfig.Type = "oneshot";
    script = "touch /run/rescued";
  };
}
