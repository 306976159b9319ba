//! Running a program where a tree of packages is `/usr`: for programs that know nothing of a store.
//!
//! The program gets a mount namespace of its own, in which the root has
//!
//! ```text
//! /usr                    the view: a tree of links that pkgs.fhs makes
//! /bin /sbin /lib /lib64  links to the same names below it
//! /nix/store              the store
//! everything else         the host's, as it is
//! ```
//!
//! Nothing else is changed: it is a process like others, with the caller's user, network and files.
//! No privilege is needed, but for a kernel that lets users make namespaces.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cairn_sys::namespace::{Guest, Identity, Seclusion, Step};
use nix::unistd::{getegid, geteuid};

/// Names at the root that the view stands in for.
const REPLACED: [&str; 7] = ["usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Links at the root: each to the same name below `/usr`, as far as the view has it.
const LINKS: [&str; 4] = ["bin", "sbin", "lib", "lib64"];

/// Folders that may serve to put the new root together on. Only the program sees that.
const MOUNT_POINTS: [&str; 6] = ["/var/empty", "/mnt", "/media", "/srv", "/opt", "/boot"];

/// What is run, and with which view.
#[derive(Debug)]
pub struct Fhs {
    /// The tree that becomes `/usr`, as it is named in the store.
    pub view: PathBuf,
    /// Root of the store, if it does not lie at `/nix/store`.
    pub store: Option<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
}

impl Fhs {
    /// Becomes the program.
    ///
    /// # Errors
    /// The view is not there, the kernel refuses, or there is no such program.
    pub fn exec(&self) -> Result<()> {
        let Some((program, arguments)) = self.command.split_first() else {
            bail!("no program was named");
        };
        let real = self.real_view();
        if !real.is_dir() {
            bail!("the view '{}' is not there", real.display());
        }
        let folder = std::env::current_dir().context("cannot find the current folder")?;
        let guest = Guest {
            mount_point: mount_point()?,
            steps: self.steps(&real)?,
            working_directory: folder,
            host_network: true,
            identity: Identity {
                uid: geteuid().as_raw(),
                gid: getegid().as_raw(),
            },
            seclusion: Seclusion::Files,
        };
        let mut command = Command::new(program);
        command.args(arguments).env("PATH", path());
        let report = guest.attach(&mut command)?;
        let error = command.exec();
        drop(command);
        let stage = report.stage().context("cannot read what failed")?;
        Err(error).with_context(|| {
            format!(
                "cannot run '{}' with '{}' as /usr ({stage:?})",
                program.display(),
                self.view.display()
            )
        })
    }

    fn real_view(&self) -> PathBuf {
        match (&self.store, self.view.strip_prefix("/")) {
            (Some(root), Ok(inner)) => root.join(inner),
            _ => self.view.clone(),
        }
    }

    /// The new root, piece by piece.
    fn steps(&self, view: &Path) -> Result<Vec<Step>> {
        let mut steps = Vec::new();
        let mount_point = mount_point()?;
        for entry in entries(Path::new("/"))? {
            let at = Path::new("/").join(&entry);
            let is_replaced = REPLACED.iter().any(|name| entry == *name);
            let is_store = self.store.is_some() && entry == "nix";
            if is_replaced || is_store || at == mount_point {
                continue;
            }
            steps.extend(same(&at)?);
        }
        let bind = |from: &Path, at: &str, read_only| {
            [
                Step::Folder(at.into()),
                Step::Bind {
                    from: from.to_owned(),
                    at: at.into(),
                    read_only,
                },
            ]
        };
        if let Some(root) = &self.store {
            steps.push(Step::Folder("/nix".into()));
            steps.extend(bind(&root.join("nix/store"), "/nix/store", true));
        }
        steps.extend(bind(view, "/usr", true));
        for name in LINKS {
            if fs::symlink_metadata(view.join(name)).is_ok() {
                steps.push(Step::Link {
                    target: Path::new("usr").join(name),
                    at: Path::new("/").join(name),
                });
            }
        }
        Ok(steps)
    }
}

/// The folders of programs in the view first, then the caller's.
fn path() -> OsString {
    let mut path = OsString::from("/usr/bin:/usr/sbin");
    if let Some(own) = std::env::var_os("PATH").filter(|own| !own.is_empty()) {
        path.push(":");
        path.push(own);
    }
    path
}

fn mount_point() -> Result<PathBuf> {
    MOUNT_POINTS
        .iter()
        .map(PathBuf::from)
        .find(|folder| folder.is_dir() && !folder.is_symlink())
        .with_context(|| format!("there is none of the folders {}", MOUNT_POINTS.join(", ")))
}

fn entries(folder: &Path) -> Result<Vec<OsString>> {
    let listing = || format!("cannot list '{}'", folder.display());
    let names = fs::read_dir(folder)
        .with_context(listing)?
        .map(|entry| entry.map(|entry| entry.file_name()));
    names.collect::<io::Result<_>>().with_context(listing)
}

/// What the host has at `at`, in the same place.
fn same(at: &Path) -> Result<Vec<Step>> {
    let reading = || format!("cannot read '{}'", at.display());
    let kind = fs::symlink_metadata(at).with_context(reading)?.file_type();
    if kind.is_symlink() {
        let target = fs::read_link(at).with_context(reading)?;
        return Ok(vec![Step::Link {
            target,
            at: at.to_owned(),
        }]);
    }
    let place = if kind.is_dir() {
        Step::Folder(at.to_owned())
    } else if kind.is_file() {
        Step::File(at.to_owned())
    } else {
        return Ok(Vec::new());
    };
    Ok(vec![
        place,
        Step::Bind {
            from: at.to_owned(),
            at: at.to_owned(),
            read_only: false,
        },
    ])
}
