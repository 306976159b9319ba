# Units of devices: `dev-ttyUSB0.device`, `sys-subsystem-net-devices-eth0.device`. There is one of each that somebody names
# other than to come after it.
#
# Source: systemd.device(5); systemd.unit(5), "String escaping for inclusion in unit names".
{
  lib,
  scope ? "system",
}:
let
  inherit (import ../system/devices.nix { inherit lib; }) isDevice nameOf;
  ending = ".device";
  isUnit = lib.hasSuffix ending;

  # What is written as `\x2d`: `null` for what is in no path, or would be a part of a letter.
  character =
    digits:
    let
      number = lib.fromHexString digits;
    in
    if number < 32 || number > 126 then
      null
    else if number == 37 && scope == "user" then
      "%%" # a user's supervisor knows specifiers
    else
      builtins.fromJSON "\"\\u00${digits}\"";

  # The path that a unit's name stands for; `null` if that is no device's.
  pathOf =
    unit:
    let
      slashes = builtins.replaceStrings [ "-" ] [ "/" ] (lib.removeSuffix ending unit);
      parts = builtins.split "\\\\x([0-9a-fA-F][0-9a-fA-F])" slashes;
      texts = map (part: if builtins.isList part then character (lib.head part) else part) parts;
      path = "/" + lib.concatStrings texts;
      ofKernel = builtins.match "/sys/subsystem/([^/]+)/devices/([^/]+)" path;
    in
    if lib.elem null texts || !(isDevice path) then
      null
    else if ofKernel != null then
      "/sys/class/${lib.head ofKernel}/${lib.elemAt ofKernel 1}"
    else
      path;

  serviceOf = path: nameOf (builtins.replaceStrings [ "%%" ] [ "%" ] path);

  # Those that a unit names.
  named =
    unit:
    lib.filter isUnit (
      unit.requires
      ++ unit.bindsTo
      ++ unit.requisite
      ++ unit.wants
      ++ unit.upholds
      ++ unit.partOf
      ++ unit.wantedBy
      ++ unit.requiredBy
      ++ unit.upheldBy
    );
in
{
  inherit isUnit named;

  # The name of its service; that of the unit if there can be none.
  plain =
    unit:
    let
      path = pathOf unit;
    in
    if path == null then unit else serviceOf path;

  # The services of these units, one by one: two devices may have one name, which is refused.
  services =
    units:
    map (path: {
      ${serviceOf path} = {
        kind = "device";
        device = path;
      };
    }) (lib.unique (lib.filter (path: path != null) (map pathOf units)));

  problems =
    where: units:
    map (unit: {
      assertion = false;
      message = "${where}: '${unit}' names no device below /dev or /sys; name the path in system.services.<name>.devices.";
    }) (lib.filter (unit: pathOf unit == null) units);
}
