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
fn a_generation_is_added_chosen_and_removed_in_steps_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let text = |text: &str| {
        store
            .add_text("t", text.as_bytes(), &BTreeSet::new())
            .unwrap()
    };
    let listed = || -> Vec<(u64, bool)> {
        let generations = store.generations("system").unwrap();
        let seen = generations.iter();
        seen.map(|entry| (entry.number, entry.current)).collect()
    };
    let (one, two) = (text("1"), text("2"));
    for (path, number) in [(&one, 1), (&one, 1), (&two, 2), (&two, 2), (&one, 3)] {
        let added = store.add_generation("system", path).unwrap();
        assert_eq!(
            (added.number, &added.path, added.current),
            (number, path, false)
        );
    }
    assert_eq!(listed(), [(1, false), (2, false), (3, false)]);
    for _ in 0..2 {
        store.set_current("system", 2).unwrap();
        assert_eq!(listed(), [(1, false), (2, true), (3, false)]);
    }
    let error = store.set_current("system", 9).unwrap_err().to_string();
    assert_eq!(
        error,
        "there is no generation 9 of 'system'; there are 1, 2, 3"
    );
    let error = store.set_current("other", 1).unwrap_err().to_string();
    assert_eq!(error, "there is no generation 1 of 'other'; there are none");

    let error = store.remove_generations("system", &[1, 2]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "cannot remove generation 2 of 'system': the profile points to it"
    );
    assert_eq!(listed().len(), 3, "none was removed");
    let removed = store.remove_generations("system", &[1, 7, 3]).unwrap();
    let removed: Vec<u64> = removed.iter().map(|entry| entry.number).collect();
    assert_eq!(removed, [1, 3]);
    assert_eq!(listed(), [(2, true)]);
    assert_eq!(store.add_generation("system", &one).unwrap().number, 3);

    // Neither the number of the current one, nor one below a higher one.
    let profiles = store.state_dir().join("profiles");
    fs::remove_file(profiles.join("system-2-link")).unwrap();
    fs::remove_file(profiles.join("system-3-link")).unwrap();
    assert_eq!(store.add_generation("system", &one).unwrap().number, 3);
    assert!(store.remove_generations("system", &[2]).is_err());
}

#[test]
fn what_a_killed_process_left_of_a_profile_goes_and_other_links_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let one = store.add_text("t", b"1", &BTreeSet::new()).unwrap();
    let profiles = store.state_dir().join("profiles");
    let names = [
        "system-4-link.tmp-77-0",
        "system.tmp-77-1",
        "system-x-link.tmp-77-2",
        "other.tmp-77-3",
    ];
    for name in names {
        std::os::unix::fs::symlink(one.to_path_buf(), profiles.join(name)).unwrap();
    }
    store.set_profile("system", &one).unwrap();
    let mut left: Vec<_> = fs::read_dir(&profiles)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let kept = [
        "other.tmp-77-3",
        "system",
        "system-1-link",
        "system-x-link.tmp-77-2",
    ];
    assert_eq!(left, kept, "the lock's file is gone, too");
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
