//! Packages to files: streams each package's content to its place and keeps links and maintainer
//! scripts for the steps that follow.
//!
//! Invariant: this step makes folders, files and hard links only, each in a folder that it made
//! itself. As no symbolic link exists in the destination yet, no name can lead out of it.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::deb::{Deb, Entry, Kind, Left, Part};
use super::layout::{self, show};
use super::report::{Report, Setuid, Skipped};
use super::tree::{Clash, Content, File, Node, Symlink, Tree, disk_path};
use super::{Documentation, Import, ImportError};

/// What the packages hold.
#[derive(Debug)]
pub struct Unpacked {
    /// The tree; its files are on disk, its links are not.
    pub tree: Tree,
    /// Text of the maintainer scripts, with the package's name.
    pub maintainer_scripts: Vec<Script>,
}

/// A maintainer script.
#[derive(Debug)]
pub struct Script {
    /// Name of the package.
    pub package: String,
    /// Its name: `postinst` …
    pub name: String,
    /// Its text; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// Maintainer scripts by name; other control files are no scripts.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Bytes of the longest control file that is read.
const CONTROL_FILE_LIMIT: u64 = 4 << 20;

/// Unpacks all packages of the group.
///
/// # Errors
/// See [`super::import`].
pub fn unpack(import: &Import<'_>, report: &mut Report) -> Result<Unpacked, ImportError> {
    let mut left = Left {
        bytes: import.limits.unpacked_bytes,
        entries: import.limits.entries,
    };
    let mut scripts = Vec::new();
    let mut writer = Writer {
        import,
        tree: Tree::default(),
        report,
        buffer: vec![0; 1 << 17],
    };
    for (number, path) in import.debs.iter().enumerate() {
        let deb = Deb::open(path)?;
        let control = read_control(&deb, import, &mut left)?;
        writer.report.packages.push(control.package.clone());
        for (name, text) in control.scripts {
            writer
                .report
                .maintainer_scripts
                .push(format!("{}/{name}", control.package));
            scripts.push(Script {
                package: control.package.clone(),
                name,
                text,
            });
        }
        deb.entries(Part::Data, &import.limits, &mut left, |entry, content| {
            writer.write(&deb, number, &entry, content)
        })?;
    }
    Ok(Unpacked {
        tree: writer.tree,
        maintainer_scripts: scripts,
    })
}

struct Control {
    package: String,
    scripts: Vec<(String, String)>,
}

fn read_control(
    deb: &Deb<'_>,
    import: &Import<'_>,
    left: &mut Left,
) -> Result<Control, ImportError> {
    let mut control = Control {
        package: String::new(),
        scripts: Vec::new(),
    };
    deb.entries(Part::Control, &import.limits, left, |entry, content| {
        let name = String::from_utf8_lossy(&entry.path).into_owned();
        let wanted = name == "control" || SCRIPTS.contains(&name.as_str());
        if entry.kind != Kind::File || !wanted {
            return Ok(());
        }
        if entry.size > CONTROL_FILE_LIMIT {
            return Err(deb.hostile(&entry.path, "is too long for a control file"));
        }
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|error| deb.broken(&error, &import.limits))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if name == "control" {
            package_name(&text)
                .unwrap_or_default()
                .clone_into(&mut control.package);
        } else {
            control.scripts.push((name, text));
        }
        Ok(())
    })?;
    Ok(control)
}

fn package_name(control: &str) -> Option<&str> {
    control
        .lines()
        .find_map(|line| line.strip_prefix("Package:"))
        .map(str::trim)
}

struct Writer<'a> {
    import: &'a Import<'a>,
    tree: Tree,
    report: &'a mut Report,
    buffer: Vec<u8>,
}

impl Writer<'_> {
    fn write(
        &mut self,
        deb: &Deb<'_>,
        number: usize,
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<(), ImportError> {
        let path = self.tree.place(&entry.path);
        if path.is_empty() {
            return match entry.kind {
                Kind::Directory => Ok(()),
                _ => Err(deb.hostile(&entry.path, "would replace the prefix itself")),
            };
        }
        if path == super::REPORT_PATH.as_bytes() {
            return Err(deb.hostile(&entry.path, "has the name of the import report"));
        }
        if self.import.documentation == Documentation::Drop && layout::is_documentation(&path) {
            if entry.kind != Kind::Directory {
                self.report.documentation_skipped += 1;
            }
            return Ok(());
        }
        let folder = match &entry.kind {
            Kind::Directory => path.as_slice(),
            _ => layout::parent(&path),
        };
        self.make_folders(deb, number, folder)?;
        match &entry.kind {
            Kind::Directory => Ok(()),
            Kind::File => self.write_file(deb, number, &path, entry, content),
            Kind::Symlink(target) => {
                let link = Symlink {
                    debian_path: entry.path.clone(),
                    target: target.clone(),
                    deb: number,
                };
                if layout::link_target(&entry.path, target).is_none() {
                    return Err(deb.hostile(&entry.path, "is a link to above the root"));
                }
                let clash = self.tree.add_link(&path, link);
                clash.map_err(|clash| self.clash(deb, number, &path, &clash))
            }
            Kind::HardLink(target) => self.link_file(deb, number, &path, target),
        }
    }

    fn make_folders(
        &mut self,
        deb: &Deb<'_>,
        number: usize,
        path: &[u8],
    ) -> Result<(), ImportError> {
        let new = self
            .tree
            .add_directory(path)
            .map_err(|clash| self.clash(deb, number, path, &clash))?;
        for folder in new {
            let folder = disk_path(self.import.destination, &folder);
            fs::create_dir(&folder).map_err(ImportError::io("create", &folder))?;
        }
        Ok(())
    }

    fn write_file(
        &mut self,
        deb: &Deb<'_>,
        number: usize,
        path: &[u8],
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<(), ImportError> {
        let executable = entry.mode & 0o111 != 0;
        let taken = self
            .tree
            .vacancy(path)
            .map_err(|clash| self.clash(deb, number, path, &clash))?;
        let disk = disk_path(self.import.destination, path);
        if let Some(old) = taken {
            return self.compare(deb, number, (old, &disk), entry, content);
        }
        let start = self.stream(deb, &disk, entry, content)?;
        let file = File {
            path: path.to_vec(),
            deb: number,
            executable,
            content: classify(path, start, executable),
        };
        self.tree.add_file(path, file);
        self.report.files += 1;
        self.report.bytes += entry.size;
        if entry.mode & 0o6000 != 0 {
            self.report.setuid.push(Setuid {
                path: show(path),
                mode: entry.mode,
                user: entry.user.clone(),
                group: entry.group.clone(),
            });
        }
        Ok(())
    }

    /// Writes one new file and returns its first bytes.
    fn stream(
        &mut self,
        deb: &Deb<'_>,
        disk: &Path,
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<[u8; 4], ImportError> {
        let mode = if entry.mode & 0o111 != 0 {
            0o755
        } else {
            0o644
        };
        let mut out = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(disk)
            .map_err(ImportError::io("create", disk))?;
        let mut written = 0u64;
        let mut start = [0u8; 4];
        loop {
            let read = fill(content, &mut self.buffer)
                .map_err(|error| deb.broken(&error, &self.import.limits))?;
            let chunk = self.buffer.get(..read).unwrap_or_default();
            if chunk.is_empty() {
                break;
            }
            if written == 0 {
                start
                    .iter_mut()
                    .zip(chunk)
                    .for_each(|(to, from)| *to = *from);
            }
            out.write_all(chunk)
                .map_err(ImportError::io("write", disk))?;
            written += read as u64;
        }
        if written != entry.size {
            let error = io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("it ends inside '{}'", show(&entry.path)),
            );
            return Err(deb.broken(&error, &self.import.limits));
        }
        Ok(start)
    }

    /// A second file at one place must be the same file.
    fn compare(
        &mut self,
        deb: &Deb<'_>,
        number: usize,
        (old, disk): (usize, &Path),
        entry: &Entry,
        content: &mut dyn Read,
    ) -> Result<(), ImportError> {
        let mut known = fs::File::open(disk).map_err(ImportError::io("open", disk))?;
        let mut other = vec![0u8; self.buffer.len()];
        let mut same = true;
        loop {
            let read = fill(content, &mut self.buffer)
                .map_err(|error| deb.broken(&error, &self.import.limits))?;
            let room = other.get_mut(..read.max(1)).unwrap_or_default();
            let had = fill(&mut known, room).map_err(ImportError::io("read", disk))?;
            same &= had == read && self.buffer.get(..read) == other.get(..had);
            if read == 0 || !same {
                break;
            }
        }
        let first = self.tree.file(old);
        same &= first.is_some_and(|file| file.executable == (entry.mode & 0o111 != 0));
        if same {
            return Ok(());
        }
        let first = first.map_or(number, |file| file.deb);
        let path = self.tree.place(&entry.path);
        Err(self.clash(deb, number, &path, &Clash::With(first)))
    }

    fn link_file(
        &mut self,
        deb: &Deb<'_>,
        number: usize,
        path: &[u8],
        target: &[u8],
    ) -> Result<(), ImportError> {
        let place = self.tree.place(target);
        match self.tree.get(&place) {
            Some(Node::File(inode)) => {
                let inode = *inode;
                let taken = self
                    .tree
                    .vacancy(path)
                    .map_err(|clash| self.clash(deb, number, path, &clash))?;
                if taken == Some(inode) {
                    return Ok(());
                }
                if taken.is_some() {
                    return Err(deb.hostile(path, "is in the package twice"));
                }
                let from = disk_path(self.import.destination, &place);
                let to = disk_path(self.import.destination, path);
                fs::hard_link(from, &to).map_err(ImportError::io("link", &to))?;
                self.tree.add_name(path, inode);
                Ok(())
            }
            Some(Node::Link(link)) => {
                // A second name of a symbolic link is the same link in another place.
                let same = Symlink {
                    debian_path: link.debian_path.clone(),
                    target: link.target.clone(),
                    deb: number,
                };
                let clash = self.tree.add_link(path, same);
                clash.map_err(|clash| self.clash(deb, number, path, &clash))
            }
            _ if layout::is_documentation(&place) => {
                self.report.skipped.push(Skipped {
                    path: show(path),
                    reason: format!("it is a hard link to documentation: {}", show(target)),
                });
                Ok(())
            }
            _ => Err(deb.hostile(
                path,
                "is a hard link to a file that the package does not have",
            )),
        }
    }

    fn clash(&self, deb: &Deb<'_>, number: usize, path: &[u8], clash: &Clash) -> ImportError {
        match clash {
            Clash::With(first) if *first != number => ImportError::Conflict {
                first: self.deb_path(*first),
                second: self.deb_path(number),
                entry: show(path),
            },
            Clash::With(_) => deb.hostile(path, "is in the package twice, with different content"),
            Clash::ThroughLink => deb.hostile(path, "would be written through a symbolic link"),
            Clash::ThroughFile => deb.hostile(path, "lies below a file"),
            Clash::Directory => deb.hostile(path, "would replace a folder"),
        }
    }

    fn deb_path(&self, number: usize) -> PathBuf {
        self.import.debs.get(number).cloned().unwrap_or_default()
    }
}

/// Reads until the buffer is full or the content ends.
fn fill(content: &mut (impl Read + ?Sized), buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
        match content.read(room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn classify(path: &[u8], start: [u8; 4], executable: bool) -> Content {
    if start == *b"\x7fELF" {
        Content::Elf
    } else if executable && start.starts_with(b"#!") {
        Content::Script
    } else if layout::name(path).ends_with(b".pc") && layout::parent(path).ends_with(b"pkgconfig") {
        Content::PkgConfig
    } else {
        Content::Other
    }
}

/// Removes empty folders below the top folders that mean nothing in a store object.
///
/// # Errors
/// A folder cannot be read or removed.
pub fn remove_empty(destination: &Path) -> Result<(), ImportError> {
    for top in layout::dropped_when_empty() {
        let path = disk_path(destination, top);
        match fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => {
                prune(&path)?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(ImportError::io("read", &path)(error)),
        }
    }
    Ok(())
}

/// Removes `folder` if nothing but folders is below it; returns whether it is gone.
fn prune(folder: &Path) -> Result<bool, ImportError> {
    let mut empty = true;
    for entry in fs::read_dir(folder).map_err(ImportError::io("read", folder))? {
        let entry = entry.map_err(ImportError::io("read", folder))?;
        let path = entry.path();
        let kind = entry.file_type().map_err(ImportError::io("read", &path))?;
        empty &= kind.is_dir() && prune(&path)?;
    }
    if empty {
        fs::remove_dir(folder).map_err(ImportError::io("remove", folder))?;
    }
    Ok(empty)
}
