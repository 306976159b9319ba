//! `cairn repl`, with lines from a pipe.

use std::io::Write as _;
use std::process::{Command, Stdio};

use expect_test::{Expect, expect};

fn check(lines: &str, expected: &Expect) {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(
        home.path().join("set.nix"),
        "{ n ? 3 }: { inherit n; twice = 2 * n; }",
    )
    .unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_cairn"))
        .args(["repl", "--store"])
        .arg(home.path().join("store"))
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("XDG_STATE_HOME")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(lines.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let shown = format!("{}--\n{}", text(output.stdout), text(output.stderr));
    expected.assert_eq(&shown.replace(home.path().to_str().unwrap(), "~"));
    assert!(output.status.success());
    super::writable(home.path());
}

#[test]
fn values_bindings_and_types() {
    check(
        "x = { a = 1; b = { c = [ 1 2 ]; }; }\nx\n:p x\n:t x.a\ny = throw \"late\"\nx = x // { d = 2; }\nx.a + x.d\n",
        &expect![[r#"
            {
              a = 1;
              b = { ... };
            }
            {
              a = 1;
              b = {
                c = [
                  1
                  2
                ];
              };
            }
            an integer
            3
            --
        "#]],
    );
}

#[test]
fn files_and_their_arguments() {
    check(
        ":l set.nix\ntwice\n:env\n:a { n = 5; }\nn\n:r\nn\n:l absent.nix\n",
        &expect![[r#"
            added 2 variables
            6
            n
            twice
            added 1 variables
            5
            added 2 variables
            3
            --
            error: cannot read '~/absent.nix': no such file or directory
        "#]],
    );
}

#[test]
fn errors_do_not_end_it() {
    check(
        "1 +\n2\nthrow \"a\"\nnope\n{ a = }\n:nope\n\"still \\\nhere\"\n:q\nnever\n",
        &expect![[r#"
            3
            "still \nhere"
            --
            error: a
              at «string»:1:1:
                  1| throw "a"
                   | ^^^^^^^^^
            error: undefined variable 'nope'
              at «string»:1:1:
                  1| nope
                   | ^^^^
            error: syntax error, unexpected '}', expected an expression
              at «string»:1:7:
                  1| { a = }
                   |       ^
            error: there is no command ':nope'; :? lists them
        "#]],
    );
}
