//! Errors as people read them, whole.

use bumpalo::Bump;
use cairn_evaluator::builtins::TABLES;
use cairn_evaluator::io::MemoryIo;
use cairn_evaluator::load::Text;
use cairn_evaluator::report::Trace;
use cairn_evaluator::{Evaluator, Options, Origin, with_stack};
use expect_test::{Expect, expect};

fn report(text: &str, trace: Trace) -> String {
    with_stack(64 << 20, || {
        let arena = Bump::new();
        let io = MemoryIo::new();
        let mut evaluator = Evaluator::new(&arena, &io, Options::default(), TABLES);
        let text = Text {
            origin: Origin::File(b"/etc/cairn/configuration.nix".to_vec()),
            bytes: text.as_bytes(),
            base: b"/etc/cairn",
            library: false,
        };
        let value = evaluator.evaluate_text(text, None);
        match value.and_then(|value| evaluator.force_deep(value)) {
            Ok(value) => value.describe().to_owned(),
            Err(error) => evaluator.report(&error, trace),
        }
    })
    .unwrap_or_else(|error| error.to_string())
}

fn check(text: &str, expected: &Expect) {
    expected.assert_eq(&report(text, Trace::Short));
}

#[test]
fn a_missing_attribute() {
    check(
        "let\n  food = { apple = 1; };\n  f = x: x + food.aple;\nin\n{ two = f 1; }",
        &expect![[r#"
            error: attribute 'aple' missing
              at /etc/cairn/configuration.nix:3:19:
                  2|   food = { apple = 1; };
                  3|   f = x: x + food.aple;
                   |                   ^^^^
              did you mean 'apple'?
              … while calling 'f', at /etc/cairn/configuration.nix:5:9
              … while evaluating the attribute 'two', at /etc/cairn/configuration.nix:5:3"#]],
    );
}

#[test]
fn an_undefined_variable() {
    check(
        "let\n  food = 1;\nin\n\tfod + 1",
        &expect![[r#"
            error: undefined variable 'fod'
              at /etc/cairn/configuration.nix:4:2:
                  3| in
                  4|     fod + 1
                   |     ^^^
              did you mean 'food'?"#]],
    );
}

#[test]
fn an_unexpected_argument() {
    check(
        "let\n  f = { colour, size ? 1 }: size;\nin\nf { colour = 1; sise = 2; }",
        &expect![[r#"
            error: function 'f' called with unexpected argument 'sise'
              at /etc/cairn/configuration.nix:4:1:
                  3| in
                  4| f { colour = 1; sise = 2; }
                   | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
              did you mean 'size'?
              the function is defined at /etc/cairn/configuration.nix:2:7"#]],
    );
}

#[test]
fn wrong_types() {
    check(
        "{ a = 1 + \"x\"; }",
        &expect![[r#"
        error: cannot add a string to an integer
          at /etc/cairn/configuration.nix:1:9:
              1| { a = 1 + "x"; }
               |         ^
          the value is a string: "x"
          … while evaluating the attribute 'a', at /etc/cairn/configuration.nix:1:3"#]],
    );
    check(
        "\"${{ a = 1; }}\"",
        &expect![[r#"
        error: cannot coerce a set to a string
          at /etc/cairn/configuration.nix:1:4:
              1| "${{ a = 1; }}"
               |    ^^^^^^^^^^
          the value is a set: { a = …; }"#]],
    );
    check(
        "if [ ] then 1 else 2",
        &expect![[r#"
        error: value is a list while a Boolean was expected
          at /etc/cairn/configuration.nix:1:4:
              1| if [ ] then 1 else 2
               |    ^^^
          … while evaluating a branch condition, at /etc/cairn/configuration.nix:1:4"#]],
    );
    check(
        "(x: x) 1 2",
        &expect![[r#"
        error: attempt to call something which is not a function but an integer: 1
          at /etc/cairn/configuration.nix:1:1:
              1| (x: x) 1 2
               | ^^^^^^^^^^"#]],
    );
}

#[test]
fn a_circle() {
    check(
        "let\n  a = b + 1;\n  b = a;\nin\na",
        &expect![[r#"
        error: infinite recursion encountered
          at /etc/cairn/configuration.nix:3:7:
              2|   a = b + 1;
              3|   b = a;
               |       ^"#]],
    );
}

#[test]
fn what_the_user_added_is_always_shown() {
    check(
        "builtins.addErrorContext \"while making tea\" (throw \"no water\")",
        &expect![[r#"
            error: no water
              at /etc/cairn/configuration.nix:1:46:
                  1| builtins.addErrorContext "while making tea" (throw "no water")
                   |                                              ^^^^^^^^^^^^^^^^
              … while making tea"#]],
    );
}

#[test]
fn the_whole_way() {
    let text = "let\n  f = x: g x;\n  g = y: throw \"end\";\nin\n{ a.b = f 1; }";
    expect![[r#"
        error: end
          at /etc/cairn/configuration.nix:3:10:
              2|   f = x: g x;
              3|   g = y: throw "end";
               |          ^^^^^^^^^^^
          … while calling 'g'
          at /etc/cairn/configuration.nix:2:10:
              1| let
              2|   f = x: g x;
               |          ^^^
          … while calling 'f'
          at /etc/cairn/configuration.nix:5:9:
              4| in
              5| { a.b = f 1; }
               |         ^^^
          … while evaluating the attribute 'b'
          at /etc/cairn/configuration.nix:5:3:
              4| in
              5| { a.b = f 1; }
               |   ^
          … while evaluating the attribute 'a'
          at /etc/cairn/configuration.nix:5:3:
              4| in
              5| { a.b = f 1; }
               |   ^"#]]
    .assert_eq(&report(text, Trace::Full));
}
