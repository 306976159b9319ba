//! The cache of images: one of each format for each host name, the one that was asked for last.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::format::Format;

/// What the names of images begin with while they are written.
const UNFINISHED_PREFIX: &str = ".cairn-image-";

/// An image by what it follows from.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a> {
    /// The folder of images.
    pub images: &'a Path,
    /// The host's name.
    pub name: &'a str,
    /// What kind of image it is.
    pub format: Format,
    /// What its bytes follow from.
    pub key: blake3::Hash,
}

impl Cached<'_> {
    /// The image's file: taken as it is if it was made before, else written by `write`. Other
    /// images of that name and format are removed.
    ///
    /// # Errors
    /// The folder cannot be written, or what `write` says.
    pub fn file(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let images = self.images;
        let prefix = format!("{}-", self.name);
        let suffix = format!(".{}", self.format.extension());
        let file_name = format!("{prefix}{}{suffix}", self.key.to_hex());
        let output = images.join(&file_name);
        if output.exists() {
            return Ok(output);
        }
        fs::create_dir_all(images)
            .with_context(|| format!("cannot make '{}'", images.display()))?;
        let _alone = lock(&images.join(".lock"))?;
        if output.exists() {
            return Ok(output);
        }
        // Whoever writes an image has the lock: what is unfinished was left by a killed process.
        remove(images, |name| name.starts_with(UNFINISHED_PREFIX))?;
        write(&output)?;
        remove(images, |name| {
            name != file_name && is_image(name, &prefix, &suffix)
        })?;
        Ok(output)
    }
}

/// Waits until no other process writes an image there.
fn lock(file: &Path) -> Result<fs::File> {
    let locked = fs::File::create(file).and_then(|file| file.lock().map(|()| file));
    locked.with_context(|| format!("cannot lock '{}'", file.display()))
}

/// Whether `name` is that of an image, between `prefix` and `suffix`.
fn is_image(name: &str, prefix: &str, suffix: &str) -> bool {
    name.strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|key| key.len() == 64 && key.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Removes the files in `images` whose names are `unwanted`.
fn remove(images: &Path, unwanted: impl Fn(&str) -> bool) -> Result<()> {
    let reading = || format!("cannot read '{}'", images.display());
    for entry in fs::read_dir(images).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_name().to_str().is_some_and(&unwanted) {
            fs::remove_file(entry.path())
                .with_context(|| format!("cannot remove '{}'", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Copies an image, holes staying holes; the copy appears when it is whole and durable.
///
/// # Errors
/// The image cannot be read, or the copy cannot be written.
pub fn copy_sparse(image: &Path, output: &Path) -> Result<()> {
    let copying = || {
        format!(
            "cannot copy '{}' to '{}'",
            image.display(),
            output.display()
        )
    };
    let folder = output
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or_else(|| Path::new("."));
    let mut source = fs::File::open(image).with_context(copying)?;
    let mut copy = tempfile::NamedTempFile::new_in(folder).with_context(copying)?;
    copy_data(&mut source, copy.as_file_mut()).with_context(copying)?;
    copy.as_file().sync_all().with_context(copying)?;
    copy.persist(output).with_context(copying)?;
    Ok(())
}

/// Bytes of a block that is left out if it is all zero.
const BLOCK: usize = 64 << 10;

fn copy_data(source: &mut fs::File, copy: &mut fs::File) -> std::io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut length = 0u64;
    loop {
        let read = std::io::Read::read(source, &mut block)?;
        let Some(bytes) = block.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return copy.set_len(length);
        };
        if bytes.iter().any(|&byte| byte != 0) {
            std::os::unix::fs::FileExt::write_all_at(copy, bytes, length)?;
        }
        length += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_image_of_a_name_and_format_stays() {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        let make = |name: &str, content: &str| {
            let cached = Cached {
                images: &images,
                name,
                format: Format::Disk,
                key: blake3::hash(content.as_bytes()),
            };
            cached
                .file(|output| Ok(fs::write(output, content)?))
                .unwrap()
        };
        let other = make("box-2", "other");
        let old = make("box", "old");
        fs::write(images.join(".cairn-image-x"), "").unwrap();
        fs::write(images.join("box-notes.img"), "").unwrap();
        let new = make("box", "new");
        assert!(!old.exists());
        assert!(!images.join(".cairn-image-x").exists());
        assert!(images.join("box-notes.img").exists());
        assert_eq!(fs::read_to_string(other).unwrap(), "other");
        let again = Cached {
            images: &images,
            name: "box",
            format: Format::Disk,
            key: blake3::hash(b"new"),
        };
        let again = again.file(|_| unreachable!("it is there")).unwrap();
        assert_eq!(again, new);
    }
}
