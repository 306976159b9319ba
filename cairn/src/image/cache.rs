//! The cache of images: one of each format for each host name, the one that was asked for last, and those that
//! somebody is reading.

use std::fs::{self, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cairn_image_builder::remove_tree;

/// What the names of images begin with while they are written.
const UNFINISHED_PREFIX: &str = ".cairn-image-";

/// An image by what it follows from.
#[derive(Debug, Clone, Copy)]
pub struct Cached<'a> {
    /// The folder of images.
    pub images: &'a Path,
    /// The host's name.
    pub name: &'a str,
    /// What its name ends with, without the dot: one for each kind of image.
    pub extension: &'a str,
    /// What its bytes follow from.
    pub key: blake3::Hash,
}

/// An image that stays in the cache while this, or a clone of it, is there.
#[derive(Debug, Clone)]
pub struct Held {
    path: PathBuf,
    _lock: Arc<fs::File>,
}

impl Held {
    /// The image, a file or a folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Holds the image at `path`, if it is there as it was made.
    fn of(path: &Path) -> Result<Option<Self>> {
        let holding = || format!("cannot use '{}'", path.display());
        let image = match fs::File::open(path) {
            Ok(image) => image,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(holding),
        };
        image.lock_shared().with_context(holding)?;
        // It may have been removed before it was held.
        let identity = |file: &fs::Metadata| (file.dev(), file.ino());
        let opened = image.metadata().with_context(holding)?;
        let is_there = fs::metadata(path).is_ok_and(|named| identity(&named) == identity(&opened));
        Ok((is_there && is_unchanged(path)).then(|| Self {
            path: path.to_owned(),
            _lock: Arc::new(image),
        }))
    }
}

/// What keeps others from holding the image at `path` while it is removed.
enum Claim {
    /// Nobody else gets hold of it as long as this is there.
    Taken { _lock: fs::File },
    /// What cannot be opened or locked cannot be held either.
    Needless,
    /// Somebody holds it: it stays.
    Refused,
}

impl Claim {
    fn of(path: &Path) -> Self {
        let Ok(image) = fs::File::open(path) else {
            return Self::Needless;
        };
        match image.try_lock() {
            Ok(()) => Self::Taken { _lock: image },
            Err(TryLockError::WouldBlock) => Self::Refused,
            Err(TryLockError::Error(_)) => Self::Needless,
        }
    }
}

impl Cached<'_> {
    /// The image, a file or a folder: taken as it is if it was made before and nobody has written to it
    /// since, else written by `write`, which makes it appear when it is whole. Other images of that name and kind are
    /// removed, but for those that are held.
    ///
    /// # Errors
    /// The folder cannot be written, or what `write` says.
    pub fn image(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<Held> {
        let images = self.images;
        let prefix = format!("{}-", self.name);
        let suffix = format!(".{}", self.extension);
        let file_name = format!("{prefix}{}{suffix}", self.key.to_hex());
        let output = images.join(&file_name);
        if let Some(held) = Held::of(&output)? {
            return Ok(held);
        }
        fs::create_dir_all(images)
            .with_context(|| format!("cannot make '{}'", images.display()))?;
        let _alone = lock(&images.join(".lock"))?;
        if let Some(held) = Held::of(&output)? {
            return Ok(held);
        }
        // Whoever writes an image has the lock: what is unfinished was left by a killed process.
        remove(images, |name| name.starts_with(UNFINISHED_PREFIX))?;
        write(&output)?;
        seal(&output).with_context(|| format!("cannot finish '{}'", output.display()))?;
        let held = Held::of(&output)?;
        let held = held.with_context(|| format!("'{}' was changed at once", output.display()))?;
        remove(images, |name| {
            name != file_name && is_image(name, &prefix, &suffix)
        })?;
        Ok(held)
    }
}

/// The time of last change of an image that nobody has written to since it was made: whoever starts a machine
/// from it changes it.
fn unchanged() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1)
}

/// Whether the image at `output` is there, as it was made.
fn is_unchanged(output: &Path) -> bool {
    let is_old = |file: &Path| {
        fs::metadata(file)
            .and_then(|file| file.modified())
            .is_ok_and(|changed| changed == unchanged())
    };
    match files_of(output) {
        Ok(files) => !files.is_empty() && files.iter().all(|file| is_old(file)),
        Err(_) => false,
    }
}

/// Gives the image that time.
fn seal(output: &Path) -> std::io::Result<()> {
    for file in files_of(output)? {
        fs::File::open(file)?.set_modified(unchanged())?;
    }
    Ok(())
}

/// The files that an image is: itself, or what is in its folder.
pub(super) fn files_of(image: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !image.is_dir() {
        return Ok(vec![image.to_owned()]);
    }
    fs::read_dir(image)?
        .map(|entry| Ok(entry?.path()))
        .collect()
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

/// Removes the files and folders in `images` whose names are `unwanted`, but for those that are held.
fn remove(images: &Path, unwanted: impl Fn(&str) -> bool) -> Result<()> {
    let reading = || format!("cannot read '{}'", images.display());
    for entry in fs::read_dir(images).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        let path = entry.path();
        if entry.file_name().to_str().is_some_and(&unwanted) {
            let claim = Claim::of(&path);
            if matches!(claim, Claim::Refused) {
                continue;
            }
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => remove_tree(&path),
                _ => fs::remove_file(&path),
            };
            removed.with_context(|| format!("cannot remove '{}'", path.display()))?;
            drop(claim);
        }
    }
    Ok(())
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
                extension: "img",
                key: blake3::hash(content.as_bytes()),
            };
            let held = cached.image(|output| Ok(fs::write(output, content)?));
            held.unwrap().path().to_owned()
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
            extension: "img",
            key: blake3::hash(b"new"),
        };
        let again = again.image(|_| unreachable!("it is there")).unwrap();
        assert_eq!(again.path(), new);
    }

    #[test]
    fn an_image_that_is_read_stays_until_it_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let make = |content: &str, extension| {
            let cached = Cached {
                images: folder.path(),
                name: "box",
                extension,
                key: blake3::hash(content.as_bytes()),
            };
            let held = cached.image(|output| match extension {
                "netboot" => {
                    fs::create_dir(output)?;
                    Ok(fs::write(output.join("initrd"), content)?)
                }
                _ => Ok(fs::write(output, content)?),
            });
            held.unwrap()
        };
        for extension in ["img", "netboot"] {
            let first = make("first", extension);
            let second = make("second", extension);
            assert!(first.path().exists() && second.path().exists());
            let path = first.path().to_owned();
            let clone = first.clone();
            drop(first);
            make("third", extension);
            assert!(path.exists());
            drop(clone);
            make("fourth", extension);
            assert!(!path.exists() && second.path().exists());
            drop(second);
            let last = make("fifth", extension);
            let left = fs::read_dir(folder.path()).unwrap().flatten();
            let left = left.map(|entry| entry.path());
            let left: Vec<_> = left
                .filter(|path| path.extension().is_some_and(|found| found == extension))
                .collect();
            assert_eq!(left, [last.path()]);
        }
    }

    #[test]
    fn what_is_being_removed_is_not_held() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        fs::write(&image, "image").unwrap();
        seal(&image).unwrap();
        let claim = Claim::of(&image);
        assert!(matches!(claim, Claim::Taken { .. }));
        std::thread::scope(|scope| {
            let other = scope.spawn(|| Held::of(&image).unwrap());
            std::thread::sleep(Duration::from_millis(100));
            assert!(!other.is_finished());
            fs::remove_file(&image).unwrap();
            drop(claim);
            assert!(other.join().unwrap().is_none());
        });
    }

    /// Whoever starts a machine from an image in the cache changes it.
    #[test]
    fn an_image_that_was_written_to_is_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let make = |extension| {
            let cached = Cached {
                images: folder.path(),
                name: "box",
                extension,
                key: blake3::hash(b"key"),
            };
            let made = cached.image(|output| {
                let file = if extension == "netboot" {
                    fs::create_dir_all(output)?;
                    output.join("initrd")
                } else {
                    output.to_owned()
                };
                Ok(fs::write(file, "as it was made")?)
            });
            made.unwrap().path().to_owned()
        };
        for (extension, file) in [("img", ""), ("netboot", "initrd")] {
            let image = make(extension);
            let file = match file {
                "" => image,
                file => image.join(file),
            };
            fs::write(&file, "something else").unwrap();
            make(extension);
            assert_eq!(fs::read_to_string(&file).unwrap(), "as it was made");
        }
    }
}
