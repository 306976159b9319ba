//! The parts that every system has: base directories, the few paths outside the store that
//! programs rely on, and the links that name the current system.

use std::path::{Path, PathBuf};

use cairn_system::SystemDescription;

use crate::accounts::Accounts;
use crate::kernel::Kernel;
use crate::plan::{Failure, Gathered, ids};
use crate::root::{Kind, Listed, Rights, Root, Touched, bytes, is_temporary};
use crate::step::Step;

/// Directories of every system, parents first; all of root's.
const DIRECTORIES: &[(&str, u32)] = &[
    ("/bin", 0o755),
    ("/etc", 0o755),
    ("/home", 0o755),
    ("/nix", 0o755),
    ("/nix/var", 0o755),
    ("/nix/var/nix", 0o755),
    ("/nix/var/nix/gcroots", 0o755),
    ("/nix/var/nix/profiles", 0o755),
    ("/root", 0o700),
    ("/run", 0o755),
    ("/run/lock", 0o755),
    ("/run/wrappers", 0o755),
    ("/tmp", 0o1777),
    ("/usr", 0o755),
    ("/usr/bin", 0o755),
    ("/var", 0o755),
    ("/var/cache", 0o755),
    ("/var/empty", 0o555),
    ("/var/lib", 0o755),
    ("/var/lib/nixos", 0o755),
    ("/var/log", 0o755),
    ("/var/spool", 0o755),
    ("/var/tmp", 0o1777),
];

/// Links of every system.
const LINKS: &[(&str, &str)] = &[
    ("/var/run", "/run"),
    ("/var/lock", "/run/lock"),
    ("/etc/mtab", "/proc/mounts"),
    ("/nix/var/nix/gcroots/profiles", "/nix/var/nix/profiles"),
    ("/nix/var/nix/gcroots/current-system", "/run/current-system"),
    ("/nix/var/nix/gcroots/booted-system", "/run/booted-system"),
];

/// Folders in which an interrupted run may have left something; `/etc` is looked at as a whole.
const MAKING_PLACES: &[&str] = &[
    "/",
    "/bin",
    "/nix/var/nix/gcroots",
    "/run",
    "/run/wrappers",
    "/usr/bin",
    "/var",
    "/var/lib/nixos",
];

const MACHINE_ID: &str = "/etc/machine-id";

pub(crate) fn plan_directories(root: &Root, gathered: &mut Gathered) {
    for (path, mode) in DIRECTORIES {
        gathered.take(directory(root, Path::new(path), Rights::root(*mode)));
    }
}

/// Removes what an interrupted run was making.
pub(crate) fn plan_leftovers(root: &Root, gathered: &mut Gathered) {
    for folder in MAKING_PLACES {
        let listing = root.list(Path::new(folder)).map_err(Failure::from);
        gathered.take(listing.map(|listing| {
            let left = listing.into_iter().filter(|(name, _)| is_temporary(name));
            left.map(|(name, found)| remove_leftover(Path::new(folder).join(name), &found))
                .collect()
        }));
    }
}

/// A directory in the making is empty; one that is not is somebody else's, and stays.
pub(crate) fn remove_leftover(path: PathBuf, found: &Listed) -> Step {
    match found {
        Listed::Directory => Step::RemoveDirectory { path },
        _ => Step::RemoveFile { path },
    }
}

/// The directories that the description asks for.
pub(crate) fn plan_described(
    root: &Root,
    description: &SystemDescription,
    accounts: &Accounts,
    gathered: &mut Gathered,
) {
    for wanted in &description.directories {
        let steps = ids(accounts, wanted.user.as_str(), wanted.group.as_str())
            .and_then(|(uid, gid)| {
                let rights = Rights {
                    mode: wanted.mode,
                    uid,
                    gid,
                };
                directory_with_parents(root, Path::new(&wanted.path), rights, &gathered.steps)
            })
            .map_err(|failure| {
                Failure::new(format!(
                    "cannot make directory '{}': {failure}",
                    wanted.path
                ))
            });
        gathered.take(steps);
    }
}

/// A directory with its missing parents (0755, root's), those of `planned` aside.
pub(crate) fn directory_with_parents(
    root: &Root,
    path: &Path,
    rights: Rights,
    planned: &[Step],
) -> Result<Vec<Step>, Failure> {
    let plain = path.is_absolute() && !path.components().any(|part| part.as_os_str() == "..");
    if !plain {
        return Err(Failure::new("not an absolute path without '..'"));
    }
    let mut steps = Vec::new();
    let parents: Vec<&Path> = path.ancestors().skip(1).collect();
    for parent in parents.into_iter().rev() {
        let is_planned = planned
            .iter()
            .any(|step| matches!(step, Step::MakeDirectory { path, .. } if path == parent));
        if !is_planned && root.kind(parent)? == Kind::Absent {
            steps.push(Step::MakeDirectory {
                path: parent.to_owned(),
                rights: Rights::root(0o755),
            });
        }
    }
    let is_planned = planned
        .iter()
        .any(|step| matches!(step, Step::MakeDirectory { path: made, .. } if made == path));
    if is_planned {
        steps.push(Step::SetRights {
            path: path.to_owned(),
            rights,
        });
    } else {
        steps.extend(directory(root, path, rights)?);
    }
    Ok(steps)
}

fn directory(root: &Root, path: &Path, rights: Rights) -> Result<Vec<Step>, Failure> {
    let path = path.to_owned();
    match root.kind(&path)? {
        Kind::Absent => Ok(vec![Step::MakeDirectory { path, rights }]),
        Kind::Directory(found) if root.same_rights(found, rights) => Ok(Vec::new()),
        Kind::Directory(_) => Ok(vec![Step::SetRights { path, rights }]),
        _ => Err(Failure::new(format!(
            "cannot make directory '{}': something else is there; move it away",
            path.display()
        ))),
    }
}

pub(crate) fn plan_links(root: &Root, description: &SystemDescription, gathered: &mut Gathered) {
    let own = [
        ("/bin/sh", description.bin_sh.as_str()),
        ("/usr/bin/env", description.usr_bin_env.as_str()),
    ];
    for (path, target) in LINKS.iter().copied().chain(own) {
        if !is_described(description, path) {
            gathered.take(link(root, Path::new(path), Path::new(target)));
        }
    }
    if !is_described(description, "/etc/NIXOS") {
        gathered.take(marker(root));
    }
    if !is_described(description, MACHINE_ID) {
        gathered.take(machine_id(root));
    }
}

/// Whether the description's own `/etc` has this path.
pub(crate) fn is_described(description: &SystemDescription, path: &str) -> bool {
    path.strip_prefix("/etc/")
        .is_some_and(|target| description.etc.iter().any(|entry| entry.target == target))
}

fn link(root: &Root, path: &Path, target: &Path) -> Result<Vec<Step>, Failure> {
    let link = Step::Link {
        path: path.to_owned(),
        target: target.to_owned(),
    };
    match root.kind(path)? {
        Kind::Link(present) if present == target => Ok(Vec::new()),
        Kind::Absent | Kind::Link(_) => Ok(vec![link]),
        Kind::Directory(_) if root.names(path)?.is_empty() => Ok(vec![
            Step::RemoveDirectory {
                path: path.to_owned(),
            },
            link,
        ]),
        _ => {
            let to = aside(root, path)?;
            let path = path.to_owned();
            Ok(vec![Step::MoveAside { path, to }, link])
        }
    }
}

/// The name under which something that is not ours is kept.
pub(crate) fn aside(root: &Root, path: &Path) -> Result<PathBuf, Failure> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".before-cairn");
    let to = path.with_file_name(name);
    if root.kind(&to)? == Kind::Absent {
        Ok(to)
    } else {
        Err(Failure::new(format!(
            "cannot replace '{}', which is not Cairn's: '{}' is taken; remove one of them",
            path.display(),
            to.display()
        )))
    }
}

/// `/etc/NIXOS`, by which tools know that this is such a system.
fn marker(root: &Root) -> Result<Vec<Step>, Failure> {
    let path = PathBuf::from("/etc/NIXOS");
    Ok(if root.kind(&path)? == Kind::Absent {
        vec![Step::Write {
            path,
            content: Vec::new(),
            rights: Rights::root(0o644),
        }]
    } else {
        Vec::new()
    })
}

/// machine-id(5): made once, and then the machine's for ever.
fn machine_id(root: &Root) -> Result<Vec<Step>, Failure> {
    let path = PathBuf::from(MACHINE_ID);
    Ok(match root.kind(&path)? {
        // Empty or `uninitialized`: an image that wants each of its machines to have its own.
        Kind::File(_) if !is_unset(root, &path)? => Vec::new(),
        Kind::Absent | Kind::File(_) => vec![Step::MachineId { path }],
        _ => Vec::new(),
    })
}

fn is_unset(root: &Root, path: &Path) -> Result<bool, Failure> {
    let content = root.read_if_there(path)?.unwrap_or_default();
    Ok(matches!(content.trim_ascii(), b"" | b"uninitialized"))
}

pub(crate) fn write_machine_id(
    root: &Root,
    path: &Path,
    kernel: &dyn Kernel,
    touched: &mut Touched,
) -> Result<(), Failure> {
    let random = kernel
        .random()
        .map_err(|error| Failure::new(format!("cannot read random bytes: {error}")))?;
    let text = format!("{:032x}\n", as_uuid_v4(u128::from_be_bytes(random)));
    Ok(root.write(path, Rights::root(0o444), touched, bytes(text.as_bytes()))?)
}

/// machine-id(5) wants the bits of a version 4 UUID.
fn as_uuid_v4(bits: u128) -> u128 {
    let version = bits & !(0xf << 76) | (0x4 << 76);
    version & !(0x3 << 62) | (0x2 << 62)
}

/// The links that name this system. They come last: whoever sees them sees the rest in place.
pub(crate) fn plan_system_links(root: &Root, toplevel: &Path, gathered: &mut Gathered) {
    gathered.take(link(root, Path::new("/run/current-system"), toplevel));
    let booted = Path::new("/run/booted-system");
    gathered.take(match root.kind(booted) {
        Ok(Kind::Absent) => link(root, booted, toplevel),
        Ok(_) => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    });
}
