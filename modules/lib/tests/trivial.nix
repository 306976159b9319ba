{ lib }:
with lib;
{
  pipe = { expr = pipe 2 [ (x: x + 2) (x: x * 2) ]; expected = 8; };
  flip = { expr = flip sub 1 3; expected = 2; };
  const = { expr = const 1 (throw "unused"); expected = 1; };
  xor = { expr = [ (xor true false) (xor true true) ]; expected = [ true false ]; };
  mod = { expr = [ (mod 11 10) (mod 1 10) ]; expected = [ 1 1 ]; };
  compare = { expr = [ (compare 1 2) (compare 2 1) (compare "a" "a") ]; expected = [ (-1) 1 0 ]; };
  split-by-and-compare = {
    expr = sort (a: b: splitByAndCompare (hasPrefix "x") compare (a: b: compare b a) a b < 0) [ "a" "x2" "c" "x1" ];
    expected = [ "x1" "x2" "c" "a" ];
  };
  bits = { expr = [ (bitAnd 12 10) (bitOr 12 10) (bitXor 12 10) (bitNot 0) ]; expected = [ 8 14 6 (-1) ]; };
  hexadecimal = { expr = [ (toHexString 250) (fromHexString "FF") (fromHexString "0x1f") ]; expected = [ "FA" 255 31 ]; };
  digits = { expr = toBaseDigits 2 6; expected = [ 1 1 0 ]; };
  function-args = {
    expr = functionArgs (setFunctionArgs (_: 1) { a = true; });
    expected = { a = true; };
  };
  is-function = { expr = map isFunction [ (x: x) { __functor = _: x: x; } { } 1 ]; expected = [ true true false false ]; };
  to-function = { expr = [ (toFunction 1 2) (toFunction (x: x + 1) 2) ]; expected = [ 1 3 ]; };
  map-nullable = { expr = [ (mapNullable (x: x + 1) null) (mapNullable (x: x + 1) 22) ]; expected = [ null 23 ]; };
  default-to = { expr = [ (defaultTo 1 null) (defaultTo 1 false) ]; expected = [ 1 false ]; };
  throw-if = { expr = [ (throwIf false "no" 1) (throwIfNot true "no" 2) (builtins.tryEval (throwIf true "yes" 1)).success ]; expected = [ 1 2 false ]; };
  booleans = { expr = [ (boolToString true) (boolToYesNo false) ]; expected = [ "true" "no" ]; };

  fix = { expr = (fix (self: { a = 1; b = self.a + 1; })).b; expected = 2; };
  converge = { expr = converge (x: x / 2) 16; expected = 0; };
  extends = {
    expr = fix (extends (final: prev: { a = prev.a + 10; c = final.b; }) (self: { a = 1; b = self.a * 2; }));
    expected = { a = 11; b = 22; c = 22; };
  };
  make-extensible = {
    expr = ((makeExtensible (self: { a = 1; b = self.a; })).extend (_: prev: { a = prev.a + 1; })).b;
    expected = 2;
  };
  compose-many = {
    expr = fix (extends (composeManyExtensions [ (_: prev: { n = prev.n + 1; }) (_: prev: { n = prev.n * 10; }) ]) (_: { n = 1; }));
    expected = { n = 20; };
  };

  make-overridable = {
    expr =
      let
        f = makeOverridable ({ a, b ? 2 }: { sum = a + b; });
      in
      [ (f { a = 1; }).sum ((f { a = 1; }).override { b = 5; }).sum (((f { a = 1; }).override (old: { a = old.a + 1; })).override { b = 0; }).sum ];
    expected = [ 3 6 2 ];
  };
  call-package = {
    expr = (callPackageWith { a = 1; b = 2; } ({ a, b, c ? 3 }: { r = [ a b c ]; }) { b = 20; }).r;
    expected = [ 1 20 3 ];
  };
  make-scope = {
    expr = (makeScope (more: callPackageWith ({ x = 1; } // more)) (self: { y = self.callPackage ({ x }: { v = x + 1; }) { }; })).y.v;
    expected = 2;
  };
  get-exe = {
    expr = [ (getExe { type = "derivation"; outPath = "/p"; name = "hello-1"; meta.mainProgram = "hi"; }) (getExe { outPath = "/p"; name = "hello-1"; }) (getExe' { outPath = "/p"; } "x") ];
    expected = [ "/p/bin/hi" "/p/bin/hello" "/p/bin/x" ];
  };
  version-parts = { expr = with versions; [ (major "1.2.3") (minor "1.2.3") (patch "1.2.3") (majorMinor "1.2.3") (pad 3 "1.2") (pad 2 "1.2.3-rc1") ]; expected = [ "1" "2" "3" "1.2" "1.2.0" "1.2-rc1" ]; };
  assert-one-of = { expr = [ (assertOneOf "x" 1 [ 1 2 ]) (builtins.tryEval (assertOneOf "x" 3 [ 1 2 ])).success ]; expected = [ true false ]; };
  command-line = {
    expr = cli.toGNUCommandLineShell { } { data = "a b"; X = "PUT"; retry = 3; silent = null; url = [ "x" "y" ]; verbose = true; quiet = false; };
    expected = "-X PUT --data 'a b' --retry 3 --url x --url y --verbose";
  };
}
