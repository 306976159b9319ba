# What is not of the archive: cairn's own programs, and derivations of the builders inside cairn.
{ facts, programs }:
_: _:
let
  inherit (facts) system formats;

  program =
    name: path:
    let
      self = {
        type = "derivation";
        inherit name;
        pname = name;
        outPath = builtins.appendContext path { ${path} = { path = true; }; };
        outputName = "out";
        outputs = [ "out" ];
        out = self;
        all = [ self ];
        meta = {
          inherit name;
          description = "part of cairn itself";
          mainProgram = name;
        };
      };
    in
    self;

  known = builtins.concatStringsSep ", " (builtins.attrNames formats);
in
builtins.mapAttrs program programs
// {
  inherit system;

  # A derivation of one of the builders inside cairn: `build "text" { name = …; text = …; }`.
  build =
    builder:
    { name, ... }@variables:
    let
      whole = "builtin:${builder}";
    in
    derivation (
      variables
      // {
        inherit name system;
        builder = whole;
        formatVersion = formats.${whole} or (throw "there is no builder '${whole}'; known are ${known}");
      }
    );
}
