//! One step of activation: what is planned, printed and done.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use crate::accounts::AccountsUpdate;
use crate::etc::EtcSwitch;
use crate::kernel::Setting;
use crate::root::Rights;
use crate::wrappers::WrapperProgram;

/// One change of the system. All paths are logical: absolute inside the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// A directory that is missing, with its parent there or made before.
    MakeDirectory {
        /// Where.
        path: PathBuf,
        /// Mode and owner.
        rights: Rights,
    },
    /// A directory that is there with other rights.
    SetRights {
        /// Where.
        path: PathBuf,
        /// Mode and owner.
        rights: Rights,
    },
    /// A file or directory that is there with other rights.
    SetRightsOfAny {
        /// Where.
        path: PathBuf,
        /// Mode and owner.
        rights: Rights,
    },
    /// A symbolic link, made or replaced in one rename.
    Link {
        /// Where.
        path: PathBuf,
        /// What it says.
        target: PathBuf,
    },
    /// Links in one folder where there is nothing yet.
    MakeLinks {
        /// The folder.
        folder: PathBuf,
        /// Names and what they say.
        links: Vec<(OsString, PathBuf)>,
    },
    /// Links of earlier generations in one folder.
    RemoveLinks {
        /// The folder.
        folder: PathBuf,
        /// Their names.
        names: Vec<OsString>,
    },
    /// `/etc` becomes another generation's.
    SwitchEtc(EtcSwitch),
    /// A small file with the given content, made or replaced in one rename.
    Write {
        /// Where.
        path: PathBuf,
        /// The whole content.
        content: Vec<u8>,
        /// Mode and owner.
        rights: Rights,
    },
    /// A copy of a file, made or replaced in one rename.
    Copy {
        /// Where.
        path: PathBuf,
        /// The file copied.
        source: PathBuf,
        /// Mode and owner of the copy.
        rights: Rights,
    },
    /// Something that is not ours stands in the way, and is kept under another name.
    MoveAside {
        /// Where it is.
        path: PathBuf,
        /// Its new name.
        to: PathBuf,
    },
    /// A damaged file gets a second name before another takes its first.
    KeepAs {
        /// Where it is.
        path: PathBuf,
        /// Its second name.
        to: PathBuf,
    },
    /// A file or link of an earlier generation.
    RemoveFile {
        /// Where.
        path: PathBuf,
    },
    /// A directory that only held things of an earlier generation, which are removed before.
    RemoveDirectory {
        /// Where.
        path: PathBuf,
    },
    /// A file, link or directory with all that is in it, but nothing on another file system.
    RemoveTree {
        /// Where.
        path: PathBuf,
    },
    /// Bytes written into a file that is there, such as a setting below `/sys`.
    WriteInto {
        /// Where.
        path: PathBuf,
        /// What.
        content: Vec<u8>,
    },
    /// A new random `/etc/machine-id`.
    MachineId {
        /// Where.
        path: PathBuf,
    },
    /// The user database.
    Accounts(AccountsUpdate),
    /// The whole set of wrappers in a fresh folder, switched by one rename of the link to it.
    Wrappers {
        /// The fresh folder.
        folder: PathBuf,
        /// What it holds.
        programs: Vec<WrapperProgram>,
        /// The folder used before, removed afterwards.
        old: Option<PathBuf>,
    },
    /// A setting of the running kernel.
    Set {
        /// Which.
        setting: Setting,
        /// Its new value.
        value: String,
    },
}

impl Step {
    /// Whether it gives something to a user or group other than the superuser's.
    pub(crate) fn needs_accounts(&self) -> bool {
        let others = |rights: &Rights| !rights.is_root();
        match self {
            Self::MakeDirectory { rights, .. }
            | Self::SetRights { rights, .. }
            | Self::SetRightsOfAny { rights, .. }
            | Self::Write { rights, .. }
            | Self::Copy { rights, .. } => others(rights),
            Self::Wrappers { programs, .. } => {
                programs.iter().any(|program| others(&program.rights))
            }
            _ => false,
        }
    }
}

/// So many lines of a step are logged: a log has no room for thousands of links.
const LOGGED_LINES: usize = 8;

impl Step {
    /// The lines that are logged.
    pub(crate) fn log_lines(&self) -> Vec<String> {
        let text = self.to_string();
        let count = text.lines().count();
        let mut lines: Vec<String> = text.lines().take(LOGGED_LINES).map(str::to_owned).collect();
        if count > LOGGED_LINES {
            lines.push(format!("… and {} more of the kind", count - LOGGED_LINES));
        }
        lines
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeDirectory { path, rights } => {
                write!(f, "make directory {} {rights}", path.display())
            }
            Self::SetRights { path, rights } | Self::SetRightsOfAny { path, rights } => {
                write!(f, "set rights of {} {rights}", path.display())
            }
            Self::Link { path, target } => {
                write!(f, "link {} -> {}", path.display(), target.display())
            }
            Self::MakeLinks { folder, links } => lines(f, links, |f, (name, target)| {
                let (path, target) = (folder.join(name), target.display());
                write!(f, "link {} -> {target}", path.display())
            }),
            Self::RemoveLinks { folder, names } => lines(f, names, |f, name| {
                write!(f, "remove {}", folder.join(name).display())
            }),
            Self::SwitchEtc(switch) => write!(f, "{switch}"),
            Self::Write { path, rights, .. } => write!(f, "write {} {rights}", path.display()),
            Self::Copy {
                path,
                source,
                rights,
            } => write!(
                f,
                "copy {} from {} {rights}",
                path.display(),
                source.display()
            ),
            Self::MoveAside { path, to } | Self::KeepAs { path, to } => {
                write!(f, "keep {} as {}", path.display(), to.display())
            }
            Self::RemoveFile { path } => write!(f, "remove {}", path.display()),
            Self::RemoveDirectory { path } => write!(f, "remove directory {}", path.display()),
            Self::RemoveTree { path } => write!(f, "remove tree {}", path.display()),
            Self::WriteInto { path, .. } => write!(f, "write into {}", path.display()),
            Self::MachineId { path } => write!(f, "write {} with a new identity", path.display()),
            Self::Accounts(update) => write!(f, "{update}"),
            Self::Wrappers {
                folder, programs, ..
            } => {
                write!(f, "install wrappers in {}:", folder.display())?;
                programs
                    .iter()
                    .try_for_each(|program| write!(f, " {program}"))
            }
            Self::Set { setting, value } => write!(f, "set {setting} to '{value}'"),
        }
    }
}

/// One line each, without an end of the last.
fn lines<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    items.iter().enumerate().try_for_each(|(index, item)| {
        if index > 0 {
            f.write_str("\n")?;
        }
        write(f, item)
    })
}
