//! New microcode for processors, as the kernel wants it: in an archive of its own that is not compressed
//! and comes before everything else of the initrd, where it is found before anything can be unpacked.
//!
//! ```text
//! kernel/x86/microcode/GenuineIntel.bin    all updates, one after the other
//! kernel/x86/microcode/AuthenticAMD.bin
//! ```
//! The archive is padded with zeros to a multiple of 512. The same files give the same bytes.
//!
//! Source: Documentation/arch/x86/microcode.rst of Linux; Intel's Software Developer's Manual, volume 3,
//! 'Microcode Update'; `arch/x86/kernel/cpu/microcode/amd.c`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cpio::{CpioError, write_cpio};
use crate::manifest::{Content, Manifest, ManifestError, Node};

/// Who makes processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vendor {
    /// Files `intel-ucode/06-8e-09`, by family, model and stepping.
    Intel,
    /// Files `amd-ucode/microcode_amd*.bin`, by family.
    Amd,
}

/// Microcode of one vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Microcode {
    /// For whose processors.
    pub vendor: Vendor,
    /// The folder that firmware is in.
    pub firmware: PathBuf,
}

/// Why there is no archive.
#[derive(Debug, thiserror::Error)]
pub enum MicrocodeError {
    /// A file or folder cannot be read.
    #[error("cannot read the microcode '{path}': {source}")]
    Read {
        /// It.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// There is none in the folder.
    #[error("there is no microcode in '{0}'; is that the right package?")]
    None(PathBuf),
    /// A file is something else.
    #[error("'{0}' is no microcode: it does not begin as such files do")]
    NoMicrocode(PathBuf),
    /// Two vendors are one.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The archive is too large.
    #[error(transparent)]
    Cpio(#[from] CpioError),
}

const FOLDER: &str = "kernel/x86/microcode";
const BLOCK: usize = 512;

impl Vendor {
    fn folder(self) -> &'static str {
        match self {
            Self::Intel => "intel-ucode",
            Self::Amd => "amd-ucode",
        }
    }

    fn file(self) -> &'static str {
        match self {
            Self::Intel => "GenuineIntel.bin",
            Self::Amd => "AuthenticAMD.bin",
        }
    }

    /// Whether a file of this name has microcode; others are licences and signatures.
    fn names(self, name: &str) -> bool {
        let hexadecimal = |part: &str| part.len() == 2 && u8::from_str_radix(part, 16).is_ok();
        match self {
            Self::Intel => name.split('-').count() == 3 && name.split('-').all(hexadecimal),
            Self::Amd => {
                let end = Path::new(name).extension();
                name.starts_with("microcode_amd") && end.is_some_and(|end| end == "bin")
            }
        }
    }

    /// How a file begins: the version of the header, or a word that AMD has chosen.
    fn magic(self) -> [u8; 4] {
        match self {
            Self::Intel => 1_u32.to_le_bytes(),
            Self::Amd => *b"DMA\0",
        }
    }
}

/// The archive; empty if there is nothing to be had.
///
/// # Errors
/// See [`MicrocodeError`].
pub fn archive(all: &[Microcode]) -> Result<Vec<u8>, MicrocodeError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut manifest = Manifest::new();
    manifest.insert_directories(Path::new(FOLDER))?;
    for one in all {
        let path = Path::new(FOLDER).join(one.vendor.file());
        manifest.insert(path, Node::new(0o444, Content::Bytes(updates(one)?)))?;
    }
    let mut archive = Vec::new();
    write_cpio(&manifest, &mut archive)?;
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    Ok(archive)
}

/// All updates of a vendor, in the order of their names.
fn updates(one: &Microcode) -> Result<Vec<u8>, MicrocodeError> {
    let folder = one.firmware.join(one.vendor.folder());
    let failed = |path: &Path, source| MicrocodeError::Read {
        path: path.to_owned(),
        source,
    };
    let entries = fs::read_dir(&folder).map_err(|error| failed(&folder, error))?;
    let mut names = entries
        .map(|entry| Ok(entry?.file_name()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(|error| failed(&folder, error))?;
    names.retain(|name| name.to_str().is_some_and(|name| one.vendor.names(name)));
    names.sort();
    let mut updates = Vec::new();
    for name in names {
        let path = folder.join(name);
        let update = fs::read(&path).map_err(|error| failed(&path, error))?;
        if !update.starts_with(&one.vendor.magic()) || update.len() % 4 != 0 {
            return Err(MicrocodeError::NoMicrocode(path));
        }
        updates.extend(update);
    }
    if updates.is_empty() {
        return Err(MicrocodeError::None(folder));
    }
    Ok(updates)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firmware(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn of(vendor: Vendor, folder: &tempfile::TempDir) -> Microcode {
        Microcode {
            vendor,
            firmware: folder.path().to_owned(),
        }
    }

    #[test]
    fn updates_are_joined_in_order_and_padded() {
        let folder = firmware(&[
            ("intel-ucode/06-9e-0a", b"\x01\0\0\0two."),
            ("intel-ucode/06-8e-09", b"\x01\0\0\0one."),
            ("intel-ucode/06-4f-01.initramfs", b"none"),
            ("amd-ucode/microcode_amd.bin", b"DMA\0x..."),
            ("amd-ucode/microcode_amd.bin.asc", b"none"),
        ]);
        let all = [of(Vendor::Intel, &folder), of(Vendor::Amd, &folder)];
        let archive = archive(&all).unwrap();
        assert_eq!(archive.len() % BLOCK, 0);
        let out = tempfile::tempdir().unwrap();
        let mut cpio = std::process::Command::new("cpio")
            .args(["--extract", "--quiet", "--make-directories"])
            .current_dir(out.path())
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("cpio runs: apt-get install cpio");
        io::Write::write_all(&mut cpio.stdin.take().unwrap(), &archive).unwrap();
        assert!(cpio.wait().unwrap().success());
        let read = |name: &str| fs::read(out.path().join(FOLDER).join(name)).unwrap();
        assert_eq!(read("GenuineIntel.bin"), b"\x01\0\0\0one.\x01\0\0\0two.");
        assert_eq!(read("AuthenticAMD.bin"), b"DMA\0x...");
        assert_eq!(super::archive(&[]).unwrap(), b"");
    }

    #[test]
    fn what_is_no_microcode_is_refused() {
        let none = firmware(&[("intel-ucode/README", b"x")]);
        let error = archive(&[of(Vendor::Intel, &none)]).unwrap_err();
        assert!(error.to_string().starts_with("there is no microcode in"));
        let damaged = firmware(&[("amd-ucode/microcode_amd_fam17h.bin", b"PK..")]);
        let error = archive(&[of(Vendor::Amd, &damaged)]).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("it does not begin as such files do")
        );
        let error = archive(&[of(Vendor::Intel, &damaged)]).unwrap_err();
        assert!(error.to_string().contains("No such file"));
    }
}
