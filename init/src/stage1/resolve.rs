//! Paths of the new root, before it is the root: links in them mean the new root, not the initrd.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

/// How many links a path may lead through: the kernel's own limit.
const LINKS: usize = 40;

/// Where `path` leads when `root` is `/`. What does not exist is taken as written, so that it can
/// be made; the caller looks whether it is there.
///
/// # Errors
/// A link or a folder cannot be read, or links go round in a circle.
pub fn resolve(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut left: VecDeque<OsString> = parts(path);
    let mut resolved = PathBuf::new(); // relative to root
    let mut links = 0;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            resolved.pop();
            continue;
        }
        resolved.push(&part);
        let here = root.join(&resolved);
        match here.symlink_metadata() {
            Ok(metadata) if metadata.is_symlink() => {
                links += 1;
                if links > LINKS {
                    return Err(io::Error::from_raw_os_error(nix::libc::ELOOP));
                }
                let target = std::fs::read_link(&here)?;
                if target.is_absolute() {
                    resolved.clear();
                } else {
                    resolved.pop();
                }
                for part in parts(&target).into_iter().rev() {
                    left.push_front(part);
                }
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(root.join(resolved))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    path.components()
        .filter_map(|component| match component {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn links_stay_in_the_root() {
        let root = tempfile::TempDir::new().unwrap();
        let root = root.path();
        fs::create_dir_all(root.join("nix/store/x")).unwrap();
        fs::write(root.join("nix/store/x/init"), "").unwrap();
        symlink("/nix/store/x", root.join("system")).unwrap();
        symlink("system/init", root.join("init")).unwrap();
        symlink("../../../../etc/passwd", root.join("out")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        for (path, expected) in [
            ("/init", "nix/store/x/init"),
            ("/system/init", "nix/store/x/init"),
            ("/out", "etc/passwd"),
            ("/system/new/dir", "nix/store/x/new/dir"),
            ("/../..", ""),
        ] {
            assert_eq!(
                resolve(root, Path::new(path)).unwrap(),
                root.join(expected),
                "{path}"
            );
        }
        assert!(resolve(root, Path::new("/loop")).is_err());
    }
}
