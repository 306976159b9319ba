# Looking at values while they are evaluated, and tests of functions.
{ lib }:

let
  inherit (builtins)
    deepSeq
    isAttrs
    isList
    mapAttrs
    trace
    ;
in
rec {
  traceIf =
    condition: message: value:
    if condition then trace message value else value;
  traceVal = traceValFn lib.id;
  traceValFn = f: value: trace (f value) value;
  traceSeq = x: value: trace (deepSeq x x) value;
  # Shows a value down to a depth; what lies deeper is shown as "…".
  traceSeqN =
    depth: x: value:
    let
      cut =
        depth: x:
        if isList x then
          if depth == 0 then (if x == [ ] then x else "[…]") else map (cut (depth - 1)) x
        else if isAttrs x then
          if depth == 0 then (if x == { } then x else "{…}") else mapAttrs (_: cut (depth - 1)) x
        else
          x;
    in
    trace (lib.generators.toPretty { allowPrettyValues = true; } (cut depth x)) value;
  traceValSeq = traceValSeqFn lib.id;
  traceValSeqFn = f: value: traceValFn f (deepSeq value value);
  traceValSeqN = traceValSeqNFn lib.id;
  traceValSeqNFn =
    f: depth: value:
    traceSeqN depth (f value) value;
  traceFnSeqN =
    depth: name: f: value:
    let
      result = f value;
    in
    traceSeqN (depth + 1) {
      fn = name;
      from = value;
      to = result;
    } result;

  # The tests of a set of { expr; expected; } that fail; names have to begin with "test".
  runTests =
    tests:
    builtins.concatMap (
      name:
      let
        test = tests.${name};
      in
      if test.expr == test.expected then
        [ ]
      else
        [
          {
            inherit name;
            inherit (test) expected;
            result = test.expr;
          }
        ]
    ) (tests.tests or (builtins.filter (lib.hasPrefix "test") (builtins.attrNames tests)));
  throwTestFailures =
    {
      failures,
      description ? "tests",
      ...
    }:
    if failures == [ ] then
      null
    else
      throw "${toString (builtins.length failures)} ${description} failed:\n${
        lib.generators.toPretty { } failures
      }";
  testAllTrue = expr: {
    inherit expr;
    expected = map (_: true) expr;
  };
}
