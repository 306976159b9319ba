//! The way to write a store that others see read-only.
//!
//! On a running system `/nix/store` is mounted read-only on itself: nobody changes an object by
//! mistake. This process gets a view of `/nix` without that mount, which no other process has and
//! which leaves the mounts of the system alone:
//!
//! ```text
//! /nix/store        as all see it, read-only                reading, and what builders get
//! <view>/store      the same folder, writable               objects appear and go here
//! <view>/var/nix    the same as /nix/var/nix                unfinished objects come from here
//! ```
//!
//! Both ends of a rename have to be in one view, else the kernel takes them for different file
//! systems. Where the store really is a file system of its own, the view is of the store alone.

use std::fs::{self, Metadata};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cairn_sys::mount::writable_view;
use nix::sys::statvfs::{FsFlags, statvfs};

use crate::error::{IoError, io_error};

/// Where the folder of objects is written.
#[derive(Debug)]
pub(crate) struct Writable {
    /// `ROOT/nix`.
    nix: PathBuf,
    store: PathBuf,
    view: Option<View>,
}

#[derive(Debug)]
struct View {
    /// The view is there as long as this is open.
    _open: OwnedFd,
    /// `ROOT/nix` in the view, if the view has more than the store.
    nix: Option<PathBuf>,
}

impl Writable {
    /// Looks at `ROOT/nix/store`; makes a view if it is read-only and this process may.
    pub(crate) fn open(nix: &Path) -> Result<Self, IoError> {
        let store = nix.join("store");
        let plain = Self {
            nix: nix.to_owned(),
            store: store.clone(),
            view: None,
        };
        let flags = statvfs(&store).map_err(io_error("read the mount of", &store))?;
        if !flags.flags().contains(FsFlags::ST_RDONLY) {
            return Ok(plain);
        }
        match Self::through_view(nix, &store) {
            Ok(writable) => Ok(writable),
            // Reading needs no view; who writes is told that the file system is read-only.
            Err(error) => {
                log::info!("{} stays read-only: {error}", store.display());
                Ok(plain)
            }
        }
    }

    fn through_view(nix: &Path, store: &Path) -> std::io::Result<Self> {
        let seen = fs::metadata(store)?;
        let open = writable_view(nix)?;
        let base = place(&open);
        let in_view = base.join("store");
        let is_same = fs::metadata(&in_view).is_ok_and(|metadata| same(&metadata, &seen));
        let (open, store, view_of_nix) = if is_same {
            (open, in_view, Some(base))
        } else {
            let open = writable_view(store)?;
            let base = place(&open);
            (open, base, None)
        };
        Ok(Self {
            nix: nix.to_owned(),
            store,
            view: Some(View {
                _open: open,
                nix: view_of_nix,
            }),
        })
    }

    /// The folder of objects.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// The name of `path` (below `ROOT/nix`) from which it can be renamed into the store, if that
    /// is possible at all.
    pub(crate) fn name_of(&self, path: &Path) -> PathBuf {
        let base = self.view.as_ref().and_then(|view| view.nix.as_ref());
        match (base, path.strip_prefix(&self.nix)) {
            (Some(base), Ok(rest)) => base.join(rest),
            _ => path.to_owned(),
        }
    }
}

fn place(open: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", open.as_raw_fd()))
}

fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}
