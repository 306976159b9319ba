{ lib }:
with lib;
{
  paths = {
    expr =
      let
        x = { a.b = 3; };
      in
      [ (attrByPath [ "a" "b" ] 6 x) (attrByPath [ "z" "z" ] 6 x) (hasAttrByPath [ "a" "b" ] x) (hasAttrByPath [ "a" "b" "c" ] x) (setAttrByPath [ "a" "b" ] 3) (getAttrFromPath [ "a" "b" ] x) ];
    expected = [ 3 6 true false { a.b = 3; } 3 ];
  };
  longest-prefix = { expr = attrsets.longestValidPathPrefix [ "a" "c" ] { a.b = 1; }; expected = [ "a" ]; };
  update-many = {
    expr = updateManyAttrsByPath [ { path = [ "a" "b" ]; update = old: { d = old.c; }; } { path = [ "a" "b" "c" ]; update = old: old + 1; } { path = [ "x" "y" ]; update = _: "xy"; } ] { a.b.c = 0; };
    expected = { a.b.d = 1; x.y = "xy"; };
  };
  filter = { expr = filterAttrs (n: _: n == "foo") { foo = 1; bar = 2; }; expected = { foo = 1; }; };
  filter-recursive = { expr = filterAttrsRecursive (_: v: v != null) { a.b = null; a.c = 1; d = null; }; expected = { a.c = 1; }; };
  fold-attrs = { expr = foldAttrs (item: acc: [ item ] ++ acc) [ ] [ { a = 2; b = 7; } { a = 3; } { b = 6; } ]; expected = { a = [ 2 3 ]; b = [ 7 6 ]; }; };
  foldl-attrs = { expr = foldlAttrs (acc: n: v: acc + "${n}${toString v}") "" { b = 2; a = 1; }; expected = "a1b2"; };
  collect = { expr = collect isList { a = { b = [ "b" ]; }; c = [ 1 ]; }; expected = [ [ "b" ] [ 1 ] ]; };
  cartesian = { expr = cartesianProduct { a = [ 1 2 ]; b = [ 10 20 ]; }; expected = [ { a = 1; b = 10; } { a = 1; b = 20; } { a = 2; b = 10; } { a = 2; b = 20; } ]; };
  map-prime = { expr = mapAttrs' (n: v: nameValuePair ("foo_" + n) ("bar-" + v)) { x = "a"; y = "b"; }; expected = { foo_x = "bar-a"; foo_y = "bar-b"; }; };
  map-to-list = { expr = mapAttrsToList (n: v: n + v) { x = "a"; y = "b"; }; expected = [ "xa" "yb" ]; };
  map-recursive = { expr = mapAttrsRecursive (path: value: concatStringsSep "-" (path ++ [ value ])) { n.a = "A"; m = "B"; }; expected = { n.a = "n-a-A"; m = "m-B"; }; };
  concat-map = { expr = concatMapAttrs (n: v: { ${n} = v; ${n + v} = v; }) { x = "a"; }; expected = { x = "a"; xa = "a"; }; };
  gen = { expr = genAttrs [ "foo" "bar" ] (n: "x_" + n); expected = { foo = "x_foo"; bar = "x_bar"; }; };
  zip = { expr = zipAttrs [ { a = "x"; } { a = "y"; b = "z"; } ]; expected = { a = [ "x" "y" ]; b = [ "z" ]; }; };
  merge-list = { expr = mergeAttrsList [ { a = 0; } { a = 1; b = 2; } { c = 3; } ]; expected = { a = 1; b = 2; c = 3; }; };
  recursive-update = {
    expr = recursiveUpdate { boot.loader.grub = { enable = true; device = "/dev/hda"; }; } { boot.loader.grub.device = ""; };
    expected = { boot.loader.grub = { enable = true; device = ""; }; };
  };
  recursive-update-until = {
    expr = recursiveUpdateUntil (path: _: _: path == [ "foo" ]) { foo.bar = 1; foo.quz = 2; bar.x = 3; } { foo.bar = 4; bar.baz = 5; };
    expected = { foo.bar = 4; bar = { x = 3; baz = 5; }; };
  };
  match = { expr = [ (matchAttrs { cpu = { }; } { cpu.bits = 64; }) (matchAttrs { cpu.bits = 32; } { cpu.bits = 64; }) (matchAttrs { x = 1; } { }) ]; expected = [ true false false ]; };
  override-existing = { expr = overrideExisting { a = 1; } { a = 2; b = 3; }; expected = { a = 2; }; };
  outputs = {
    expr = [ (getBin { bin = "b"; out = "o"; }) (getBin { out = "o"; }) (getDev { outputSpecified = true; dev = "d"; out = 1; }).out ];
    expected = [ "b" "o" 1 ];
  };
  is-derivation = { expr = map isDerivation [ { type = "derivation"; } { } ]; expected = [ true false ]; };
  attr-path = { expr = showAttrPath [ "foo" "10" "bar.x" ]; expected = "foo.\"10\".\"bar.x\""; };
  attrs-to-list = { expr = attrsToList { a = 1; }; expected = [ { name = "a"; value = 1; } ]; };
}
