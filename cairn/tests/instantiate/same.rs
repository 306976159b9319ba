//! The same derivations as real Nix.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

use super::text::{Choices, derivations};
use super::{objects, ours, run, theirs, writable};

/// What expressions refer to.
fn prepare(folder: &Path) {
    fs::create_dir_all(folder.join("src/inner/deep")).unwrap();
    fs::write(folder.join("src/file"), "text\n").unwrap();
    fs::write(folder.join("src/inner/file"), "more\n").unwrap();
    fs::write(folder.join("file"), "a file\n").unwrap();
    std::os::unix::fs::symlink("../file", folder.join("src/link")).unwrap();
}

/// Both tools write what they instantiate into stores of their own, which must then be the same.
fn check(expression: &str) -> Result<(), String> {
    let home = tempfile::tempdir().unwrap();
    prepare(home.path());
    let file = home.path().join("expression.nix");
    fs::write(&file, expression).unwrap();
    let (our_store, their_store) = (home.path().join("ours"), home.path().join("theirs"));
    let mut mine = ours(home.path());
    mine.arg("--store").arg(&our_store).arg("expression.nix");
    let mut other = theirs(home.path());
    other.arg("--store").arg(&their_store).arg("expression.nix");
    let (mine, other) = (run(mine), run(other));
    let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let result = if mine.status.code() != other.status.code() || mine.stdout != other.stdout {
        Err(format!(
            "ours {:?}:\n{}{}\ntheirs {:?}:\n{}{}\nof {expression}",
            mine.status.code(),
            shown(&mine.stdout),
            shown(&mine.stderr),
            other.status.code(),
            shown(&other.stdout),
            shown(&other.stderr)
        ))
    } else if mine.status.success() {
        let (mine, other) = (objects(&our_store), objects(&their_store));
        let names = |objects: &std::collections::BTreeMap<String, Vec<u8>>| {
            objects.keys().cloned().collect::<Vec<_>>().join("\n")
        };
        if mine == other {
            Ok(())
        } else {
            Err(format!(
                "ours:\n{}\ntheirs:\n{}\nof {expression}",
                names(&mine),
                names(&other)
            ))
        }
    } else {
        Ok(())
    };
    writable(home.path());
    result
}

#[test]
fn a_table_of_derivations() {
    let make = "make = a: derivation ({ name = \"n\"; system = \"s\"; builder = \"b\"; } // a);";
    for body in [
        "make { }",
        "make { __structuredAttrs = true; a.b.c = [ 1 null true \"x\" ]; outputs = [ \"out\" \"doc\" ]; }",
        "make { __structuredAttrs = true; __ignoreNulls = true; a = null; p = ./file; }",
        "make { __ignoreNulls = true; a = null; b = [ null ]; }",
        "make { outputs = [ \"bin\" \"dev\" ]; }",
        "make { passAsFile = [ \"text\" ]; text = \"long\"; }",
        "make { args = [ \"-c\" \"${./src}\" 1 ]; }",
        "make { x = (make { outputs = [ \"a\" \"b\" ]; }).b; }",
        "make { outputHash = \"\"; outputHashAlgo = \"sha256\"; }",
        "make { outputHash = \"1bk1x8ms6c8ch6kk3vlz8gg2qd2xrwnmgjbi81wk4m9ghdpg7ag9\"; outputHashAlgo = \"sha256\"; }",
        "(import <nix/fetchurl.nix> { url = \"http://a.example/x.tar\"; sha256 = builtins.hashString \"sha256\" \"\"; })",
        "(import <nix/fetchurl.nix> { url = \"http://a.example/x\"; hash = \"sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=\"; unpack = true; })",
        "{ a = make { }; b.c = make { }; d = { recurseForDerivations = true; e = make { name = \"e\"; }; }; }",
        "[ (make { }) [ (make { name = \"o\"; }) ] ]",
        "{ x ? make { name = \"default\"; } }: x",
        "make { d = (make { name = \"i\"; }).drvPath; }",
        "make { a = builtins.appendContext \"text\" { ${builtins.unsafeDiscardStringContext (make { name = \"i\"; }).drvPath} = { outputs = [ \"out\" ]; }; }; }",
        "make { outputs = [ ]; }",
        "make { outputs = [ \"out\" \"out\" ]; }",
        "make { outputs = [ \"drv\" ]; }",
        "make { name = \"a b\"; }",
        "make { name = \"x.drv\"; }",
        "make { builder = \"\"; }",
        "make { f = x: x; }",
        "make { outputHash = \"00\"; outputHashAlgo = \"sha256\"; }",
        "make { outputHash = \"x\"; outputHashMode = \"odd\"; }",
        "make { outputHash = builtins.hashString \"sha256\" \"\"; outputHashAlgo = \"sha256\"; outputs = [ \"a\" \"b\" ]; }",
        "1",
        "{ a = 1; }",
        "make { s = \"${./absent}\"; }",
    ] {
        if let Err(difference) = check(&format!("let {make} in {body}")) {
            panic!("{difference}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn derivations_of_random_expressions(bytes in prop::collection::vec(any::<u8>(), 4..160)) {
        let expression = derivations(&mut Choices(&bytes));
        if let Err(difference) = check(&expression) {
            prop_assert!(false, "{}", difference);
        }
    }
}
