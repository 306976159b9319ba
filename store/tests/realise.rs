//! Building: in parallel, once, with the right errors, killed, and on a full disk.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail as tests do"
)]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::Mutex;

use cairn_store::{Event, Observer, RealiseError, Store};
use cairn_store_path::derivation::{Instantiated, ModuloHashes};
use cairn_store_path::{Method, Sha256, StorePath};
use common::{builders, builds, names, new, nix_says, out, realise, uses, wait_for};

struct Fixture {
    folder: tempfile::TempDir,
    store: Store,
    known: ModuloHashes,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("r")).unwrap();
        Self {
            folder,
            store,
            known: ModuloHashes::new(),
        }
    }

    fn write(&mut self, builder: cairn_store_path::derivation::DerivationBuilder) -> Instantiated {
        let made = builder.build(&mut self.known).unwrap();
        assert_eq!(
            self.store.write_derivation(&made.derivation).unwrap(),
            made.path
        );
        made
    }

    fn fails(&mut self, builder: cairn_store_path::derivation::DerivationBuilder) -> RealiseError {
        let made = self.write(builder);
        let error = realise(&self.store, &[&made]).unwrap_err();
        for output in made.derivation.outputs.values() {
            assert!(!self.store.is_valid(&output.path).unwrap());
            assert!(!self.store.real_path(&output.path).exists());
        }
        error
    }
}

#[derive(Default)]
struct Log(Mutex<Vec<String>>);

impl Observer for Log {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::Planned { builds } => format!("planned {builds}"),
            Event::Cached { derivation } => format!("cached {}", derivation.name()),
            Event::Started { derivation } => format!("started {}", derivation.name()),
            Event::Finished {
                derivation,
                nar_size,
                ..
            } => format!("finished {} {}", derivation.name(), *nar_size > 0),
            Event::Failed { derivation } => format!("failed {}", derivation.name()),
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn inputs_come_first_and_what_is_there_is_not_built_again() {
    let mut fixture = Fixture::new();
    let one = fixture.write(new("one", "builtin:text").env("text", "1"));
    let two = fixture.write(uses(new("two", "builtin:tree"), &one, "out"));
    let log = Log::default();
    let wanted = [two.path.clone()];
    let made = fixture.store.realise(&wanted, &builders(), &log).unwrap();
    assert_eq!(made[&two.path]["out"], out(&two));
    let first = log.0.into_inner().unwrap();
    assert_eq!(
        first,
        [
            "planned 2",
            "started one.drv",
            "finished one.drv true",
            "started two.drv",
            "finished two.drv true"
        ]
    );
    let log = Log::default();
    fixture.store.realise(&wanted, &builders(), &log).unwrap();
    assert_eq!(log.0.into_inner().unwrap(), ["cached two.drv", "planned 0"]);
}

#[test]
fn outputs_are_canonical_and_their_references_found() {
    let mut fixture = Fixture::new();
    let one = fixture.write(new("one", "builtin:text").env("text", "1"));
    let two = fixture.write(uses(new("two", "builtin:tree"), &one, "out"));
    realise(&fixture.store, &[&two]).unwrap();
    let real = fixture.store.real_path(&out(&two));
    let mut seen = Vec::new();
    let mut folders = vec![real.clone()];
    while let Some(folder) = folders.pop() {
        let metadata = fs::symlink_metadata(&folder).unwrap();
        let name = folder.strip_prefix(&real).unwrap().display().to_string();
        if !metadata.is_symlink() {
            seen.push(format!(
                "{:o} {} {name}",
                metadata.mode() & 0o7777,
                metadata.mtime()
            ));
        }
        assert_eq!(metadata.mtime(), 1, "{name}");
        if metadata.is_dir() {
            folders.extend(names(&folder).iter().map(|name| folder.join(name)));
        }
    }
    seen.sort();
    assert_eq!(
        seen,
        [
            "444 1 empty",
            "444 1 grüße \u{1f680}",
            "444 1 self",
            "555 1 ",
            "555 1 bin",
            "555 1 bin/run"
        ]
    );
    let info = fixture.store.info(&out(&two)).unwrap();
    assert_eq!(info.references, BTreeSet::from([out(&one), out(&two)]));
    assert_eq!(info.deriver, Some(two.path));
}

#[test]
fn failures_name_the_derivation_and_leave_nothing() {
    let mut fixture = Fixture::new();
    for (builder, part) in [
        ("builtin:fail", "on purpose"),
        ("builtin:panic", "has a bug and panicked: on purpose"),
        ("builtin:nothing", "did not create the output 'out'"),
        ("builtin:socket", "it is a socket; only files, folders"),
        (
            "builtin:none",
            "there is no builder 'builtin:none'; known are builtin:fail, ",
        ),
    ] {
        let error = fixture.fails(new("bad", builder)).to_string();
        assert!(
            error.contains(part) && error.contains("-bad.drv"),
            "{error}"
        );
    }
    let workspace = builds(fixture.store.root());
    drop(fixture.store);
    assert_eq!(names(&workspace), Vec::<String>::new());
}

#[test]
fn what_was_built_before_a_failure_stays() {
    let mut fixture = Fixture::new();
    let good = fixture.write(new("good", "builtin:text").env("text", "1"));
    let bad = fixture.write(uses(new("bad", "builtin:fail"), &good, "out"));
    let never = fixture.write(uses(
        new("never", "builtin:text").env("text", ""),
        &bad,
        "out",
    ));
    assert!(realise(&fixture.store, &[&never]).is_err());
    assert!(fixture.store.is_valid(&out(&good)).unwrap());
    assert!(!fixture.store.is_valid(&out(&never)).unwrap());
}

#[test]
fn fixed_outputs_are_checked() {
    let mut fixture = Fixture::new();
    let text = |hash: &str, method| {
        new("fixed", "builtin:text")
            .env("text", "content")
            .fixed_sha256(method, Sha256::of(hash.as_bytes()))
    };
    let good = fixture.write(text("content", Method::Flat));
    realise(&fixture.store, &[&good]).unwrap();
    let root = fixture.store.root().to_owned();
    nix_says(&root, "nix-store", &["--verify", "--check-contents"]);
    let info = fixture.store.info(&out(&good)).unwrap();
    assert!(info.content_address.unwrap().starts_with("fixed:sha256:"));
    let recursive = new("fixed", "builtin:text")
        .env("text", "content")
        .fixed_sha256(Method::Recursive, info.nar_hash);
    let recursive = fixture.write(recursive);
    realise(&fixture.store, &[&recursive]).unwrap();

    for method in [Method::Flat, Method::Recursive] {
        let error = fixture.fails(text("other", method)).to_string();
        assert!(
            error.contains("made something else than promised"),
            "{error}"
        );
    }
    let good = fixture.write(new("input", "builtin:text").env("text", "1"));
    let reference = new("refers", "builtin:text")
        .env("text", out(&good).to_string())
        .input_drv(good.path.clone(), "out")
        .fixed_sha256(Method::Flat, Sha256::of(out(&good).to_string().as_bytes()));
    let error = fixture.fails(reference).to_string();
    assert!(error.contains("must not refer to other objects"), "{error}");
}

#[test]
fn lost_files_are_built_again_and_unregistered_ones_replaced() {
    let mut fixture = Fixture::new();
    let one = fixture.write(new("one", "builtin:tree"));
    let real = fixture.store.real_path(&out(&one));
    fs::create_dir(&real).unwrap();
    fs::write(real.join("junk"), "half a build").unwrap();
    realise(&fixture.store, &[&one]).unwrap();
    assert!(!real.join("junk").exists());
    let info = fixture.store.info(&out(&one)).unwrap();
    assert!(
        Command::new("chmod")
            .args(["-R", "u+w"])
            .arg(&real)
            .status()
            .unwrap()
            .success()
    );
    fs::remove_dir_all(&real).unwrap();
    realise(&fixture.store, &[&one]).unwrap();
    assert_eq!(
        fixture.store.info(&out(&one)).unwrap().nar_hash,
        info.nar_hash
    );
    assert!(real.join("self").exists());
}

#[test]
fn inputs_must_be_declared() {
    let mut fixture = Fixture::new();
    let one = fixture.write(new("one", "builtin:text").env("text", "1"));
    realise(&fixture.store, &[&one]).unwrap();
    let mut builders = builders();
    let stolen = out(&one).to_string();
    builders.insert("builtin:steal", move |job: &cairn_store::Job<'_>| {
        job.real(&stolen)?;
        Ok::<(), cairn_store::BuildError>(())
    });
    let thief = fixture.write(new("thief", "builtin:steal"));
    let error = fixture
        .store
        .realise(&[thief.path], &builders, &cairn_store::Quiet)
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is not an input of the derivation"),
        "{error}"
    );
}

/// Runs this test program again, for the one test `name`, with the store in the environment.
fn again(name: &str, root: &Path, derivation: &StorePath) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", name, "--ignored", "--nocapture"])
        .env("CAIRN_TEST_STORE", root)
        .env("CAIRN_TEST_DERIVATION", derivation.to_string());
    command
}

#[test]
#[ignore = "the other process of the tests below; they run it"]
fn other_process() {
    let root = std::env::var("CAIRN_TEST_STORE").unwrap();
    let derivation: StorePath = std::env::var("CAIRN_TEST_DERIVATION")
        .unwrap()
        .parse()
        .unwrap();
    let store = Store::open(root.as_ref()).unwrap();
    store
        .realise(&[derivation], &builders(), &cairn_store::Quiet)
        .unwrap();
}

fn calls(folder: &Path) -> usize {
    names(folder)
        .iter()
        .filter(|name| name.starts_with("called"))
        .count()
}

#[test]
fn a_killed_build_leaves_only_what_the_next_one_removes() {
    let mut fixture = Fixture::new();
    let signals = fixture.folder.path().join("signals");
    fs::create_dir(&signals).unwrap();
    let text = signals.to_str().unwrap();
    let slow = fixture.write(new("slow", "builtin:wait").env("folder", text));
    let root = fixture.store.root().to_owned();
    let mut child: Child = again("other_process", &root, &slow.path).spawn().unwrap();
    wait_for("build", || calls(&signals) == 1);
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!names(&builds(&root)).is_empty(), "it had begun");
    assert!(!fixture.store.is_valid(&out(&slow)).unwrap());
    assert!(!fixture.store.real_path(&out(&slow)).exists());

    drop(Store::open(&root).unwrap());
    let left = names(&builds(&root));
    let own = format!("{}-", std::process::id());
    assert!(left.iter().all(|name| name.starts_with(&own)), "{left:?}");
    fs::write(signals.join("go"), "").unwrap();
    realise(&fixture.store, &[&slow]).unwrap();
    nix_says(&root, "nix-store", &["--verify", "--check-contents"]);
    let objects = names(&root.join("nix/store"));
    assert!(
        objects
            .iter()
            .all(|name| name.strip_suffix(".lock").is_none()),
        "{objects:?}"
    );
}

#[test]
fn two_processes_do_not_build_the_same_thing() {
    let mut fixture = Fixture::new();
    let signals = fixture.folder.path().join("signals");
    fs::create_dir(&signals).unwrap();
    let text = signals.to_str().unwrap();
    let slow = fixture.write(new("slow", "builtin:wait").env("folder", text));
    let root = fixture.store.root().to_owned();
    let mut one = again("other_process", &root, &slow.path).spawn().unwrap();
    wait_for("build", || calls(&signals) == 1);
    let mut two = again("other_process", &root, &slow.path).spawn().unwrap();
    // Long enough for the second to come to the lock; if it does not, the test proves less.
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::write(signals.join("go"), "").unwrap();
    assert!(one.wait().unwrap().success());
    assert!(two.wait().unwrap().success());
    assert_eq!(calls(&signals), 1);
    assert!(fixture.store.is_valid(&out(&slow)).unwrap());
}

#[test]
fn a_full_disk_is_named_and_a_second_try_works() {
    let script = "mount -t tmpfs -o size=12m none \"$0\" && exec \"$1\" --exact on_a_small_disk \
                  --ignored --nocapture";
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .env("CAIRN_TEST_STORE", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
#[ignore = "needs a small file system of its own; the test above makes it"]
fn on_a_small_disk() {
    let root = std::env::var("CAIRN_TEST_STORE").unwrap();
    let root = Path::new(&root);
    let store = Store::open(root).unwrap();
    let known = &mut ModuloHashes::new();
    let small = new("small", "builtin:text")
        .env("text", "1")
        .build(known)
        .unwrap();
    let large = uses(new("large", "builtin:fill"), &small, "out")
        .env("blocks", "60")
        .build(known)
        .unwrap();
    store
        .write_derivations([&small.derivation, &large.derivation])
        .unwrap();
    let ballast = root.join("ballast");
    fs::write(&ballast, vec![1; 10 << 20]).unwrap();
    let error = realise(&store, &[&large]).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(
        error.contains("/outputs/") && error.contains("-large/"),
        "{error}"
    );
    assert!(store.is_valid(&out(&small)).unwrap());
    assert!(!store.is_valid(&out(&large)).unwrap());
    assert!(!store.real_path(&out(&large)).exists());

    let tree = std::env::temp_dir().join(format!("cairn-full-{}", std::process::id()));
    fs::create_dir(&tree).unwrap();
    fs::write(tree.join("big"), vec![2; 4 << 20]).unwrap();
    symlink("big", tree.join("link")).unwrap();
    let error = store.add_tree("tree", &tree).unwrap_err().to_string();
    assert!(
        error.contains("No space left") && error.contains("big"),
        "{error}"
    );

    fs::remove_file(&ballast).unwrap();
    realise(&store, &[&large]).unwrap();
    store.add_tree("tree", &tree).unwrap();
    fs::remove_dir_all(&tree).unwrap();
    drop(store);
    assert_eq!(names(&builds(root)), Vec::<String>::new());
    nix_says(root, "nix-store", &["--verify", "--check-contents"]);
}

#[test]
fn many_derivations_on_many_threads() {
    let mut fixture = Fixture::new();
    let mut all: Vec<Instantiated> = Vec::new();
    for number in 0..60_usize {
        let mut builder = new(&format!("node-{number}"), "builtin:tree");
        for input in [number / 2, number / 3]
            .iter()
            .filter(|input| **input < number)
        {
            builder = uses(builder, &all[*input], "out");
        }
        all.push(builder.build(&mut fixture.known).unwrap());
    }
    let derivations = all.iter().map(|made| &made.derivation);
    fixture.store.write_derivations(derivations).unwrap();
    let wanted: Vec<StorePath> = all.iter().map(|made| made.path.clone()).collect();
    let log = Log::default();
    fixture
        .store
        .realise_on(8, &wanted, &builders(), &log)
        .unwrap();
    let lines = log.0.into_inner().unwrap();
    assert_eq!(
        lines
            .iter()
            .filter(|line| line.starts_with("finished"))
            .count(),
        60
    );
    let closure = fixture.store.closure(&[out(&all[59])]).unwrap();
    assert!(closure.contains(&out(&all[0])));
    nix_says(
        fixture.store.root(),
        "nix-store",
        &["--verify", "--check-contents"],
    );
}
