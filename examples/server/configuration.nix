# A web server with its administrator, its data on a disk of its own, and what keeps it in order.
{
  config,
  lib,
  pkgs,
  ...
}:
{
  networking.hostName = "web";
  time.timeZone = "Europe/Berlin";
  i18n.defaultLocale = "C.UTF-8";

  boot.loader.grub.device = "/dev/vda";
  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  boot.kernel.sysctl."net.core.somaxconn" = 1024;
  boot.blacklistedKernelModules = [ "pcspkr" ];

  fileSystems."/" = {
    device = "LABEL=root";
    fsType = "ext4";
    options = [ "noatime" ];
  };
  fileSystems."/srv" = {
    device = "LABEL=srv";
    fsType = "ext4";
    options = [
      "noatime"
      "nofail"
    ];
  };
  swapDevices = [
    {
      device = "/var/swap";
      size = 256;
    }
  ];

  users.users.alice = {
    isNormalUser = true;
    description = "Alice Q. User";
    extraGroups = [ "wheel" ];
    initialPassword = "change me";
    openssh.authorizedKeys.keys = [
      "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAUC0nPBHJ2pPxWkU2+vmTqsbDNSQwgfxMNNcLmK6WEk alice@example"
    ];
  };
  security.sudo.wheelNeedsPassword = false;

  environment.systemPackages = with pkgs; [
    curl
    htop
  ];
  environment.shellAliases.logs = "cairn log";
  programs.vim.enable = true;
  programs.vim.defaultEditor = true;

  services.openssh = {
    enable = true;
    settings.PermitRootLogin = "no";
  };
  services.chrony.enable = true;
  services.nginx = {
    enable = true;
    virtualHosts."web.example.org" = {
      default = true;
      root = "/srv/www";
    };
  };
  networking.firewall.allowedTCPPorts = [ 80 ];

  systemd.tmpfiles.rules = [
    "d /srv/www 0755 alice users -"
    "f /srv/www/index.html 0644 alice users - It works."
  ];
  systemd.services.report = {
    description = "How full the disks are";
    wantedBy = [ "multi-user.target" ];
    path = [ pkgs.coreutils ];
    script = "df -h / /srv";
    serviceConfig.Type = "oneshot";
  };

  # The same machine with more to read on its console.
  specialisation.verbose.configuration = {
    boot.consoleLogLevel = lib.mkForce 7;
  };

  system.stateVersion = "0.1.0";
}
