{ lib }:
with lib;
let
  # The merged value of definitions, or null if one is of the wrong type or they do not go together.
  merge =
    type: values:
    let
      result = builtins.tryEval (
        let
          v = (evalModules { modules = [ { options.x = mkOption { inherit type; }; } ] ++ map (x: { inherit x; }) values; }).config.x;
        in
        builtins.deepSeq v v
      );
    in
    if result.success then result.value else "<error>";
  accepts = type: values: map (v: merge type [ v ] != "<error>") values;
  description = type: type.description;
in
{
  bool = { expr = [ (merge types.bool [ true true ]) (merge types.bool [ true false ]) (merge types.bool [ 1 ]) ]; expected = [ true "<error>" "<error>" ]; };
  bool-by-or = { expr = [ (merge types.boolByOr [ true false ]) (merge types.boolByOr [ false false ]) ]; expected = [ true false ]; };
  int = { expr = accepts types.int [ 1 (-1) "1" 1.5 null ]; expected = [ true true false false false ]; };
  ints = { expr = [ (accepts types.ints.unsigned [ 0 (-1) ]) (accepts types.ints.positive [ 0 1 ]) (accepts types.ints.u8 [ 255 256 (-1) ]) (accepts types.ints.s8 [ 127 (-128) 128 ]) (accepts (types.ints.between 1 3) [ 0 1 3 4 ]) (accepts types.port [ 22 65535 65536 ]) ]; expected = [ [ true false ] [ false true ] [ true false false ] [ true true false ] [ false true true false ] [ true true false ] ]; };
  numbers = { expr = [ (accepts types.float [ 1.5 1 ]) (accepts types.number [ 1.5 1 "1" ]) (accepts types.numbers.nonnegative [ 0 (-0.5) ]) ]; expected = [ [ true false ] [ true true false ] [ true false ] ]; };
  strings = { expr = [ (accepts types.str [ "" 1 ./. ]) (accepts types.nonEmptyStr [ "" " \n" "a" ]) (accepts types.singleLineStr [ "a" "a\n" "a\nb" ]) (accepts (types.strMatching "[a-z]+") [ "abc" "Abc" ]) ]; expected = [ [ true false false ] [ false false true ] [ true true false ] [ true false ] ]; };
  single-line = { expr = merge types.singleLineStr [ "a\n" ]; expected = "a"; };
  equal-strings = { expr = [ (merge types.str [ "a" "a" ]) (merge types.str [ "a" "b" ]) ]; expected = [ "a" "<error>" ]; };
  concatenated = { expr = [ (merge types.lines [ "b" "a" ]) (merge types.commas [ "b" "a" ]) (merge types.envVar [ "b" "a" ]) (merge (types.separatedString " ") [ "b" "a" ]) ]; expected = [ "a\nb" "a,b" "a:b" "a b" ]; };
  passwd = { expr = accepts (types.passwdEntry types.str) [ "a" "a:b" "a\nb" ]; expected = [ true false false ]; };
  enum = { expr = [ (accepts (types.enum [ "a" 1 null ]) [ "a" 1 null "b" ]) (description (types.enum [ "a" 1 ])) (description (types.enum [ "a" ])) ]; expected = [ [ true true true false ] "one of \"a\", 1" "value \"a\" (singular enum)" ]; };
  paths = { expr = [ (accepts types.path [ ./. "/a" "a" 1 ]) (accepts types.pathInStore [ "${builtins.storeDir}/x" "/a" ]) (accepts (types.pathWith { absolute = true; inStore = false; }) [ "/a" "a" "${builtins.storeDir}/x" ]) ]; expected = [ [ true true false false ] [ true false ] [ true false false ] ]; };
  package = { expr = let p = { type = "derivation"; outPath = "/x"; name = "n"; }; in [ (accepts types.package [ p "a" { } ]) (accepts types.shellPackage [ p (p // { shellPath = "/bin/x"; }) ]) ]; expected = [ [ true false false ] [ false true ] ]; };
  raw = { expr = [ (merge types.raw [ { a = mkIf false 1; } ]).a._type (merge types.raw [ 1 1 ]) ]; expected = [ "if" "<error>" ]; };
  anything = {
    expr = [ (merge types.anything [ { a.b = 1; } { a.c = 2; } { l = [ 1 ]; } ]) (merge types.anything [ 1 1 ]) (merge types.anything [ 1 2 ]) (merge types.anything [ [ 1 ] [ 2 ] ]) (merge types.anything [ { a = mkDefault 1; } { a = 2; } ]) (merge types.anything [ (x: { a = x; }) (x: { b = x; }) ] 1) (merge types.anything [ 1 "a" ]) ];
    expected = [ { a = { b = 1; c = 2; }; l = [ 1 ]; } 1 "<error>" "<error>" { a = 2; } { a = 1; b = 1; } "<error>" ];
  };
  unspecified = { expr = [ (merge types.unspecified [ [ 2 ] [ 1 ] ]) (merge types.unspecified [ { a = 1; } { b = 2; } ]) (merge types.unspecified [ "b" "a" ]) (merge types.unspecified [ 1 2 ]) ]; expected = [ [ 1 2 ] { a = 1; b = 2; } "ab" "<error>" ]; };
  attrs = { expr = merge types.attrs [ { a = 2; } { a = 1; b = 3; } ]; expected = { a = 2; b = 3; }; };
  list-of = { expr = [ (merge (types.listOf types.int) [ [ 2 (mkIf false 7) (mkMerge [ 3 ]) ] [ 1 ] ]) (accepts (types.listOf types.int) [ [ "a" ] 1 [ ] ]) (accepts (types.nonEmptyListOf types.int) [ [ ] [ 1 ] ]) ]; expected = [ [ 1 2 3 ] [ false false true ] [ false true ] ]; };
  attrs-of = { expr = [ (merge (types.attrsOf types.int) [ { a = 1; } { b = mkIf false 2; } { c = mkDefault 3; } { c = 4; } ]) (accepts (types.attrsOf types.int) [ { a = "x"; } [ ] { } ]) ]; expected = [ { a = 1; c = 4; } [ false false true ] ]; };
  lazy-attrs-of = { expr = [ (attrNames (evalModules { modules = [ { options.x = mkOption { type = types.lazyAttrsOf types.int; }; } { x.a = mkIf false 1; x.b = throw "lazy"; } ]; }).config.x) (merge (types.lazyAttrsOf (types.nullOr types.int)) [ { a = mkIf false 1; } ]) ]; expected = [ [ "a" "b" ] { a = null; } ]; };
  attr-tag = {
    expr =
      let
        t = types.attrTag { left = mkOption { type = types.int; }; right = mkOption { type = types.str; }; };
      in
      [ (merge t [ { left = 1; } ]) (accepts t [ { left = "x"; } { right = "x"; } { other = 1; } { left = 1; right = "x"; } ]) ];
    expected = [ { left = 1; } [ false true false false ] ];
  };
  null-or = { expr = [ (accepts (types.nullOr types.int) [ null 1 "a" ]) (merge (types.nullOr types.int) [ null 1 ]) (merge (types.nullOr types.lines) [ "b" "a" ]) ]; expected = [ [ true true false ] "<error>" "a\nb" ]; };
  either = { expr = [ (accepts (types.either types.int types.str) [ 1 "a" [ ] ]) (merge (types.either types.lines (types.listOf types.int)) [ [ 2 ] [ 1 ] ]) (accepts (types.oneOf [ types.int types.str (types.listOf types.int) ]) [ 1 "a" [ 1 ] null ]) ]; expected = [ [ true true false ] [ 1 2 ] [ true true true false ] ]; };
  coerced = { expr = [ (merge (types.coercedTo types.int toString types.str) [ 1 ]) (merge (types.listOf (types.coercedTo types.int toString types.str)) [ [ 1 "b" ] ]) (accepts (types.coercedTo types.int toString types.str) [ 1 "a" [ ] ]) ]; expected = [ "1" [ "1" "b" ] [ true true false ] ]; };
  uniq = { expr = [ (merge (types.uniq (types.listOf types.int)) [ [ 1 ] ]) (merge (types.uniq (types.listOf types.int)) [ [ 1 ] [ 2 ] ]) ]; expected = [ [ 1 ] "<error>" ]; };
  function-to = { expr = [ (merge (types.functionTo (types.listOf types.int)) [ (x: [ (x + 1) ]) (x: [ x ]) ] 1) (accepts (types.functionTo types.int) [ 1 (_: 1) ]) ]; expected = [ [ 1 2 ] [ false true ] ]; };
  add-check = { expr = accepts (types.addCheck types.int (x: x < 5)) [ 4 5 "a" ]; expected = [ true false false ]; };
  option-type = { expr = (merge types.optionType [ (types.enum [ "b" ]) (types.enum [ "a" ]) ]).functor.payload.values; expected = [ "a" "b" ]; };
  strict-patterns = { expr = merge (mkOptionType { name = "t"; merge = loc: defs: map ({ file, value }: value) defs; }) [ 2 1 ]; expected = [ 1 2 ]; };
  descriptions = {
    expr = map description [ (types.listOf types.str) (types.attrsOf (types.listOf types.int)) (types.nullOr (types.either types.int types.str)) (types.listOf (types.nullOr types.str)) (types.either types.ints.positive types.str) types.port (types.functionTo types.str) (types.listOf (types.submodule { })) (types.coercedTo types.int toString types.str) (types.nonEmptyListOf types.str) types.lines (types.passwdEntry types.str) ];
    expected = [ "list of string" "attribute set of list of signed integer" "null or signed integer or string" "list of (null or string)" "positive integer, meaning >0, or string" "16 bit unsigned integer; between 0 and 65535 (both inclusive)" "function that evaluates to a(n) string" "list of (submodule)" "string or signed integer convertible to it" "non-empty (list of string)" "strings concatenated with \"\\n\"" "string, not containing newlines or colons" ];
  };
  merged-types = {
    expr = let
      both = a: b: (evalModules { modules = [ { options.x = mkOption { type = a; }; } { options.x = mkOption { type = b; }; } ]; }).options.x.type.description;
      fails = a: b: (builtins.tryEval (both a b)).success;
    in [ (both (types.enum [ "b" ]) (types.enum [ "a" ])) (both (types.listOf (types.enum [ "b" ])) (types.listOf (types.enum [ "a" ]))) (both (types.attrsOf types.int) (types.attrsOf types.int)) (both (types.nullOr types.str) (types.nullOr types.str)) (both (types.either types.int types.str) (types.either types.int types.str)) (fails types.int types.str) (fails (types.separatedString ",") (types.separatedString ":")) ];
    expected = [ "one of \"a\", \"b\"" "list of (one of \"a\", \"b\")" "attribute set of signed integer" "null or string" "signed integer or string" false false ];
  };
}
