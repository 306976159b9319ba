# Instances of templates: units `name@instance` that somebody names, made of the unit `name@` when the system is
# built. There is no instance that no configuration names, but for those of single connections.
#
# Source: systemd.unit(5), "Description".
{
  lib,
  scope ? "system",
}:
let
  values = import ./values.nix { inherit lib scope; };
  targets = import ./targets.nix { inherit lib; };

  units = if scope == "user" then "systemd.user.services" else "systemd.services";

  # The template of an instance, if it is one.
  templateOf =
    name:
    let
      parts = builtins.match "([^@]+@)(.+)" name;
    in
    if parts == null then null else lib.head parts;
  isTemplate = name: builtins.match "[^@]+@" name != null;

  # The service that the unit `name` means: `%i`, `%n` and their kin are its own.
  named = name: other: targets.plain (expanded name other);
  expanded =
    name: other:
    if lib.hasInfix "%" other then values.specifiers name "${units}.${name}" other else other;

  # What it starts.
  startedBy =
    name: unit:
    map (named name) (
      unit.requires
      ++ unit.bindsTo
      ++ unit.requisite
      ++ unit.wants
      ++ unit.upholds
      ++ unit.onFailure
      ++ unit.onSuccess
    );

  # The template's unit as somebody has changed it for one instance: lists go on, everything else counts where
  # it is said.
  changed =
    template: own:
    template
    // lib.mapAttrs (
      key: value:
      let
        before = template.${key};
      in
      if key == "name" then
        value
      else if builtins.isList value && builtins.isList before then
        lib.unique (before ++ value)
      else if builtins.isAttrs value && builtins.isAttrs before then
        before // value
      else if
        lib.elem key [
          "stopIfChanged"
          "restartIfChanged"
        ]
      then
        before && value
      else if
        lib.elem value [
          ""
          null
          false
        ]
        && key != "enable"
        || key == "startLimitIntervalSec" && value == 10
      then
        before
      else
        value
    ) (builtins.intersectAttrs template own);
in
{
  inherit expanded named;

  # The services, with their instances and without the templates. `others` are units of other kinds, `starts` names
  # that those start, and `accepts` templates of single connections.
  instantiate =
    {
      services,
      isWhole,
      others,
      starts,
      accepts,
    }:
    let
      of = name: services.${templateOf name};
      isInstance =
        name: templateOf name != null && services ? ${templateOf name} && (of name).enable;
      # A unit for one instance that is none by itself changes what the template says.
      unitOf =
        name:
        if !(services ? ${name}) then
          of name
        else if isInstance name && !(isWhole services.${name}) then
          changed (of name) services.${name}
        else
          services.${name};
      plain = lib.filterAttrs (name: unit: unit.enable && !(isTemplate name)) services;
      named' =
        name: unit: lib.filter isInstance (startedBy name unit);
      first =
        lib.filter isInstance (lib.attrNames plain ++ starts)
        ++ lib.concatLists (lib.mapAttrsToList named' (others // plain));
      instances = map (entry: entry.key) (
        builtins.genericClosure {
          startSet = map (key: { inherit key; }) first;
          # What watches over all services, itself included, is not watched over without end.
          operator =
            entry:
            map (key: { inherit key; }) (
              lib.filter (other: templateOf other != templateOf entry.key) (
                named' entry.key (unitOf entry.key)
              )
            );
        }
      );
    in
    lib.filterAttrs (name: _: !(isTemplate name) || lib.elem name accepts) services
    // lib.genAttrs instances unitOf;
}
