//! One generation as the boot menu shows it.
//!
//! An [`Entry`] can always be handed to the kernel unchanged: parameters that GRUB's `linux`
//! command would alter are refused here, by name, rather than booted differently.
//!
//! Source: GRUB 2.06, `grub-core/lib/cmdline.c` (each `\`, `'` and `"` gets a backslash, an
//! argument with a blank gets quotes around it); Linux, `lib/cmdline.c`, `next_arg` (a `"` opens
//! and closes a run in which blanks do not separate; a backslash means nothing).

use std::collections::BTreeMap;

use cairn_system::Bootspec;
use cairn_system::factory_reset::FactoryResetV1;

use crate::entry_id::{EntryId, EntryIdError};
use crate::trial::{FALLBACK, trial_parameters};

/// The longest command line that x86 Linux takes, with its final NUL (`COMMAND_LINE_SIZE`).
const COMMAND_LINE_SIZE: usize = 2048;

/// One generation of the system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number in the profile; the newest has the highest.
    pub number: u64,
    /// When it was made, in seconds since 1970.
    pub date: i64,
    /// The version of its kernel, `6.1.0-42-amd64`.
    pub kernel_version: String,
    /// How it boots.
    pub entry: Entry,
    /// How each of its specialisations boots, by name.
    pub specialisations: BTreeMap<String, Entry>,
}

/// What one menu entry boots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    id: EntryId,
    label: String,
    files: BootFiles,
    arguments: Vec<String>,
    factory_reset: Option<FactoryResetV1>,
}

/// Files of one entry, by the absolute path at which GRUB sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootFiles {
    /// The kernel, `/boot/kernels/a/<hash>-vmlinuz`.
    pub kernel: String,
    /// The initrd, if there is one.
    pub initrd: Option<String>,
}

/// Why a generation can have no boot entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// GRUB or the kernel would change this parameter.
    #[error(
        "cannot boot with the kernel parameter {parameter:?}: {problem}; \
         change it in boot.kernelParams"
    )]
    Parameter {
        /// The parameter.
        parameter: String,
        /// What would happen to it.
        problem: &'static str,
    },
    /// All parameters together are longer than the kernel takes.
    #[error(
        "cannot boot '{label}': its kernel command line has {length} bytes, \
         and Linux takes {}; shorten boot.kernelParams", COMMAND_LINE_SIZE - 1
    )]
    TooLong {
        /// The entry's label.
        label: String,
        /// Length in bytes, as GRUB writes it.
        length: usize,
    },
    /// A specialisation's name is too long.
    #[error(transparent)]
    Id(#[from] EntryIdError),
    /// A specialisation has no files in /boot.
    #[error("cannot boot the specialisation '{name}': no kernel was placed in /boot for it")]
    NoFiles {
        /// The specialisation.
        name: String,
    },
}

impl Generation {
    /// The generation that `bootspec` describes, booted with `files`, and each of its
    /// specialisations with those of its name in `specialisation_files`.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn new(
        number: u64,
        date: i64,
        kernel_version: impl Into<String>,
        bootspec: &Bootspec,
        files: BootFiles,
        specialisation_files: &BTreeMap<String, BootFiles>,
    ) -> Result<Self, EntryError> {
        let specialisations = bootspec
            .specialisations
            .iter()
            .map(|(name, bootspec)| {
                let files = specialisation_files
                    .get(name)
                    .ok_or_else(|| EntryError::NoFiles { name: name.clone() })?;
                let id = EntryId::new(number, Some(name))?;
                Ok((name.clone(), Entry::new(id, bootspec, files.clone())?))
            })
            .collect::<Result<_, EntryError>>()?;
        Ok(Self {
            number,
            date,
            kernel_version: kernel_version.into(),
            entry: Entry::new(EntryId::generation(number), bootspec, files)?,
            specialisations,
        })
    }
}

impl Generation {
    /// The same with its files in `folder` below `/boot`, whose name is not longer.
    #[must_use]
    pub fn with_files_in(mut self, folder: &str) -> Self {
        for entry in std::iter::once(&mut self.entry).chain(self.specialisations.values_mut()) {
            let BootFiles { kernel, initrd } = &mut entry.files;
            for path in std::iter::once(kernel).chain(initrd) {
                let name = path.rsplit('/').next().unwrap_or_default();
                *path = format!("/boot/{folder}/{name}");
            }
        }
        self
    }
}

impl Entry {
    /// How the system of `bootspec` boots with `files`, as the entry `id`.
    ///
    /// # Errors
    /// See [`EntryError`].
    pub fn new(id: EntryId, bootspec: &Bootspec, files: BootFiles) -> Result<Self, EntryError> {
        let line = std::iter::once(format!("init={}", bootspec.v1.init))
            .chain(bootspec.v1.kernel_params.iter().cloned())
            .chain([format!("cairn.generation={id}")])
            .collect::<Vec<_>>()
            .join(" ");
        let entry = Self {
            arguments: split_command_line(&line)?,
            label: bootspec.v1.label.clone(),
            id,
            files,
            factory_reset: bootspec.factory_reset.clone(),
        };
        // What the menu adds to it on trial, or as the one that is fallen back to.
        let trial = trial_parameters(&entry.id);
        let trial: Vec<_> = trial.iter().map(String::as_str).collect();
        let length = entry
            .line_length(&trial)
            .max(entry.line_length(&[FALLBACK]));
        if length >= COMMAND_LINE_SIZE {
            return Err(EntryError::TooLong {
                label: entry.label,
                length,
            });
        }
        Ok(entry)
    }

    /// The length of the kernel's command line, in bytes, with further arguments.
    fn line_length(&self, further: &[&str]) -> usize {
        // GRUB puts `BOOT_IMAGE=<kernel> ` in front, and quotes around arguments with blanks.
        let arguments = self.arguments.iter().map(String::as_str);
        "BOOT_IMAGE= ".len()
            + self.files.kernel.len()
            + arguments
                .chain(further.iter().copied())
                .map(|argument| argument.len() + 1 + 2 * usize::from(argument.contains(' ')))
                .sum::<usize>()
    }

    /// Whether the kernel takes these arguments besides.
    pub(crate) fn has_room_for(&self, further: &[&str]) -> bool {
        self.line_length(further) < COMMAND_LINE_SIZE
    }

    /// As [`Self::has_room_for`], with the reason.
    pub(crate) fn check_room_for(&self, further: &[&str]) -> Result<(), EntryError> {
        let length = self.line_length(further);
        if length < COMMAND_LINE_SIZE {
            return Ok(());
        }
        Err(EntryError::TooLong {
            label: self.label.clone(),
            length,
        })
    }

    /// What names it.
    #[must_use]
    pub fn id(&self) -> &EntryId {
        &self.id
    }

    /// What the menu shows.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.label
    }

    /// What a factory reset does, if its stage 1 does one.
    #[must_use]
    pub fn factory_reset(&self) -> Option<&FactoryResetV1> {
        self.factory_reset.as_ref()
    }

    /// The kernel and the initrd.
    #[must_use]
    pub fn files(&self) -> &BootFiles {
        &self.files
    }

    /// Arguments of GRUB's `linux` command after the kernel, `init=` first.
    #[must_use]
    pub fn arguments(&self) -> &[String] {
        &self.arguments
    }
}

/// Splits a command line where the kernel would, into arguments from which GRUB makes a line that
/// the kernel reads alike: quotes go, since GRUB puts them around every argument with a blank.
fn split_command_line(line: &str) -> Result<Vec<String>, EntryError> {
    let mut arguments = Vec::new();
    let mut argument = String::new();
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => quoted = !quoted,
            ' ' if !quoted => arguments.push(std::mem::take(&mut argument)),
            '\\' | '\'' => {
                let problem = "GRUB puts a backslash before each \\ and '";
                return Err(refused(line, c, problem));
            }
            c if c.is_control() => {
                return Err(refused(line, c, "it has a control character in it"));
            }
            c => argument.push(c),
        }
    }
    arguments.push(argument);
    if quoted {
        return Err(refused(line, '"', "its quotes are not closed"));
    }
    arguments.retain(|argument| !argument.is_empty());
    Ok(arguments)
}

/// The error about the parameter of `line` in which `cause` occurs first.
fn refused(line: &str, cause: char, problem: &'static str) -> EntryError {
    let parameter = line
        .split(' ')
        .find(|parameter| parameter.contains(cause))
        .unwrap_or(line);
    EntryError::Parameter {
        parameter: parameter.to_owned(),
        problem,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<Vec<String>, String> {
        split_command_line(line).map_err(|error| error.to_string())
    }

    #[test]
    fn parameters_are_split_as_the_kernel_splits_them() {
        assert_eq!(
            split("init=/i  quiet console=ttyS0,115200 a=$x").unwrap(),
            ["init=/i", "quiet", "console=ttyS0,115200", "a=$x"]
        );
        assert_eq!(
            split(r#"dyndbg="file a.c +p" "c d=e""#).unwrap(),
            ["dyndbg=file a.c +p", "c d=e"]
        );
        assert!(split("").unwrap().is_empty());
    }

    #[test]
    fn parameters_that_would_change_are_refused_by_name() {
        for (line, message) in [
            (
                r"quiet a='b'",
                r#"cannot boot with the kernel parameter "a='b'": GRUB puts a backslash before each \ and '; change it in boot.kernelParams"#,
            ),
            (
                r"quiet a\b",
                r#"cannot boot with the kernel parameter "a\\b": GRUB puts a backslash before each \ and '; change it in boot.kernelParams"#,
            ),
            (
                "quiet a\nb",
                r#"cannot boot with the kernel parameter "a\nb": it has a control character in it; change it in boot.kernelParams"#,
            ),
            (
                "quiet a=\"b c",
                r#"cannot boot with the kernel parameter "a=\"b": its quotes are not closed; change it in boot.kernelParams"#,
            ),
        ] {
            assert_eq!(split(line).unwrap_err(), message);
        }
    }

    fn spec(params: &str, special: &str) -> Bootspec {
        let v1 = format!(
            r#""org.nixos.bootspec.v1": {{"init": "/i", "kernel": "/k", "kernelParams": [{params}],
               "label": "l", "system": "x86_64-linux", "toplevel": "/t"}}"#
        );
        Bootspec::parse(&format!(
            r#"{{{v1}, "org.nixos.specialisation.v1": {{{special}}}}}"#
        ))
        .unwrap()
    }

    fn files() -> BootFiles {
        BootFiles {
            kernel: "/boot/k".to_owned(),
            initrd: None,
        }
    }

    #[test]
    fn a_line_that_the_kernel_would_cut_is_refused() {
        let bare =
            "BOOT_IMAGE=/boot/k init=/i  cairn.generation=1 cairn.trial=1 panic=10 oops=panic"
                .len();
        let params = |length: usize| spec(&format!("\"{}\"", "x".repeat(length)), "");
        Entry::new(EntryId::generation(1), &params(2046 - bare), files()).unwrap();
        let error = Entry::new(EntryId::generation(1), &params(2047 - bare), files()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot boot 'l': its kernel command line has 2048 bytes, and Linux takes 2047; \
             shorten boot.kernelParams"
        );
    }

    #[test]
    fn files_are_those_of_a_slot() {
        let inner = r#""s": {"org.nixos.bootspec.v1": {"init": "/i", "kernel": "/k",
            "kernelParams": [], "label": "l", "system": "x86_64-linux", "toplevel": "/t"}}"#;
        let files = BootFiles {
            kernel: "/boot/kernels/a/k".to_owned(),
            initrd: Some("/boot/kernels/a/i".to_owned()),
        };
        let of_special = BTreeMap::from([("s".to_owned(), files.clone())]);
        let bootspec = spec("", inner);
        let generation = Generation::new(1, 0, "6", &bootspec, files, &of_special).unwrap();
        let moved = generation.with_files_in("kernels/b");
        for entry in [&moved.entry, &moved.specialisations["s"]] {
            assert_eq!(entry.files.kernel, "/boot/kernels/b/k");
            assert_eq!(entry.files.initrd.as_deref(), Some("/boot/kernels/b/i"));
        }
    }

    #[test]
    fn a_specialisation_without_files_is_refused() {
        let inner = r#""s": {"org.nixos.bootspec.v1": {"init": "/i", "kernel": "/k",
            "kernelParams": [], "label": "l", "system": "x86_64-linux", "toplevel": "/t"}}"#;
        let bootspec = spec("", inner);
        let error = Generation::new(1, 0, "6", &bootspec, files(), &BTreeMap::new()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot boot the specialisation 's': no kernel was placed in /boot for it"
        );
    }
}
