# A path unit of systemd's as a portable service of kind `path`.
#
# Source: systemd.path(5).
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  inherit (values)
    boolean
    last
    list
    specifiers
    ;
  inherit (import ./activator.nix { inherit lib scope; }) activator;

  kinds = {
    PathExists = "exists";
    PathExistsGlob = "exists-glob";
    PathChanged = "changed";
    PathModified = "modified";
    DirectoryNotEmpty = "not-empty";
  };
  known = lib.attrNames kinds ++ [
    "Unit"
    "MakeDirectory"
    "DirectoryMode"
    "TriggerLimitIntervalSec"
    "TriggerLimitBurst"
  ];
  setKeys = lib.filterAttrs (_: value: value != null);
in
{
  startedBy =
    name: config: lib.removeSuffix ".service" (toString (last (config.Unit or "${name}.service")));

  problems =
    name: unit:
    let
      config = setKeys unit.pathConfig;
      fail = message: {
        assertion = false;
        inherit message;
      };
    in
    map (
      key:
      fail "systemd.paths.${name}.pathConfig.${key} is no key that is supported; known are ${lib.concatStringsSep ", " known}"
    ) (lib.filter (key: !(lib.elem key known)) (lib.attrNames config))
    ++ lib.optional (lib.all (key: !(config ? ${key})) (lib.attrNames kinds)) (
      fail "systemd.paths.${name}: it waits for nothing; set pathConfig.PathExists or one of its kin."
    );

  # Definitions of `system.services."<name>.path"`, to be merged.
  translate =
    name: unit:
    let
      config = setKeys unit.pathConfig;
      where = key: "systemd.paths.${name}.pathConfig.${key}";
    in
    [
      (activator {
        kind = "path";
        burst = 200;
        inherit unit config where;
      })
      {
        watch = {
          paths = lib.concatLists (
            lib.mapAttrsToList (
              key: kind:
              map (path: { ${kind} = specifiers name (where key) (toString path); }) (list (config.${key} or null))
            ) kinds
          );
          makeDirectories = boolean (where "MakeDirectory") (last (config.MakeDirectory or false));
          directoryMode = lib.mkIf (config ? DirectoryMode) (toString (last config.DirectoryMode));
        };
      }
    ];
}
