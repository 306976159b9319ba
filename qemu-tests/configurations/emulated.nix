# A machine that QEMU emulates: its devices, its consoles, and the time that it takes.
{
  boot.initrd.hardware = "virtual-machine";
  boot.consoles = [
    "tty0"
    "ttyS0,115200"
  ];
  # An emulated machine on a busy host loses ticks, and the kernel panics where it misses them.
  boot.kernelParams = [ "no_timer_check" ];
  boot.initrd.rebootDelaySeconds = 1;
  boot.initrd.deviceTimeoutSeconds = 90;
}
