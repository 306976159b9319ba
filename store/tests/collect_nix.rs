//! Our collector and that of Nix: the same garbage, and each at work while the other is.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use cairn_store::{Garbage, Store};
use cairn_store_path::StorePath;
use cairn_store_path::derivation::ModuloHashes;
use common::{new, nix, nix_says, out, realise, uses, wait_for};

fn ours(garbage: &Garbage) -> BTreeSet<String> {
    let all = garbage.objects.iter().chain(&garbage.left_overs);
    all.map(|removal| removal.path.display().to_string())
        .collect()
}

fn theirs(root: &Path) -> BTreeSet<String> {
    let said = nix_says(root, "nix-store", &["--gc", "--print-dead"]);
    said.lines().map(str::to_owned).collect()
}

fn plan(root: &Path) -> Garbage {
    Store::open(root)
        .unwrap()
        .garbage(&BTreeSet::new())
        .unwrap()
}

/// Collects, and has Nix look at what is left.
fn collect_and_check(root: &Path, dead: &BTreeSet<String>) {
    let alive = nix_says(root, "nix-store", &["--gc", "--print-live"]);
    let done = Store::open(root)
        .unwrap()
        .collect_garbage(None, &|_| {})
        .unwrap();
    assert_eq!(&ours(&done), dead);
    let verify = nix(root, "nix-store", &["--verify", "--check-contents"]);
    let stderr = String::from_utf8_lossy(&verify.stderr).into_owned();
    assert!(verify.status.success(), "{stderr}");
    for word in ["error", "modified", "disappeared", "invalid"] {
        assert!(!stderr.contains(word), "{stderr}");
    }
    assert_eq!(theirs(root), BTreeSet::new());
    assert_eq!(
        alive,
        nix_says(root, "nix-store", &["--gc", "--print-live"])
    );
}

#[test]
fn the_garbage_is_that_of_nix_for_every_kind_of_root() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let store = Store::open(&root).unwrap();
    let text = |name: &str, references: &[&StorePath]| {
        let references = references.iter().copied().cloned().collect();
        store.add_text(name, name.as_bytes(), &references).unwrap()
    };
    let known = &mut ModuloHashes::new();
    let source = text("source", &[]);
    let one = new("one", "builtin:text")
        .env("text", "first")
        .input_src(source.clone())
        .build(known)
        .unwrap();
    let two = uses(new("two", "builtin:tree"), &one, "out")
        .outputs(["out", "doc"])
        .build(known)
        .unwrap();
    let three = uses(new("three", "builtin:tree"), &two, "doc")
        .build(known)
        .unwrap();
    let unused = new("unused", "builtin:text")
        .env("text", "unused")
        .build(known)
        .unwrap();
    store
        .write_derivations([
            &one.derivation,
            &two.derivation,
            &three.derivation,
            &unused.derivation,
        ])
        .unwrap();
    realise(&store, &[&three, &unused]).unwrap();

    store
        .add_root("deep/er/two", two.derivation.output("doc").unwrap())
        .unwrap();
    store
        .set_profile("system", &text("old", &[&source]))
        .unwrap();
    store.set_profile("system", &text("current", &[])).unwrap();
    let result = folder.path().join("result");
    store
        .add_indirect_root(&result, &text("result", &[]))
        .unwrap();
    let gone = folder.path().join("gone");
    store.add_indirect_root(&gone, &text("stale", &[])).unwrap();
    fs::remove_file(&gone).unwrap();
    let state = store.state_dir();
    let by_file = text("file", &[]);
    fs::write(state.join("gcroots").join(by_file.base_name()), "").unwrap();
    let through = text("through", &[]);
    symlink(
        format!("{through}/some/file"),
        state.join("gcroots/through"),
    )
    .unwrap();
    symlink(&result, state.join("profiles/named")).unwrap();
    text("plain", &[&source]);
    let half = StorePath::new([7; 20], "half").unwrap();
    fs::create_dir(store.real_path(&half)).unwrap();
    fs::write(
        store.store_dir().join(format!("{}.lock", half.base_name())),
        "",
    )
    .unwrap();
    symlink(half.to_path_buf(), state.join("gcroots/half")).unwrap();
    drop(store);

    let garbage = plan(&root);
    let dead = ours(&garbage);
    assert_eq!(dead, theirs(&root));
    assert!(dead.len() > 8 && dead.iter().any(|path| path.ends_with("-unused.drv")));
    assert!(
        !dead.iter().any(|path| path.ends_with("-two.drv")),
        "{dead:?}"
    );
    collect_and_check(&root, &dead);
}

#[test]
fn the_garbage_of_any_graph_is_that_of_nix() {
    let folder = tempfile::tempdir().unwrap();
    let mut state = 1_u64;
    let mut random = |below: u64| {
        // Knuth's MMIX generator: the same graphs in each run.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for round in 0..6 {
        let root = folder.path().join(format!("r{round}"));
        let store = Store::open(&root).unwrap();
        let known = &mut ModuloHashes::new();
        let mut texts: Vec<StorePath> = Vec::new();
        let mut made = Vec::new();
        for number in 0..25 {
            let references: BTreeSet<StorePath> =
                texts.iter().filter(|_| random(6) == 0).cloned().collect();
            if number % 3 == 2 {
                let builder = new(&format!("d{number}"), "builtin:tree");
                let builder = references.into_iter().fold(
                    builder,
                    cairn_store_path::derivation::DerivationBuilder::input_src,
                );
                let builder = match made.last() {
                    Some(last) if random(2) == 0 => uses(builder, last, "out"),
                    _ => builder,
                };
                let one = builder.build(known).unwrap();
                store.write_derivation(&one.derivation).unwrap();
                if random(3) > 0 {
                    realise(&store, &[&one]).unwrap();
                    texts.push(out(&one));
                }
                made.push(one);
            } else {
                let name = format!("t{number}");
                texts.push(store.add_text(&name, name.as_bytes(), &references).unwrap());
            }
        }
        let derivations = made.iter().map(|made| &made.path);
        for (number, path) in texts.iter().chain(derivations).enumerate() {
            if random(9) == 0 {
                store.add_root(&format!("root-{number}"), path).unwrap();
            }
        }
        drop(store);
        let dead = ours(&plan(&root));
        assert_eq!(dead, theirs(&root), "round {round}");
        collect_and_check(&root, &dead);
    }
}

#[test]
fn nix_adds_while_we_collect_and_keeps_what_it_added() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let store = Store::open(&root).unwrap();
    for name in ["one", "two"] {
        store
            .add_text(name, name.as_bytes(), &BTreeSet::new())
            .unwrap();
    }
    let file = folder.path().join("wanted");
    fs::write(&file, "wanted").unwrap();
    let wanted = store.add_tree("wanted", &file).unwrap();
    let below = store.add_text(
        "below",
        wanted.to_string().as_bytes(),
        &BTreeSet::from([wanted.clone()]),
    );
    below.unwrap();
    drop(store);
    let store = Store::open(&root).unwrap();
    fs::write(store.store_dir().join("odd"), "x").unwrap();
    let asked = Cell::new(false);
    store
        .collect_garbage(None, &|_| {
            // Left-overs go first: no object is gone yet, and all locks of a collection are held.
            if !asked.replace(true) {
                let said = nix_says(&root, "nix-store", &["--add", file.to_str().unwrap()]);
                assert_eq!(said.trim(), wanted.to_string());
            }
        })
        .unwrap();
    assert!(asked.get());
    assert!(
        store.is_valid(&wanted).unwrap(),
        "Nix was told that it is there"
    );
    assert_eq!(store.verify_closure(&wanted).unwrap(), []);
    let left = common::names(&store.store_dir());
    assert_eq!(left, [".links", wanted.base_name()]);
}

#[test]
fn we_add_while_nix_collects_and_keep_what_we_added() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let store = Store::open(&root).unwrap();
    let one = store.add_text("one", b"one", &BTreeSet::new()).unwrap();
    let other = store.add_text("other", b"other", &BTreeSet::new()).unwrap();
    drop(store);
    // Nix reads this file, if the variable is set, between its roots and its first removal.
    let gate = folder.path().join("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let home = root.join("home");
    fs::create_dir_all(&home).unwrap();
    let collector = Command::new("nix-store")
        .args(["--gc", "--store"])
        .arg(&root)
        .args(["--option", "build-users-group", ""])
        .env("HOME", &home)
        .env("NIX_CONF_DIR", &home)
        .env("_NIX_TEST_GC_SYNC", &gate)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Opened for writing as soon as Nix reads.
    let held = fs::OpenOptions::new().write(true).open(&gate).unwrap();
    wait_for("the socket of Nix", || {
        root.join("nix/var/nix/gc-socket/socket").exists()
    });
    let store = Store::open(&root).unwrap();
    assert_eq!(
        store.add_text("one", b"one", &BTreeSet::new()).unwrap(),
        one
    );
    drop(held);
    let ended = collector.wait_with_output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert!(store.is_valid(&one).unwrap() && store.real_path(&one).exists());
    assert!(!store.is_valid(&other).unwrap());
}
