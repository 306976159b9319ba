//! A service's own root: a file system in memory, in whose top are the names of a folder.
//!
//! The folder itself is left as it is: what is to be mounted at its top has its place in memory, and deeper
//! places must be there. While the view is put together, the machine is below [`MACHINE`]; from then on links
//! lead where they lead in the new root.
//!
//! ```text
//! /            in memory, for reading in the end
//!   .machine/  the machine's root, while the view is put together
//!   usr -> …   a link of the folder's
//!   etc/       another name of it, seen here
//!   run/       a mount
//! ```

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use cairn_sys::process::{Access as Bits, Change};
use cairn_system::{Access, ServiceMount};

use super::machine::Entry;
use super::places::Place;
use super::view::{View, access, bind, bits, file_system};
use super::{NO_RIGHTS, ROOT, STORE};

/// Where the machine's root is meanwhile.
pub const MACHINE: &str = "/.machine";

/// The top of a service's own root.
#[derive(Debug, Default)]
pub struct Top {
    /// Names that are those of its folder.
    pub names: Vec<PathBuf>,
    /// Those of them that can be given rights of their own.
    mounted: Vec<PathBuf>,
}

impl View<'_> {
    /// Enters `root`.
    pub fn enter_root(&mut self, root: &ServiceMount) -> io::Result<()> {
        let stage = Path::new(ROOT);
        let options = match root.options.as_str() {
            "" => "mode=0755",
            options => options,
        };
        self.push(file_system("tmpfs", stage, NO_RIGHTS, options), false);
        let before = PathBuf::from(MACHINE);
        let meanwhile = stage.join(before.strip_prefix("/").unwrap_or(&before));
        self.push(Change::Folder(meanwhile, 0o700), false);
        let at = stage.to_owned();
        self.push(Change::Root { at, before }, false);
        self.top = Some(Top::default());
        match &root.source {
            Some(folder) => self.show_top(Path::new(folder), root.read_only),
            None => Ok(()),
        }
    }

    /// Shows the names in `folder` at the top, but for those in whose place something else is seen.
    fn show_top(&mut self, folder: &Path, read_only: bool) -> io::Result<()> {
        let unusable = |error: io::Error| {
            let message = format!("cannot give it the root {}: {error}", folder.display());
            io::Error::new(error.kind(), message)
        };
        let entries = self.machine.entries(folder).map_err(unusable)?;
        let forbid = if read_only || folder.starts_with(STORE) {
            Bits::READ_ONLY
        } else {
            Bits::FREE
        };
        let mut top = Top::default();
        for (name, entry) in entries {
            let at = Path::new("/").join(&name);
            let covered = self.places.get(&at).is_some_and(Place::covers);
            if covered || at.as_os_str() == OsStr::new(MACHINE) {
                continue;
            }
            let place = match entry {
                Entry::Link(target) => Change::Link {
                    target,
                    at: at.clone(),
                },
                Entry::Folder => Change::Folder(at.clone(), 0o755),
                Entry::File => Change::File(at.clone()),
            };
            let is_link = matches!(place, Change::Link { .. });
            self.push(place, false);
            if !is_link {
                let from = self.of_machine(&folder.join(&name), &at)?;
                self.push(bind(&from, &at), false);
                if forbid != Bits::FREE {
                    self.push(access(&at, true, forbid, Bits::FREE), false);
                }
                top.mounted.push(at.clone());
            }
            top.names.push(at);
        }
        self.top = Some(top);
        Ok(())
    }

    /// What may be done everywhere in it, but for what is mounted later.
    pub fn restrict_top(&mut self, wanted: Access) {
        let (forbid, allow) = bits(wanted);
        let mounted = self
            .top
            .as_ref()
            .map_or_else(Vec::new, |top| top.mounted.clone());
        for at in mounted {
            self.push(access(&at, true, forbid, allow), false);
        }
    }

    /// The machine is not seen any more, and what is in memory is as it is to be.
    pub fn finish_root(&mut self, root: &ServiceMount) {
        self.push(Change::Hide(MACHINE.into()), false);
        let at = Path::new("/");
        let wanted = self.places.get(at).and_then(|place| place.access);
        let (mut forbid, allow) =
            wanted.map_or((Bits::FREE, Bits::FREE), |(wanted, _)| bits(wanted));
        if root.source.is_some() || root.read_only {
            forbid = forbid.and(Bits::READ_ONLY);
        }
        if forbid != Bits::FREE {
            self.push(access(at, false, forbid, allow), false);
        }
    }
}
