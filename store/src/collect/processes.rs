//! What running processes use of the store: programs, working folders, open and mapped files, and
//! what their environments name. Source: `proc(5)`; Nix looks at the same places.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use bstr::ByteSlice as _;
use cairn_store_path::StorePath;
use nix::errno::Errno;

use crate::error::{IoError, io_error};

/// Files of a process with names of other files in them.
const TEXTS: [&str; 2] = ["maps", "environ"];

/// Links of a process.
const LINKS: [&str; 3] = ["exe", "cwd", "root"];

/// Programs that the kernel itself starts.
const KERNEL: [&str; 2] = ["sys/kernel/modprobe", "sys/kernel/core_pattern"];

/// The objects that processes below `proc` use, valid or not; `stores` are the names that the folder
/// of objects may have. Processes of other users are seen by root alone.
pub(crate) fn used(proc: &Path, stores: &[&Path]) -> Result<BTreeSet<StorePath>, IoError> {
    let mut scan = Scan {
        prefixes: stores
            .iter()
            .map(|store| [store.as_os_str().as_bytes(), b"/"].concat())
            .collect(),
        found: BTreeSet::new(),
    };
    for name in KERNEL {
        scan.text(&proc.join(name))?;
    }
    for entry in fs::read_dir(proc).map_err(io_error("list", proc))? {
        let entry = entry.map_err(io_error("list", proc))?;
        let is_process = entry.file_name().as_bytes().iter().all(u8::is_ascii_digit);
        if is_process {
            scan.process(&entry.path())?;
        }
    }
    Ok(scan.found)
}

struct Scan {
    prefixes: Vec<Vec<u8>>,
    found: BTreeSet<StorePath>,
}

impl Scan {
    fn process(&mut self, folder: &Path) -> Result<(), IoError> {
        for name in LINKS {
            self.link(&folder.join(name))?;
        }
        let open = folder.join("fd");
        if let Some(entries) = readable(fs::read_dir(&open), &open)? {
            for entry in entries {
                match readable(entry, &open)? {
                    Some(entry) => self.link(&entry.path())?,
                    None => break,
                }
            }
        }
        for name in TEXTS {
            self.text(&folder.join(name))?;
        }
        Ok(())
    }

    fn link(&mut self, link: &Path) -> Result<(), IoError> {
        if let Some(target) = readable(fs::read_link(link), link)? {
            self.take(target.as_os_str().as_bytes());
        }
        Ok(())
    }

    fn text(&mut self, file: &Path) -> Result<(), IoError> {
        if let Some(text) = readable(fs::read(file), file)? {
            self.take(&text);
        }
        Ok(())
    }

    fn take(&mut self, text: &[u8]) {
        for prefix in &self.prefixes {
            for at in text.find_iter(prefix) {
                let rest = text.get(at + prefix.len()..).unwrap_or_default();
                let end = rest
                    .iter()
                    .position(|&byte| !is_name_byte(byte))
                    .unwrap_or(rest.len());
                let name = rest.get(..end).and_then(|name| name.to_str().ok());
                if let Some(Ok(path)) = name.map(StorePath::from_base_name) {
                    self.found.insert(path);
                }
            }
        }
    }
}

/// The bytes that names of objects are made of.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-._?=".contains(&byte)
}

/// What was read, or nothing if the process is gone or belongs to somebody else.
fn readable<T>(result: io::Result<T>, path: &Path) -> Result<Option<T>, IoError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied
            ) || matches!(
                error.raw_os_error().map(Errno::from_raw),
                // Gone while it was read; a kernel thread has no memory.
                Some(Errno::ESRCH | Errno::EINVAL)
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(io_error("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    const ONE: &str = "00000000000000000000000000000001";

    #[test]
    fn each_place_counts() {
        let folder = tempfile::tempdir().unwrap();
        let proc = folder.path();
        let process = proc.join("7");
        fs::create_dir_all(process.join("fd")).unwrap();
        fs::create_dir_all(proc.join("sys/kernel")).unwrap();
        fs::create_dir_all(proc.join("acpi")).unwrap();
        symlink(
            format!("/nix/store/{ONE}-exe/bin/x (deleted)"),
            process.join("exe"),
        )
        .unwrap();
        symlink(format!("/nix/store/{ONE}-cwd"), process.join("cwd")).unwrap();
        symlink(format!("/r/nix/store/{ONE}-open/f"), process.join("fd/3")).unwrap();
        symlink("socket:[1]", process.join("fd/4")).unwrap();
        let maps = format!("7f-80 r-xp 0 08:01 1   /nix/store/{ONE}-map/lib/x.so\n");
        fs::write(process.join("maps"), maps).unwrap();
        let environ =
            format!("A=1\0PATH=/nix/store/{ONE}-a/bin:/nix/store/{ONE}-b\0X=/nix/store/x\0\u{e9}");
        fs::write(process.join("environ"), environ).unwrap();
        let modprobe = format!("/nix/store/{ONE}-kmod/bin/modprobe\n");
        fs::write(proc.join("sys/kernel/modprobe"), modprobe).unwrap();
        let found = used(proc, &[Path::new("/nix/store"), Path::new("/r/nix/store")]).unwrap();
        let found: Vec<_> = found.iter().map(StorePath::name).collect();
        assert_eq!(found, ["a", "b", "cwd", "exe", "kmod", "map", "open"]);
    }
}
