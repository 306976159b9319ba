//! `/run/wrappers/bin`: programs that run with other rights than their caller's.
//!
//! The store holds no setuid bits, so each wrapper is a copy of the program itself with owner,
//! mode and capabilities set. No wrapper program is needed in between: programs in the store find
//! their libraries by absolute paths (RUNPATH), which the loader also honours for setuid programs.
//!
//! All copies go to a fresh folder `/run/wrappers/wrappers.N`, and `/run/wrappers/bin` is a link
//! that one rename switches, so that no program is ever missing or half there.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use cairn_system::ordered;
use cairn_system::{SystemDescription, Wrapper};

use crate::accounts::Accounts;
use crate::capability::{ATTRIBUTE, Capabilities};
use crate::plan::{Failure, Gathered, ids};
use crate::root::{Kind, Owners, Rights, Root, Touched};
use crate::step::Step;

/// A program that becomes a wrapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrapperProgram {
    /// File name.
    pub name: String,
    /// The program copied.
    pub source: PathBuf,
    /// Mode and owner of the copy.
    pub rights: Rights,
    /// Capabilities of the copy.
    pub capabilities: Capabilities,
}

impl fmt::Display for WrapperProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}", self.name, self.rights)?;
        if !self.capabilities.is_empty() {
            f.write_str(", capabilities")?;
        }
        f.write_str(")")
    }
}

const FOLDER: &str = "/run/wrappers";
const LINK: &str = "/run/wrappers/bin";

pub(crate) fn plan(
    root: &Root,
    description: &SystemDescription,
    accounts: &Accounts,
    gathered: &mut Gathered,
) {
    let mut programs = Vec::new();
    for wrapper in &description.wrappers {
        match program(root, wrapper, accounts) {
            Ok(program) => programs.push(program),
            Err(failure) => gathered.problems.push(Failure::new(format!(
                "cannot make wrapper '{}': {failure}",
                wrapper.name
            ))),
        }
    }
    gathered.take(plan_set(root, programs));
}

fn program(root: &Root, wrapper: &Wrapper, accounts: &Accounts) -> Result<WrapperProgram, Failure> {
    if wrapper.name.is_empty() || wrapper.name.contains('/') || wrapper.name.starts_with('.') {
        return Err(Failure::new("its name is no plain file name"));
    }
    let (uid, gid) = ids(accounts, wrapper.user.as_str(), wrapper.group.as_str())?;
    let names = wrapper.capabilities.iter().map(String::as_str);
    let capabilities = Capabilities::parse(names).map_err(Failure::new)?;
    let source = PathBuf::from(&wrapper.source);
    let file = root.open(&source)?;
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(Failure::new(format!("'{}' is no file", wrapper.source)));
    }
    Ok(WrapperProgram {
        name: wrapper.name.clone(),
        source,
        rights: Rights {
            mode: wrapper.mode,
            uid,
            gid,
        },
        capabilities,
    })
}

fn plan_set(root: &Root, programs: Vec<WrapperProgram>) -> Result<Vec<Step>, Failure> {
    let current = match root.kind(Path::new(LINK))? {
        Kind::Link(target) => Some(target),
        Kind::Absent => None,
        _ => {
            return Err(Failure::new(format!(
                "cannot install wrappers: '{LINK}' is not a link; remove it"
            )));
        }
    };
    let same = match &current {
        Some(folder) => is_installed(root, folder, &programs)?,
        None => programs.is_empty(),
    };
    if same {
        return Ok(Vec::new());
    }
    let folder = free_folder(root)?;
    let old = current.filter(|target| is_own_folder(target));
    Ok(vec![Step::Wrappers {
        folder,
        programs,
        old,
    }])
}

/// Whether `folder` holds exactly these programs.
fn is_installed(root: &Root, folder: &Path, programs: &[WrapperProgram]) -> Result<bool, Failure> {
    let present: BTreeSet<_> = ordered::set(root.names(folder)?);
    let wanted: BTreeSet<_> =
        ordered::set(programs.iter().map(|program| program.name.clone().into()));
    if present != wanted {
        return Ok(false);
    }
    for program in programs {
        let path = folder.join(&program.name);
        let same = matches!(root.kind(&path)?,
                Kind::File(found) if root.same_rights(found, program.rights))
            && has_capabilities(root, &path, program.capabilities)?
            && root.same_content(&path, &program.source)?;
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_capabilities(root: &Root, path: &Path, wanted: Capabilities) -> Result<bool, Failure> {
    if root.owners() == Owners::Ignored {
        return Ok(true);
    }
    let place = root.place(path)?;
    // Opened for reading: a superuser may, whatever the mode is.
    let file = root.open(path)?;
    let present = cairn_sys::xattr::get(&file, ATTRIBUTE).map_err(|error| {
        Failure::new(format!(
            "cannot read the capabilities of '{}': {error}",
            place.display()
        ))
    })?;
    Ok(present == (!wanted.is_empty()).then(|| wanted.encode(None)))
}

/// The first `wrappers.N` that is not there.
fn free_folder(root: &Root) -> Result<PathBuf, Failure> {
    let taken: BTreeSet<_> = ordered::set(root.names(Path::new(FOLDER))?);
    // One more than are taken always has a free one.
    (0..=taken.len())
        .map(|number| format!("wrappers.{number}"))
        .find(|name| !taken.contains(std::ffi::OsStr::new(name)))
        .map(|name| Path::new(FOLDER).join(name))
        .ok_or_else(|| Failure::new(format!("cannot find a free name in '{FOLDER}'")))
}

/// Whether the folder is one that this module made, and may remove.
fn is_own_folder(folder: &Path) -> bool {
    folder.parent() == Some(Path::new(FOLDER))
        && folder
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("wrappers."))
            .is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Fills the folder, switches the link, removes the old folder. If one program fails, the rest is
/// installed and the failure reported.
pub(crate) fn apply(
    root: &Root,
    folder: &Path,
    programs: &[WrapperProgram],
    old: Option<&Path>,
    touched: &mut Touched,
) -> Result<(), Failure> {
    root.make_directory(folder, Rights::root(0o755), touched)?;
    let failures: Vec<String> = programs
        .iter()
        .filter_map(|program| install(root, folder, program, touched).err())
        .map(|failure| failure.to_string())
        .collect();
    root.link(Path::new(LINK), folder, touched)?;
    if let Some(old) = old {
        for name in root.names(old)? {
            root.remove_file(&old.join(name), touched)?;
        }
        root.remove_directory(old, touched)?;
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(failures.join("; ")))
    }
}

fn install(
    root: &Root,
    folder: &Path,
    program: &WrapperProgram,
    touched: &mut Touched,
) -> Result<(), Failure> {
    let mut source = root.open(&program.source)?;
    let capabilities = program.capabilities;
    let with_capabilities = root.owners() == Owners::Set && !capabilities.is_empty();
    let path = folder.join(&program.name);
    root.write(&path, program.rights, touched, |copy| {
        std::io::copy(&mut source, copy)?;
        if with_capabilities {
            cairn_sys::xattr::set(&*copy, ATTRIBUTE, &capabilities.encode(None))?;
        }
        Ok(())
    })?;
    warn_if_nosuid(&root.place(&path)?);
    Ok(())
}

/// A `nosuid` mount takes the sense out of it all, silently.
fn warn_if_nosuid(place: &Path) {
    let nosuid = fs::File::open(place)
        .map_err(nix::errno::Errno::try_from)
        .ok()
        .and_then(|file| nix::sys::statvfs::fstatvfs(&file).ok())
        .is_some_and(|stat| stat.flags().contains(nix::sys::statvfs::FsFlags::ST_NOSUID));
    if nosuid {
        log::warn!(
            "'{}' is on a file system that is mounted nosuid: its rights have no effect",
            place.display()
        );
    }
}
