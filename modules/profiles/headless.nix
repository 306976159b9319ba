# A machine that nobody stands before: it has a serial port at most, and restarts by itself.
{ lib, ... }:
{
  boot.consoles = lib.mkDefault [ "ttyS0,115200" ];
  boot.kernelParams = [
    "panic=1"
    "boot.panic_on_fail"
  ];
  boot.shellOnFail = lib.mkDefault false;
}
