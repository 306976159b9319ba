# Targets, and other units by name.
{ lib }:
let
  deviceUnits = import ./devices.nix { inherit lib; };

  # Reached before the first service is started, or at once.
  reached = [
    "basic"
    "blockdev"
    "cryptsetup"
    "getty-pre"
    "initrd"
    "initrd-root-fs"
    "initrd-switch-root"
    "integritysetup"
    "local-fs"
    "local-fs-pre"
    "machines"
    "nss-user-lookup"
    "paths"
    "remote-fs"
    "remote-fs-pre"
    "rpcbind"
    "slices"
    "sockets"
    "swap"
    "sysinit"
    "timers"
    "veritysetup"
    "sysinit-reactivation"
    "suspend"
    "hibernate"
    "sleep"
  ];

  # Milestones that there are in any case: others may wait for them, or come before them.
  milestones = {
    "network-pre" = "Before the network is configured";
    "network" = "The network is configured";
    "network-online" = "The network can be used";
    "nss-lookup" = "Names of hosts can be looked up";
    "time-set" = "The clock is set";
    "time-sync" = "The clock is exact";
    "multi-user" = "Everything that is wanted at boot has been started";
  };

  # Other names of those.
  same = {
    default = "multi-user";
    graphical = "multi-user";
    getty = "multi-user";
  };

  # The device manager, and that it has handled what was there at the start.
  devices = [
    "systemd-udevd"
    "systemd-udev-settle"
    "systemd-udev-trigger"
  ];

  # What a machine that goes down is said to go through.
  down = [
    "shutdown"
    "umount"
    "reboot"
    "poweroff"
    "halt"
    "kexec"
    "final"
    "exit"
    "rescue"
    "emergency"
  ];

  # Kinds of units that are there, or are not, before services are started.
  suffixes = [
    ".mount"
    ".automount"
    ".swap"
    ".slice"
    ".scope"
    ".timer"
  ];

  isManager = name: lib.elem (lib.removeSuffix ".service" name) devices;

  target = lib.removeSuffix ".target";
  canonical =
    name:
    let
      bare = target name;
    in
    "${same.${bare} or bare}.target";
in
{
  inherit isManager milestones;

  isDown = name: lib.elem (target name) down;

  # Whether somebody who waits for it waits for nothing.
  isReached =
    name:
    lib.any (suffix: lib.hasSuffix suffix name) suffixes
    || lib.hasSuffix ".target" name && (lib.elem (target name) reached || lib.elem (target name) down)
    || lib.hasPrefix "systemd-" name && !(isManager name)
    || lib.hasPrefix "initrd-" name
    || lib.hasPrefix "dbus" name;

  # Whether what it wants is wanted at boot.
  isBoot =
    name:
    lib.hasSuffix ".target" name
    && (lib.elem (target name) reached || milestones ? ${same.${target name} or (target name)});

  # A service's name without the unit's ending; a target and a device keep their own.
  plain =
    name:
    if lib.hasSuffix ".target" name then
      canonical name
    else if isManager name then
      "udev"
    else if deviceUnits.isUnit name then
      deviceUnits.plain name
    else
      lib.removeSuffix ".service" name;
}
