# `pkgs.formats`: what a type takes, and what `generate` writes.
{ lib }:
let
  inherit
    (import ../../packages/formats.nix { inherit lib; } {
      writeText = _: text: text;
      inherit formats;
    } { })
    formats
    ;
  write =
    format: value:
    let
      settings =
        (lib.evalModules {
          modules = [
            { options.settings = lib.mkOption { inherit (format) type; }; }
            { settings = value; }
          ];
        }).config.settings;
    in
    format.generate "name" settings;
  nested = {
    a = 1;
    b = { c = "x\"y\n"; d = [ 1 2 ]; e.f = true; };
    list = [ { x = 1; } { x = 2; y.z = 3; } ];
    "k ey" = 1.5;
    mixed = [ [ 1 ] { q = "r"; } ];
    empty = { };
    none = [ ];
  };
in
{
  toml = { expr = builtins.fromTOML (write (formats.toml { }) nested); expected = nested; };
  toml-text = { expr = write (formats.toml { }) { b.c = 1; a = "x"; l = [ { x = 1; } ]; }; expected = "a = \"x\"\n\n[b]\nc = 1\n\n[[l]]\nx = 1\n"; };
  json = { expr = builtins.fromJSON (write (formats.json { }) (nested // { n = null; })); expected = nested // { n = null; }; };
  yaml = { expr = builtins.fromJSON (write (formats.yaml { }) nested); expected = nested; };
  ini = { expr = write (formats.ini { }) { s = { a = 1; b = true; }; }; expected = "[s]\na=1\nb=true\n"; };
  ini-lists = { expr = write (formats.ini { listsAsDuplicateKeys = true; }) { s.a = [ 1 2 ]; }; expected = "[s]\na=1\na=2\n"; };
  ini-joined = { expr = write (formats.ini { listToValue = lib.concatMapStringsSep "," toString; }) { s.a = [ 1 2 ]; }; expected = "[s]\na=1,2\n"; };
  ini-global = { expr = write (formats.iniWithGlobalSection { }) { globalSection.x = 1; sections.s.y = 2; }; expected = "x=1\n\n[s]\ny=2\n"; };
  key-value = { expr = write (formats.keyValue { }) { a = 1; }; expected = "a=1\n"; };
  git = { expr = write (formats.gitIni { }) { user.name = "x"; }; expected = "[user]\n\tname = x\n"; };
  lua = { expr = write (formats.lua { multiline = false; }) { a = 1; }; expected = "return { [\"a\"] = 1 }\n"; };
  wrong = { expr = (builtins.tryEval (write (formats.ini { }) { s.a.b = 1; })).success; expected = false; };
}
