//! Garbage collection from outside: what goes, what stays, limits, kills, and others at work.

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
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use cairn_store::{Garbage, Store};
use cairn_store_path::StorePath;
use cairn_store_path::derivation::ModuloHashes;
use common::{names, new, out, realise, uses};

/// Adds a text that refers to `references`.
fn text(store: &Store, name: &str, references: &[&StorePath]) -> StorePath {
    let references: BTreeSet<StorePath> = references.iter().copied().cloned().collect();
    let text: Vec<String> = references.iter().map(ToString::to_string).collect();
    store
        .add_text(
            name,
            (name.to_owned() + &text.join("\n")).as_bytes(),
            &references,
        )
        .unwrap()
}

/// The names of what is removed, hashes left out.
fn names_of(garbage: &Garbage) -> (Vec<String>, Vec<String>) {
    let names = |removals: &[cairn_store::Removal]| {
        removals
            .iter()
            .map(|removal| {
                let name = removal.path.file_name().unwrap().to_str().unwrap();
                let name = name.strip_prefix(".new-").unwrap_or(name);
                name.split_once('-')
                    .map_or(name, |(_, name)| name)
                    .to_owned()
            })
            .collect()
    };
    (names(&garbage.objects), names(&garbage.left_overs))
}

/// Opens the store anew: what the last one kept for itself is free.
fn reopened(store: Store) -> Store {
    let root = store.root().to_owned();
    drop(store);
    Store::open(&root).unwrap()
}

fn collect(store: &Store) -> Garbage {
    store.collect_garbage(None, &|_| {}).unwrap()
}

/// Every registered object is whole, and nothing else is there.
fn check_whole(store: &Store, expected: &[&StorePath]) {
    let mut expected: Vec<&str> = expected.iter().map(|path| path.base_name()).collect();
    expected.sort_unstable();
    let mut found = names(&store.store_dir());
    // Nix makes it when it looks.
    found.retain(|name| name != ".links");
    assert_eq!(found, expected);
    for name in expected {
        let path = StorePath::from_base_name(name).unwrap();
        assert_eq!(store.verify_closure(&path).unwrap(), []);
    }
}

#[test]
fn what_a_root_needs_stays_and_the_rest_goes_referrers_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let base = text(&store, "base", &[]);
    let kept = text(&store, "kept", &[&base]);
    let lower = text(&store, "lower", &[&base]);
    let upper = text(&store, "upper", &[&lower, &kept]);
    store.add_root("kept", &kept).unwrap();
    assert_eq!(
        store.garbage(&BTreeSet::new()).unwrap(),
        Garbage::default(),
        "who added them still uses them"
    );

    let store = reopened(store);
    fs::write(store.store_dir().join("odd"), "x").unwrap();
    let half = StorePath::new([7; 20], "half").unwrap();
    fs::create_dir_all(store.real_path(&half).join("deep")).unwrap();
    fs::write(store.real_path(&half).join("deep/file"), [1; 9000]).unwrap();
    fs::write(
        store.store_dir().join(format!("{}.lock", half.base_name())),
        "",
    )
    .unwrap();
    fs::create_dir(store.store_dir().join(format!(".new-{}", half.base_name()))).unwrap();

    let plan = store.garbage(&BTreeSet::new()).unwrap();
    let expected = (
        vec!["upper".to_owned(), "lower".to_owned()],
        ["half", "half", "half.lock", "odd"]
            .map(str::to_owned)
            .to_vec(),
    );
    let (mut objects, mut left_overs) = names_of(&plan);
    left_overs.sort();
    assert_eq!((objects, left_overs), expected);
    assert!(plan.bytes() >= 12 * 1024, "{plan:?}");
    assert_eq!(
        store.garbage(&BTreeSet::new()).unwrap(),
        plan,
        "a plan changes nothing"
    );

    let seen = Cell::new(0);
    let done = store
        .collect_garbage(None, &|removal| seen.set(seen.get() + removal.bytes))
        .unwrap();
    (objects, left_overs) = names_of(&done);
    left_overs.sort();
    assert_eq!(objects, expected.0);
    assert_eq!(left_overs.len(), 4, "{left_overs:?}");
    assert_eq!(done.bytes(), plan.bytes());
    assert_eq!(seen.get(), plan.bytes());
    check_whole(&store, &[&base, &kept]);
    for gone in [&upper, &lower] {
        assert!(!store.is_valid(gone).unwrap());
    }
    assert_eq!(collect(&store), Garbage::default(), "nothing is left to do");
    assert!(!store.state_dir().join("gc-socket/socket").exists());
}

#[test]
fn generations_keep_their_objects_until_their_links_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let paths: Vec<StorePath> = (1..=3)
        .map(|number| text(&store, &format!("system-{number}"), &[]))
        .collect();
    for path in &paths {
        store.set_profile("system", path).unwrap();
    }
    let store = reopened(store);
    assert_eq!(store.garbage(&BTreeSet::new()).unwrap(), Garbage::default());
    let profiles = store.state_dir().join("profiles");
    let without = BTreeSet::from([
        profiles.join("system-1-link"),
        profiles.join("system-2-link"),
    ]);
    let (mut objects, _) = names_of(&store.garbage(&without).unwrap());
    objects.sort();
    assert_eq!(objects, ["system-1", "system-2"]);
    store.remove_generations("system", &[1]).unwrap();
    assert_eq!(names_of(&collect(&store)).0, ["system-1"]);
    check_whole(&store, &[&paths[1], &paths[2]]);
}

#[test]
fn what_processes_use_stays() {
    let busybox = Path::new("/bin/busybox");
    assert!(
        busybox.exists(),
        "/bin/busybox is missing: apt-get install busybox-static"
    );
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("r")).unwrap();
    let tree = folder.path().join("tools");
    fs::create_dir(&tree).unwrap();
    fs::copy(busybox, tree.join("busybox")).unwrap();
    let tools = store.add_tree("tools", &tree).unwrap();
    let open = text(&store, "open", &[]);
    let named = text(&store, "named", &[]);
    let unused = text(&store, "unused", &[]);
    let store = reopened(store);
    let mut child = Command::new(store.real_path(&tools).join("busybox"))
        .arg("cat")
        .stdin(std::process::Stdio::piped())
        .stderr(fs::File::open(store.real_path(&open)).unwrap())
        .stdout(std::process::Stdio::null())
        .env("NEEDED", format!("x:{named}/bin"))
        .spawn()
        .unwrap();
    assert_eq!(names_of(&collect(&store)).0, ["unused"]);
    assert!(!store.is_valid(&unused).unwrap());
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let (mut objects, _) = names_of(&collect(&store));
    objects.sort();
    assert_eq!(objects, ["named", "open", "tools"]);
}

#[test]
fn a_derivation_stays_as_long_as_what_it_made() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let known = &mut ModuloHashes::new();
    let one = new("one", "builtin:text")
        .env("text", "1")
        .build(known)
        .unwrap();
    let two = uses(new("two", "builtin:tree"), &one, "out")
        .build(known)
        .unwrap();
    store
        .write_derivations([&one.derivation, &two.derivation])
        .unwrap();
    realise(&store, &[&two]).unwrap();
    store.add_root("two", &out(&two)).unwrap();
    let store = reopened(store);
    assert_eq!(collect(&store), Garbage::default());
    fs::remove_file(store.state_dir().join("gcroots/two")).unwrap();
    let done = collect(&store);
    assert_eq!(done.objects.len(), 4, "{done:?}");
    check_whole(&store, &[]);
}

#[test]
fn a_limit_ends_the_collection_with_a_whole_store() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let mut last = None;
    for number in 0..100 {
        let name = format!("o{number}");
        let references: Vec<&StorePath> = last.iter().collect();
        last = Some(text(&store, &name, &references));
    }
    let store = reopened(store);
    let plan = store.garbage(&BTreeSet::new()).unwrap();
    let each = plan.objects[0].bytes;
    assert!(each > 0);
    let done = store.collect_garbage(Some(each * 10), &|_| {}).unwrap();
    assert_eq!(done.objects.len(), 10, "one needs the other");
    assert_eq!(names_of(&done).0[0], "o99");
    assert_eq!(names(&store.store_dir()).len(), 90);
    for name in names(&store.store_dir()) {
        let path = StorePath::from_base_name(&name).unwrap();
        assert!(store.is_valid(&path).unwrap());
    }
    assert_eq!(
        store.collect_garbage(Some(0), &|_| {}).unwrap(),
        Garbage::default()
    );
    assert_eq!(collect(&store).objects.len(), 90);
}

#[test]
fn hard_links_are_counted_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("r")).unwrap();
    let trees: Vec<StorePath> = ["a", "b"]
        .iter()
        .map(|name| {
            let tree = folder.path().join(name);
            fs::create_dir(&tree).unwrap();
            fs::write(tree.join("big"), vec![7; 1 << 20]).unwrap();
            fs::write(tree.join(name), name).unwrap();
            store.add_tree(name, &tree).unwrap()
        })
        .collect();
    common::nix_says(store.root(), "nix-store", &["--optimise"]);
    let shared = store.store_dir().join(".links");
    let store = reopened(store);
    store.add_root("a", &trees[0]).unwrap();
    let store = reopened(store);
    let plan = store.garbage(&BTreeSet::new()).unwrap();
    assert_eq!(names_of(&plan), (vec!["b".to_owned()], vec![]));
    assert!(plan.bytes() < 1 << 20, "the other keeps it: {plan:?}");
    assert_eq!(collect(&store), plan);
    fs::remove_file(store.state_dir().join("gcroots/a")).unwrap();
    let plan = store.garbage(&BTreeSet::new()).unwrap();
    assert!(plan.bytes() >= 1 << 20, "{plan:?}");
    assert_eq!(collect(&store), plan);
    assert_eq!(names(&shared), Vec::<String>::new());
}

#[test]
fn a_root_that_cannot_be_read_keeps_everything() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = text(&store, "t", &[]);
    let store = reopened(store);
    let odd = store.state_dir().join("gcroots/odd");
    symlink(format!("/{}", "x".repeat(300)), &odd).unwrap();
    let error = store.collect_garbage(None, &|_| {}).unwrap_err();
    assert!(
        error.to_string().contains("cannot read the root"),
        "{error}"
    );
    assert!(store.is_valid(&path).unwrap());
    fs::remove_file(odd).unwrap();
    assert_eq!(collect(&store).objects.len(), 1);
}

const KILLED: &str = "CAIRN_TEST_COLLECT_KILLED";

/// After how many removals the collector ends itself.
const ABORTED: &str = "CAIRN_TEST_COLLECT_ABORTED";

/// Fills a store: chains of trees, so that much has to go in order.
fn fill(root: &Path, sources: &Path) -> StorePath {
    let store = Store::open(root).unwrap();
    fs::create_dir_all(sources).unwrap();
    for number in 0..20 {
        fs::write(sources.join(format!("f{number}")), vec![1; 5000]).unwrap();
    }
    for chain in 0..6 {
        fs::write(sources.join("chain"), format!("{chain}")).unwrap();
        let mut last = store.add_tree(&format!("tree{chain}"), sources).unwrap();
        for number in 0..10 {
            last = text(&store, &format!("c{chain}-{number}"), &[&last]);
        }
    }
    let kept = text(&store, "kept", &[]);
    store.add_root("kept", &kept).unwrap();
    kept
}

#[test]
fn killed_anywhere_it_leaves_a_whole_store_and_the_next_one_finishes() {
    if let Some(root) = std::env::var_os(KILLED) {
        let store = Store::open(root.as_ref()).unwrap();
        println!("begin");
        let left = Cell::new(std::env::var(ABORTED).unwrap().parse::<u64>().unwrap());
        let done = store.collect_garbage(None, &|_| {
            left.set(left.get() - 1);
            if left.get() == 0 {
                std::process::abort();
            }
        });
        done.unwrap();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("r");
    // The first rounds end at a certain removal; of the others, each delay is one more point at which
    // the kill can hit, and whether it does is left to chance.
    for (round, removals) in [1, 30, 64, 65, u64::MAX, u64::MAX, u64::MAX]
        .into_iter()
        .enumerate()
    {
        let kept = fill(&root, &folder.path().join("sources"));
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "killed_anywhere_it_leaves_a_whole_store_and_the_next_one_finishes",
                "--nocapture",
            ])
            .env(KILLED, &root)
            .env(ABORTED, removals.to_string())
            .stderr(std::process::Stdio::null())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("begin") {
            assert!(std::io::BufRead::read_line(&mut said, &mut line).unwrap() > 0);
        }
        if removals == u64::MAX {
            let delay = 4 * (round * round) as u64;
            std::thread::sleep(std::time::Duration::from_millis(delay));
            child.kill().unwrap();
            child.wait().unwrap();
        } else {
            let status = child.wait().unwrap();
            assert_eq!(status.signal(), Some(6), "round {round}");
        }
        let verify = common::nix(&root, "nix-store", &["--verify", "--check-contents"]);
        let stderr = String::from_utf8_lossy(&verify.stderr);
        assert!(
            verify.status.success() && !stderr.contains("disappeared") && !stderr.contains("error"),
            "round {round}: {stderr}"
        );
        let store = Store::open(&root).unwrap();
        collect(&store);
        check_whole(&store, &[&kept]);
    }
}

const FULL: &str = "CAIRN_TEST_COLLECT_FULL";

#[test]
fn a_full_disk_can_be_collected() {
    let name = "a_full_disk_can_be_collected";
    let Some(root) = std::env::var_os(FULL) else {
        let folder = tempfile::tempdir().unwrap();
        let script = format!(
            "mount -t tmpfs -o size=24m none \"${FULL}\" && exec \"$0\" --exact {name} --nocapture"
        );
        let output = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .arg(std::env::current_exe().unwrap())
            .env(FULL, folder.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        return;
    };
    let root = Path::new(&root);
    let store = Store::open(root).unwrap();
    let needed = text(&store, "needed", &[]);
    store.set_profile("system", &needed).unwrap();
    store.set_current("system", 1).unwrap();
    for number in 0..100 {
        text(&store, &format!("o{number}"), &[]);
    }
    drop(store);
    let filler = fs::File::create(root.join("filler")).unwrap();
    let error = std::io::copy(&mut std::io::repeat(1), &mut &filler).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    Store::open(root).unwrap_err();
    cairn_store::free_reserve(root).unwrap();
    let store = Store::open(root).unwrap();
    assert_eq!(collect(&store).objects.len(), 100);
    check_whole(&store, &[&needed]);
}

#[test]
fn others_build_while_it_collects_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    drop(Store::open(root).unwrap());
    let (building, added) = (AtomicUsize::new(3), AtomicUsize::new(0));
    let removed = AtomicUsize::new(0);
    let failed = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for builder in 0..3 {
            let (building, added, failed) = (&building, &added, &failed);
            scope.spawn(move || {
                let work = std::panic::catch_unwind(|| {
                    for round in 0..8 {
                        let store = Store::open(root).unwrap();
                        let mut made: Vec<StorePath> = Vec::new();
                        for number in 0..12 {
                            // All builders want the same, and some that are their own.
                            let name = match number % 3 {
                                0 => format!("own-{builder}-{}", (round + number) % 7),
                                _ => format!("all-{}", (round + number) % 5),
                            };
                            let references: Vec<&StorePath> = made.last().into_iter().collect();
                            made.push(text(&store, &name, &references));
                            added.fetch_add(1, Ordering::Relaxed);
                            for path in &made {
                                assert!(store.is_valid(path).unwrap(), "{path} is lost");
                                let damaged = store.verify_closure(path).unwrap();
                                assert_eq!(damaged, []);
                            }
                        }
                    }
                });
                if work.is_err() {
                    failed.store(true, Ordering::Relaxed);
                }
                building.fetch_sub(1, Ordering::Relaxed);
            });
        }
        let (building, removed) = (&building, &removed);
        for _ in 0..2 {
            scope.spawn(move || {
                let store = Store::open(root).unwrap();
                while building.load(Ordering::Relaxed) > 0 {
                    let done = collect(&store);
                    removed.fetch_add(done.objects.len(), Ordering::Relaxed);
                }
            });
        }
    });
    assert!(!failed.load(Ordering::Relaxed));
    assert_eq!(added.load(Ordering::Relaxed), 3 * 8 * 12);
    assert!(removed.load(Ordering::Relaxed) > 0, "nothing was collected");
    let store = Store::open(root).unwrap();
    collect(&store);
    check_whole(&store, &[]);
    assert_eq!(names(&store.state_dir().join("temproots")).len(), 0);
}

#[test]
fn a_collection_waits_as_long_as_it_is_held_off() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let path = text(&store, "t", &[]);
    let store = reopened(store);
    let held = store.hold_collections().unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let done = collect(&Store::open(folder.path()).unwrap());
            ended.store(true, Ordering::Relaxed);
            done
        });
        store.keep([&path]).unwrap();
        assert!(!ended.load(Ordering::Relaxed));
        drop(held);
        assert_eq!(collector.join().unwrap(), Garbage::default());
    });
    assert!(store.is_valid(&path).unwrap());
}
