//! Runs cargo, the same one that runs this program.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// The target that `.cargo/config.toml` names.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The workspace's folder.
pub fn workspace() -> PathBuf {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
    ours.parent().unwrap_or(ours).to_owned()
}

/// What property tests draw from, unless the environment names another: a run must not fail for what
/// the one before was spared. `cargo test` alone draws anew each time.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "20261128");

/// A cargo command in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo"));
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(workspace());
    draw_the_same(&mut command);
    // Cargo has told them of the program that runs here. Build scripts that ask for them would run again,
    // and all that depends on them, whenever somebody has called cargo by hand in between.
    for (name, _) in env::vars_os() {
        let of_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(of_package) {
            command.env_remove(name);
        }
    }
    command
}

/// Has the property tests of a program draw the same each time.
pub fn draw_the_same(command: &mut Command) {
    let (name, seed) = SEED;
    if env::var_os(name).is_none() {
        command.env(name, seed);
    }
}

/// Runs it; its output goes to the terminal.
pub fn run(mut command: Command) -> anyhow::Result<()> {
    let shown: Vec<_> = command
        .get_args()
        .map(|word| word.to_string_lossy())
        .collect();
    let shown = format!("{} {}", command.get_program().display(), shown.join(" "));
    let status = command
        .status()
        .with_context(|| format!("cannot run {shown}"))?;
    if !status.success() {
        bail!("`{shown}` ended with {status}");
    }
    Ok(())
}

/// Runs it and returns what it writes.
pub fn output(mut command: Command) -> anyhow::Result<String> {
    let shown = command.get_program().display().to_string();
    let output = command
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run {shown}"))?;
    if !output.status.success() {
        bail!("cannot run {shown}: it ended with {}", output.status);
    }
    String::from_utf8(output.stdout).with_context(|| format!("{shown} wrote no UTF-8"))
}

/// Where cargo puts the programs of a profile.
pub fn output_folder(profile: &str) -> PathBuf {
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from);
    target.join(TARGET).join(profile)
}
