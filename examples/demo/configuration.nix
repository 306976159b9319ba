# The machine of `cargo xtask demo`: logins on its consoles, a network for QEMU, an SSH server.
{ pkgs, ... }:
{
  system.nixos.label = "demo";
  networking.hostName = "cairn";

  boot.kernelPackages = pkgs.linuxPackages_cloud;
  boot.initrd.hardware = "virtual-machine";
  # The serial port is the console; marks of boot and shutdown are notices, and shall be seen.
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  boot.consoleLogLevel = 6;
  boot.loader.timeout = 1;
  boot.tmp.useTmpfs = true;

  fileSystems."/" = {
    device = "LABEL=cairn-root";
    fsType = "ext4";
    options = [ "noatime" ];
  };
  fileSystems."/boot/efi" = {
    device = "PARTLABEL=esp";
    fsType = "vfat";
    options = [
      "umask=0077"
      "nofail"
    ];
  };

  users.users.root.initialHashedPassword = "$6$cairndemo$gsniQw./CkHgrig2vWmI0/NBP4D59ZXiTVP7.NQIJLo0wkRMOcJcRUP7fEFeT3IjLPSSla9CB4ahnL/rNq.sn.";

  # As QEMU's user network has it.
  networking.useDHCP = false;
  networking.interfaces.eth0.ipv4.addresses = [
    {
      address = "10.0.2.15";
      prefixLength = 24;
    }
  ];
  networking.defaultGateway = {
    address = "10.0.2.2";
    interface = "eth0";
  };
  networking.nameservers = [ "10.0.2.3" ];

  services.openssh.enable = true;
  security.sudo.enable = false;
}
