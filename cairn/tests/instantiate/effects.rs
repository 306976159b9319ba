//! What an evaluation reads that is not there yet: files that are fetched, outputs that are built.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{ours, run, writable};

/// The value of an expression, evaluated with a store in the folder.
fn value(home: &Path, expression: &str) -> Result<String, String> {
    let mut command = ours(home);
    command
        .args(["--eval", "--strict", "--read-write-mode", "--store"])
        .arg(home.join("store"))
        .args(["-E", expression]);
    let output = run(command);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim_end().to_owned();
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr))
    }
}

fn shell(folder: &Path, line: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{line}: {output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}

#[test]
fn a_file_is_fetched_once_and_checked() {
    let home = tempfile::tempdir().unwrap();
    let source = home.path().join("file");
    fs::write(&source, "hello\n").unwrap();
    let fetch = |hash: &str| {
        format!(
            "builtins.readFile (builtins.fetchurl {{ url = \"file://{}\"; sha256 = \"{hash}\"; }})",
            source.display()
        )
    };
    let hash = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    let error = value(home.path(), &fetch(&hash.replace('5', "6"))).unwrap_err();
    assert!(
        error.starts_with("error: what came from 'file://")
            && error.contains("has another hash:")
            && error
                .contains("got:       sha256:00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq"),
        "{error}"
    );
    assert_eq!(value(home.path(), &fetch(hash)).unwrap(), "\"hello\\n\"");
    // It is in the store now: what it came from is not needed.
    fs::remove_file(&source).unwrap();
    let sri = "sha256-WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=";
    assert_eq!(value(home.path(), &fetch(sri)).unwrap(), "\"hello\\n\"");
    let error = value(home.path(), "builtins.fetchurl \"file:///x\"").unwrap_err();
    assert!(error.contains("without a hash"), "{error}");
    writable(home.path());
}

#[test]
fn a_tarball_is_unpacked() {
    let home = tempfile::tempdir().unwrap();
    let make = "mkdir -p top/inner && echo '{ x = 7; }' > top/default.nix && chmod +x top/default.nix \
                && ln -s ../default.nix top/inner/link && tar -c top | gzip > t.tar.gz \
                && tar -cJf t.tar.xz top && tar -cf flat.tar -C top .";
    shell(home.path(), make);
    let hash = "nix-hash --type sha256 --base32 top";
    let hash = shell(home.path(), hash);
    for (file, attribute) in [
        ("t.tar.gz", "(import tree).x"),
        ("t.tar.xz", "(import (tree + \"/inner/link\")).x"),
        ("flat.tar", "(import tree).x"),
    ] {
        let expression = format!(
            "let tree = builtins.fetchTarball {{ url = \"file://{}\"; sha256 = \"{hash}\"; \
             name = \"{file}\"; }}; in {attribute}",
            home.path().join(file).display()
        );
        assert_eq!(value(home.path(), &expression).unwrap(), "7", "{file}");
    }
    fs::write(home.path().join("broken.tar.gz"), b"\x1f\x8bnothing").unwrap();
    let broken = format!(
        "builtins.fetchTarball {{ url = \"file://{}\"; sha256 = \"{hash}\"; name = \"other\"; }}",
        home.path().join("broken.tar.gz").display()
    );
    let error = value(home.path(), &broken).unwrap_err();
    assert!(
        error.starts_with("error: cannot unpack what came from"),
        "{error}"
    );
    writable(home.path());
}

#[test]
fn an_output_is_built_to_be_read() {
    let home = tempfile::tempdir().unwrap();
    let make = "let make = text: derivation { name = \"made\"; system = \"x86_64-linux\"; \
                builder = \"builtin:text\"; formatVersion = 1; inherit text; }; in ";
    let expression = format!("{make} import (make \"{{ answer = 6 * 7; }}\")");
    assert_eq!(value(home.path(), &expression).unwrap(), "{ answer = 42; }");
    let nested = format!("{make} builtins.readFile (make (builtins.readFile (make \"deep\")))");
    assert_eq!(value(home.path(), &nested).unwrap(), "\"deep\"");
    // What a built file mentions, the text that is read of it depends on.
    let context = format!(
        "{make} builtins.attrNames (builtins.getContext (builtins.readFile (make \"${{make \"x\"}}\")))"
    );
    let context = value(home.path(), &context).unwrap();
    assert!(
        context.starts_with("[ \"/nix/store/") && context.ends_with("-made\" ]"),
        "{context}"
    );
    // An evaluation that does not write cannot build, and says how it could.
    let mut command = ours(home.path());
    command.arg("--store").arg(home.path().join("other"));
    command.args(["--eval", "-E", &expression]);
    let output = run(command);
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("use --read-write-mode"), "{error}");
    assert!(!home.path().join("other").exists());
    writable(home.path());
}

#[test]
fn fetchers_that_are_not_supported_say_so() {
    let home = tempfile::tempdir().unwrap();
    for (expression, words) in [
        (
            "builtins.fetchGit \"https://a.example/x\"",
            "this fetcher is not supported",
        ),
        (
            "builtins.fetchTree { type = \"git\"; }",
            "this fetcher is not supported",
        ),
        (
            "fetchMercurial \"https://a.example/x\"",
            "this fetcher is not supported",
        ),
        ("builtins.getFlake \"nixpkgs\"", "flakes are not supported"),
        ("builtins.outputOf \"x\" \"out\"", "not supported"),
        (
            "derivation { name = \"a\"; system = \"b\"; builder = \"c\"; __contentAddressed = true; }",
            "only outputs whose paths are known before they are built are supported",
        ),
    ] {
        let error = value(home.path(), &format!("builtins.toJSON ({expression})")).unwrap_err();
        assert!(
            error.starts_with("error: ") && error.contains(words),
            "{expression}: {error}"
        );
    }
}

#[test]
fn the_search_path() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("one/lib")).unwrap();
    fs::create_dir_all(home.path().join("two")).unwrap();
    fs::write(home.path().join("one/lib/default.nix"), "\"one\"").unwrap();
    fs::write(home.path().join("two/lib.nix"), "\"two\"").unwrap();
    let find = |words: &[&str]| {
        let mut command = ours(home.path());
        command.env("NIX_PATH", "named=one:two").args(words);
        let output = run(command);
        let text =
            String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        text.replace(home.path().to_str().unwrap(), "~")
    };
    assert_eq!(find(&["--eval", "-E", "import <named/lib>"]), "\"one\"\n");
    assert_eq!(find(&["--eval", "-E", "import <lib.nix>"]), "\"two\"\n");
    assert_eq!(find(&["--eval", "<named/lib>"]), "\"one\"\n");
    assert_eq!(
        find(&["--find-file", "named/lib", "lib.nix"]),
        "~/one/lib\n~/two/lib.nix\n"
    );
    assert_eq!(
        find(&["--eval", "-I", "named=two", "-E", "<named/lib.nix>"]),
        "~/two/lib.nix\n"
    );
    assert_eq!(
        find(&["--eval", "-E", "(builtins.tryEval <absent>).success"]),
        "false\n"
    );
    assert_eq!(
        find(&[
            "--eval",
            "-I",
            "gone",
            "-E",
            "builtins.length builtins.nixPath"
        ]),
        "3\n"
    );
    let absent = find(&["--find-file", "absent"]);
    assert!(
        absent.starts_with("error: file 'absent' was not found in the Nix search path"),
        "{absent}"
    );
}

#[test]
fn fixed_outputs_are_held_to_their_hashes() {
    let home = tempfile::tempdir().unwrap();
    let built = |algorithm: &str, text: &str, mode: &str| {
        value(
            home.path(),
            &format!(
                "builtins.readFile (derivation {{ name = \"made\"; system = \"x86_64-linux\"; \
                 builder = \"builtin:text\"; formatVersion = 1; text = \"{text}\"; \
                 outputHashAlgo = \"{algorithm}\"; outputHashMode = \"{mode}\"; \
                 outputHash = builtins.hashString \"{algorithm}\" \"right\"; }})"
            ),
        )
    };
    for algorithm in ["sha256", "sha512"] {
        assert_eq!(built(algorithm, "right", "flat").unwrap(), "\"right\"");
        let error = built(algorithm, "wrong", "recursive").unwrap_err();
        assert!(
            error.contains("made something else than promised"),
            "{error}"
        );
    }
    let error = built("sha1", "right", "flat").unwrap_err();
    assert!(error.contains("too weak to be relied on"), "{error}");
    writable(home.path());
}
