{ lib }:
with lib.generators;
{
  ini = {
    expr = toINI { } { foo = { hi = "there"; n = 5; }; "b[x]" = { on = true; }; };
    expected = "[b\\[x\\]]\non=true\n\n[foo]\nhi=there\nn=5\n";
  };
  ini-duplicates = { expr = toINI { listsAsDuplicateKeys = true; } { a.k = [ 1 2 ]; }; expected = "[a]\nk=1\nk=2\n"; };
  ini-global = { expr = toINIWithGlobalSection { } { globalSection.x = 1; sections.s.y = 2; }; expected = "x=1\n\n[s]\ny=2\n"; };
  key-value = { expr = toKeyValue { } { key = "value"; other = true; n = null; }; expected = "key=value\nn=null\nother=true\n"; };
  key-value-escapes = { expr = mkKeyValueDefault { } ":" "f:oo" "bar"; expected = "f\\:oo:bar"; };
  git = { expr = toGitINI { user.name = "A B"; remote.origin.url = [ "x" "y" ]; core.x = "a;b"; }; expected = "[core]\n\tx = \"a;b\"\n\n[remote \"origin\"]\n\turl = x\n\turl = y\n\n[user]\n\tname = A B\n"; };
  json = { expr = [ (toJSON { } { a = [ 1 null ]; }) (toYAML { } { a = 1; }) ]; expected = [ "{\"a\":[1,null]}" "{\"a\":1}" ]; };
  lua = { expr = [ (toLua { multiline = false; } { a = [ 1 "x" null ]; }) (toLua { asBindings = true; } { x.y = mkLuaInline "f()"; }) ]; expected = [ "{ [\"a\"] = { 1, \"x\", nil } }" "x = {\n  [\"y\"] = (f())\n}\n" ]; };
  pretty = {
    expr = toPretty { multiline = false; } { a = 1; b = [ true null ]; "c d" = "x\"y"; e = { }; f = [ ]; g = x: x; h = { a, b ? 1 }: a; };
    expected = "{ a = 1; b = [ true null ]; \"c d\" = \"x\\\"y\"; e = { }; f = [ ]; g = <function>; h = <function, args: {a, b?}>; }";
  };
  pretty-lines = { expr = toPretty { } { a = [ 1 ]; b = "x\ny"; }; expected = "{\n  a = [\n    1\n  ];\n  b = ''\n    x\n    y'';\n}"; };
  pretty-derivation = { expr = toPretty { } { type = "derivation"; name = "x-1"; }; expected = "<derivation x-1>"; };
  with-recursion = { expr = withRecursion { depthLimit = 1; throwOnDepthLimit = false; } { a.b.c = 1; }; expected = { a.b = "<unevaluated>"; }; };
  plist = { expr = lib.hasInfix "<key>a</key>" (toPlist { } { a = [ 1 true "x" ]; }); expected = true; };
}
