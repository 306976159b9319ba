//! The images that are booted here: configurations, built by the command as people build them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use cairn::Place;
use serde::Deserialize;

use crate::artefacts;
use crate::blueprint::DirectKernel;

/// A service that ignores SIGTERM; it is not started at boot.
pub const STUBBORN: &str = "stubborn";
/// A service that counts, and goes on while user space starts again; it is not started at boot.
pub const LASTING: &str = "lasting";
/// A service that exits at once, for ever; it is not started at boot.
pub const CRASHING: &str = "crashing";
/// A service that sleeps, and is restarted whatever happens.
pub const SLEEPER: &str = "sleeper";

/// Root's password in the demo.
pub const ROOT_PASSWORD: &str = "cairn";
/// The label of the demo's root file system.
pub const ROOT_LABEL: &str = "cairn-root";

/// Where builds take things from and put them.
#[derive(Debug, Clone)]
pub struct BuildOptions {
    /// Store and cache.
    pub place: Place,
    /// Folder of the lock files: not the checkout's, which stays as it is.
    pub locks: PathBuf,
    /// A mirror in place of the host's.
    pub mirror: Option<String>,
    /// Resolve again although there is a lock.
    pub update: bool,
}

/// A built image, as the command tells of it.
#[derive(Debug, Clone, Deserialize)]
pub struct Built {
    /// The system's toplevel, a path of the store.
    pub toplevel: String,
    /// The disk image.
    pub image: PathBuf,
    /// Each step of the build in its order.
    pub steps: Vec<Step>,
}

/// One step of a build.
#[derive(Debug, Clone, Deserialize)]
pub struct Step {
    /// What was done.
    pub name: String,
    /// How long it took.
    pub milliseconds: u64,
}

impl Step {
    /// How long it took.
    #[must_use]
    pub fn took(&self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}

/// The folder with `cairn`, `cairn-init`, `cairn-core` and `cairn-test-agent`: that of release builds, unless
/// `CAIRN_PROGRAMS` names another.
#[must_use]
pub fn programs() -> PathBuf {
    if let Some(folder) = env::var_os("CAIRN_PROGRAMS") {
        return PathBuf::from(folder);
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    target.join("x86_64-unknown-linux-gnu/release")
}

/// Store and cache in the user's folders, the lock files in the cache.
///
/// # Errors
/// `HOME` is not set.
pub fn options() -> anyhow::Result<BuildOptions> {
    let place = Place::new(None, None)?;
    Ok(BuildOptions {
        locks: place.cache.join("locks"),
        place,
        mirror: None,
        update: false,
    })
}

/// The configuration of the example called `name`.
#[must_use]
pub fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name)
        .join("configuration.nix")
}

/// The configuration that `qemu-tests/configurations/NAME.nix` makes of the tests' agent and key.
///
/// # Errors
/// The file cannot be written, or `ssh-keygen` is missing.
pub fn with_agent(name: &str) -> anyhow::Result<PathBuf> {
    with_agent_and(name, &[])
}

/// As [`with_agent`], where the configuration is given further files by name.
///
/// # Errors
/// As for [`with_agent`].
pub fn with_agent_and(name: &str, files: &[(&str, &Path)]) -> anyhow::Result<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations");
    let source = folder.join(name).with_extension("nix");
    let source = source
        .canonicalize()
        .with_context(|| format!("cannot find {}", source.display()))?;
    let key = ssh_key()?.with_extension("pub");
    let key = fs::read_to_string(&key).with_context(|| format!("cannot read {}", key.display()))?;
    let agent = programs().join("cairn-test-agent");
    let agent = agent.canonicalize().with_context(|| {
        format!(
            "cannot find {}; build it with `cargo build --release --package cairn-test-agent`",
            agent.display()
        )
    })?;
    let files: Vec<String> = files
        .iter()
        .map(|(name, file)| format!("  {name} = {};\n", string(&file.display().to_string())))
        .collect();
    let files = files.concat();
    let text = format!(
        "import {} {{\n  agent = {};\n  key = {};\n{files}}}\n",
        string(&source.display().to_string()),
        string(&agent.display().to_string()),
        string(key.trim())
    );
    let folder = artefacts::root()?.join("configurations");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let file = folder.join(name).with_extension("nix");
    // The same text again leaves the file alone: several tests may begin at once.
    if fs::read_to_string(&file).ok().as_ref() != Some(&text) {
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(file)
}

/// A string of the Nix language; `import` takes an absolute path as one.
fn string(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace("${", "\\${")
    )
}

/// The command with `verb`, and the options that every verb with a configuration takes; the lock
/// file is the one called `name`.
#[must_use]
pub fn command(verb: &[&str], name: &str, file: &Path, options: &BuildOptions) -> Command {
    let mut command = Command::new(programs().join("cairn"));
    command.args(verb).arg("--configuration").arg(file);
    command.arg("--store").arg(&options.place.store);
    command.arg("--cache").arg(&options.place.cache);
    let lock = options.locks.join(name).with_extension("lock");
    command.arg("--lock").arg(lock);
    if let Some(mirror) = &options.mirror {
        command.arg("--mirror").arg(mirror);
    }
    if options.update {
        command.arg("--update");
    }
    command
}

/// Builds the disk image of a configuration, or finds it built.
///
/// # Errors
/// The command fails; it has said why on standard error.
pub fn build(name: &str, file: &Path, options: &BuildOptions) -> anyhow::Result<Built> {
    build_image("disk", name, file, options)
}

/// Builds the image of a configuration in a format of the command's, or finds it built.
///
/// # Errors
/// The command fails; it has said why on standard error.
pub fn build_image(
    format: &str,
    name: &str,
    file: &Path,
    options: &BuildOptions,
) -> anyhow::Result<Built> {
    built_by(
        &mut command(&["image", format, "--json"], name, file, options),
        file,
    )
}

/// As [`build_image`], with the image at `output` too.
///
/// # Errors
/// As there.
pub fn build_to(
    format: &str,
    name: &str,
    file: &Path,
    options: &BuildOptions,
    output: &Path,
) -> anyhow::Result<Built> {
    let mut command = command(&["image", format, "--json"], name, file, options);
    built_by(command.arg("--output").arg(output), file)
}

fn built_by(command: &mut Command, file: &Path) -> anyhow::Result<Built> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !output.status.success() {
        bail!("cannot build {}: {}", file.display(), output.status);
    }
    serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cannot read what {command:?} wrote"))
}

/// Builds the demo's image, or finds it built.
///
/// # Errors
/// Whatever step fails.
pub fn build_demo(options: &BuildOptions) -> anyhow::Result<Built> {
    build("demo", &example("demo"), options)
}

/// Builds the tests' image, or finds it built; its key for SSH is [`ssh_key`].
///
/// # Errors
/// Whatever step fails; or `ssh-keygen` is missing.
pub fn build_test(options: &BuildOptions) -> anyhow::Result<Built> {
    build("test", &with_agent("test")?, options)
}

/// The kernel, initrd and command line of a built system, from the store that built it: boots the
/// system without firmware and boot loader. `more` is added to the command line.
///
/// # Errors
/// The toplevel lacks one of them.
pub fn direct_kernel(
    options: &BuildOptions,
    built: &Built,
    more: &str,
) -> anyhow::Result<DirectKernel> {
    let root = &options.place.store;
    let init = format!("{}/init", built.toplevel);
    let toplevel = root.join(built.toplevel.trim_start_matches('/'));
    let inside = |name: &str| -> anyhow::Result<PathBuf> {
        let mut path = toplevel.join(name);
        // A link in the store names a path below /nix/store, which is not this host's.
        while let Ok(target) = fs::read_link(&path) {
            path = match target.strip_prefix("/") {
                Ok(relative) => root.join(relative),
                Err(_) => path.with_file_name(target),
            };
        }
        anyhow::ensure!(
            path.is_file(),
            "cannot find {name} in {}",
            toplevel.display()
        );
        Ok(path)
    };
    let file = toplevel.join("kernel-params");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(DirectKernel {
        kernel: inside("kernel")?,
        initrd: Some(inside("initrd")?),
        command_line: format!("{words} init={init} {more}"),
    })
}

/// The private key that opens test images: made once, so that the image stays the same.
///
/// # Errors
/// `ssh-keygen` is missing or fails.
pub fn ssh_key() -> anyhow::Result<PathBuf> {
    let folder = artefacts::root()?;
    let key = folder.join("ssh-key");
    if key.exists() {
        return Ok(key);
    }
    // Made under another name, so that what exists is whole.
    let temporary = tempfile::tempdir_in(&folder)
        .with_context(|| format!("cannot create a folder in {}", folder.display()))?;
    let made = temporary.path().join("ssh-key");
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "cairn tests", "-f"])
        .arg(&made)
        .status()
        .context("cannot run ssh-keygen; install it: apt-get install openssh-client")?;
    if !status.success() {
        bail!("cannot make a key for SSH: ssh-keygen ended with {status}");
    }
    for (from, to) in [
        (made.with_extension("pub"), key.with_extension("pub")),
        (made, key.clone()),
    ] {
        fs::rename(&from, &to).with_context(|| format!("cannot create {}", to.display()))?;
    }
    Ok(key)
}
