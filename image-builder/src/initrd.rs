//! The initrd: stage 1's program, its description, and the modules and firmware that it may need.
//!
//! ```text
//! /init                               the static binary
//! /etc/stage-1.json                   what it mounts
//! /lib/modules/<release>/…/*.ko       unpacked, and indices about these modules alone
//! /lib/firmware/…                     what these modules name and the firmware folder has
//! /bin/<program> -> /nix/store/…      programs, with the store objects that they need
//! /dev/console, /dev/null             before devtmpfs is mounted
//! /proc /sys /run /sysroot /tmp       empty
//! ```
//! One zstd frame around one cpio archive. The same inputs give the same bytes.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use cairn_system::Stage1;

use crate::cpio::{CpioError, write_cpio};
use crate::kernel_modules::{Closure, Module, ModuleError, ModuleTree, Wanted};
use crate::manifest::{Content, Manifest, ManifestError, Node};

/// What an initrd is made of.
#[derive(Debug)]
pub struct Initrd<'a> {
    /// The static binary that becomes `/init`.
    pub init: PathBuf,
    /// What stage 1 does.
    pub stage1: Stage1,
    /// The kernel's modules.
    pub modules: &'a ModuleTree,
    /// Modules that are taken, with all that they need; those of [`Initrd::stage1`] are wanted
    /// besides.
    pub wanted: Wanted,
    /// Folders that firmware is looked for in; an earlier one counts. Firmware that is in none is
    /// left out: most modules name more than any machine needs.
    pub firmware: Vec<PathBuf>,
    /// Programs for checks and emergencies.
    pub programs: Vec<Program>,
}

/// A program in the initrd, from the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its name in `/bin`: `fsck.ext4`.
    pub name: String,
    /// The program as the initrd sees it: `/nix/store/…/bin/e2fsck`.
    pub target: PathBuf,
    /// Every store object that it needs, itself included: the closure.
    pub closure: Vec<StoreObject>,
}

/// A store object to be copied.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreObject {
    /// Its name in the system: `/nix/store/…`.
    pub path: PathBuf,
    /// Where it lies on this machine.
    pub source: PathBuf,
}

/// Why an initrd cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// A module is missing or damaged.
    #[error(transparent)]
    Module(#[from] ModuleError),
    /// Two parts claim one path, or a path is odd.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The archive cannot be written.
    #[error(transparent)]
    Cpio(#[from] CpioError),
    /// An input cannot be read.
    #[error("cannot read '{path}' for the initrd: {source}")]
    Read {
        /// The input.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The initrd cannot be written.
    #[error("cannot write the initrd '{path}': {source}")]
    Write {
        /// The output.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// `stage-1.json` cannot be made.
    #[error("cannot write stage-1.json: {0}")]
    Stage1(serde_json::Error),
    /// A program's target is not in its closure, or a store object is not in the store.
    #[error("cannot place program '{name}' in the initrd: '{path}' {reason}")]
    Program {
        /// The program.
        name: String,
        /// The path in question.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Directories that are there however little the initrd holds.
const DIRECTORIES: &[(&str, u32)] = &[
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("sys", 0o555),
    ("sysroot", 0o755),
    ("tmp", 0o1777),
];

/// Device nodes that a process wants before devtmpfs is mounted: path, mode, major and minor.
const DEVICES: &[(&str, u32, u32, u32)] =
    &[("dev/console", 0o600, 5, 1), ("dev/null", 0o666, 1, 3)];

impl Initrd<'_> {
    /// The tree of the initrd. Contents of large files are read when it is written.
    ///
    /// # Errors
    /// See [`InitrdError`].
    pub fn manifest(&self) -> Result<Manifest, InitrdError> {
        let mut manifest = Manifest::new();
        for (path, mode) in DIRECTORIES {
            manifest.insert(path, Node::directory(*mode))?;
        }
        for (path, mode, major, minor) in DEVICES {
            let (major, minor) = (*major, *minor);
            manifest.insert(path, Node::new(*mode, Content::CharDevice { major, minor }))?;
        }
        manifest.insert("init", file(&self.init, 0o555)?)?;
        let mut stage1 = serde_json::to_vec_pretty(&self.stage1).map_err(InitrdError::Stage1)?;
        stage1.push(b'\n');
        let stage1 = Node::new(0o444, Content::Bytes(stage1));
        manifest.insert("etc/stage-1.json", stage1)?;
        let closure = self.closure()?;
        insert_modules(&closure, &mut manifest)?;
        self.insert_firmware(&closure, &mut manifest)?;
        for program in &self.programs {
            insert_program(program, &mut manifest)?;
        }
        Ok(manifest)
    }

    /// The modules that it holds.
    ///
    /// # Errors
    /// A required module is unknown.
    pub fn closure(&self) -> Result<Closure<'_>, ModuleError> {
        let mut wanted = self.wanted.clone();
        wanted
            .required
            .extend(self.stage1.kernel_modules.iter().cloned());
        self.modules.closure(&wanted)
    }

    /// Writes it, compressed at zstd's `level` (1 to 19), to the new file `path`. The file gets
    /// its name when it is finished and synced.
    ///
    /// # Errors
    /// See [`InitrdError`].
    pub fn write(&self, path: &Path, level: i32) -> Result<(), InitrdError> {
        let failed = |source| InitrdError::Write {
            path: path.to_owned(),
            source,
        };
        let manifest = self.manifest()?;
        let folder = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        compress(&manifest, temporary.as_file_mut(), level, path)?;
        temporary.as_file().sync_all().map_err(failed)?;
        let file = temporary
            .persist(path)
            .map_err(|error| failed(error.error))?;
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        file.set_permissions(readable).map_err(failed)?;
        let folder = File::open(folder).map_err(failed)?;
        folder.sync_all().map_err(failed)
    }

    fn insert_firmware(
        &self,
        closure: &Closure<'_>,
        manifest: &mut Manifest,
    ) -> Result<(), InitrdError> {
        let names: BTreeSet<&String> = closure
            .modules()
            .flat_map(|module| &module.firmware)
            .collect();
        for name in names {
            let name = Path::new(name);
            // Debian keeps some of it compressed, which its kernel unpacks.
            let candidates = ["", ".xz", ".zst"].iter().flat_map(|suffix| {
                let mut file_name = name.as_os_str().to_owned();
                file_name.push(suffix);
                self.firmware
                    .iter()
                    .map(move |folder| (PathBuf::from(&file_name), folder.join(&file_name)))
            });
            let found = candidates
                .into_iter()
                .find(|(_, place)| fs::metadata(place).is_ok_and(|data| data.is_file()));
            if let Some((name, place)) = found {
                let path = Path::new("lib/firmware").join(name);
                insert_parents(&path, manifest)?;
                manifest.insert(path, file(&place, 0o444)?)?;
            }
        }
        Ok(())
    }
}

/// One frame by one thread, without checks of its own: the kernel's decoder wants no more, and
/// the bytes depend on nothing but content and level.
fn compress(
    manifest: &Manifest,
    out: &mut File,
    level: i32,
    path: &Path,
) -> Result<(), InitrdError> {
    let failed = |source| InitrdError::Write {
        path: path.to_owned(),
        source,
    };
    let mut encoder = zstd::Encoder::new(BufWriter::new(out), level).map_err(failed)?;
    write_cpio(manifest, &mut encoder)?;
    encoder
        .finish()
        .and_then(|mut writer| writer.flush())
        .map_err(failed)
}

fn insert_modules(closure: &Closure<'_>, manifest: &mut Manifest) -> Result<(), InitrdError> {
    let folder = Path::new("lib/modules").join(closure.tree().release());
    manifest.insert_directories(&folder)?;
    for module in closure.modules() {
        let path = folder.join(module.plain_path());
        insert_parents(&path, manifest)?;
        manifest.insert(path, module_node(module)?)?;
    }
    for (name, text) in closure.texts() {
        let node = Node::new(0o444, Content::Bytes(text.into_bytes()));
        manifest.insert(folder.join(name), node)?;
    }
    Ok(())
}

/// The module's file, unpacked: the initrd is compressed as a whole, and stage 1 stays small.
fn module_node(module: &Module) -> Result<Node, InitrdError> {
    if module.is_compressed() {
        Ok(Node::new(0o444, Content::Bytes(module.read()?)))
    } else {
        file(&module.source, 0o444)
    }
}

fn insert_program(program: &Program, manifest: &mut Manifest) -> Result<(), InitrdError> {
    let refused = |path: &Path, reason| InitrdError::Program {
        name: program.name.clone(),
        path: path.to_owned(),
        reason,
    };
    let is_held = program
        .closure
        .iter()
        .any(|object| program.target.starts_with(&object.path));
    if !is_held {
        return Err(refused(&program.target, "is in no object of its closure"));
    }
    for object in &program.closure {
        let place = object
            .path
            .strip_prefix("/")
            .ok()
            .filter(|place| place.starts_with("nix/store"))
            .ok_or_else(|| refused(&object.path, "is not in /nix/store"))?;
        insert_parents(place, manifest)?;
        manifest.insert_store_object(place, &object.source)?;
    }
    let link = Path::new("bin").join(&program.name);
    manifest.insert(link, Node::symlink(&program.target))?;
    Ok(())
}

fn insert_parents(path: &Path, manifest: &mut Manifest) -> Result<(), ManifestError> {
    path.parent()
        .map_or(Ok(()), |parent| manifest.insert_directories(parent))
}

fn file(path: &Path, mode: u32) -> Result<Node, InitrdError> {
    let failed = |source| InitrdError::Read {
        path: path.to_owned(),
        source,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if !metadata.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let content = Content::File {
        path: path.to_owned(),
        size: metadata.len(),
    };
    Ok(Node::new(mode, content))
}
