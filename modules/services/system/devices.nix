# Services that are devices.
{ lib }:
let
  longest = 64;
  ending = ".device";
  # How long one is waited for.
  timeoutMs = 90000;

  # Whether it stands for a device.
  isDevice = path: builtins.match "/(dev|sys)/.+" path != null;

  # The name of the service that the device at a path is: `/dev/disk/by-label/a b` -> `dev-disk-by-label-a_b.device`.
  # One that would be too long has a digest at its end.
  nameOf =
    path:
    let
      allowed = character: if builtins.match "[[:alnum:]_.@:-]" character == null then "_" else character;
      plain = lib.stringAsChars allowed (
        builtins.replaceStrings [ "/" ] [ "-" ] (lib.removePrefix "/" path)
      );
      digest = lib.substring 0 8 (builtins.hashString "sha256" path);
      room = longest - lib.stringLength ending;
    in
    if lib.stringLength plain <= room then
      plain + ending
    else
      "${lib.substring 0 (room - 9) plain}-${digest}${ending}";
in
{
  inherit isDevice nameOf timeoutMs;

  # What needs devices is bound to them, and is started when they have come.
  bound =
    service:
    let
      names = map nameOf service.devices;
    in
    service
    // {
      bindsTo = service.bindsTo ++ names;
      wantedBy = service.wantedBy ++ names;
    };

  # Of those services: the devices that are no services yet.
  missing =
    services:
    let
      defined = map (entry: entry.name) services;
      paths = lib.unique (lib.concatMap (entry: entry.service.devices) services);
    in
    lib.filter (path: !(lib.elem (nameOf path) defined)) paths;

  # As the supervisor reads one of those.
  describe =
    path: given:
    {
      name = nameOf path;
      kind = "device";
      device = path;
      wantedAtBoot = false;
      startTimeoutMs = timeoutMs;
    }
    // lib.mapAttrs (_: lib.unique) (lib.filterAttrs (_: names: names != [ ]) given);
}
