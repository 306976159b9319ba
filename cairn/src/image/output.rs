//! Where an image is copied to: seen to before anything is built for it, and there when the copy is whole.
//!
//! A copy has no name until then, where the file system knows files without one (`O_TMPFILE`): whatever ends the
//! process leaves nothing.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use cairn_image_builder::data_of;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;
use tempfile::NamedTempFile;

use super::cache::files_of;
use crate::boot_loader::folder::is_mount_point;

/// What the names of copies begin with that must have one before they are whole.
const UNFINISHED_PREFIX: &str = ".cairn-image-";
/// Where the files that this process has open have names.
const OWN_FILES: &str = "/proc/self/fd";
/// Links that are followed; the kernel follows as many.
const LINKS: usize = 40;

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A file.
    File,
    /// A folder of files, which may have others.
    Files,
    /// A folder that is the image.
    Tree,
}

/// The place that `output` means: what a link leads to, and not the link, is written. One that could not be
/// written is refused.
///
/// # Errors
/// Why it cannot be written.
pub fn resolve(shape: Shape, output: &Path) -> Result<PathBuf> {
    let writing = || format!("cannot write '{}'", output.display());
    let names_a_folder =
        output.file_name().is_none() || output.as_os_str().as_bytes().ends_with(b"/");
    if shape == Shape::File && names_a_folder {
        bail!("{}: it is a folder; name a file in it", writing());
    }
    let place = follow(output).with_context(writing)?;
    let there = match fs::metadata(&place) {
        Ok(there) => Some(there),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(writing),
    };
    let is_folder = there.as_ref().is_some_and(fs::Metadata::is_dir);
    if shape == Shape::File && is_folder {
        bail!("{}: it is a folder; name a file in it", writing());
    }
    // Its place would be taken by the image, in the memory that `/dev` is.
    let is_odd = there.as_ref().is_some_and(|there| !there.is_file());
    if is_odd && !is_folder || there.is_none() && is_device_name(&place) {
        bail!(
            "{}: it is no file; make the image, and copy it there: dd if=IMAGE of={} bs=4M conv=fsync",
            writing(),
            output.display()
        );
    }
    if shape == Shape::Tree && is_folder && is_mount_point(&place) {
        bail!(
            "{}: a file system is mounted there; name a folder in it",
            writing()
        );
    }
    tempfile::tempfile_in(folder_of(&place)).with_context(writing)?;
    Ok(place)
}

/// What `path` is after all links at its end.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::canonicalize(&path) {
            // A link to what has no name, such as a pipe of /dev/stdout, leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !path.exists() => {}
            Err(_) if path.exists() => return Ok(path),
            found => return found,
        }
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::ELOOP.into())
}

/// Whether `path` is where devices are.
fn is_device_name(path: &Path) -> bool {
    let dev = Path::new("/dev");
    let folder = fs::canonicalize(folder_of(path)).unwrap_or_default();
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    folder.starts_with(dev) && device(&folder) == device(dev)
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
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

/// A copy of a file, whole and durable, that does not have its name yet.
struct Copy {
    output: PathBuf,
    file: Unplaced,
}

/// A file without its name.
enum Unplaced {
    /// It has none.
    Nameless(File),
    /// It has another one, where each file has one.
    Temporary(NamedTempFile),
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
        let mut source = File::open(image).with_context(copying)?;
        let mut file = Unplaced::in_folder(folder_of(output)).with_context(copying)?;
        copy_data(&mut source, file.file()).with_context(copying)?;
        file.file().sync_all().with_context(copying)?;
        Ok(Self {
            output: output.to_owned(),
            file,
        })
    }

    /// Gives it its name.
    fn place(self) -> Result<()> {
        let placing = || format!("cannot write '{}'", self.output.display());
        self.file.place(&self.output).with_context(placing)
    }
}

impl Unplaced {
    fn in_folder(folder: &Path) -> io::Result<Self> {
        // It gets its name by way of the first.
        if Path::new(OWN_FILES).exists() {
            let nameless = OpenOptions::new()
                .write(true)
                .custom_flags(OFlag::O_TMPFILE.bits())
                .mode(0o666)
                .open(folder);
            match nameless.map_err(|error| (error.raw_os_error().map(Errno::from_raw), error)) {
                Ok(file) => return Ok(Self::Nameless(file)),
                Err((Some(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL), _)) => {}
                Err((_, error)) => return Err(error),
            }
        }
        let file = tempfile::Builder::new()
            .prefix(UNFINISHED_PREFIX)
            .permissions(fs::Permissions::from_mode(0o666))
            .tempfile_in(folder)?;
        Ok(Self::Temporary(file))
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::Nameless(file) => file,
            Self::Temporary(file) => file.as_file_mut(),
        }
    }

    fn place(self, output: &Path) -> io::Result<()> {
        match self {
            Self::Temporary(file) => file.persist(output).map(drop).map_err(|error| error.error),
            Self::Nameless(file) => match link(&file, output) {
                Err(Errno::EEXIST) => replace(&file, output),
                linked => Ok(linked?),
            },
        }
    }
}

/// Gives `file` a name that nothing has.
fn link(file: &File, name: &Path) -> Result<(), Errno> {
    let own = format!("{OWN_FILES}/{}", file.as_raw_fd());
    linkat(
        AT_FDCWD,
        own.as_str(),
        AT_FDCWD,
        name,
        AtFlags::AT_SYMLINK_FOLLOW,
    )
}

/// Puts `file` in the place of what is there: by way of another name, for a moment.
fn replace(file: &File, output: &Path) -> io::Result<()> {
    let mut other = OsString::from(UNFINISHED_PREFIX);
    other.push(std::process::id().to_string());
    let other = folder_of(output).join(other);
    match link(file, &other) {
        // That process has ended.
        Err(Errno::EEXIST) => {
            fs::remove_file(&other)?;
            link(file, &other)?;
        }
        linked => linked?,
    }
    fs::rename(&other, output).inspect_err(|_| {
        if let Err(error) = fs::remove_file(&other) {
            log::warn!("cannot remove '{}': {error}", other.display());
        }
    })
}

/// Copies what is not hole. The kernel does it, on file systems that can without a byte being moved.
fn copy_data(source: &mut File, mut copy: &File) -> io::Result<()> {
    let length = source.metadata()?.len();
    copy.set_len(length)?;
    for data in data_of(source, length)? {
        source.seek(SeekFrom::Start(data.start))?;
        copy.seek(SeekFrom::Start(data.start))?;
        let expected = data.end - data.start;
        if io::copy(&mut source.take(expected), &mut copy)? < expected {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt as _, symlink};

    use super::*;
    use expect_test::expect;

    #[test]
    fn an_output_that_cannot_be_is_refused_first() {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let place = |name: &str| root.join(name);
        fs::write(place("file"), "").unwrap();
        fs::create_dir(place("folder")).unwrap();
        for (link, target) in [
            ("device", "/dev/null"),
            ("to-a-file", "file"),
            ("to-a-folder", "folder"),
            ("to-a-device-that-is-not-there", "/dev/cairn-not-there"),
            ("to-the-new", "far"),
            ("far", "folder/new"),
            ("loop", "loop"),
        ] {
            symlink(target, place(link)).unwrap();
        }
        let (reader, pipe) = std::io::pipe().unwrap();
        let pipe_name = format!("/proc/self/fd/{}", pipe.as_raw_fd());
        symlink(pipe_name, place("pipe")).unwrap();
        let long = "x".repeat(300);
        let told = |shape, name: &str| {
            let said = match resolve(shape, &place(name)) {
                Ok(place) => place.display().to_string(),
                Err(error) => format!("{error:#}"),
            };
            said.replace(root.to_str().unwrap(), "PLACE")
                .replace(&long, "LONG")
        };
        let all = [
            told(Shape::File, "file"),
            told(Shape::File, "new\nline"),
            told(Shape::Files, "folder"),
            told(Shape::Files, "new/"),
            told(Shape::Tree, "folder/."),
            told(Shape::File, "to-a-file"),
            told(Shape::File, "to-the-new"),
            told(Shape::Tree, "to-a-folder"),
            told(Shape::File, "folder"),
            told(Shape::File, "new/"),
            told(Shape::File, "folder/.."),
            told(Shape::File, "missing/image"),
            told(Shape::Tree, "file/folder"),
            told(Shape::File, "loop"),
            told(Shape::File, &long),
            told(Shape::File, "device"),
            told(Shape::File, "pipe"),
            told(Shape::File, "to-a-device-that-is-not-there"),
            told(Shape::File, "/dev/cairn-not-there"),
            told(Shape::Tree, "/proc"),
        ];
        expect![[r#"
            PLACE/file
            PLACE/new
            line
            PLACE/folder
            PLACE/new/
            PLACE/folder
            PLACE/file
            PLACE/folder/new
            PLACE/folder
            cannot write 'PLACE/folder': it is a folder; name a file in it
            cannot write 'PLACE/new/': it is a folder; name a file in it
            cannot write 'PLACE/folder/..': it is a folder; name a file in it
            cannot write 'PLACE/missing/image': No such file or directory (os error 2)
            cannot write 'PLACE/file/folder': Not a directory (os error 20)
            cannot write 'PLACE/loop': Too many levels of symbolic links (os error 40)
            cannot write 'PLACE/LONG': File name too long (os error 36)
            cannot write 'PLACE/device': it is no file; make the image, and copy it there: dd if=IMAGE of=PLACE/device bs=4M conv=fsync
            cannot write 'PLACE/pipe': it is no file; make the image, and copy it there: dd if=IMAGE of=PLACE/pipe bs=4M conv=fsync
            cannot write 'PLACE/to-a-device-that-is-not-there': it is no file; make the image, and copy it there: dd if=IMAGE of=PLACE/to-a-device-that-is-not-there bs=4M conv=fsync
            cannot write '/dev/cairn-not-there': it is no file; make the image, and copy it there: dd if=IMAGE of=/dev/cairn-not-there bs=4M conv=fsync
            cannot write '/proc': a file system is mounted there; name a folder in it"#]].assert_eq(&all.join("\n"));
        assert_eq!(fs::read_dir(&root).unwrap().count(), 10);
        drop(reader);
    }

    #[test]
    fn what_is_there_is_replaced_and_a_copy_that_is_dropped_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let [image, output] = ["image", "output"].map(|name| scratch.path().join(name));
        fs::write(&image, "new").unwrap();
        let names = || fs::read_dir(scratch.path()).unwrap().count();
        let copy = Copy::of(&image, &output).unwrap();
        assert_eq!(names(), 1, "it has a name before it is whole");
        drop(copy);
        assert_eq!(names(), 1);
        for _ in 0..2 {
            copy_sparse(&image, &output).unwrap();
            assert_eq!(fs::read(&output).unwrap(), b"new");
            assert_eq!(names(), 2);
            fs::write(&output, "old").unwrap();
        }
        // A process with this number was killed in the wrong moment.
        let left = format!("{UNFINISHED_PREFIX}{}", std::process::id());
        fs::write(scratch.path().join(left), "left").unwrap();
        copy_sparse(&image, &output).unwrap();
        assert_eq!(fs::read(&output).unwrap(), b"new");
        assert_eq!(names(), 2);
        let mode = fs::metadata(&output).unwrap().mode() & 0o111;
        assert_eq!(mode, 0);
    }

    #[test]
    fn holes_stay_holes() {
        let folder = tempfile::tempdir().unwrap();
        let [image, output] = ["image", "output"].map(|name| folder.path().join(name));
        let mebibyte = 1 << 20;
        for data in [&[][..], &[0], &[3], &[1, 5, 6]] {
            let file = File::create(&image).unwrap();
            file.set_len(8 * mebibyte).unwrap();
            for place in data {
                file.write_all_at(b"data", place * mebibyte + 4094).unwrap();
            }
            copy_sparse(&image, &output).unwrap();
            assert!(fs::read(&image).unwrap() == fs::read(&output).unwrap());
            let blocks = |file| fs::metadata(file).unwrap().blocks();
            assert_eq!(blocks(&output), blocks(&image), "{data:?}");
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
