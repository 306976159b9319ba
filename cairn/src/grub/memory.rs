//! Core images that were made before: compressing one takes longer than all else that GRUB needs.
//!
//! ```text
//! check   32 bytes: BLAKE3 of the key and the image
//! image
//! ```
//! in a file that is named by the key, the hash of all that the image follows from. What does not pass the check
//! is made again.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tempfile::NamedTempFile;

const SUFFIX: &str = "core";
const UNFINISHED: &str = ".unfinished-";
/// Images that are kept, each of some 100 KiB: those of some versions of GRUB.
const KEPT: usize = 16;

/// A folder of core images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Memory {
    folder: PathBuf,
}

impl Memory {
    /// The one in `folder`, which is made when it is needed.
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The image with this key, if it is known.
    pub(super) fn recall(&self, key: &blake3::Hash) -> Option<Vec<u8>> {
        let file = fs::read(self.path(key)).ok()?;
        let (found, image) = file.split_at_checked(blake3::OUT_LEN)?;
        (check(key, image).as_bytes() == found).then(|| image.to_vec())
    }

    /// Remembers `image`; one that cannot be kept is made again another time.
    pub(super) fn keep(&self, key: &blake3::Hash, image: &[u8]) {
        if let Err(error) = self.write(key, image).and_then(|()| self.prune()) {
            let folder = self.folder.display();
            log::warn!("cannot keep GRUB's image in '{folder}': {error}");
        }
    }

    fn write(&self, key: &blake3::Hash, image: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = NamedTempFile::with_prefix_in(UNFINISHED, &self.folder)?;
        file.write_all(check(key, image).as_bytes())?;
        file.write_all(image)?;
        // Not synced: what a power cut leaves of it does not pass the check.
        file.persist(self.path(key))?;
        Ok(())
    }

    /// Removes the oldest ones, and what was left behind.
    fn prune(&self) -> io::Result<()> {
        let mut images: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            // Another process may have removed it.
            let Ok(modified) = fs::metadata(&path).and_then(|metadata| metadata.modified()) else {
                continue;
            };
            images.push((modified, path));
        }
        images.sort();
        let surplus = images.len().saturating_sub(KEPT);
        for (_, path) in images.into_iter().take(surplus) {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    fn path(&self, key: &blake3::Hash) -> PathBuf {
        self.folder
            .join(Path::new(key.to_hex().as_str()).with_extension(SUFFIX))
    }
}

fn check(key: &blake3::Hash, image: &[u8]) -> blake3::Hash {
    blake3::Hasher::new()
        .update(key.as_bytes())
        .update(image)
        .finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_damaged_is_not_recalled_and_the_oldest_goes() {
        let scratch = tempfile::tempdir().unwrap();
        let memory = Memory::new(scratch.path().join("not/there"));
        let key = |number: usize| blake3::hash(&number.to_le_bytes());
        assert_eq!(memory.recall(&key(0)), None);
        memory.keep(&key(0), b"image");
        assert_eq!(memory.recall(&key(0)), Some(b"image".to_vec()));
        assert_eq!(memory.recall(&key(1)), None);
        let path = memory.path(&key(0));
        let whole = fs::read(&path).unwrap();
        for damaged in [&whole[..whole.len() - 1], &whole[..20], b""] {
            fs::write(&path, damaged).unwrap();
            assert_eq!(memory.recall(&key(0)), None);
        }
        // Under another name it is another image.
        fs::write(memory.path(&key(1)), &whole).unwrap();
        assert_eq!(memory.recall(&key(1)), None);
        for number in 2..2 + KEPT {
            memory.keep(&key(number), b"later");
            let file = fs::File::open(memory.path(&key(number))).unwrap();
            let second = std::time::Duration::from_secs(number as u64);
            file.set_modified(SystemTime::now() + second).unwrap();
        }
        let kept = fs::read_dir(scratch.path().join("not/there")).unwrap();
        assert_eq!(kept.count(), KEPT);
        assert!((2..2 + KEPT).all(|number| memory.recall(&key(number)).is_some()));
    }
}
