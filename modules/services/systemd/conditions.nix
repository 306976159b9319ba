# `Condition…=` and `Assert…=` of a unit as the supervisor's conditions.
#
# Source: systemd.unit(5), "Conditions and Asserts".
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };

  path =
    where: value:
    if lib.hasPrefix "/" value || scope == "user" && lib.hasPrefix "%" value then
      value
    else
      throw "${where}: '${value}' is no absolute path";
  word = _: value: value;
  yes = where: value: if values.boolean where value then "yes" else "no";
  among =
    words: where: value:
    if lib.elem value words then
      value
    else
      throw "${where}: '${value}' is not supported; known are ${lib.concatStringsSep ", " words}";
  size =
    where: value:
    if builtins.match "(>=|<=|!=|<>|==|=|>|<)? *[0-9]+[KMGT]?B?" value != null then
      value
    else
      throw "${where}: '${value}' is no comparison; examples are 2, >=4G, <1T";

  kinds = {
    PathExists = [ "path-exists" path ];
    PathExistsGlob = [ "path-exists-glob" path ];
    PathIsDirectory = [ "path-is-directory" path ];
    PathIsSymbolicLink = [ "path-is-symbolic-link" path ];
    PathIsMountPoint = [ "path-is-mount-point" path ];
    PathIsReadWrite = [ "path-is-read-write" path ];
    FileNotEmpty = [ "file-not-empty" path ];
    FileIsExecutable = [ "file-is-executable" path ];
    DirectoryNotEmpty = [ "directory-not-empty" path ];
    KernelCommandLine = [ "kernel-command-line" word ];
    KernelVersion = [ "kernel-version" word ];
    KernelModuleLoaded = [ "kernel-module-loaded" word ];
    Virtualization = [ "virtualization" word ];
    Architecture = [ "architecture" word ];
    Firmware = [ "firmware" (among [ "uefi" ]) ];
    Host = [ "host" word ];
    ACPower = [ "ac-power" yes ];
    Memory = [ "memory" size ];
    CPUs = [ "cpus" size ];
    User = [ "user" word ];
    Capability = [ "capability" word ];
    ControlGroupController = [ "control-group-controller" word ];
    Security = [
      "security"
      (among [
        "apparmor"
        "audit"
        "ima"
        "selinux"
        "smack"
        "tomoyo"
        "tpm2"
        "uefi-secureboot"
      ])
    ];
  };

  # `true` and `false` as unit files have them.
  text =
    value:
    if value == true then
      "yes"
    else if value == false then
      "no"
    else
      toString value;

  # `|` before `!`: it is enough that one of those holds; it must not hold.
  condition =
    { where, name, asserted }:
    kind: given:
    let
      parts = builtins.match "([|]?)[[:space:]]*(!?)[[:space:]]*(.*)" (text given);
      has = number: lib.elemAt parts number != "";
      value = values.specifiers name where (lib.elemAt parts 2);
    in
    {
      inherit asserted;
      kind = lib.head kind;
      value = lib.addContextFrom (toString given) (lib.elemAt kind 1 where value);
      negate = has 1;
      alternative = has 0;
    };

  prefixed = asserted: prefix: lib.mapAttrs' (key: kind: lib.nameValuePair "${prefix}${key}" { inherit asserted kind; }) kinds;
in
{
  keys = prefixed false "Condition" // prefixed true "Assert";

  # Keys that nothing here could stand for, with a way out.
  refused =
    let
      reasons = {
        FirstBoot = "no boot is the first one here; use ConditionPathExists with a file that the service makes";
        NeedsUpdate = "there is nothing that an update leaves to be done: take the unit away, or start it by hand";
      };
      of = prefix: lib.mapAttrs' (key: lib.nameValuePair "${prefix}${key}") reasons;
    in
    of "Condition" // of "Assert";

  # The conditions of the unit `name`, of which these keys of `unitConfig` are set.
  translate =
    option: name: keys: config:
    lib.concatLists (
      lib.mapAttrsToList (
        key:
        { asserted, kind }:
        map (condition {
          inherit name asserted;
          where = "${option}.unitConfig.${key}";
        } kind) (values.list (config.${key} or null))
      ) keys
    );
}
