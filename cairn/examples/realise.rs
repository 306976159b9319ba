//! Builds derivations that are in a store: `realise LOCK STORE DERIVATION…`.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn::Place;
use cairn::build::realise;
use cairn::lock_file::LockFile;
use cairn::supply::Supply;
use cairn_store::Store;

fn main() -> Result<()> {
    env_logger::init();
    let mut arguments = std::env::args_os().skip(1);
    let lock: PathBuf = arguments.next().context("which lock file?")?.into();
    let root: PathBuf = arguments.next().context("which store?")?.into();
    let derivations = arguments
        .map(|path| Ok(path.to_string_lossy().parse()?))
        .collect::<Result<Vec<_>>>()?;
    let place = Place::new(Some(Path::new(&root)), None)?;
    let store = Store::open(&place.store)?;
    let file = LockFile::read(&lock)?;
    realise(
        &store,
        &Supply::new(&place, None),
        file.lock(),
        &derivations,
    )?;
    for path in &derivations {
        for output in store.read_derivation(path)?.outputs.values() {
            println!("{}", output.path);
        }
    }
    Ok(())
}
