//! Running programs, above all the one under test, and the build that most tests start from.

use std::ffi::OsString;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use cairn::Place;
use cairn_debian::{Lock, LockedPackage};
use cairn_store_path::Sha256;

use super::scratch;

/// The folder with `cairn`, `cairn-init` and `cairn-core`: that of release builds, unless `CAIRN_PROGRAMS` names
/// another.
pub fn programs() -> PathBuf {
    let folder = std::env::var_os("CAIRN_PROGRAMS").map_or_else(release_folder, PathBuf::from);
    for name in ["cairn", "cairn-init", "cairn-core"] {
        assert!(
            folder.join(name).exists(),
            "no {name} in {}; cargo xtask build",
            folder.display()
        );
    }
    folder
}

fn release_folder() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("x86_64-unknown-linux-gnu/release")
}

/// Where one build has everything.
#[derive(Debug, Clone)]
pub struct Site {
    pub configuration: PathBuf,
    pub store: PathBuf,
    pub cache: PathBuf,
    pub lock: PathBuf,
}

impl Site {
    /// A store and a cache in `folder`; packages and lock are those of the shared build.
    pub fn new(folder: &Path) -> Self {
        let demo = demo();
        let site = Self {
            configuration: demo.site.configuration.clone(),
            store: folder.join("store"),
            cache: folder.join("cache"),
            lock: demo.site.lock.clone(),
        };
        fs::create_dir_all(&site.cache).unwrap();
        symlink(demo.downloads(), site.cache.join("debian")).unwrap();
        site
    }

    /// The arguments that build the demo's image here.
    pub fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["image", "disk", "-c"].map(OsString::from).into();
        arguments.push(self.configuration.clone().into());
        arguments.extend(self.options());
        arguments
    }

    /// The options that every verb with a configuration takes. A lock that is there stays as it is:
    /// nothing is asked of the network.
    pub fn options(&self) -> Vec<OsString> {
        let mut options = Vec::new();
        for (option, path) in [
            ("--store", &self.store),
            ("--cache", &self.cache),
            ("--lock", &self.lock),
        ] {
            options.extend([option.into(), path.clone().into()]);
        }
        if self.lock.exists() {
            options.push("--locked".into());
        }
        options
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(programs().join("cairn"));
        command.args(self.arguments());
        command
    }

    /// Builds, and gives the image's path.
    pub fn build(&self) -> PathBuf {
        image_of(&self.command().output().unwrap())
    }
}

/// The path that a successful run prints.
pub fn image_of(output: &Output) -> PathBuf {
    PathBuf::from(text_of(output).trim_end())
}

/// What a successful run writes to its standard output.
pub fn text_of(output: &Output) -> String {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {complaint}", output.status);
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The one error line of a failed run.
pub fn error_of(output: &Output) -> String {
    let complaint = String::from_utf8(output.stderr.clone()).unwrap();
    assert!(!output.status.success(), "it succeeded: {complaint}");
    let errors: Vec<&str> = complaint
        .lines()
        .filter(|line| line.starts_with("cairn: ") && !line.starts_with("cairn: warn: "))
        .collect();
    assert_eq!(errors.len(), 1, "{}: {complaint}", output.status);
    errors[0].to_owned()
}

/// Runs a program that must succeed; gives what it writes.
pub fn say(program: &str, prepare: impl FnOnce(&mut Command)) -> String {
    let mut command = Command::new(program);
    prepare(&mut command);
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}; cargo xtask installs it"));
    assert!(output.status.success(), "{command:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The build that is there for all tests.
pub struct Demo {
    pub site: Site,
    pub image: PathBuf,
    _in_use: File,
}

impl Demo {
    /// The cache of packages.
    pub fn downloads(&self) -> PathBuf {
        self.site.cache.join("debian")
    }

    /// The files of the lock's packages: each one's digest, and where it lies. Packages that have nothing but
    /// dependencies may never have been needed.
    pub fn downloaded(&self) -> Vec<(Sha256, PathBuf)> {
        let folder = self.downloads().join("sha256");
        let file =
            |package: &LockedPackage| (package.sha256, folder.join(package.sha256.to_base16()));
        let files = self.lock().packages().iter().map(file).collect::<Vec<_>>();
        let (there, missing): (Vec<_>, Vec<_>) =
            files.into_iter().partition(|(_, path)| path.exists());
        assert!(missing.len() * 20 < there.len(), "{missing:?}");
        there
    }

    pub fn lock(&self) -> Lock {
        Lock::parse(&fs::read_to_string(&self.site.lock).unwrap()).unwrap()
    }
}

/// Built by the first test that asks, from nothing but downloads. Not removed afterwards: the
/// next run begins with that.
pub fn demo() -> &'static Demo {
    static DEMO: OnceLock<Demo> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-image");
        let in_use = File::create(folder.with_extension("lock")).unwrap();
        in_use.lock().unwrap();
        scratch::remove(&folder);
        let site = Site {
            configuration: Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("../examples/demo/configuration.nix"),
            store: folder.join("store"),
            cache: folder.join("cache"),
            lock: folder.join("demo.lock"),
        };
        fs::create_dir_all(&site.cache).unwrap();
        let shared = Place::new(None, None).unwrap().cache;
        fs::create_dir_all(shared.join("debian")).unwrap();
        symlink(shared.join("debian"), site.cache.join("debian")).unwrap();
        let known = shared.join("locks/demo.lock");
        if known.exists() {
            fs::copy(known, &site.lock).unwrap();
        }
        complete_lock(&site, &folder.join("first"));
        Demo {
            image: site.build(),
            site,
            _in_use: in_use,
        }
    })
}

/// Locks all that the image asks for, in a store of its own: the evaluations that find out what is
/// missing leave derivations behind, and the stores of tests are compared.
fn complete_lock(site: &Site, elsewhere: &Path) {
    let mut command = Command::new(programs().join("cairn"));
    command
        .args(["build", "--dry-run", "-c"])
        .arg(&site.configuration);
    command.arg("--store").arg(elsewhere.join("store"));
    command.arg("--cache").arg(&site.cache);
    command.arg("--lock").arg(&site.lock);
    command.arg("config.system.build.toplevel");
    for part in ["bios", "tools", "uefi"] {
        command.arg(format!("config.system.build.grub.{part}"));
    }
    for kind in ["ami", "iso", "netboot", "tarball"] {
        command.arg(format!("config.system.build.images.{kind}.toplevel"));
    }
    for part in ["shim", "helpers", "grub"] {
        let signed = "config.system.build.images.iso.facts.grub.secureBoot";
        command.arg(format!("{signed}.{part}"));
    }
    text_of(&command.output().unwrap());
    scratch::remove(elsewhere);
}
