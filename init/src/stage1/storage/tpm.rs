//! A key that a TPM2 keeps, taken out of it by Debian's `tpm2`. What the program is told is in
//! [`cairn_system::tpm2`].
//!
//! Invariants: the key is in the memory of this process and of the program's alone; what the program has left, in
//! the TPM and in files, goes when it is done.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use cairn_sys::secret::Secret;
use cairn_system::tpm2::{self, Call, SealedKey};

use super::super::tool::{Ended, Tool};

const PROGRAM: &str = "/bin/tpm2";
/// Where the program keeps its place between two calls: in the initrd's own memory.
const FOLDER: &str = "/tmp/tpm2";

/// Whether there is a TPM.
pub fn is_there() -> bool {
    Path::new(tpm2::DEVICE).exists()
}

/// Has the TPM open a key, for a PIN if it needs one: the passphrase of its slot.
///
/// # Errors
/// Why it does not.
pub fn open(key: &SealedKey, pin: Option<&Secret>) -> anyhow::Result<Secret> {
    let made = DirBuilder::new().mode(0o700).create(FOLDER);
    made.with_context(|| format!("cannot make {FOLDER}"))?;
    let opened = open_in(key, pin);
    for call in tpm2::closing(FOLDER) {
        if let Err(error) = run(&call, &mut drop_output) {
            log::info!("the TPM keeps what it was given: {error:#}");
        }
    }
    if let Err(error) = fs::remove_dir_all(FOLDER) {
        log::warn!("cannot remove {FOLDER}: {error}");
    }
    opened
}

fn open_in(key: &SealedKey, pin: Option<&Secret>) -> anyhow::Result<Secret> {
    for (name, content) in [(tpm2::PRIVATE, key.private()), (tpm2::PUBLIC, key.public())] {
        let path = Path::new(FOLDER).join(name);
        let written = fs::write(&path, content);
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    for call in tpm2::opening(key, FOLDER) {
        succeed(key, &call, &mut drop_output)?;
    }
    let mut sealed = Secret::new();
    let mut fits = true;
    let password = pin.map(|pin| tpm2::password_of(pin.as_bytes()));
    let unseal = tpm2::unseal(FOLDER, password.as_deref());
    succeed(key, &unseal, &mut |bytes| {
        fits &= bytes.iter().all(|byte| sealed.push(*byte));
    })?;
    let mut passphrase = Secret::new();
    fits &= tpm2::base64(sealed.as_bytes()).all(|digit| passphrase.push(digit));
    ensure!(fits, "what it has sealed is too long for a key");
    Ok(passphrase)
}

fn succeed(key: &SealedKey, call: &Call, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<()> {
    let ended = run(call, take)?;
    if ended.status != 0 {
        bail!(tpm2::explain(&ended.said, &key.measured()));
    }
    Ok(())
}

fn run(call: &Call, take: &mut dyn FnMut(&[u8])) -> anyhow::Result<Ended> {
    let arguments: Vec<_> = call.iter().map(String::as_str).collect();
    let tool = Tool {
        program: Path::new(PROGRAM),
        arguments: &arguments,
        environment: &tpm2::ENVIRONMENT,
        work: "the TPM",
    };
    tool.read(b"", take).with_context(|| {
        format!("cannot run {PROGRAM}; the initrd has it if a device's tpm2.enable is set")
    })
}

fn drop_output(_: &[u8]) {}
