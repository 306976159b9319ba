//! The cache of images: one of each format for each host name, the one that was asked for last.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use cairn_image_builder::remove_tree;
use tempfile::NamedTempFile;

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

impl Cached<'_> {
    /// The image, a file or a folder: taken as it is if it was made before and nobody has written to it
    /// since, else written by `write`, which makes it appear when it is whole. Other images of that name and kind are removed.
    ///
    /// # Errors
    /// The folder cannot be written, or what `write` says.
    pub fn image(&self, write: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let images = self.images;
        let prefix = format!("{}-", self.name);
        let suffix = format!(".{}", self.extension);
        let file_name = format!("{prefix}{}{suffix}", self.key.to_hex());
        let output = images.join(&file_name);
        if is_unchanged(&output) {
            return Ok(output);
        }
        fs::create_dir_all(images)
            .with_context(|| format!("cannot make '{}'", images.display()))?;
        let _alone = lock(&images.join(".lock"))?;
        if is_unchanged(&output) {
            return Ok(output);
        }
        // Whoever writes an image has the lock: what is unfinished was left by a killed process.
        remove(images, |name| name.starts_with(UNFINISHED_PREFIX))?;
        write(&output)?;
        seal(&output).with_context(|| format!("cannot finish '{}'", output.display()))?;
        remove(images, |name| {
            name != file_name && is_image(name, &prefix, &suffix)
        })?;
        Ok(output)
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
fn files_of(image: &Path) -> std::io::Result<Vec<PathBuf>> {
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

/// Removes the files and folders in `images` whose names are `unwanted`.
fn remove(images: &Path, unwanted: impl Fn(&str) -> bool) -> Result<()> {
    let reading = || format!("cannot read '{}'", images.display());
    for entry in fs::read_dir(images).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_name().to_str().is_some_and(&unwanted) {
            let removed = match entry.file_type() {
                Ok(kind) if kind.is_dir() => remove_tree(&entry.path()),
                _ => fs::remove_file(entry.path()),
            };
            removed.with_context(|| format!("cannot remove '{}'", entry.path().display()))?;
        }
    }
    Ok(())
}

/// Copies an image, be it a file or a folder of files, which may exist: what else is in it stays. Files appear
/// when all of them are whole and durable.
///
/// # Errors
/// As [`copy_sparse`].
pub fn copy_image(image: &Path, output: &Path) -> Result<()> {
    if !image.is_dir() {
        return copy_sparse(image, output);
    }
    fs::create_dir_all(output).with_context(|| format!("cannot make '{}'", output.display()))?;
    let files = files_of(image).with_context(|| format!("cannot read '{}'", image.display()))?;
    let copies = files.iter().map(|file| {
        let name = file.file_name().unwrap_or_default();
        Copy::of(file, &output.join(name))
    });
    let copies: Vec<Copy> = copies.collect::<Result<_>>()?;
    copies.into_iter().try_for_each(Copy::place)
}

/// Copies a file, holes staying holes; the copy appears when it is whole and durable.
///
/// # Errors
/// The image cannot be read, or the copy cannot be written.
pub fn copy_sparse(image: &Path, output: &Path) -> Result<()> {
    Copy::of(image, output)?.place()
}

/// A copy of a file, whole and durable, that has no name yet.
struct Copy {
    output: PathBuf,
    file: NamedTempFile,
}

impl Copy {
    /// The copy of `image` that is to be at `output`.
    fn of(image: &Path, output: &Path) -> Result<Self> {
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
        let mut file = tempfile::Builder::new()
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .with_context(copying)?;
        copy_data(&mut source, file.as_file_mut()).with_context(copying)?;
        file.as_file().sync_all().with_context(copying)?;
        Ok(Self {
            output: output.to_owned(),
            file,
        })
    }

    /// Gives it its name.
    fn place(self) -> Result<()> {
        let placing = || format!("cannot write '{}'", self.output.display());
        self.file.persist(&self.output).with_context(placing)?;
        Ok(())
    }
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
                extension: "img",
                key: blake3::hash(content.as_bytes()),
            };
            cached
                .image(|output| Ok(fs::write(output, content)?))
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
            extension: "img",
            key: blake3::hash(b"new"),
        };
        let again = again.image(|_| unreachable!("it is there")).unwrap();
        assert_eq!(again, new);
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
            made.unwrap()
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

    #[test]
    fn a_folder_is_copied_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let [image, output] = ["image", "output"].map(|name| folder.path().join(name));
        for (place, content) in [(&image, "new"), (&output, "old")] {
            fs::create_dir(place).unwrap();
            for name in ["bzImage", "initrd", "netboot.ipxe"] {
                fs::write(place.join(name), content).unwrap();
            }
        }
        // There is no room for the last one, whichever that is.
        for name in ["bzImage", "initrd", "netboot.ipxe"] {
            let file = image.join(name);
            fs::remove_file(&file).unwrap();
            fs::create_dir(&file).unwrap();
            copy_image(&image, &output).unwrap_err();
            let content = |name| fs::read_to_string(output.join(name)).unwrap();
            for name in ["bzImage", "initrd", "netboot.ipxe"] {
                assert_eq!(content(name), "old", "{name}");
            }
            assert_eq!(fs::read_dir(&output).unwrap().count(), 3);
            fs::remove_dir(&file).unwrap();
            fs::write(&file, "new").unwrap();
        }
        copy_image(&image, &output).unwrap();
        assert_eq!(fs::read_to_string(output.join("initrd")).unwrap(), "new");
    }
}
