//! The cpio format `newc`, which the kernel unpacks as an initial file system.
//!
//! ```text
//! header: "070701", then 13 numbers of 8 hexadecimal digits:
//!   inode mode uid gid links mtime size  device major minor  special major minor  name size, 0
//! name, NUL, zeros to a multiple of 4; content, zeros to a multiple of 4
//! the last entry is called "TRAILER!!!"
//! ```
//! Entries come in the manifest's order, inode numbers count from 1, and every number is the
//! manifest's: the same manifest gives the same bytes. The format has no extended attributes, so
//! a manifest with some is refused.
//!
//! Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::manifest::{Content, Manifest, Node};

/// Why an archive cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CpioError {
    /// The output fails.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
    /// A file of the manifest cannot be read.
    #[error("cannot read '{path}' for the archive: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A file of the manifest is not as long as it was.
    #[error("cannot archive '{path}': it is no longer {size} bytes long")]
    Changed {
        /// The file.
        path: PathBuf,
        /// Its length in the manifest.
        size: u64,
    },
    /// The format has no place for it.
    #[error("cannot archive '{path}': {reason}")]
    Unfit {
        /// The entry.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
}

/// Only the variant `070702` has one.
const CHECKSUM: u32 = 0;
const DIRECTORY: u32 = 0o040_000;
const CHARACTER_DEVICE: u32 = 0o020_000;
const BLOCK_DEVICE: u32 = 0o060_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// Longest path that the kernel takes, with its NUL.
const MAX_PATH: usize = 4096;

/// Writes `manifest` as an archive to `out`. The root itself is left out: the kernel has one.
///
/// # Errors
/// See [`CpioError`]; what has been written then is not an archive.
pub fn write_cpio(manifest: &Manifest, out: &mut impl Write) -> Result<(), CpioError> {
    let entries = manifest
        .entries()
        .filter(|(path, _)| !path.as_os_str().is_empty());
    for (inode, (path, node)) in (1_u32..).zip(entries) {
        write_entry(inode, path, node, out)?;
    }
    let trailer = Header {
        links: 1,
        ..Header::default()
    };
    write_header(&trailer, b"TRAILER!!!", out)
}

fn write_entry(
    inode: u32,
    path: &Path,
    node: &Node,
    out: &mut impl Write,
) -> Result<(), CpioError> {
    let unfit = |reason| CpioError::Unfit {
        path: path.to_owned(),
        reason,
    };
    if !node.xattrs.is_empty() {
        return Err(unfit("cpio has no extended attributes"));
    }
    let name = path.as_os_str().as_bytes();
    if name.len() >= MAX_PATH {
        return Err(unfit("its path is longer than 4095 bytes"));
    }
    let length = |size: u64| u32::try_from(size).map_err(|_| unfit("it is larger than 4 GiB"));
    let mut header = Header {
        inode,
        mode: node.mode & 0o7777,
        uid: node.uid,
        gid: node.gid,
        links: 1,
        mtime: node.mtime,
        ..Header::default()
    };
    match &node.content {
        Content::Directory => {
            header.mode |= DIRECTORY;
            header.links = 2;
            write_header(&header, name, out)
        }
        Content::Bytes(bytes) => {
            header.mode |= REGULAR;
            header.size = length(bytes.len() as u64)?;
            write_header(&header, name, out)?;
            write_padded(bytes, out)
        }
        Content::Symlink(target) => {
            let target = target.as_os_str().as_bytes();
            header.mode |= SYMLINK;
            header.size = length(target.len() as u64)?;
            write_header(&header, name, out)?;
            write_padded(target, out)
        }
        Content::CharDevice { major, minor } => {
            header.mode |= CHARACTER_DEVICE;
            header.special = (*major, *minor);
            write_header(&header, name, out)
        }
        Content::BlockDevice { major, minor } => {
            header.mode |= BLOCK_DEVICE;
            header.special = (*major, *minor);
            write_header(&header, name, out)
        }
        Content::HardLink(_) => Err(unfit("a hard link has no place in an initrd")),
        Content::File { path, size } => {
            header.mode |= REGULAR;
            header.size = length(*size)?;
            write_header(&header, name, out)?;
            copy_file(path, *size, out)?;
            pad(*size, out)
        }
    }
}

#[derive(Default)]
struct Header {
    inode: u32,
    mode: u32,
    uid: u32,
    gid: u32,
    links: u32,
    mtime: u32,
    size: u32,
    special: (u32, u32),
}

fn write_header(header: &Header, name: &[u8], out: &mut impl Write) -> Result<(), CpioError> {
    let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
    let numbers = [
        header.inode,
        header.mode,
        header.uid,
        header.gid,
        header.links,
        header.mtime,
        header.size,
        0,
        0,
        header.special.0,
        header.special.1,
        name_size,
        CHECKSUM,
    ];
    let mut bytes = b"070701".to_vec();
    for number in numbers {
        bytes.extend(format!("{number:08x}").bytes());
    }
    bytes.extend(name);
    bytes.push(0);
    write_padded(&bytes, out)
}

fn write_padded(bytes: &[u8], out: &mut impl Write) -> Result<(), CpioError> {
    out.write_all(bytes).map_err(CpioError::Write)?;
    pad(bytes.len() as u64, out)
}

/// Zeros up to a multiple of four. Headers and contents each begin at one.
fn pad(length: u64, out: &mut impl Write) -> Result<(), CpioError> {
    let zeros: &[u8] = match length % 4 {
        1 => &[0; 3],
        2 => &[0; 2],
        3 => &[0; 1],
        _ => &[],
    };
    out.write_all(zeros).map_err(CpioError::Write)
}

fn copy_file(path: &Path, size: u64, out: &mut impl Write) -> Result<(), CpioError> {
    let failed = |source| CpioError::Read {
        path: path.to_owned(),
        source,
    };
    let changed = || CpioError::Changed {
        path: path.to_owned(),
        size,
    };
    let mut file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.len() != size {
        return Err(changed());
    }
    let mut left = size;
    let mut block = vec![0; 1 << 16];
    while left > 0 {
        let count = file.read(&mut block).map_err(failed)?;
        let read = block.get(..count).unwrap_or_default();
        let count = read.len() as u64;
        if count == 0 || count > left {
            return Err(changed());
        }
        out.write_all(read).map_err(CpioError::Write)?;
        left -= count;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use proptest::prelude::*;

    use super::*;

    fn archive(manifest: &Manifest) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_cpio(manifest, &mut bytes).unwrap();
        bytes
    }

    /// What another program reads: `cpio` of Debian's package of that name.
    fn listed(bytes: &[u8]) -> String {
        let mut child = Command::new("cpio")
            .args(["-itvn", "--quiet"])
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("cpio is missing; apt-get install cpio");
        let mut stdin = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        let feeder = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output().unwrap();
        feeder.join().unwrap().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    }

    fn example() -> Manifest {
        let mut manifest = Manifest::new();
        manifest.insert("bin", Node::directory(0o755)).unwrap();
        let program = Node::new(0o4755, Content::Bytes(b"hello".to_vec())).owned(7, 8);
        manifest.insert("bin/program", program).unwrap();
        manifest.insert("bin/sh", Node::symlink("program")).unwrap();
        manifest.insert("dev", Node::directory(0o755)).unwrap();
        let console = Content::CharDevice { major: 5, minor: 1 };
        manifest
            .insert("dev/console", Node::new(0o600, console))
            .unwrap();
        manifest
    }

    #[test]
    fn another_program_reads_the_same() {
        expect_test::expect![[r#"
            drwxr-xr-x   2 0        0               0 Jan  1  1970 bin
            -rwsr-xr-x   1 7        8               5 Jan  1  1970 bin/program
            lrwxrwxrwx   1 0        0               7 Jan  1  1970 bin/sh -> program
            drwxr-xr-x   2 0        0               0 Jan  1  1970 dev
            crw-------   1 0        0          5,   1 Jan  1  1970 dev/console
        "#]]
        .assert_eq(&listed(&archive(&example())));
    }

    #[test]
    fn a_whole_archive() {
        let mut manifest = Manifest::new();
        let file = Node::new(0o444, Content::Bytes(b"hi\n".to_vec()));
        manifest.insert("a", file).unwrap();
        let text = String::from_utf8(archive(&manifest))
            .unwrap()
            .replace('\0', ".");
        expect_test::expect![[r#"
            07070100000001000081240000000000000000000000010000000100000003000000000000000000000000000000000000000200000000a.hi
            .07070100000000000000000000000000000000000000010000000000000000000000000000000000000000000000000000000b00000000TRAILER!!!...."#]]
        .assert_eq(&text);
    }

    #[test]
    fn a_file_that_has_changed_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "four").unwrap();
        let mut manifest = Manifest::new();
        let content = Content::File {
            path: path.clone(),
            size: 5,
        };
        manifest.insert("a", Node::new(0o444, content)).unwrap();
        let error = write_cpio(&manifest, &mut Vec::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot archive '{}': it is no longer 5 bytes long",
                path.display()
            )
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn names_and_sizes_survive(
            files in proptest::collection::btree_map("[a-z][a-z0-9._-]{0,20}", 0_usize..70, 0..12)
        ) {
            let mut manifest = Manifest::new();
            for (name, size) in &files {
                let content = Content::Bytes(vec![b'x'; *size]);
                manifest.insert(name, Node::new(0o644, content)).unwrap();
            }
            let bytes = archive(&manifest);
            prop_assert_eq!(bytes.len() % 4, 0);
            let found: Vec<(String, usize)> = listed(&bytes)
                .lines()
                .map(|line| {
                    let words: Vec<&str> = line.split_whitespace().collect();
                    (words[8].to_owned(), words[4].parse().unwrap())
                })
                .collect();
            prop_assert_eq!(found, files.into_iter().collect::<Vec<_>>());
        }
    }
}
