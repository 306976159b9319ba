//! What expressions mean: tables of text and printed value, or of text and error.

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::value::Value;
use cairn_evaluator::{Evaluator, Options, Origin};

/// The value as Nix prints it, or `error: ` and the message.
fn evaluated(text: &str) -> String {
    cairn_evaluator::with_stack(1 << 30, || evaluated_here(text))
        .unwrap_or_else(|error| error.to_string())
}

fn evaluated_here(text: &str) -> String {
    let arena = Bump::new();
    let io = MemoryIo::new();
    let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
    let text = Text {
        origin: Origin::String,
        bytes: text.as_bytes(),
        base: b"/base",
        library: false,
    };
    let value = evaluator
        .evaluate_text(text, None)
        .and_then(|value| evaluator.force_deep(value))
        .and_then(|value| shown(&mut evaluator, value));
    value.unwrap_or_else(|error| format!("error: {error}"))
}

fn shown<'e>(e: &mut Evaluator<'e>, value: Value<'e>) -> cairn_evaluator::Result<String> {
    Ok(match e.force(value)? {
        Value::Null => "null".to_owned(),
        Value::Bool(truth) => bool::from(truth).to_string(),
        Value::Int(number) => number.to_string(),
        Value::Float(number) => number.get().to_string(),
        Value::String(string) => format!("{:?}", String::from_utf8_lossy(string.bytes())),
        Value::Path(path) => String::from_utf8_lossy(path.bytes()).into_owned(),
        Value::List(list) => {
            let mut text = "[ ".to_owned();
            for item in list.iter() {
                text += &shown(e, item)?;
                text.push(' ');
            }
            text + "]"
        }
        Value::Attrs(attrs) => {
            let mut text = "{ ".to_owned();
            for (name, item) in e.sorted(attrs) {
                text += &[&e.name_text(name), " = ", &shown(e, item)?, "; "].concat();
            }
            text + "}"
        }
        Value::Lambda(_) => "<LAMBDA>".to_owned(),
        Value::Builtin(call) if call.arguments.is_empty() => "<PRIMOP>".to_owned(),
        Value::Builtin(_) => "<PRIMOP-APP>".to_owned(),
        _ => "<CODE>".to_owned(),
    })
}

fn check(table: &[(&str, &str)]) {
    let mut wrong = String::new();
    for (text, expected) in table {
        let got = evaluated(text);
        if got != *expected {
            wrong += &[text, "\n  gives    ", &got, "\n  expected ", expected, "\n"].concat();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn literals_and_operators() {
    check(&[
        ("1 + 2 * 3 - 4 / 2", "5"),
        ("-5", "-5"),
        ("- (2 + 3)", "-5"),
        ("1.5 + 1", "2.5"),
        ("7 / 2", "3"),
        ("7.0 / 2", "3.5"),
        (
            "9223372036854775807 + 1",
            "error: integer overflow in adding 9223372036854775807 + 1",
        ),
        ("1 / 0", "error: division by zero"),
        ("1 < 2 && 2 <= 2 && 3 > 2 && 3 >= 3", "true"),
        ("1 < 1.5", "true"),
        ("\"a\" < \"b\"", "true"),
        ("[ 1 2 ] < [ 1 3 ]", "true"),
        ("[ 1 2 ] < [ 1 ]", "false"),
        (
            "true < false",
            "error: cannot compare a Boolean with a Boolean; values of that type are incomparable",
        ),
        (
            "1 < \"a\"",
            "error: cannot compare an integer with a string",
        ),
        ("false -> throw \"x\"", "true"),
        ("true || throw \"x\"", "true"),
        ("false && throw \"x\"", "false"),
        ("!true", "false"),
        ("[ 1 ] ++ [ 2 3 ]", "[ 1 2 3 ]"),
        (
            "[ 1 ] ++ 2",
            "error: value is an integer while a list was expected",
        ),
        (
            "{ a = 1; b = 2; } // { b = 3; c = 4; }",
            "{ a = 1; b = 3; c = 4; }",
        ),
        (
            "{ } // 1",
            "error: value is an integer while a set was expected",
        ),
        ("1 == 1.0", "true"),
        ("\"a\" + \"b\"", "\"ab\""),
        ("/a + \"/b/../c\"", "/a/c"),
        ("/a + /b", "/a/b"),
        ("\"a\" + 1", "error: cannot coerce an integer to a string"),
        ("1 + \"a\"", "error: cannot add a string to an integer"),
        (
            "if 1 then 2 else 3",
            "error: value is an integer while a Boolean was expected",
        ),
        ("assert false; 1", "error: assertion 'false' failed"),
        ("assert 1 == 1; 2", "2"),
    ]);
}

#[test]
fn variables_and_scopes() {
    check(&[
        ("let a = 1; b = a + 1; in b", "2"),
        ("let x = y; y = 1; in x", "1"),
        ("let x = 1; in let x = 2; y = x; in [ x y ]", "[ 2 2 ]"),
        ("(x: y: x + y) 1 2", "3"),
        ("(x: x: x) 1 2", "2"),
        (
            "let f = x: y: z: [ x y z ]; g = f 1; h = g 2; in [ (h 3) (g 4 5) (f 6 7 8) ]",
            "[ [ 1 2 3 ] [ 1 4 5 ] [ 6 7 8 ] ]",
        ),
        ("let id = x: x; in id id id 5", "5"),
        ("rec { a = 1; b = a + 1; }.b", "2"),
        (
            "let a = 1; in rec { inherit a; b = a; }",
            "{ a = 1; b = 1; }",
        ),
        (
            "let a = 1; in rec { a = 2; b = { inherit a; }; }",
            "{ a = 2; b = { a = 2; }; }",
        ),
        (
            "let s = { a = 1; b = 2; }; in { inherit (s) a b; c = 3; }",
            "{ a = 1; b = 2; c = 3; }",
        ),
        ("let s = { a = 1; }; inherit (s) a; in a", "1"),
        ("rec { inherit (s) a; s = { a = b; }; b = 7; }.a", "7"),
        ("with { a = 1; }; a", "1"),
        ("let a = 1; in with { a = 2; }; a", "1"),
        (
            "with { a = 1; }; with { a = 2; b = 3; }; [ a b ]",
            "[ 2 3 ]",
        ),
        ("with { true = 1; }; true", "true"),
        ("with throw \"unused\"; 1", "1"),
        ("let x = 1; in with throw \"unused\"; x", "1"),
        ("with { a = 1; }; b", "error: undefined variable 'b'"),
        ("foo", "error: undefined variable 'foo'"),
        ("if true then 1 else foo", "error: undefined variable 'foo'"),
        ("let __sub = a: b: \"sub\"; in 1 - 2", "\"sub\""),
        ("let __lessThan = a: b: [ a b ]; in 1 > 2", "[ 2 1 ]"),
        ("let __sub = a: b: \"neg\"; in -1", "\"neg\""),
        ("let { a = 1; body = a; }", "1"),
        (
            "rec { a = 1; b = a; __overrides = { a = 2; c = 3; }; }.b",
            "2",
        ),
        ("{ __overrides = { a = 2; }; a = 1; }.a", "1"),
    ]);
}

#[test]
fn functions() {
    check(&[
        ("({ a, b ? 2 }: a + b) { a = 1; }", "3"),
        ("({ a, b ? a }: b) { a = 1; }", "1"),
        ("({ a ? b, b ? 3 }: a) { }", "3"),
        ("({ a, ... }: a) { a = 1; b = 2; }", "1"),
        ("({ a, ... }@args: args.b) { a = 1; b = 2; }", "2"),
        ("(args@{ a ? 5, ... }: args) { b = 2; }", "{ b = 2; }"),
        (
            "({ a }: a) { }",
            "error: function 'anonymous lambda' called without required argument 'a'",
        ),
        (
            "let f = { a }: a; in f { a = 1; ab = 2; }",
            "error: function 'f' called with unexpected argument 'ab'",
        ),
        (
            "({ a }: a) 1",
            "error: value is an integer while a set was expected",
        ),
        (
            "1 2",
            "error: attempt to call something which is not a function but an integer: 1",
        ),
        (
            "let s = { __functor = self: x: self.y + x; y = 1; }; in s 2",
            "3",
        ),
        ("{ __functor = self: x: y: [ x y ]; } 1 2", "[ 1 2 ]"),
        (
            "builtins.functionArgs ({ a, b ? 1 }: 1)",
            "{ a = false; b = true; }",
        ),
        ("builtins.functionArgs (x: x)", "{ }"),
        (
            "[ (x: x) throw (builtins.seq 1) ]",
            "[ <LAMBDA> <PRIMOP> <PRIMOP-APP> ]",
        ),
        ("let f = n: if n == 0 then 0 else f (n - 1); in f 9000", "0"),
    ]);
}

#[test]
fn sets() {
    check(&[
        (
            "{ a.b.c = 1; a.b.d = 2; }",
            "{ a = { b = { c = 1; d = 2; }; }; }",
        ),
        ("{ a = 1; }.b", "error: attribute 'b' missing"),
        ("{ a = 1; }.b or 2", "2"),
        ("{ a.b = 1; }.a.c or 2", "2"),
        ("(1).a or 2", "2"),
        (
            "(1).a",
            "error: value is an integer while a set was expected",
        ),
        ("{ a.b = 1; } ? a.b", "true"),
        ("{ a.b = 1; } ? a.b.c", "false"),
        ("{ a = 1; } ? \"${\"a\"}\"", "true"),
        ("{ \"${\"a\" + \"b\"}\" = 1; }", "{ ab = 1; }"),
        ("{ ${null} = 1; b = 2; }", "{ b = 2; }"),
        (
            "let n = \"a\"; in { ${n} = 1; a = 2; }",
            "error: dynamic attribute 'a' already defined at «string»:1:29",
        ),
        ("rec { x = \"y\"; ${x} = x; }", "{ x = \"y\"; y = \"y\"; }"),
        ("{ a = throw \"no\"; b = 1; }.b", "1"),
        ("({ a = 1; } // throw \"strict\").a", "error: strict"),
        ("{ a = 1; b = x: x; } == { a = 2; b = 1; }", "false"),
        ("let f = x: x; in f == f", "false"),
        ("let f = x: x; in [ f ] == [ f ]", "true"),
        ("let f = x: x; in { a = f; } == { a = f; }", "true"),
        ("[ (x: x) ] == [ (x: x) ]", "false"),
        (
            "{ type = \"derivation\"; outPath = \"/x\"; a = 1; } == { type = \"derivation\"; outPath = \"/x\"; a = 2; }",
            "true",
        ),
        (
            "rec { a = { b = 1; }; c = a // { d = a.b; }; }.c",
            "{ b = 1; d = 1; }",
        ),
        (
            "let s = { a = 1; } // { b = 2; } // { c = 3; } // { a = 4; d = 5; } // { e = 6; }; in [ s s.a s.b s.e (s ? d) (s ? z) ]",
            "[ { a = 4; b = 2; c = 3; d = 5; e = 6; } 4 2 6 true false ]",
        ),
    ]);
}

#[test]
fn strings_and_paths() {
    check(&[
        ("\"a${\"b\"}c\"", "\"abc\""),
        ("\"${1}\"", "error: cannot coerce an integer to a string"),
        ("\"${{ __toString = self: self.x; x = \"s\"; }}\"", "\"s\""),
        ("\"${{ outPath = \"o\"; }}\"", "\"o\""),
        ("\"${{ outPath = { outPath = \"o\"; }; }}\"", "\"o\""),
        (
            "\"${{ a = 1; }}\"",
            "error: cannot coerce a set to a string",
        ),
        ("\"${x: x}\"", "error: cannot coerce a function to a string"),
        ("./a", "/base/a"),
        ("./a/${\"b\"}/../c", "/base/a/c"),
        ("/. + \"x\"", "/x"),
        ("./. == /base", "true"),
    ]);
}

#[test]
fn laziness_and_failures() {
    check(&[
        ("let x = x; in x", "error: infinite recursion encountered"),
        (
            "let a = b; b = a; in a",
            "error: infinite recursion encountered",
        ),
        (
            "rec { a = a + 1; }.a",
            "error: infinite recursion encountered",
        ),
        (
            "let x = throw \"t\"; in [ (builtins.tryEval x) (builtins.tryEval x) ]",
            "[ { success = false; value = false; } { success = false; value = false; } ]",
        ),
        (
            "builtins.tryEval (assert false; 1)",
            "{ success = false; value = false; }",
        ),
        ("builtins.tryEval 5", "{ success = true; value = 5; }"),
        (
            "builtins.tryEval (abort \"a\")",
            "error: evaluation aborted with the following error message: 'a'",
        ),
        (
            "builtins.tryEval (1 + { })",
            "error: cannot add a set to an integer",
        ),
        ("builtins.seq (throw \"a\") 1", "error: a"),
        ("builtins.seq { a = throw \"a\"; } 1", "1"),
        ("builtins.deepSeq { a = [ (throw \"a\") ]; } 1", "error: a"),
        (
            "let s = { a = 1; inherit s; }; in builtins.deepSeq s 1",
            "1",
        ),
        (
            "let f = x: f (x + 1); in f 0",
            "error: stack overflow; max-call-depth exceeded: more than 10000 calls in one another",
        ),
        (
            "let f = x: 1 + f (x + 1); in f 0",
            "error: stack overflow; max-call-depth exceeded: more than 10000 calls in one another",
        ),
        ("builtins.addErrorContext \"c\" (throw \"x\")", "error: x"),
    ]);
}
