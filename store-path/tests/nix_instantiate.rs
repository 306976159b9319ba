//! Real Nix is the oracle: the same derivations, written as expressions, must give the same
//! `.drv` paths, the same output paths and the same bytes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use cairn_store_path::derivation::{DerivationBuilder, Instantiated, ModuloHashes};
use cairn_store_path::{Algorithm, Derivation, FixedOutput, Method, Sha256, StorePath, nix32};

const EXPRESSION: &str = r#"
let
  make = attrs: derivation ({ system = "x86_64-linux"; builder = "builtin:test"; } // attrs);
  flatHash = builtins.hashString "sha256" "flat";
  treeHash = builtins.hashString "sha256" "tree";
  text = builtins.toFile "input.txt" "hello\n";
  withText = builtins.toFile "second.txt" "${text} again";
in rec {
  a_simple = make { name = "simple"; };
  b_escapes = make {
    name = "escapes-1.0+x_?=";
    args = [ "a\"b\\c\nd\te\rf" "" "''$x" ];
    words = "grüße ∀ 🚀 \"\\n\"";
    empty = "";
    "a b \"c\"" = "odd name";
    list = [ "one" "two" ]; yes = true; no = false; number = 42; nothing = null;
  };
  c_outputs = make { name = "outputs"; outputs = [ "out" "doc" "dev" ]; };
  d_other_first = make { name = "first"; outputs = [ "bin" "out" ]; };
  e_flat = make {
    name = "flat"; outputHash = flatHash; outputHashAlgo = "sha256"; outputHashMode = "flat";
  };
  f_recursive = make {
    name = "tree"; outputHash = treeHash; outputHashAlgo = "sha256"; outputHashMode = "recursive";
  };
  g_inputs = make { name = "inputs"; one = a_simple; two = c_outputs.doc; three = c_outputs.dev; };
  h_fixed_inputs = make { name = "fixed-inputs"; flat = e_flat; tree = f_recursive; };
  i_mirror = make {
    name = "flat"; outputHash = flatHash; outputHashAlgo = "sha256"; outputHashMode = "flat";
    url = "http://another.example/flat";
  };
  j_merged = make { name = "merged"; one = e_flat; two = i_mirror; };
  k_sources = make { name = "sources"; src = withText; };
  l_chain = make { name = "chain"; deep = make { name = "chain"; deeper = g_inputs; h = j_merged; }; };
  m_other_system = derivation { name = "other"; system = "aarch64-linux"; builder = "/bin/sh"; };
  n_sha512 = make {
    name = "old"; outputHash = builtins.hashString "sha512" "x"; outputHashAlgo = "sha512";
  };
  o_sha1 = make {
    name = "older"; outputHash = builtins.hashString "sha1" "x"; outputHashAlgo = "sha1";
    outputHashMode = "recursive";
  };
  p_uses_old = make { name = "uses-old"; old = n_sha512; older = o_sha1; };
}
"#;

fn out(made: &Instantiated) -> String {
    output(made, "out")
}

fn output(made: &Instantiated, name: &str) -> String {
    made.derivation.output(name).unwrap().to_string()
}

fn new(name: &str) -> DerivationBuilder {
    DerivationBuilder::new(name, "x86_64-linux", "builtin:test")
}

/// The same derivations as in the expression, in the same order.
#[expect(clippy::too_many_lines, reason = "one table, next to the expression")]
fn ours() -> Vec<Instantiated> {
    let known = &mut ModuloHashes::new();
    let flat = Sha256::of(b"flat");
    let simple = new("simple").build(known).unwrap();
    let escapes = new("escapes-1.0+x_?=")
        .arg("a\"b\\c\nd\te\rf")
        .arg("")
        .arg("''$x")
        .env("words", "grüße ∀ 🚀 \"\\n\"")
        .env("a b \"c\"", "odd name")
        .env("list", "one two")
        .env("yes", "1")
        .env("number", "42");
    let escapes = ["empty", "no", "nothing"]
        .into_iter()
        .fold(escapes, |builder, name| builder.env(name, ""))
        .build(known)
        .unwrap();
    let outputs = new("outputs")
        .outputs(["out", "doc", "dev"])
        .build(known)
        .unwrap();
    let first = new("first").outputs(["bin", "out"]).build(known).unwrap();
    let fixed = new("flat").fixed_sha256(Method::Flat, flat);
    let mirror = fixed
        .clone()
        .env("url", "http://another.example/flat")
        .build(known)
        .unwrap();
    let fixed = fixed.build(known).unwrap();
    let tree = new("tree")
        .fixed_sha256(Method::Recursive, Sha256::of(b"tree"))
        .build(known)
        .unwrap();
    let inputs = new("inputs")
        .env("one", out(&simple))
        .env("two", output(&outputs, "doc"))
        .env("three", output(&outputs, "dev"))
        .input_drv(simple.path.clone(), "out")
        .input_drv(outputs.path.clone(), "doc")
        .input_drv(outputs.path.clone(), "dev")
        .build(known)
        .unwrap();
    let fixed_inputs = new("fixed-inputs")
        .env("flat", out(&fixed))
        .env("tree", out(&tree))
        .input_drv(fixed.path.clone(), "out")
        .input_drv(tree.path.clone(), "out")
        .build(known)
        .unwrap();
    let merged = new("merged")
        .env("one", out(&fixed))
        .env("two", out(&mirror))
        .input_drv(fixed.path.clone(), "out")
        .input_drv(mirror.path.clone(), "out")
        .build(known)
        .unwrap();
    let text = StorePath::text("input.txt", Sha256::of(b"hello\n"), &BTreeSet::new()).unwrap();
    let second = format!("{text} again");
    let second = StorePath::text(
        "second.txt",
        Sha256::of(second.as_bytes()),
        &BTreeSet::from([text]),
    )
    .unwrap();
    let sources = new("sources")
        .env("src", second.to_string())
        .input_src(second)
        .build(known)
        .unwrap();
    let inner = new("chain")
        .env("deeper", out(&inputs))
        .env("h", out(&merged))
        .input_drv(inputs.path.clone(), "out")
        .input_drv(merged.path.clone(), "out")
        .build(known)
        .unwrap();
    let chain = new("chain")
        .env("deep", out(&inner))
        .input_drv(inner.path.clone(), "out")
        .build(known)
        .unwrap();
    let other = DerivationBuilder::new("other", "aarch64-linux", "/bin/sh")
        .build(known)
        .unwrap();
    let old_hash = "a4abd4448c49562d828115d13a1fccea927f52b4d5459297f8b43e42da89238b\
                    c13626e43dcb38ddb082488927ec904fb42057443983e88585179d50551afe62";
    let old = new("old")
        .env("outputHash", old_hash)
        .env("outputHashAlgo", "sha512")
        .fixed(fixed_of(Method::Flat, Algorithm::Sha512, old_hash))
        .build(known)
        .unwrap();
    let older_hash = "11f6ad8ec52a2984abaafd7c3b516503785c2072";
    let older = new("older")
        .env("outputHash", older_hash)
        .env("outputHashAlgo", "sha1")
        .env("outputHashMode", "recursive")
        .fixed(fixed_of(Method::Recursive, Algorithm::Sha1, older_hash))
        .build(known)
        .unwrap();
    let uses_old = new("uses-old")
        .env("old", out(&old))
        .env("older", out(&older))
        .input_drv(old.path.clone(), "out")
        .input_drv(older.path.clone(), "out")
        .build(known)
        .unwrap();
    vec![
        simple,
        escapes,
        outputs,
        first,
        fixed,
        tree,
        inputs,
        fixed_inputs,
        mirror,
        merged,
        sources,
        chain,
        other,
        old,
        older,
        uses_old,
    ]
}

fn fixed_of(method: Method, algorithm: Algorithm, hex: &str) -> FixedOutput {
    let digits: Vec<char> = hex.chars().collect();
    let byte = |pair: &[char]| pair.iter().collect::<String>();
    let digest = digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&byte(pair), 16).unwrap())
        .collect();
    FixedOutput::new(method, algorithm, digest).unwrap()
}

/// Instantiates the expression with real Nix, in a store of its own.
fn theirs(root: &Path) -> Vec<StorePath> {
    let output = Command::new("nix-instantiate")
        .arg("--store")
        .arg(root)
        .args(["--option", "build-users-group", "", "-E", EXPRESSION])
        .env("HOME", root)
        .env("NIX_CONF_DIR", root)
        .env_remove("NIX_REMOTE")
        .output()
        .unwrap_or_else(|error| {
            panic!("cannot run nix-instantiate: {error}; apt-get install nix-bin")
        });
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    // A first output that is not `out` is printed behind the path: `….drv!bin`.
    let path = |line: &str| line.split('!').next().unwrap().parse().unwrap();
    text.lines().map(path).collect()
}

fn physical(root: &Path, path: &StorePath) -> std::path::PathBuf {
    root.join("nix/store").join(path.base_name())
}

#[test]
fn derivations_are_those_of_nix() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = theirs(folder.path());
    let ours = ours();
    assert_eq!(theirs.len(), ours.len());
    for (their_path, made) in theirs.iter().zip(&ours) {
        let text = fs::read(physical(folder.path(), their_path)).unwrap();
        let our_text = made.derivation.to_aterm();
        assert_eq!(
            String::from_utf8_lossy(&our_text),
            String::from_utf8_lossy(&text)
        );
        assert_eq!(our_text, text);
        assert_eq!(made.path, *their_path);
        let parsed = Derivation::parse(&made.derivation.name, &text).unwrap();
        assert_eq!(parsed, made.derivation);
    }
}

#[test]
fn hashes_from_files_are_those_from_memory() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = theirs(folder.path());
    let read = |path: &StorePath| {
        let text = fs::read(physical(folder.path(), path)).unwrap();
        Derivation::parse(path.name().strip_suffix(".drv").unwrap(), &text)
    };
    let mut from_files = ModuloHashes::new();
    let mut hashes = BTreeMap::new();
    for path in theirs.iter().rev() {
        hashes.insert(path.clone(), from_files.hash(path, read).unwrap());
    }
    for path in &theirs {
        let derivation = read(path).unwrap();
        if derivation.fixed_output().is_some() {
            continue;
        }
        let masked = from_files.hash_masked(&derivation).unwrap();
        for (name, output) in &derivation.outputs {
            let named = StorePath::output(&derivation.name, name, masked).unwrap();
            assert_eq!(named, output.path);
        }
    }
    assert_eq!(hashes.len(), theirs.len());
}

#[test]
fn base_32_is_that_of_nix() {
    let output = Command::new("nix-hash")
        .args(["--type", "sha256", "--to-base32"])
        .arg(Sha256::of(b"x").to_base16())
        .output()
        .unwrap_or_else(|error| panic!("cannot run nix-hash: {error}; apt-get install nix-bin"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.trim(), nix32::encode(Sha256::of(b"x").as_bytes()));
}
