//! What people get to read about the mistakes that people make.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::too_many_lines,
    reason = "helpers of tests fail as tests do, and tables are long"
)]

use bumpalo::Bump;
use cairn_evaluator::diagnostic::{NamedSource, Style};
use cairn_evaluator::{ParseOptions, SymbolTable, parse};
use expect_test::{Expect, expect};

fn check(text: &str, expected: &Expect) {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let error = parse(text.as_bytes(), &ParseOptions::default(), &symbols, &arena).unwrap_err();
    let source = NamedSource {
        name: "configuration.nix",
        text: text.as_bytes(),
    };
    expected.assert_eq(&error.render(source, Style::Plain));
}

#[test]
fn a_missing_semicolon() {
    check(
        "{\n  a = 1\n  b = 2;\n}",
        &expect![[r#"
        error: missing ';' after this
          at configuration.nix:2:7:
             2 |   a = 1
               |       ^
          note: before this
          at configuration.nix:3:3:
             3 |   b = 2;
               |   ^
          hint: each definition ends with ';'
    "#]],
    );
    check(
        "{\n  a = f x\n  inherit b;\n}",
        &expect![[r#"
        error: missing ';' after this
          at configuration.nix:2:9:
             2 |   a = f x
               |         ^
          note: before this
          at configuration.nix:3:3:
             3 |   inherit b;
               |   ^^^^^^^
          hint: each definition ends with ';'
    "#]],
    );
    check(
        "{\n  a.b = \"x\"\n}",
        &expect![[r#"
        error: missing ';' after this
          at configuration.nix:2:11:
             2 |   a.b = "x"
               |           ^
          note: before this
          at configuration.nix:3:1:
             3 | }
               | ^
          hint: each definition ends with ';'
    "#]],
    );
    check(
        "let\n  a = 1\nin a",
        &expect![[r#"
        error: missing ';' after this
          at configuration.nix:2:7:
             2 |   a = 1
               |       ^
          note: before this
          at configuration.nix:3:1:
             3 | in a
               | ^^
          hint: each definition ends with ';'
    "#]],
    );
    check(
        "{\n  inherit a b\n  c = 1;\n}",
        &expect![[r#"
        error: missing ';' after this
          at configuration.nix:2:13:
             2 |   inherit a b
               |             ^
          note: before this
          at configuration.nix:3:3:
             3 |   c = 1;
               |   ^
          hint: each definition ends with ';'
    "#]],
    );
    check(
        "with lib\n{ }",
        &expect![[r#"
        error: unexpected end of the text, expected ';' after the set of this 'with'
          at configuration.nix:2:4:
             2 | { }
               |    ^
    "#]],
    );
    check(
        "{ a = 1; }; b",
        &expect![[r#"
        error: unexpected ';', expected the end of the text
          at configuration.nix:1:11:
             1 | { a = 1; }; b
               |           ^
          hint: a text is one expression; definitions stand in { … } or let … in
    "#]],
    );
}

#[test]
fn an_open_bracket() {
    check(
        "{\n  a = [ 1 2;\n}",
        &expect![[r#"
            error: unexpected ';', expected an element of the list or ']'
              at configuration.nix:2:12:
                 2 |   a = [ 1 2;
                   |            ^
              note: this '[' is not closed
              at configuration.nix:2:7:
                 2 |   a = [ 1 2;
                   |       ^
        "#]],
    );
    check(
        "{\n  a = (1 + 2;\n}",
        &expect![[r#"
            error: unexpected ';', expected an operator or ')'
              at configuration.nix:2:13:
                 2 |   a = (1 + 2;
                   |             ^
              note: this '(' is not closed
              at configuration.nix:2:7:
                 2 |   a = (1 + 2;
                   |       ^
        "#]],
    );
    check(
        "{\n  a = 1;\n",
        &expect![[r#"
        error: unexpected end of the text, expected a definition or '}'
          at configuration.nix:2:9:
             2 |   a = 1;
               |         ^
          note: this '{' is not closed
          at configuration.nix:1:1:
             1 | {
               | ^
    "#]],
    );
    check(
        "{ a = [ 1 2 }; }",
        &expect![[r#"
        error: unexpected '}', expected an element of the list or ']'
          at configuration.nix:1:13:
             1 | { a = [ 1 2 }; }
               |             ^
          note: this '[' is not closed
          at configuration.nix:1:7:
             1 | { a = [ 1 2 }; }
               |       ^
    "#]],
    );
    check(
        "[ 1 2 ) ]",
        &expect![[r#"
        error: unexpected ')', expected an element of the list or ']'
          at configuration.nix:1:7:
             1 | [ 1 2 ) ]
               |       ^
          note: this '[' is not closed
          at configuration.nix:1:1:
             1 | [ 1 2 ) ]
               | ^
    "#]],
    );
    check(
        "\"a${b",
        &expect![[r#"
        error: unexpected end of the text, expected an operator or '}' after the interpolated expression
          at configuration.nix:1:6:
             1 | "a${b
               |      ^
          note: this '${' is not closed
          at configuration.nix:1:3:
             1 | "a${b
               |   ^^
    "#]],
    );
    check(
        "let a = 1;",
        &expect![[r#"
        error: unexpected end of the text, expected a definition or 'in'
          at configuration.nix:1:11:
             1 | let a = 1;
               |           ^
          note: this 'let' has no 'in'
          at configuration.nix:1:1:
             1 | let a = 1;
               | ^^^
    "#]],
    );
    check(
        "{ a = 1; } }",
        &expect![[r#"
        error: unexpected '}', expected an operator or the end of the text
          at configuration.nix:1:12:
             1 | { a = 1; } }
               |            ^
    "#]],
    );
}

#[test]
fn open_strings_and_comments() {
    check(
        "{\n  a = \"x;\n  b = 1;\n}",
        &expect![[r#"
        error: this string is never closed
          at configuration.nix:2:7:
             2 |   a = "x;
               |       ^
          hint: it ends with ", as it begins
    "#]],
    );
    check(
        "{\n  a = \"x;\n  b = \"y\";\n}",
        &expect![[r#"
            error: this string is never closed
              at configuration.nix:3:9:
                 3 |   b = "y";
                   |         ^
              note: this string spans several lines: is its closing quote missing?
              at configuration.nix:2:7:
                 2 |   a = "x;
                   |       ^^^
              hint: it ends with ", as it begins
        "#]],
    );
    check(
        "{\n  a = ''\n    x\n  ';\n}",
        &expect![[r#"
        error: this string is never closed
          at configuration.nix:2:7:
             2 |   a = ''
               |       ^^
          hint: it ends with '', as it begins
    "#]],
    );
    check(
        "{\n  a = 1; /* b\n}",
        &expect![[r#"
        error: this comment is never closed
          at configuration.nix:2:10:
             2 |   a = 1; /* b
               |          ^^
          hint: a comment that starts with /* ends with */
    "#]],
    );
}

#[test]
fn other_languages() {
    check(
        "{ \"a\": 1 }",
        &expect![[r#"
        error: unexpected ':', expected '.' or '=' after an attribute name
          at configuration.nix:1:6:
             1 | { "a": 1 }
               |      ^
          hint: definitions are written with '=': name = value;
    "#]],
    );
    check(
        "{ a: 1 }",
        &expect![[r#"
        error: unexpected ':', expected '.' or '=' after an attribute name
          at configuration.nix:1:4:
             1 | { a: 1 }
               |    ^
          hint: definitions are written with '=': name = value;
    "#]],
    );
    check(
        "{ a = 'x'; }",
        &expect![[r#"
        error: unexpected "'", expected an expression
          at configuration.nix:1:7:
             1 | { a = 'x'; }
               |       ^
          hint: strings stand in "double quotes" or ''two single quotes''
    "#]],
    );
    check(
        "[ 1, 2 ]",
        &expect![[r#"
        error: unexpected ',', expected an element of the list or ']'
          at configuration.nix:1:4:
             1 | [ 1, 2 ]
               |    ^
          hint: the elements of a list are separated by blanks
    "#]],
    );
    check(
        "{ a = 1, b = 2 }",
        &expect![[r#"
        error: unexpected ',', expected an operator or ';' after the value
          at configuration.nix:1:8:
             1 | { a = 1, b = 2 }
               |        ^
          hint: definitions end with ';'; a comma stands only between the arguments of a function
    "#]],
    );
    check(
        "{ a == 1; }",
        &expect![[r#"
        error: unexpected '==', expected '.' or '=' after an attribute name
          at configuration.nix:1:5:
             1 | { a == 1; }
               |     ^^
          hint: '==' compares; definitions are written with one '='
    "#]],
    );
    check(
        "if a & b then c else d",
        &expect![[r#"
        error: unexpected '&', expected 'then' after the condition
          at configuration.nix:1:6:
             1 | if a & b then c else d
               |      ^
          note: of this 'if'
          at configuration.nix:1:1:
             1 | if a & b then c else d
               | ^^
          hint: the logical and is '&&'
    "#]],
    );
    check(
        "if a | b then c else d",
        &expect![[r#"
        error: unexpected '|', expected 'then' after the condition
          at configuration.nix:1:6:
             1 | if a | b then c else d
               |      ^
          note: of this 'if'
          at configuration.nix:1:1:
             1 | if a | b then c else d
               | ^^
          hint: the logical or is '||'
    "#]],
    );
    check(
        "a % b",
        &expect![[r#"
        error: unexpected '%', expected an operator or the end of the text
          at configuration.nix:1:3:
             1 | a % b
               |   ^
          hint: there is no operator for remainders
    "#]],
    );
    check(
        "if a then b",
        &expect![[r#"
        error: unexpected end of the text, expected 'else'
          at configuration.nix:1:12:
             1 | if a then b
               |            ^
          note: of this 'if'
          at configuration.nix:1:1:
             1 | if a then b
               | ^^
          hint: an 'if' always needs its 'else'
    "#]],
    );
    check(
        "$a",
        &expect![[r#"
        error: unexpected '$', expected an expression
          at configuration.nix:1:1:
             1 | $a
               | ^
          hint: variables are written without a dollar; ${…} stands inside strings, paths and attribute names
    "#]],
    );
    check(
        "{ a = “x”; }",
        &expect![[r#"
        error: unexpected '“', expected an expression
          at configuration.nix:1:7:
             1 | { a = “x”; }
               |       ^
          hint: this is a typographic quote: strings stand in "straight quotes"
    "#]],
    );
    check(
        "\u{feff}{ }",
        &expect![[r#"
        error: unexpected byte order mark, expected an expression
          at configuration.nix:1:1:
             1 | �{ }
               | ^
          hint: save the file as UTF-8 without one
    "#]],
    );
    check(
        "a\u{a0}b",
        &expect![[r#"
        error: unexpected no-break space, expected an operator or the end of the text
          at configuration.nix:1:2:
             1 | a b
               |  ^
          hint: it looks like a blank, but is none
    "#]],
    );
    check(
        "a |> b",
        &expect![[r#"
        error: '|>' is not enabled here
          at configuration.nix:1:3:
             1 | a |> b
               |   ^^
          hint: enable the experimental feature pipe-operators
    "#]],
    );
}

#[test]
fn keywords_and_names() {
    check(
        "{ in = 1; }",
        &expect![[r#"
        error: unexpected 'in', expected a definition or '}'
          at configuration.nix:1:3:
             1 | { in = 1; }
               |   ^^
          hint: a keyword that is a name stands in quotes: "in"
    "#]],
    );
    check(
        "{ a b = 1; }",
        &expect![[r#"
        error: unexpected 'b', expected '.' or '=' after an attribute name
          at configuration.nix:1:5:
             1 | { a b = 1; }
               |     ^
          hint: a name with blanks in it stands in "quotes"
    "#]],
    );
    check(
        "{ größe = 1; }",
        &expect![[r#"
        error: unexpected character 'ö', expected '.' or '=' after an attribute name
          at configuration.nix:1:5:
             1 | { größe = 1; }
               |     ^
          hint: names consist of ASCII letters, digits, '_', '-' and "'"
    "#]],
    );
    check(
        "{ a; }",
        &expect![[r#"
        error: unexpected ';', expected '.' or '=' after an attribute name
          at configuration.nix:1:4:
             1 | { a; }
               |    ^
          hint: a definition has a value: name = value; or inherit name;
    "#]],
    );
    check(
        "f x: x",
        &expect![[r#"
        error: unexpected ':', expected an operator or the end of the text
          at configuration.nix:1:4:
             1 | f x: x
               |    ^
          hint: a function among the arguments or operands of another expression needs parentheses
    "#]],
    );
    check(
        "1 + if a then b else c",
        &expect![[r#"
        error: unexpected 'if', expected an expression
          at configuration.nix:1:5:
             1 | 1 + if a then b else c
               |     ^^
          hint: as an argument or operand it needs parentheses
    "#]],
    );
    check(
        "a < b < c",
        &expect![[r#"
        error: unexpected '<': it cannot follow the operand of '<'
          at configuration.nix:1:7:
             1 | a < b < c
               |       ^
          note: after this
          at configuration.nix:1:3:
             1 | a < b < c
               |   ^
          hint: parentheses say which comes first
    "#]],
    );
    check(
        "x.",
        &expect![[r#"
        error: unexpected end of the text, expected an attribute name after '.'
          at configuration.nix:1:3:
             1 | x.
               |   ^
    "#]],
    );
    check(
        "let or = 1; in or",
        &expect![[r#"
        error: unexpected 'or', expected an expression
          at configuration.nix:1:16:
             1 | let or = 1; in or
               |                ^^
          hint: 'or' gives a default for a selection: set.name or default
    "#]],
    );
    check(
        "rec a",
        &expect![[r#"
        error: unexpected 'a', expected '{' after 'rec'
          at configuration.nix:1:5:
             1 | rec a
               |     ^
    "#]],
    );
    check(
        "{ a, ..., b }: a",
        &expect![[r#"
            error: unexpected ',', expected '}'
              at configuration.nix:1:9:
                 1 | { a, ..., b }: a
                   |         ^
              hint: '...' stands after all arguments
        "#]],
    );
    check(
        "a@b: c",
        &expect![[r#"
        error: unexpected 'b', expected '{' after '@'
          at configuration.nix:1:3:
             1 | a@b: c
               |   ^
    "#]],
    );
}

#[test]
fn definitions() {
    check(
        "{\n  a = 1;\n  a = 2;\n}",
        &expect![[r#"
        error: attribute 'a' is already defined
          at configuration.nix:3:3:
             3 |   a = 2;
               |   ^
          note: it is defined here first
          at configuration.nix:2:3:
             2 |   a = 1;
               |   ^
    "#]],
    );
    check(
        "{\n  a.b.c = 1;\n  a.b = 2;\n}",
        &expect![[r#"
        error: attribute 'a.b' is already defined
          at configuration.nix:3:3:
             3 |   a.b = 2;
               |   ^^^
          note: it is defined here first
          at configuration.nix:2:3:
             2 |   a.b.c = 1;
               |   ^^^^^
    "#]],
    );
    check(
        "{\n  a = { b = 1; };\n  a = { b = 2; };\n}",
        &expect![[r#"
        error: attribute 'a.b' is already defined
          at configuration.nix:3:9:
             3 |   a = { b = 2; };
               |         ^
          note: it is defined here first
          at configuration.nix:2:9:
             2 |   a = { b = 1; };
               |         ^
    "#]],
    );
    check(
        "{ inherit a; inherit (b) a; }",
        &expect![[r#"
        error: attribute 'a' is already defined
          at configuration.nix:1:26:
             1 | { inherit a; inherit (b) a; }
               |                          ^
          note: it is defined here first
          at configuration.nix:1:11:
             1 | { inherit a; inherit (b) a; }
               |           ^
    "#]],
    );
    check(
        "{ a, b, a }: a",
        &expect![[r#"
        error: duplicate formal function argument 'a'
          at configuration.nix:1:9:
             1 | { a, b, a }: a
               |         ^
          note: it is an argument already here
          at configuration.nix:1:3:
             1 | { a, b, a }: a
               |   ^
    "#]],
    );
    check(
        "a@{ a }: a",
        &expect![[r#"
        error: duplicate formal function argument 'a'
          at configuration.nix:1:1:
             1 | a@{ a }: a
               | ^
          note: it is an argument already here
          at configuration.nix:1:5:
             1 | a@{ a }: a
               |     ^
    "#]],
    );
    check(
        "let ${a} = 1; in 2",
        &expect![[r#"
        error: dynamic attributes are not allowed in let
          at configuration.nix:1:5:
             1 | let ${a} = 1; in 2
               |     ^^^^
    "#]],
    );
    check(
        "{ inherit ${a}; }",
        &expect![[r#"
        error: dynamic attributes are not allowed in inherit
          at configuration.nix:1:11:
             1 | { inherit ${a}; }
               |           ^^^^
    "#]],
    );
}

#[test]
fn literals() {
    check(
        "9223372036854775808",
        &expect![[r#"
        error: invalid integer '9223372036854775808'
          at configuration.nix:1:1:
             1 | 9223372036854775808
               | ^^^^^^^^^^^^^^^^^^^
          hint: the largest integer is 9223372036854775807
    "#]],
    );
    check(
        "1.0e999",
        &expect![[r#"
        error: invalid float '1.0e999'
          at configuration.nix:1:1:
             1 | 1.0e999
               | ^^^^^^^
          hint: it is too large for 64 bits
    "#]],
    );
    check(
        "./a/ b",
        &expect![[r#"
        error: path has a trailing slash
          at configuration.nix:1:4:
             1 | ./a/ b
               |    ^
          hint: a path does not end with '/'; a division needs blanks around its '/'
    "#]],
    );
    check(
        "./a//b",
        &expect![[r#"
        error: path has two slashes in a row
          at configuration.nix:1:5:
             1 | ./a//b
               |     ^^
          hint: blanks around '//' make it the operator that merges sets
    "#]],
    );
    check(
        "~/a",
        &expect![[r#"
        error: cannot resolve '~/a': there is no home directory here
          at configuration.nix:1:1:
             1 | ~/a
               | ^^^
    "#]],
    );
    check(
        "\"a\0b\"",
        &expect![[r#"
        error: a string cannot contain a NUL byte
          at configuration.nix:1:3:
             1 | "a␀b"
               |   ^
    "#]],
    );
    check(
        "",
        &expect![[r#"
        error: unexpected end of the text, expected an expression
          at configuration.nix:1:1:
             1 |
               | ^
    "#]],
    );
    check(
        "# nothing\n\n",
        &expect![[r#"
        error: unexpected end of the text, expected an expression
          at configuration.nix:1:10:
             1 | # nothing
               |          ^
    "#]],
    );
}

#[test]
fn misspelt_keywords() {
    check(
        "if a thne b else c",
        &expect![[r#"
        error: unexpected 'else', expected 'then' after the condition
          at configuration.nix:1:13:
             1 | if a thne b else c
               |             ^^^^
          note: of this 'if'
          at configuration.nix:1:1:
             1 | if a thne b else c
               | ^^
          note: did you mean 'then'?
          at configuration.nix:1:6:
             1 | if a thne b else c
               |      ^^^^
    "#]],
    );
    check(
        "if a then b esle c",
        &expect![[r#"
        error: unexpected end of the text, expected 'else'
          at configuration.nix:1:19:
             1 | if a then b esle c
               |                   ^
          note: of this 'if'
          at configuration.nix:1:1:
             1 | if a then b esle c
               | ^^
          note: did you mean 'else'?
          at configuration.nix:1:13:
             1 | if a then b esle c
               |             ^^^^
          hint: an 'if' always needs its 'else'
    "#]],
    );
    check(
        "{ inherti (a) b; }",
        &expect![[r#"
        error: unexpected '(', expected '.' or '=' after an attribute name
          at configuration.nix:1:11:
             1 | { inherti (a) b; }
               |           ^
          note: did you mean 'inherit'?
          at configuration.nix:1:3:
             1 | { inherti (a) b; }
               |   ^^^^^^^
    "#]],
    );
    check(
        "{ inherits a; }",
        &expect![[r#"
        error: unexpected 'a', expected '.' or '=' after an attribute name
          at configuration.nix:1:12:
             1 | { inherits a; }
               |            ^
          note: did you mean 'inherit'?
          at configuration.nix:1:3:
             1 | { inherits a; }
               |   ^^^^^^^^
          hint: a name with blanks in it stands in "quotes"
    "#]],
    );
    check(
        "wiht lib; a",
        &expect![[r#"
        error: unexpected ';', expected the end of the text
          at configuration.nix:1:9:
             1 | wiht lib; a
               |         ^
          note: did you mean 'with'?
          at configuration.nix:1:1:
             1 | wiht lib; a
               | ^^^^
          hint: a text is one expression; definitions stand in { … } or let … in
    "#]],
    );
}
