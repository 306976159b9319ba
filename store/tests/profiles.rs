//! Roots and generations.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use cairn_store::Store;
use cairn_store_path::StorePath;

#[test]
fn generations_count_up_and_the_profile_points_to_the_last_one_set() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let text = |text: &str| {
        store
            .add_text("t", text.as_bytes(), &BTreeSet::new())
            .unwrap()
    };
    let (one, two) = (text("1"), text("2"));
    assert_eq!(store.generations("system").unwrap(), []);
    for (path, number) in [(&one, 1), (&two, 2), (&two, 2), (&one, 3)] {
        let generation = store.set_profile("system", path).unwrap();
        assert_eq!((generation.number, &generation.path), (number, path));
    }
    let listed = store.generations("system").unwrap();
    let seen: Vec<_> = listed
        .iter()
        .map(|entry| (entry.number, entry.current))
        .collect();
    assert_eq!(seen, [(1, false), (2, false), (3, true)]);
    let profiles = store.state_dir().join("profiles");
    assert_eq!(
        fs::read_link(profiles.join("system")).unwrap(),
        Path::new("system-3-link")
    );
    let link = fs::read_link(profiles.join("system-2-link")).unwrap();
    assert_eq!(link, two.to_path_buf());
    assert_eq!(store.generations("syst").unwrap(), []);

    let missing = StorePath::new([1; 20], "missing").unwrap();
    let error = store
        .set_profile("system", &missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("is not in the store at"), "{error}");
    for name in ["", "..", "a/b", ".x", "ä"] {
        assert!(store.set_profile(name, &one).is_err(), "{name}");
    }
}

#[test]
fn roots_stay_below_their_folder_and_are_replaced_in_one_step() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let one = store.add_text("t", b"1", &BTreeSet::new()).unwrap();
    let two = store.add_text("t", b"2", &BTreeSet::new()).unwrap();
    for name in ["", "..", "../x", "a/../../x", "/x", "a//b", "./a"] {
        assert!(store.add_root(name, &one).is_err(), "{name}");
    }
    let link = store.add_root("demo/image", &one).unwrap();
    assert_eq!(link, store.state_dir().join("gcroots/demo/image"));
    store.add_root("demo/image", &two).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), two.to_path_buf());
    assert_eq!(fs::read_dir(link.parent().unwrap()).unwrap().count(), 1);
}

#[test]
fn names_below_objects_have_real_places() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let one = store.add_text("t", b"1", &BTreeSet::new()).unwrap();
    let real = store.real_path_of(&format!("{one}/a/b")).unwrap();
    assert_eq!(real, store.real_path(&one).join("a/b"));
    for text in [
        format!("{one}/../x"),
        "/etc/passwd".to_owned(),
        "/nix/store".to_owned(),
    ] {
        assert!(store.real_path_of(&text).is_err(), "{text}");
    }
}

#[test]
fn other_schemas_and_unknown_references_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let missing = StorePath::new([1; 20], "missing").unwrap();
    let error = store
        .add_text("t", b"1", &BTreeSet::from([missing]))
        .unwrap_err()
        .to_string();
    assert!(error.contains("-missing is not in the store at"), "{error}");
    let schema = store.state_dir().join("db/schema");
    drop(store);
    fs::write(&schema, "").unwrap();
    drop(Store::open(folder.path()).unwrap());
    assert_eq!(fs::read_to_string(&schema).unwrap(), "10");
    fs::write(&schema, "11").unwrap();
    let error = Store::open(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("has schema '11', this program knows '10'"),
        "{error}"
    );
}
