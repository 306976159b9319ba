# Command lines made of attribute sets: { X = "PUT"; data = "…"; } is -X PUT --data …
{ lib }:

let
  inherit (builtins) isBool isList stringLength;
in
rec {
  toGNUCommandLineShell = options: attrs: lib.escapeShellArgs (toGNUCommandLine options attrs);
  toGNUCommandLine =
    {
      mkOptionName ? k: if stringLength k == 1 then "-${k}" else "--${k}",
      mkBool ? k: v: lib.optional v (mkOptionName k),
      mkList ? k: v: lib.concatMap (mkOption k) v,
      mkOption ?
        k: v:
        if v == null then
          [ ]
        else if optionValueSeparator == null then
          [
            (mkOptionName k)
            (lib.generators.mkValueStringDefault { } v)
          ]
        else
          [ "${mkOptionName k}${optionValueSeparator}${lib.generators.mkValueStringDefault { } v}" ],
      optionValueSeparator ? null,
    }:
    attrs:
    let
      render =
        k: v:
        if isBool v then
          mkBool k v
        else if isList v then
          mkList k v
        else
          mkOption k v;
    in
    lib.concatLists (lib.mapAttrsToList render attrs);
}
