//! Builders and derivations that the tests share.

#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use cairn_store::{BuildError, Builders, Job, Quiet, Store};
use cairn_store_path::StorePath;
use cairn_store_path::derivation::{DerivationBuilder, Instantiated};

/// Builders for tests: each is a few lines of what real ones do.
pub fn builders() -> Builders {
    let mut builders = Builders::new();
    builders.insert("builtin:text", |job: &Job<'_>| {
        Ok::<(), BuildError>(fs::write(job.output(), job.env("text")?)?)
    });
    builders.insert("builtin:tree", |job: &Job<'_>| tree(job));
    builders.insert("builtin:fail", |_: &Job<'_>| {
        Err::<(), BuildError>("on purpose".into())
    });
    builders.insert("builtin:panic", |_: &Job<'_>| -> Result<(), BuildError> {
        panic!("on purpose")
    });
    builders.insert("builtin:nothing", |_: &Job<'_>| Ok::<(), BuildError>(()));
    builders.insert("builtin:socket", |job: &Job<'_>| {
        fs::create_dir(job.output())?;
        std::os::unix::net::UnixListener::bind(job.output().join("s"))?;
        Ok::<(), BuildError>(())
    });
    builders.insert("builtin:fill", |job: &Job<'_>| {
        fs::create_dir(job.output())?;
        for number in 0..job.env("blocks")?.parse::<u32>()? {
            let file = job.output().join(format!("{number}"));
            let written = fs::write(&file, vec![1; 1 << 16]);
            written.map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        }
        Ok::<(), BuildError>(())
    });
    // Counts its calls in a file outside, then waits for a file.
    builders.insert("builtin:wait", |job: &Job<'_>| {
        let folder = Path::new(job.env("folder")?);
        fs::create_dir(job.output())?;
        fs::write(job.output().join("half"), "half")?;
        let marker = folder.join(format!(
            "called-{}-{}",
            std::process::id(),
            job.output_path().name()
        ));
        fs::write(marker, "")?;
        wait_for("the go file", || folder.join("go").exists());
        fs::write(job.output().join("done"), "done")?;
        Ok::<(), BuildError>(())
    });
    builders
}

/// All kinds of files, references to every input, and one to itself in `out`.
fn tree(job: &Job<'_>) -> Result<(), BuildError> {
    for name in job.derivation().outputs.keys() {
        let output = job.output_named(name)?;
        fs::create_dir_all(output.join("bin"))?;
        fs::write(output.join("bin/run"), "#!/bin/sh\n")?;
        let mode = fs::Permissions::from_mode(0o6755);
        fs::set_permissions(output.join("bin/run"), mode)?;
        fs::write(output.join("empty"), "")?;
        fs::write(output.join("grüße \u{1f680}"), "odd name")?;
        symlink("../nowhere", output.join("bin/link"))?;
        for (index, input) in job.inputs().enumerate() {
            symlink(input.to_path_buf(), output.join(format!("input-{index}")))?;
            assert!(job.real(&input.to_string())?.symlink_metadata().is_ok());
        }
        assert!(job.scratch().is_dir());
    }
    fs::write(
        job.output().join("self"),
        format!("{}/bin/run", job.output_path()),
    )?;
    fs::set_permissions(job.output().join("bin"), fs::Permissions::from_mode(0o700))?;
    Ok(())
}

pub fn new(name: &str, builder: &str) -> DerivationBuilder {
    DerivationBuilder::new(name, "builtin", builder).env("format", "1")
}

pub fn uses(builder: DerivationBuilder, input: &Instantiated, output: &str) -> DerivationBuilder {
    builder
        .env(
            format!("{}-{output}", input.derivation.name),
            input.derivation.output(output).unwrap().to_string(),
        )
        .input_drv(input.path.clone(), output)
}

pub fn out(made: &Instantiated) -> StorePath {
    made.derivation.output("out").unwrap().clone()
}

pub fn realise(store: &Store, wanted: &[&Instantiated]) -> Result<(), cairn_store::RealiseError> {
    let paths: Vec<StorePath> = wanted.iter().map(|made| made.path.clone()).collect();
    store.realise(&paths, &builders(), &Quiet).map(drop)
}

/// Runs one of Nix's programs on the store at `root`.
pub fn nix(root: &Path, program: &str, args: &[&str]) -> Output {
    let home = root.join("home");
    fs::create_dir_all(&home).unwrap();
    Command::new(program)
        .args(args)
        .arg("--store")
        .arg(root)
        .args(["--option", "build-users-group", ""])
        .args(["--option", "experimental-features", "nix-command"])
        .env("HOME", &home)
        .env("NIX_CONF_DIR", &home)
        .env_remove("NIX_REMOTE")
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; apt-get install nix-bin"))
}

/// What it prints, after checking that it succeeded.
pub fn nix_says(root: &Path, program: &str, args: &[&str]) -> String {
    let output = nix(root, program, args);
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(
            begin.elapsed() < Duration::from_mins(1),
            "no {what} in a minute"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

pub fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

pub fn builds(store_root: &Path) -> PathBuf {
    store_root.join("nix/var/nix/builds")
}
