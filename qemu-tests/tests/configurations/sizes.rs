//! How large a small virtual machine is, and the medium with rescue tools and installer: what is on them has to
//! be worth its room.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use cairn_qemu_tests::images;
use rusqlite::{Connection, OpenFlags};

/// Bytes that the closure of a virtual machine with an SSH server may have beside its kernel and the modules of that.
const LARGEST_CLOSURE: u64 = 120_000_000;
/// Bytes that its initrd may have.
const LARGEST_INITRD: u64 = 3_000_000;
/// Bytes that the medium may have. 250 MB are promised; what is left of them is for the packages' own growth.
const LARGEST_MEDIUM: u64 = 235_000_000;

/// The size of all that a path needs.
const CLOSURE: &str = "
    with recursive closure(id) as (
        select id from ValidPaths where path = ?1
        union select reference from Refs join closure on referrer = id)
    select sum(narSize) from ValidPaths join closure using (id)";

#[test]
fn a_virtual_machine_is_small() -> anyhow::Result<()> {
    let options = images::options()?;
    let built = images::build_demo(&options)?;
    let store = &options.place.store;
    let closure = bytes_of_closure(&store.join("nix/var/nix/db/db.sqlite"), &built.toplevel)?;
    let real = |path: &Path| store.join(path.strip_prefix("/").unwrap_or(path));
    let link = |name| {
        let link = real(Path::new(&built.toplevel)).join(name);
        let target = fs::read_link(&link);
        let target = target.with_context(|| format!("cannot read {}", link.display()))?;
        anyhow::Ok(real(&target))
    };
    let image = link("kernel")?;
    let kernel = image.ancestors().nth(2).context("it has no package")?;
    let kernel = bytes_below(kernel)?;
    ensure!(kernel > 50_000_000, "where are the modules? {kernel}");
    let rest = closure - kernel;
    ensure!(rest <= LARGEST_CLOSURE, "{rest} of {closure} bytes");
    let initrd = bytes_below(&link("initrd")?)?;
    ensure!(initrd <= LARGEST_INITRD, "{initrd} bytes");
    Ok(())
}

#[test]
fn the_rescue_medium_is_small() -> anyhow::Result<()> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("configurations/medium.nix");
    let built = images::build_image("iso", "medium", &file, &images::options()?)?;
    let size = bytes_below(&built.image)?;
    ensure!(size <= LARGEST_MEDIUM, "{size} bytes");
    Ok(())
}

fn bytes_of_closure(database: &Path, toplevel: &str) -> anyhow::Result<u64> {
    let reading = || format!("cannot read {}", database.display());
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = Connection::open_with_flags(database, flags).with_context(reading)?;
    let sum = connection.query_row(CLOSURE, [toplevel], |row| row.get::<_, i64>(0));
    u64::try_from(sum.with_context(reading)?).with_context(reading)
}

/// Bytes of a file, or of all files in a folder.
fn bytes_below(path: &Path) -> anyhow::Result<u64> {
    let reading = || format!("cannot read {}", path.display());
    let metadata = fs::symlink_metadata(path).with_context(reading)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let entries: Vec<PathBuf> = fs::read_dir(path)
        .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
        .with_context(reading)?;
    entries.iter().map(|path| bytes_below(path)).sum()
}
