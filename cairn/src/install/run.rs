//! Running the commands of a plan.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::program;

use super::answers::Secret;
use super::commands::{Input, Invocation};

/// How long the kernel may take to make the nodes of new partitions.
const NODES: Duration = Duration::from_secs(30);

/// Debian's package that has each tool.
const PACKAGES: [(&str, &str); 9] = [
    ("blkid", "util-linux"),
    ("btrfs", "btrfs-progs"),
    ("cryptsetup", "cryptsetup-bin"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.vfat", "dosfstools"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkswap", "util-linux"),
    ("sfdisk", "fdisk"),
];

/// Runs a command; what it writes is shown if it fails.
///
/// # Errors
/// The program is not there, or fails.
pub fn run(step: &Invocation, passphrase: Option<&Secret>) -> Result<()> {
    let Some((program, arguments)) = step.words.split_first() else {
        bail!("there is no command");
    };
    let input = match &step.input {
        Input::Nothing => "",
        Input::Text(text) => text,
        Input::Passphrase => passphrase
            .context("the disk is to be encrypted, and there is no passphrase")?
            .reveal(),
    };
    log::info!("{}", step.words.join(" "));
    let mut command = program::command(program);
    let output = program::run(command.args(arguments), input.as_bytes(), missing)?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}; {}",
        step.words.join(" "),
        output.status,
        said(&output.stderr, &output.stdout)
    );
    Ok(())
}

fn missing(program: &str) -> String {
    let known = PACKAGES.iter().find(|(name, _)| *name == program);
    match known {
        Some((_, package)) => format!("cannot run {program}; it is in Debian's package {package}"),
        None => format!("cannot run {program}"),
    }
}

/// The last line that says something, of either stream.
fn said(first: &[u8], second: &[u8]) -> String {
    let last = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let line = text.lines().rfind(|line| !line.trim().is_empty());
        line.map(|line| line.trim().to_owned())
    };
    last(first)
        .or_else(|| last(second))
        .unwrap_or_else(|| "it said nothing".to_owned())
}

/// Waits until a device has its node.
///
/// # Errors
/// It does not get one.
pub fn wait_for(node: &Path) -> Result<()> {
    let begin = Instant::now();
    while !node.exists() {
        ensure!(
            begin.elapsed() < NODES,
            "the kernel has not made '{}'; something else may use the disk",
            node.display()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Fails, with what is missing, if a program is not there.
///
/// # Errors
/// It is not.
pub fn ensure_there<'a>(programs: impl IntoIterator<Item = &'a str>) -> Result<()> {
    for program in programs {
        let found = program::find(program).is_some();
        ensure!(found, "{}; nothing was written", missing(program));
    }
    Ok(())
}
