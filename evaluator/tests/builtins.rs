//! What builtins give: tables of text and printed value, or of text and error.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::print::{Style, Xml};
use cairn_evaluator::string::ContextBuilder;
use cairn_evaluator::value::Value;
use cairn_evaluator::{EvalError, Evaluator, Options, Origin, Result};
use expect_test::{Expect, expect};

/// The lines of attributes, or null.
const POSITIONS: &str = r#"
let
  line = set: (builtins.unsafeGetAttrPos "name" set).line or null;
  literal = {
    name = 1;
  };
  computed = builtins.mapAttrs (_: value: value) literal;
in
{
  literal = line literal;
  computed = line computed;
  filtered = line (removeAttrs (computed // { more = 2; }) [ "more" ]);
  laid-over = line (computed // {
    name = 2;
  });
  intersected = line (builtins.intersectAttrs computed literal);
  zipped = line (builtins.zipAttrsWith (_: values: values) [ literal ]);
}
"#;

type Show = for<'e> fn(&mut Evaluator<'e>, Value<'e>) -> Result<Vec<u8>>;

fn evaluated(text: &str, show: Show) -> String {
    cairn_evaluator::with_stack(1 << 30, || {
        let arena = Bump::new();
        let io = MemoryIo::new()
            .with_file("/file", "content\n")
            .with_file("/positions.nix", POSITIONS);
        let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
        let text = Text {
            origin: Origin::String,
            bytes: text.as_bytes(),
            base: b"/base",
            library: false,
        };
        let value = evaluator.evaluate_text(text, None);
        match value.and_then(|value| show(&mut evaluator, value)) {
            Ok(text) => String::from_utf8_lossy(&text).into_owned(),
            Err(error) => with_notes(&error),
        }
    })
    .unwrap()
}

fn with_notes(error: &EvalError) -> String {
    let notes: Vec<_> = error
        .notes()
        .iter()
        .map(|note| format!(" ({note})"))
        .collect();
    format!("error: {error}{}", notes.concat())
}

fn strictly<'e>(e: &mut Evaluator<'e>, value: Value<'e>) -> Result<Vec<u8>> {
    let value = e.force_deep(value)?;
    e.print(value, Style::PLAIN)
}

fn check_as(show: Show, texts: &str, expected: &Expect) {
    let lines = texts.lines().map(str::trim).filter(|line| !line.is_empty());
    let out: Vec<_> = lines
        .map(|line| format!("{line}\n  {}\n", evaluated(line, show)))
        .collect();
    expected.assert_eq(&out.concat());
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "an expectation stands at the end of each call, as it is written"
)]
fn check(texts: &str, expected: Expect) {
    check_as(strictly, texts, &expected);
}

#[test]
fn numbers() {
    check(
        "
        [ (builtins.add 1 2) (builtins.add 1 2.5) (builtins.div (-7) 2) (builtins.div 7 2.0) ]
        builtins.add 9223372036854775807 1
        builtins.sub (-9223372036854775807) 2
        builtins.mul 4611686018427387904 2
        builtins.div (-9223372036854775807 - 1) (-1)
        builtins.div 1 0
        builtins.div 1.0 0
        builtins.mul 2 \"a\"
        [ (builtins.bitAnd 12 10) (builtins.bitOr 12 10) (builtins.bitXor 12 (-1)) ]
        [ (builtins.floor (-1.5)) (builtins.ceil 1.2) (builtins.ceil 9007199254740993) ]
        builtins.floor 1.0e19
        [ (builtins.lessThan 1 1.5) (builtins.lessThan \"a\" \"B\") (builtins.lessThan [ 1 2 ] [ 1 ]) ]
        builtins.lessThan { } { }
        [ 1.0 1.0e10 123456.7 0.1 ]
        ",
        expect![[r#"
            [ (builtins.add 1 2) (builtins.add 1 2.5) (builtins.div (-7) 2) (builtins.div 7 2.0) ]
              [ 3 3.5 -3 3.5 ]
            builtins.add 9223372036854775807 1
              error: integer overflow in adding 9223372036854775807 + 1
            builtins.sub (-9223372036854775807) 2
              error: integer overflow in subtracting -9223372036854775807 - 2
            builtins.mul 4611686018427387904 2
              error: integer overflow in multiplying 4611686018427387904 * 2
            builtins.div (-9223372036854775807 - 1) (-1)
              error: integer overflow in dividing -9223372036854775808 / -1
            builtins.div 1 0
              error: division by zero
            builtins.div 1.0 0
              error: division by zero
            builtins.mul 2 "a"
              error: value is a string while an integer was expected
            [ (builtins.bitAnd 12 10) (builtins.bitOr 12 10) (builtins.bitXor 12 (-1)) ]
              [ 8 14 -13 ]
            [ (builtins.floor (-1.5)) (builtins.ceil 1.2) (builtins.ceil 9007199254740993) ]
              [ -2 2 9007199254740993 ]
            builtins.floor 1.0e19
              error: the float 10000000000000000000 is not in the range of integers
            [ (builtins.lessThan 1 1.5) (builtins.lessThan "a" "B") (builtins.lessThan [ 1 2 ] [ 1 ]) ]
              [ true false false ]
            builtins.lessThan { } { }
              error: cannot compare a set with a set; values of that type are incomparable
            [ 1.0 1.0e10 123456.7 0.1 ]
              [ 1 1e+10 123457 0.1 ]
        "#]],
    );
}

#[test]
fn lists() {
    check(
        "
        builtins.sort (a: b: a.k < b.k) [ { k = 1; v = 1; } { k = 0; v = 2; } { k = 1; v = 3; } ]
        builtins.sort builtins.lessThan [ 9 8 7 6 5 4 3 2 1 0 11 10 ]
        builtins.sort (a: b: a > b) [ 1 2 3 4 5 6 7 8 9 10 11 12 ]
        builtins.sort builtins.lessThan [ 1 \"a\" ]
        builtins.sort (a: b: true) [ 1 2 3 ]
        builtins.sort (a: b: 1) [ 1 2 ]
        builtins.genericClosure { startSet = [ { key = 1; } ]; operator = x: if x.key > 3 then [ ] else [ { key = x.key + 1; } { key = x.key * 2; } ]; }
        builtins.genericClosure { startSet = [ { key = [ 1 \"b\" ]; } { key = [ 1 \"a\" ]; } { key = [ 1 \"b\" ]; } ]; operator = x: [ ]; }
        builtins.genericClosure { startSet = [ { key = 1; } { key = \"a\"; } ]; operator = x: [ ]; }
        builtins.groupBy (x: if x > 2 then \"big\" else \"small\") [ 1 2 3 4 ]
        builtins.partition (x: x > 2) [ 1 2 3 4 ]
        [ (builtins.concatLists [ [ 1 ] [ ] [ 2 3 ] ]) (builtins.concatMap (x: [ x x ]) [ 1 2 ]) ]
        [ (builtins.all (x: x) [ ]) (builtins.any (x: x == 1) [ 1 (throw \"x\") ]) (builtins.elem 1 [ 1.0 ]) ]
        let f = x: x; in [ (builtins.elem f [ f ]) (f == f) ([ f ] == [ f ]) ]
        builtins.foldl' (a: b: b) (throw \"not needed\") [ 1 2 ]
        builtins.foldl' (a: b: a) (throw \"lazy\") [ ]
        [ (builtins.head [ 1 ]) (builtins.tail [ 1 2 ]) (builtins.elemAt [ 1 2 ] 1) (builtins.length [ 1 ]) ]
        builtins.head [ ]
        builtins.elemAt [ 1 ] 1
        builtins.genList (x: x * x) 4
        builtins.genList (x: x) (-1)
        builtins.filter (x: x) [ true 1 ]
        map 1 [ 1 ]
        ",
        expect![[r#"
            builtins.sort (a: b: a.k < b.k) [ { k = 1; v = 1; } { k = 0; v = 2; } { k = 1; v = 3; } ]
              [ { k = 0; v = 2; } { k = 1; v = 1; } { k = 1; v = 3; } ]
            builtins.sort builtins.lessThan [ 9 8 7 6 5 4 3 2 1 0 11 10 ]
              [ 0 1 2 3 4 5 6 7 8 9 10 11 ]
            builtins.sort (a: b: a > b) [ 1 2 3 4 5 6 7 8 9 10 11 12 ]
              [ 12 11 10 9 8 7 6 5 4 3 2 1 ]
            builtins.sort builtins.lessThan [ 1 "a" ]
              error: cannot compare a string with an integer
            builtins.sort (a: b: true) [ 1 2 3 ]
              [ 3 2 1 ]
            builtins.sort (a: b: 1) [ 1 2 ]
              error: value is an integer while a Boolean was expected
            builtins.genericClosure { startSet = [ { key = 1; } ]; operator = x: if x.key > 3 then [ ] else [ { key = x.key + 1; } { key = x.key * 2; } ]; }
              [ { key = 1; } { key = 2; } { key = 3; } { key = 4; } { key = 6; } ]
            builtins.genericClosure { startSet = [ { key = [ 1 "b" ]; } { key = [ 1 "a" ]; } { key = [ 1 "b" ]; } ]; operator = x: [ ]; }
              [ { key = [ 1 "b" ]; } { key = [ 1 "a" ]; } ]
            builtins.genericClosure { startSet = [ { key = 1; } { key = "a"; } ]; operator = x: [ ]; }
              error: cannot compare an integer with a string
            builtins.groupBy (x: if x > 2 then "big" else "small") [ 1 2 3 4 ]
              { big = [ 3 4 ]; small = [ 1 2 ]; }
            builtins.partition (x: x > 2) [ 1 2 3 4 ]
              { right = [ 3 4 ]; wrong = [ 1 2 ]; }
            [ (builtins.concatLists [ [ 1 ] [ ] [ 2 3 ] ]) (builtins.concatMap (x: [ x x ]) [ 1 2 ]) ]
              [ [ 1 2 3 ] [ 1 1 2 2 ] ]
            [ (builtins.all (x: x) [ ]) (builtins.any (x: x == 1) [ 1 (throw "x") ]) (builtins.elem 1 [ 1.0 ]) ]
              [ true true true ]
            let f = x: x; in [ (builtins.elem f [ f ]) (f == f) ([ f ] == [ f ]) ]
              [ true false true ]
            builtins.foldl' (a: b: b) (throw "not needed") [ 1 2 ]
              2
            builtins.foldl' (a: b: a) (throw "lazy") [ ]
              error: lazy
            [ (builtins.head [ 1 ]) (builtins.tail [ 1 2 ]) (builtins.elemAt [ 1 2 ] 1) (builtins.length [ 1 ]) ]
              [ 1 [ 2 ] 2 1 ]
            builtins.head [ ]
              error: 'builtins.head' called on an empty list
            builtins.elemAt [ 1 ] 1
              error: 'builtins.elemAt' called with index 1 on a list of size 1
            builtins.genList (x: x * x) 4
              [ 0 1 4 9 ]
            builtins.genList (x: x) (-1)
              error: cannot create list of size -1
            builtins.filter (x: x) [ true 1 ]
              error: value is an integer while a Boolean was expected
            map 1 [ 1 ]
              error: value is an integer while a function was expected
        "#]],
    );
}

/// What a function computed was not written anywhere; what was taken from another set was.
#[test]
fn positions() {
    check(
        "import /positions.nix",
        expect![[r#"
        import /positions.nix
          { computed = null; filtered = null; intersected = 5; laid-over = 14; literal = 5; zipped = null; }
    "#]],
    );
}

#[test]
fn sets() {
    check(
        "
        builtins.attrNames { b = 1; a = 2; B = 3; \"0\" = 4; _ = 5; }
        builtins.attrValues { b = 1; a = 2; B = 3; }
        builtins.listToAttrs [ { name = \"a\"; value = 1; } { name = \"a\"; value = 2; } { name = \"b\"; value = 3; } ]
        builtins.listToAttrs [ { name = \"a\"; valu = 1; } ]
        builtins.zipAttrsWith (name: values: [ name values ]) [ { a = 1; b = 2; } { a = 3; } { c = 4; } ]
        builtins.intersectAttrs { a = 1; b = 2; } { b = 3; c = 4; }
        removeAttrs { a = 1; b = 2; } [ \"a\" \"x\" ]
        builtins.catAttrs \"a\" [ { a = 1; } { b = 2; } { a = 3; } ]
        builtins.mapAttrs (name: value: name + toString value) { a = 1; b = 2; }
        (builtins.mapAttrs (name: value: throw name) { a = 1; b = 2; }) ? a
        [ (builtins.hasAttr \"a\" { a = 1; }) (builtins.getAttr \"a\" { a = 1; }) ]
        builtins.getAttr \"nam\" { name = 1; }
        { a.b = 1; } // { c = 2; }
        ",
        expect![[r#"
            builtins.attrNames { b = 1; a = 2; B = 3; "0" = 4; _ = 5; }
              [ "0" "B" "_" "a" "b" ]
            builtins.attrValues { b = 1; a = 2; B = 3; }
              [ 3 2 1 ]
            builtins.listToAttrs [ { name = "a"; value = 1; } { name = "a"; value = 2; } { name = "b"; value = 3; } ]
              { a = 1; b = 3; }
            builtins.listToAttrs [ { name = "a"; valu = 1; } ]
              error: attribute 'value' missing (did you mean 'valu'?)
            builtins.zipAttrsWith (name: values: [ name values ]) [ { a = 1; b = 2; } { a = 3; } { c = 4; } ]
              { a = [ "a" [ 1 3 ] ]; b = [ "b" [ 2 ] ]; c = [ "c" [ 4 ] ]; }
            builtins.intersectAttrs { a = 1; b = 2; } { b = 3; c = 4; }
              { b = 3; }
            removeAttrs { a = 1; b = 2; } [ "a" "x" ]
              { b = 2; }
            builtins.catAttrs "a" [ { a = 1; } { b = 2; } { a = 3; } ]
              [ 1 3 ]
            builtins.mapAttrs (name: value: name + toString value) { a = 1; b = 2; }
              { a = "a1"; b = "b2"; }
            (builtins.mapAttrs (name: value: throw name) { a = 1; b = 2; }) ? a
              true
            [ (builtins.hasAttr "a" { a = 1; }) (builtins.getAttr "a" { a = 1; }) ]
              [ true 1 ]
            builtins.getAttr "nam" { name = 1; }
              error: attribute 'nam' missing (did you mean 'name'?)
            { a.b = 1; } // { c = 2; }
              { a = { b = 1; }; c = 2; }
        "#]],
    );
}

#[test]
fn strings() {
    check(
        "
        [ (builtins.substring 1 (-1) \"abc\") (builtins.substring 5 1 \"abc\") (builtins.substring 0 2 \"abc\") ]
        builtins.substring (-1) 1 \"abc\"
        map baseNameOf [ \"a//\" \"/\" \"\" \"a/b/\" \"/x/y\" ]
        map dirOf [ \"a//b\" \"/a\" \"a\" \"\" \"/\" ]
        [ (dirOf /a/b) (dirOf /a) (baseNameOf /a/b) ]
        builtins.concatStringsSep \", \" [ \"a\" \"b\" { outPath = \"c\"; } ]
        builtins.concatStringsSep \",\" [ \"a\" 1 ]
        builtins.replaceStrings [ \"oo\" \"a\" ] [ \"a\" \"i\" ] \"foobar\"
        builtins.replaceStrings [ \"\" \"a\" ] [ \"x\" \"y\" ] \"bab\"
        builtins.replaceStrings [ \"a\" \"\" ] [ \"y\" \"x\" ] \"bab\"
        builtins.replaceStrings [ \"a\" \"b\" ] [ \"x\" (throw \"not needed\") ] \"aca\"
        builtins.replaceStrings [ \"a\" ] [ ] \"aca\"
        [ (builtins.stringLength \"é\") (toString [ 1 [ 2.5 [ ] ] null true false \"x\" ]) ]
        toString { __toString = self: self.x; x = \"y\"; outPath = \"z\"; }
        toString { }
        [ (builtins.splitVersion \"1.2.3pre4-5rc\") (builtins.compareVersions \"1.0pre\" \"1.0\") ]
        builtins.parseDrvName \"nix-tools-0.1pre1\"
        ",
        expect![[r#"
            [ (builtins.substring 1 (-1) "abc") (builtins.substring 5 1 "abc") (builtins.substring 0 2 "abc") ]
              [ "bc" "" "ab" ]
            builtins.substring (-1) 1 "abc"
              error: negative start position -1 in 'substring'
            map baseNameOf [ "a//" "/" "" "a/b/" "/x/y" ]
              [ "" "" "" "b" "y" ]
            map dirOf [ "a//b" "/a" "a" "" "/" ]
              [ "a/" "/" "." "." "/" ]
            [ (dirOf /a/b) (dirOf /a) (baseNameOf /a/b) ]
              [ /a / "b" ]
            builtins.concatStringsSep ", " [ "a" "b" { outPath = "c"; } ]
              "a, b, c"
            builtins.concatStringsSep "," [ "a" 1 ]
              error: cannot coerce an integer to a string (the value is an integer: 1)
            builtins.replaceStrings [ "oo" "a" ] [ "a" "i" ] "foobar"
              "fabir"
            builtins.replaceStrings [ "" "a" ] [ "x" "y" ] "bab"
              "xbxaxbx"
            builtins.replaceStrings [ "a" "" ] [ "y" "x" ] "bab"
              "xbyxbx"
            builtins.replaceStrings [ "a" "b" ] [ "x" (throw "not needed") ] "aca"
              "xcx"
            builtins.replaceStrings [ "a" ] [ ] "aca"
              error: 'from' and 'to' arguments passed to builtins.replaceStrings have different lengths
            [ (builtins.stringLength "é") (toString [ 1 [ 2.5 [ ] ] null true false "x" ]) ]
              [ 2 "1 2.500000   1  x" ]
            toString { __toString = self: self.x; x = "y"; outPath = "z"; }
              "y"
            toString { }
              error: cannot coerce a set to a string (the value is a set)
            [ (builtins.splitVersion "1.2.3pre4-5rc") (builtins.compareVersions "1.0pre" "1.0") ]
              [ [ "1" "2" "3" "pre" "4" "5" "rc" ] -1 ]
            builtins.parseDrvName "nix-tools-0.1pre1"
              { name = "nix-tools"; version = "0.1pre1"; }
        "#]],
    );
}

/// What is put together piece by piece is copied late; nobody may see that.
#[test]
fn long_strings_and_lists() {
    check(
        r#"
        builtins.hashString "md5" (builtins.foldl' (a: x: a + "x${toString x}") "" (builtins.genList (x: x) 3000))
        builtins.hashString "md5" (builtins.foldl' (a: x: "${toString x}y${a}x${a}" ) "" (builtins.genList (x: x) 14))
        builtins.hashString "md5" (builtins.toJSON (builtins.foldl' (a: x: a ++ [ x (x + 1) ]) [ ] (builtins.genList (x: x) 3000)))
        builtins.hashString "md5" (builtins.toJSON (builtins.foldl' (a: x: [ x ] ++ a ++ a) [ ] (builtins.genList (x: x) 12)))
        let l = builtins.genList (x: x) 60 ++ [ (throw "not needed") ]; in [ (builtins.elemAt l 59) (builtins.length (builtins.tail (l ++ l))) ]
        builtins.stringLength (builtins.foldl' (a: x: a + a) "x" (builtins.genList (x: x) 60))
        "#,
        expect![[r#"
            builtins.hashString "md5" (builtins.foldl' (a: x: a + "x${toString x}") "" (builtins.genList (x: x) 3000))
              "1153e87b094019c20dfd2ae4b703be07"
            builtins.hashString "md5" (builtins.foldl' (a: x: "${toString x}y${a}x${a}" ) "" (builtins.genList (x: x) 14))
              "e2afd2e110bb4da2f6fc650f562f0811"
            builtins.hashString "md5" (builtins.toJSON (builtins.foldl' (a: x: a ++ [ x (x + 1) ]) [ ] (builtins.genList (x: x) 3000)))
              "7cc55602193aea66fc9b0b4d2b843727"
            builtins.hashString "md5" (builtins.toJSON (builtins.foldl' (a: x: [ x ] ++ a ++ a) [ ] (builtins.genList (x: x) 12)))
              "94e91e74f82f90d4a5d84c976c45d3b7"
            let l = builtins.genList (x: x) 60 ++ [ (throw "not needed") ]; in [ (builtins.elemAt l 59) (builtins.length (builtins.tail (l ++ l))) ]
              [ 59 121 ]
            builtins.stringLength (builtins.foldl' (a: x: a + a) "x" (builtins.genList (x: x) 60))
              error: out of memory: the evaluation needs more than its limit of 16384 MiB
        "#]],
    );
}

#[test]
fn patterns() {
    check(
        "
        builtins.match \"([a-z]+)-([0-9.]+)(-.*)?\" \"hello-2.12\"
        builtins.match \"a\" \"b\"
        builtins.match \"a.*\" \"a\\nb\"
        builtins.split \"(-|\\\\.)\" \"1.2-3\"
        builtins.split \"x\" \"abc\"
        builtins.match \"*\" \"a\"
        builtins.split \"[[:foo:]]\" \"a\"
        ",
        expect![[r#"
            builtins.match "([a-z]+)-([0-9.]+)(-.*)?" "hello-2.12"
              [ "hello" "2.12" null ]
            builtins.match "a" "b"
              null
            builtins.match "a.*" "a\nb"
              [ ]
            builtins.split "(-|\\.)" "1.2-3"
              [ "1" [ "." ] "2" [ "-" ] "3" ]
            builtins.split "x" "abc"
              [ "abc" ]
            builtins.match "*" "a"
              error: invalid regular expression '*' (a repetition has nothing to repeat)
            builtins.split "[[:foo:]]" "a"
              error: invalid regular expression '[[:foo:]]' (unknown character class)
        "#]],
    );
}

#[test]
fn data() {
    check(
        r#"
        builtins.toJSON { a = 1.5; b = [ null true "x\"\n\t\\/é" ]; c = { outPath = "/o"; }; d = { __toString = s: "t"; }; }
        builtins.toJSON [ 1.0 1.0e20 (0.1 + 0.2) 123456789.123 ]
        builtins.toJSON { f = x: x; }
        builtins.toJSON "\b"
        builtins.fromJSON "[1, 2.5, {\"b\": null, \"a\": \"\\u00e9\\ud83d\\ude00\"}, true, {}, []]"
        builtins.fromJSON "{\"a\": 1, \"a\": 2}"
        builtins.fromJSON "{\"a\": 1"
        builtins.fromTOML "a.b = 0xff\nc = [1_000, 1e3, inf]\n[[d]]\ne = 'x'\n[[d]]\nf = \"\\u00e9\""
        builtins.fromTOML "a = 1\na = 2"
        builtins.fromTOML "a = 1979-05-27"
        builtins.fromTOML "a = 9223372036854775808"
        builtins.hashString "md5" "abc"
        builtins.hashString "sha1" "abc"
        builtins.hashString "sha256" "abc"
        builtins.hashString "sha512" "abc"
        builtins.hashString "crc" "abc"
        builtins.hashFile "sha256" /file
        builtins.convertHash { hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; hashAlgo = "sha256"; toHashFormat = "sri"; }
        builtins.convertHash { hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; toHashFormat = "nix32"; }
        builtins.convertHash { hash = "ba7816bf"; toHashFormat = "sri"; }
        "#,
        expect![[r#"
            builtins.toJSON { a = 1.5; b = [ null true "x\"\n\t\\/é" ]; c = { outPath = "/o"; }; d = { __toString = s: "t"; }; }
              "{\"a\":1.5,\"b\":[null,true,\"x\\\"\\n\\t\\\\/é\"],\"c\":\"/o\",\"d\":\"t\"}"
            builtins.toJSON [ 1.0 1.0e20 (0.1 + 0.2) 123456789.123 ]
              "[1.0,1e+20,0.30000000000000004,123456789.123]"
            builtins.toJSON { f = x: x; }
              error: cannot convert a function ('f') to JSON
            builtins.toJSON "\b"
              "\"b\""
            builtins.fromJSON "[1, 2.5, {\"b\": null, \"a\": \"\\u00e9\\ud83d\\ude00\"}, true, {}, []]"
              [ 1 2.5 { a = "é😀"; b = null; } true { } [ ] ]
            builtins.fromJSON "{\"a\": 1, \"a\": 2}"
              { a = 2; }
            builtins.fromJSON "{\"a\": 1"
              error: cannot read JSON: expected ',' or '}', but found the end of the text at line 1, column 8
            builtins.fromTOML "a.b = 0xff\nc = [1_000, 1e3, inf]\n[[d]]\ne = 'x'\n[[d]]\nf = \"\\u00e9\""
              { a = { b = 255; }; c = [ 1000 1000 inf ]; d = [ { e = "x"; } { f = "é"; } ]; }
            builtins.fromTOML "a = 1\na = 2"
              error: cannot read TOML: duplicate key at line 2, column 1
            builtins.fromTOML "a = 1979-05-27"
              error: cannot read TOML: dates and times are not supported at line 1, column 5
            builtins.fromTOML "a = 9223372036854775808"
              error: cannot read TOML: the integer is too large at line 1, column 5
            builtins.hashString "md5" "abc"
              "900150983cd24fb0d6963f7d28e17f72"
            builtins.hashString "sha1" "abc"
              "a9993e364706816aba3e25717850c26c9cd0d89d"
            builtins.hashString "sha256" "abc"
              "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            builtins.hashString "sha512" "abc"
              "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            builtins.hashString "crc" "abc"
              error: unknown hash algorithm: 'crc' is no hash algorithm; known are md5, sha1, sha256 and sha512
            builtins.hashFile "sha256" /file
              "434728a410a78f56fc1b5899c3593436e61ab0c731e9072d95e96db290205e53"
            builtins.convertHash { hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; hashAlgo = "sha256"; toHashFormat = "sri"; }
              "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
            builtins.convertHash { hash = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="; toHashFormat = "nix32"; }
              "1b8m03r63zqhnjf7l5wnldhh7c134ap5vpj0850ymkq1iyzicy5s"
            builtins.convertHash { hash = "ba7816bf"; toHashFormat = "sri"; }
              error: hash 'ba7816bf' does not say its algorithm; write it as <algorithm>-<base-64 digits>
        "#]],
    );
}

#[test]
fn values_as_they_are() {
    check_as(
        |e, value| e.print(value, Style::PLAIN),
        r#"
        { a = 1 + 1; b = "${"x"}"; c = [ (1 + 1) ]; d = { }; e = [ ]; }
        [ builtins.add (builtins.add 1) ({ a }: a) null 1.5 ./x "\${a}" ]
        let x = [ 1 2 3 ]; y = { a = 1; }; in [ x x y y { } { } [ ] [ ] ]
        { "a b" = 1; "if" = 2; or = 3; "1a" = 4; a' = 5; a-b = 6; "" = 7; }
        "#,
        &expect![[r#"
            { a = 1 + 1; b = "${"x"}"; c = [ (1 + 1) ]; d = { }; e = [ ]; }
              { a = <CODE>; b = <CODE>; c = <CODE>; d = { }; e = [ ]; }
            [ builtins.add (builtins.add 1) ({ a }: a) null 1.5 ./x "\${a}" ]
              [ <PRIMOP> <CODE> <LAMBDA> null 1.5 /base/x "\${a}" ]
            let x = [ 1 2 3 ]; y = { a = 1; }; in [ x x y y { } { } [ ] [ ] ]
              [ [ 1 2 3 ] «repeated» { a = 1; } «repeated» { } { } [ ] [ ] ]
            { "a b" = 1; "if" = 2; or = 3; "1a" = 4; a' = 5; a-b = 6; "" = 7; }
              { "" = 7; "1a" = 4; "a b" = 1; a' = 5; a-b = 6; "if" = 2; or = 3; }
        "#]],
    );
    check_as(
        |e, value| e.print(value, Style::WHOLE),
        r#"
        { a = 1 + 1; f = x: x; g = { type = "derivation"; drvPath = "/nix/store/x.drv"; }; l = [ { } [ { b = 1; } ] ]; }
        [ builtins.add (builtins.add 1) ]
        "#,
        &expect![[r#"
            { a = 1 + 1; f = x: x; g = { type = "derivation"; drvPath = "/nix/store/x.drv"; }; l = [ { } [ { b = 1; } ] ]; }
              {
              a = 2;
              f = «lambda f @ «string»:1:18»;
              g = «derivation /nix/store/x.drv»;
              l = [
                { }
                [
                  { b = 1; }
                ]
              ];
            }
            [ builtins.add (builtins.add 1) ]
              [
              «primop add»
              «partially applied primop add»
            ]
        "#]],
    );
}

#[test]
fn values_as_xml() {
    check_as(
        |e, value| {
            let xml = Xml {
                force: true,
                locations: true,
            };
            e.print_xml(value, xml, &mut ContextBuilder::new())
        },
        r#"
        { a = [ 1 2.5 "x<>&\"\n" null true ./foo ]; f = { x, y ? 1, ... }@z: x; g = a: b: b; h = builtins.add 1; }
        let d = { type = "derivation"; drvPath = "/d.drv"; outPath = "/d"; self = d; }; in d
        "#,
        &expect![[r#"
            { a = [ 1 2.5 "x<>&\"\n" null true ./foo ]; f = { x, y ? 1, ... }@z: x; g = a: b: b; h = builtins.add 1; }
              <?xml version='1.0' encoding='utf-8'?>
            <expr>
              <attrs>
                <attr column="3" line="1" name="a">
                  <list>
                    <int value="1" />
                    <float value="2.5" />
                    <string value="x&lt;&gt;&amp;&quot;&#xA;" />
                    <null />
                    <bool value="true" />
                    <path value="/base/foo" />
                  </list>
                </attr>
                <attr column="45" line="1" name="f">
                  <function column="49" line="1">
                    <attrspat ellipsis="1" name="z">
                      <attr name="x" />
                      <attr name="y" />
                    </attrspat>
                  </function>
                </attr>
                <attr column="73" line="1" name="g">
                  <function column="77" line="1">
                    <varpat name="a" />
                  </function>
                </attr>
                <attr column="86" line="1" name="h">
                  <unevaluated />
                </attr>
              </attrs>
            </expr>

            let d = { type = "derivation"; drvPath = "/d.drv"; outPath = "/d"; self = d; }; in d
              <?xml version='1.0' encoding='utf-8'?>
            <expr>
              <derivation drvPath="/d.drv" outPath="/d">
                <attr column="32" line="1" name="drvPath">
                  <string value="/d.drv" />
                </attr>
                <attr column="52" line="1" name="outPath">
                  <string value="/d" />
                </attr>
                <attr column="68" line="1" name="self">
                  <derivation drvPath="/d.drv" outPath="/d">
                    <repeated />
                  </derivation>
                </attr>
                <attr column="11" line="1" name="type">
                  <string value="derivation" />
                </attr>
              </derivation>
            </expr>

        "#]],
    );
}

#[test]
fn values_nest_deeply() {
    let deep = "builtins.foldl' (a: b: [ a ]) 1 (builtins.genList (x: x) 20000)";
    for text in [
        format!("builtins.toJSON ({deep})"),
        format!("builtins.stringLength (builtins.toXML ({deep}))"),
        format!("toString ({deep})"),
        format!("({deep}) == ({deep})"),
    ] {
        let shown = evaluated(&text, strictly);
        assert!(!shown.starts_with("error"), "{text}: {shown}");
    }
}
