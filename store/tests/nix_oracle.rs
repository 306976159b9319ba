//! Real Nix on our stores, and we on its.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use cairn_store::{Store, write_database};
use cairn_store_path::StorePath;
use cairn_store_path::derivation::{Instantiated, ModuloHashes};
use common::{names, new, nix, nix_says, out, realise, uses};

/// A store with texts, a tree, derivations with one and several outputs, and what they make.
fn filled(root: &Path) -> (Store, Vec<Instantiated>) {
    let store = Store::open(root).unwrap();
    let text = store
        .add_text("notes.txt", "hello, wörld\n".as_bytes(), &BTreeSet::new())
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let sources = folder.path().join("tree");
    fs::create_dir_all(sources.join("sub/empty")).unwrap();
    fs::write(sources.join("sub/run"), "run").unwrap();
    fs::set_permissions(sources.join("sub/run"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(sources.join("odd"), [0, 255, 10]).unwrap();
    symlink("sub/run", sources.join("link")).unwrap();
    let source = store.add_tree("source", &sources).unwrap();

    let known = &mut ModuloHashes::new();
    let one = new("one", "builtin:text")
        .env("text", "first")
        .build(known)
        .unwrap();
    let two = uses(new("two", "builtin:tree"), &one, "out")
        .input_src(text)
        .input_src(source)
        .outputs(["out", "doc"])
        .build(known)
        .unwrap();
    let three = uses(new("three", "builtin:tree"), &two, "doc")
        .build(known)
        .unwrap();
    let four = uses(
        uses(new("four", "builtin:tree"), &three, "out"),
        &two,
        "out",
    )
    .build(known)
    .unwrap();
    let all = vec![one, two, three, four];
    store
        .write_derivations(all.iter().map(|made| &made.derivation))
        .unwrap();
    realise(&store, &[&all[3]]).unwrap();
    (store, all)
}

#[test]
fn nix_verifies_the_store_and_sees_the_same_graph() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let (store, all) = filled(&root);
    let top = out(&all[3]);
    let verify = nix(&root, "nix-store", &["--verify", "--check-contents"]);
    assert!(verify.status.success(), "{verify:?}");
    let said = String::from_utf8_lossy(&verify.stderr).into_owned();
    assert!(
        !said.contains("error") && !said.contains("modified"),
        "{said}"
    );

    let closure = store.closure(std::slice::from_ref(&top)).unwrap();
    let said = nix_says(&root, "nix", &["path-info", "-rS", &top.to_string()]);
    let mut lines: Vec<_> = said
        .lines()
        .map(|line| {
            let mut words = line.split_whitespace();
            let path: StorePath = words.next().unwrap().parse().unwrap();
            (path, words.next().unwrap().parse::<u64>().unwrap())
        })
        .collect();
    lines.sort();
    let ours: Vec<_> = closure
        .iter()
        .map(|path| {
            let infos = store.closure_infos(std::slice::from_ref(path)).unwrap();
            (path.clone(), infos.iter().map(|info| info.nar_size).sum())
        })
        .collect();
    assert_eq!(lines, ours);
    assert!(closure.len() >= 5, "{closure:?}");

    for path in &closure {
        for (question, answer) in [
            ("--references", store.references(path).unwrap()),
            ("--referrers", store.referrers(path).unwrap()),
        ] {
            let text = nix_says(&root, "nix-store", &["-q", question, &path.to_string()]);
            let mut theirs: Vec<StorePath> =
                text.lines().map(|line| line.parse().unwrap()).collect();
            theirs.sort();
            assert_eq!(theirs, answer, "{question} {path}");
        }
        let info = store.info(path).unwrap();
        let hash = nix_says(&root, "nix-store", &["-q", "--hash", &path.to_string()]);
        assert_eq!(hash.trim(), format!("sha256:{}", info.nar_hash.to_nix32()));
        let deriver = nix_says(&root, "nix-store", &["-q", "--deriver", &path.to_string()]);
        let ours = info
            .deriver
            .map_or("unknown-deriver".to_owned(), |path| path.to_string());
        assert_eq!(deriver.trim(), ours);
    }
    let outputs = nix_says(
        &root,
        "nix-store",
        &["-q", "--outputs", &all[1].path.to_string()],
    );
    let ours: BTreeSet<String> = all[1]
        .derivation
        .outputs
        .values()
        .map(|out| out.path.to_string())
        .collect();
    assert_eq!(
        outputs.lines().map(str::to_owned).collect::<BTreeSet<_>>(),
        ours
    );
}

#[test]
fn exports_are_those_of_nix() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let (store, all) = filled(&root);
    let text = nix_says(
        &root,
        "nix-store",
        &["-qR", &out(&all[3]).to_string(), &all[3].path.to_string()],
    );
    let paths: Vec<StorePath> = text.lines().map(|line| line.parse().unwrap()).collect();
    let mut args = vec!["--export"];
    args.extend(text.lines());
    let theirs = nix(&root, "nix-store", &args);
    assert!(theirs.status.success(), "{theirs:?}");
    let mut ours = Vec::new();
    store.export(&paths, &mut ours).unwrap();
    assert!(
        ours == theirs.stdout,
        "{} {}",
        ours.len(),
        theirs.stdout.len()
    );
    assert!(paths.len() > 8);
}

#[test]
fn the_tables_are_those_of_nix() {
    let folder = tempfile::tempdir().unwrap();
    let theirs = folder.path().join("theirs");
    nix_says(&theirs, "nix-store", &["--init"]);
    let ours = folder.path().join("ours");
    drop(Store::open(&ours).unwrap());
    let image = folder.path().join("image");
    write_database(&image, &[]).unwrap();
    let schema = |root: &Path| {
        let connection = rusqlite::Connection::open(root.join("nix/var/nix/db/db.sqlite")).unwrap();
        let mut query = connection
            .prepare("select type, name, tbl_name, sql from sqlite_master order by rowid")
            .unwrap();
        let rows = query.query_map([], |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get::<_, String>(1)?,
                row.get::<_, String>(2)?,
                row.get::<_, Option<String>>(3)?,
            ))
        });
        rows.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    let expected = schema(&theirs);
    assert!(expected.len() > 8);
    assert_eq!(schema(&ours), expected);
    assert_eq!(schema(&image), expected);
    let version = |root: &Path| fs::read(root.join("nix/var/nix/db/schema")).unwrap();
    assert_eq!(version(&ours), version(&theirs));
    assert_eq!(version(&image), version(&theirs));
}

#[test]
fn we_use_a_store_that_nix_made_and_nix_goes_on_with_ours() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let sources = folder.path().join("tree");
    fs::create_dir_all(sources.join("a/b")).unwrap();
    fs::write(sources.join("a/b/c"), "content").unwrap();
    symlink("b", sources.join("a/l")).unwrap();
    let theirs = nix_says(&root, "nix-store", &["--add", sources.to_str().unwrap()]);
    let theirs: StorePath = theirs.trim().parse().unwrap();
    let store = Store::open(&root).unwrap();
    let before = store.info(&theirs).unwrap();
    assert_eq!(store.add_tree("tree", &sources).unwrap(), theirs);
    assert_eq!(store.info(&theirs).unwrap(), before, "added once");
    assert_eq!(before.content_address, {
        let fixed = cairn_store_path::FixedOutput::sha256(
            cairn_store_path::Method::Recursive,
            before.nar_hash,
        );
        Some(fixed.content_address())
    });
    let text = store
        .add_text("t", b"text", &BTreeSet::from([theirs.clone()]))
        .unwrap();
    fs::write(folder.path().join("more"), "more").unwrap();
    let more = folder.path().join("more");
    let added = nix_says(&root, "nix-store", &["--add", more.to_str().unwrap()]);
    let added: StorePath = added.trim().parse().unwrap();
    assert!(
        store.is_valid(&added).unwrap(),
        "seen without opening again"
    );
    assert_eq!(store.add_tree("more", &more).unwrap(), added);
    assert_eq!(store.references(&text).unwrap(), [theirs]);
    nix_says(&root, "nix-store", &["--verify", "--check-contents"]);
}

#[test]
fn roots_and_generations_keep_what_they_name_from_nix_s_collector() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let (store, all) = filled(&root);
    store.add_root("cairn/three", &out(&all[2])).unwrap();
    store.set_profile("system", &out(&all[0])).unwrap();
    drop(store);
    nix_says(&root, "nix-store", &["--gc"]);
    let left = names(&root.join("nix/store"));
    for kept in [out(&all[2]), out(&all[0])] {
        assert!(
            left.contains(&kept.base_name().to_owned()),
            "{kept} {left:?}"
        );
    }
    assert!(!left.contains(&out(&all[3]).base_name().to_owned()));
}

#[test]
fn the_database_of_an_image_is_one_for_nix_and_the_same_twice() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    let (store, all) = filled(&root);
    let mut infos = store.closure_infos(&[out(&all[3])]).unwrap();
    let image = folder.path().join("one");
    write_database(&image, &infos).unwrap();
    infos.reverse();
    for info in &mut infos {
        info.registration_time += 7;
    }
    let again = folder.path().join("two");
    write_database(&again, &infos).unwrap();
    let bytes = |root: &Path| fs::read(root.join("nix/var/nix/db/db.sqlite")).unwrap();
    assert!(bytes(&image) == bytes(&again), "not deterministic");
    assert!(write_database(&image, &infos).is_err(), "would overwrite");
    assert_eq!(
        names(&image.join("nix/var/nix/db")),
        ["db.sqlite", "schema"]
    );

    fs::create_dir(image.join("nix/store")).unwrap();
    for info in &infos {
        let status = std::process::Command::new("cp")
            .arg("-a")
            .arg(store.real_path(&info.path))
            .arg(image.join("nix/store"))
            .status();
        assert!(status.unwrap().success());
    }
    let verify = nix(&image, "nix-store", &["--verify", "--check-contents"]);
    assert!(verify.status.success(), "{verify:?}");
    let all_paths = nix_says(&image, "nix", &["path-info", "--all"]);
    assert_eq!(all_paths.lines().count(), infos.len());

    let incomplete = folder.path().join("three");
    let error = write_database(&incomplete, &infos[..1]).map_err(|error| error.to_string());
    assert!(
        error.is_err_and(|error| error.contains("not included")) || infos[0].references.is_empty()
    );
}
