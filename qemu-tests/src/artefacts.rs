//! Where machines leave their logs: `target/vm-tests/<name>/`.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context;
use cairn::vm::Accelerator;

/// `target/vm-tests`, made if it does not exist.
///
/// # Errors
/// It cannot be made.
pub fn root() -> anyhow::Result<PathBuf> {
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target"),
        PathBuf::from,
    );
    let root = target.join("vm-tests");
    fs::create_dir_all(&root).with_context(|| format!("cannot create {}", root.display()))?;
    root.canonicalize()
        .with_context(|| format!("cannot resolve {}", root.display()))
}

/// The folder of the machine called `name`, empty.
///
/// # Errors
/// It cannot be made or emptied.
pub fn folder(name: &str) -> anyhow::Result<PathBuf> {
    let folder = root()?.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    Ok(folder)
}

/// The best accelerator that works here; which it is and why is told once.
///
/// # Errors
/// QEMU is not installed or cannot even emulate.
pub fn accelerator() -> anyhow::Result<Accelerator> {
    static FOUND: OnceLock<Result<Accelerator, String>> = OnceLock::new();
    let detect = || {
        let (accelerator, reason) = Accelerator::detect(&root()?.join("accelerator"))?;
        eprintln!("accelerator: {accelerator}: {reason}");
        anyhow::Ok(accelerator)
    };
    FOUND
        .get_or_init(|| detect().map_err(|error| format!("{error:#}")))
        .clone()
        .map_err(anyhow::Error::msg)
}
