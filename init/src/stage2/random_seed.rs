//! The random seed: what one boot leaves to the next, mixed into the kernel's pool.
//!
//! Invariants: a seed is used once. A new one is on the disk before the boot goes on, so that a
//! machine that loses its power does not start twice from the same one. It is made from what the
//! kernel has by then, the old seed included: nothing waits for more. The end of the system puts a
//! better one in its place. A seed is mixed in but never credited as entropy: an image may have
//! been copied.
//!
//! Source: random(4), `random(7)`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The seed's size in bytes: the pool's.
const BYTES: usize = 512;

/// Its place.
const SEED: &str = "var/lib/cairn/random-seed";

/// Mixes the seed in, and puts a new one in its place. What fails is logged.
pub fn renew(root: &Path) {
    let seed = root.join(SEED);
    let urandom = root.join("dev/urandom");
    match load(&seed, &urandom) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            log::warn!("cannot use the random seed {}: {error}", seed.display());
        }
        _ => {} // the first boot has none
    }
    save_or_say(&seed);
}

/// At the system's end: a seed from all the randomness that it has gathered, if it had one before.
pub fn improve(root: &Path) {
    let seed = root.join(SEED);
    if seed.exists() {
        save_or_say(&seed);
    }
}

fn save_or_say(seed: &Path) {
    if let Err(error) = save(seed) {
        log::warn!("cannot save a random seed at {}: {error}", seed.display());
    }
}

fn load(seed: &Path, urandom: &Path) -> io::Result<()> {
    let mut bytes = Vec::new();
    File::open(seed)?
        .take(BYTES as u64)
        .read_to_end(&mut bytes)?;
    OpenOptions::new()
        .write(true)
        .open(urandom)?
        .write_all(&bytes)
}

fn save(seed: &Path) -> io::Result<()> {
    let mut bytes = [0; BYTES];
    cairn_sys::random::fill_at_once(&mut bytes)?;
    if overwrite(seed, &bytes)? {
        return Ok(());
    }
    let Some(directory) = seed.parent() else {
        return Ok(());
    };
    fs::create_dir_all(directory)?;
    let fresh = seed.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    fs::rename(&fresh, seed)?;
    File::open(directory)?.sync_all()
}

/// Puts `bytes` in the place of a seed of the same size: one sector, which a disk writes whole or
/// not at all, and nothing that a file system's journal has to wait for. Whether it was there.
fn overwrite(seed: &Path, bytes: &[u8; BYTES]) -> io::Result<bool> {
    let mut file = match OpenOptions::new().write(true).open(seed) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    if file.metadata()?.len() != BYTES as u64 {
        return Ok(false);
    }
    file.write_all(bytes)?;
    file.sync_data()?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn each_boot_has_another_seed() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("dev")).unwrap();
        std::os::unix::fs::symlink("/dev/urandom", root.path().join("dev/urandom")).unwrap();
        let seed = root.path().join("var/lib/cairn/random-seed");
        improve(root.path());
        assert!(!seed.exists());
        renew(root.path());
        let first = fs::read(&seed).unwrap();
        renew(root.path());
        assert_eq!(first.len(), 512);
        let second = fs::read(&seed).unwrap();
        assert_ne!(first, second);
        improve(root.path());
        assert_ne!(second, fs::read(&seed).unwrap());
        fs::write(&seed, "short").unwrap();
        renew(root.path());
        assert_eq!(fs::read(&seed).unwrap().len(), 512);
        let mode = fs::metadata(&seed).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
