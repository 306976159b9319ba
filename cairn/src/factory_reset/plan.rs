//! What the next boot would remove and keep, as the `boot.json` of what boots says it.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use cairn_bootloader::EntryId;
use cairn_system::MountPoint;
use cairn_system::factory_reset::FactoryResetV1;

use crate::generations::{Entry, Listing, Mark, read_bootspec};

/// The link to the system that was booted, below the root.
const BOOTED: &str = "run/booted-system";

/// Where the generations are, below the root.
const PROFILES: &str = "nix/var/nix/profiles";

/// What the next boot would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    system: String,
    reset: FactoryResetV1,
}

/// A system's stage 1 does no factory reset. It would withdraw the request; one that was made before there were
/// any would leave it for whatever obeys some day.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "cannot ask for a factory reset: {system} has boot.factoryReset.enable off; switch to a generation that has it \
     on, and boot it"
)]
pub struct Refused {
    /// Which.
    pub(super) system: String,
}

/// A system that may be the one that is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    system: String,
    reset: Option<FactoryResetV1>,
}

impl Plan {
    /// The plan for the machine whose file systems are at `root`. Changes nothing.
    ///
    /// # Errors
    /// What was booted or boots next does no factory reset ([`Refused`]), or is not known.
    pub fn of(root: &Path) -> Result<Self> {
        Ok(Self::new(candidates(root)?)?)
    }

    /// Of the first; all of them have to obey.
    fn new(candidates: Vec<Candidate>) -> Result<Self, Refused> {
        let mut first = None;
        for Candidate { system, reset } in candidates {
            match reset {
                None => return Err(Refused { system }),
                Some(reset) => first = first.or(Some(Self { system, reset })),
            }
        }
        first.ok_or_else(|| Refused {
            system: "nothing that is known".to_owned(),
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { system, reset } = self;
        let emptied: Vec<_> = reset.file_systems.iter().map(MountPoint::as_str).collect();
        let kept: Vec<_> = reset.kept().collect();
        writeln!(f, "At the next boot, {system} does a factory reset:")?;
        match emptied.as_slice() {
            [] => writeln!(f, "  removed: nothing; no file system has anything else")?,
            some => writeln!(
                f,
                "  removed: everything else in the file systems {}",
                some.join(", ")
            )?,
        }
        writeln!(f, "  kept:    {}", kept.join(", "))?;
        writeln!(
            f,
            "Passwords that were set on this machine go, too: those of the configuration count.\n\
             Files are removed, and not overwritten."
        )
    }
}

/// What boots next if all goes well, what boots by default, and what was booted.
fn candidates(root: &Path) -> Result<Vec<Candidate>> {
    let listing = if root.join(PROFILES).exists() {
        Listing::read(root)?
    } else {
        // A machine that has one system, and nothing that chooses between several.
        Listing::default()
    };
    let marked = [(Mark::Once, "once"), (Mark::Default, "the default")]
        .into_iter()
        .filter_map(|(mark, part)| {
            let (name, entry) = find(&listing, mark)?;
            Some((format!("generation {name} ({part})"), entry.path.clone()))
        });
    let booted = root.join(BOOTED);
    let booted: PathBuf =
        fs::read_link(&booted).with_context(|| format!("cannot read '{}'", booted.display()))?;
    marked
        .chain([("the system that was booted".to_owned(), booted)])
        .map(|(system, toplevel)| {
            let toplevel = root.join(toplevel.strip_prefix("/").unwrap_or(&toplevel));
            let reset = read_bootspec(&toplevel)?.factory_reset;
            Ok(Candidate { system, reset })
        })
        .collect()
}

/// The entry with this mark, and what it is called.
fn find(listing: &Listing, mark: Mark) -> Option<(String, &Entry)> {
    listing.generations.iter().find_map(|one| {
        let entry = std::iter::once(&one.entry)
            .chain(&one.specialisations)
            .find(|entry| entry.marks.contains(&mark))?;
        let id = EntryId::new(one.generation, entry.name.as_deref());
        Some((
            id.map_or_else(|_| one.generation.to_string(), |id| id.to_string()),
            entry,
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::super::forgone;
    use super::*;
    use cairn_store::Store;
    use cairn_system::factory_reset::REQUEST;
    use expect_test::{Expect, expect};
    use serde_json::{Value, json};
    use std::os::unix::fs::symlink;

    fn keeping(path: &str) -> Value {
        json!({"keep": [path], "fileSystems": ["/", "/home"]})
    }

    /// The `boot.json` of a system, whose stage 1 does this.
    fn bootspec(toplevel: &str, reset: Option<&Value>) -> Value {
        let mut bootspec = json!({"org.nixos.bootspec.v1": {
            "init": "/i", "kernel": "/k", "kernelParams": [], "label": "l",
            "system": "x86_64-linux", "toplevel": toplevel,
        }});
        if let Some(reset) = reset {
            bootspec["org.cairn.factory-reset.v1"] = reset.clone();
        }
        bootspec
    }

    /// A machine with these generations, of which `booted` was booted and `wanted` is the profile's; what is
    /// planned there or said.
    fn check(generations: &[Option<Value>], booted: u64, wanted: u64, state: &str, said: &Expect) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let store = Store::open(root).unwrap();
        for place in ["boot/grub", "run"] {
            fs::create_dir_all(root.join(place)).unwrap();
        }
        for (number, reset) in (1..).zip(generations) {
            let tree = tempfile::tempdir().unwrap();
            let text = bootspec("/nix/store/x", reset.as_ref()).to_string();
            fs::write(tree.path().join("boot.json"), text).unwrap();
            fs::write(tree.path().join("number"), number.to_string()).unwrap();
            let path = store.add_tree("system", tree.path()).unwrap();
            store.add_generation("system", &path).unwrap();
            if number == booted {
                symlink(path.to_path_buf(), root.join(BOOTED)).unwrap();
            }
        }
        store.set_current("system", wanted).unwrap();
        if !state.is_empty() {
            let mut text = format!("# GRUB Environment Block\n{state}");
            text += &"#".repeat(1024 - text.len());
            fs::write(root.join("boot/grub/grubenv"), text).unwrap();
        }
        let mut told = match Plan::of(root) {
            Ok(plan) => plan.to_string(),
            Err(error) => format!("{error}\n"),
        };
        // Of one that waits only what would be lost is said.
        assert_eq!(forgone(root).unwrap(), None);
        let request = root.join(REQUEST.trim_start_matches('/'));
        fs::create_dir_all(request.parent().unwrap()).unwrap();
        fs::write(request, "").unwrap();
        if let Some(lost) = forgone(root).unwrap() {
            told += &(lost + "\n");
        }
        said.assert_eq(&told);
    }

    #[test]
    fn what_boots_next_says_what_goes() {
        let generations = [Some(keeping("/one")), Some(keeping("/two"))];
        check(
            &generations,
            1,
            2,
            "",
            &expect![[r#"
                At the next boot, generation 2 (the default) does a factory reset:
                  removed: everything else in the file systems /, /home
                  kept:    /nix, /boot, /two
                Passwords that were set on this machine go, too: those of the configuration count.
                Files are removed, and not overwritten.
            "#]],
        );
        check(
            &generations,
            2,
            2,
            "cairn_good=2\ncairn_once=1\n",
            &expect![[r#"
                At the next boot, generation 1 (once) does a factory reset:
                  removed: everything else in the file systems /, /home
                  kept:    /nix, /boot, /one
                Passwords that were set on this machine go, too: those of the configuration count.
                Files are removed, and not overwritten.
            "#]],
        );
    }

    #[test]
    fn nothing_is_asked_of_a_system_that_would_not_obey() {
        let off_by_default = expect![[r#"
            cannot ask for a factory reset: generation 2 (the default) has boot.factoryReset.enable off; switch to a generation that has it on, and boot it
            a factory reset is waiting, and generation 2 (the default) would take it back instead: it has boot.factoryReset.enable off; `cairn factory-reset --cancel` takes it back now
        "#]];
        let generations = [Some(keeping("/one")), None];
        check(&generations, 1, 2, "", &off_by_default);
        // The one that is wanted is not the one that boots.
        check(
            &generations,
            1,
            1,
            "cairn_good=1\ncairn_trial=2\ncairn_tries=2\n",
            &off_by_default,
        );
        check(
            &generations,
            1,
            1,
            "cairn_good=2\ncairn_once=1\n",
            &off_by_default,
        );
        check(
            &generations,
            1,
            1,
            "cairn_good=1\ncairn_once=2\n",
            &expect![[r#"
                cannot ask for a factory reset: generation 2 (once) has boot.factoryReset.enable off; switch to a generation that has it on, and boot it
                a factory reset is waiting, and generation 2 (once) would take it back instead: it has boot.factoryReset.enable off; `cairn factory-reset --cancel` takes it back now
            "#]],
        );
        check(
            &generations,
            2,
            1,
            "",
            &expect![[r#"
                cannot ask for a factory reset: the system that was booted has boot.factoryReset.enable off; switch to a generation that has it on, and boot it
                a factory reset is waiting, and the system that was booted would take it back instead: it has boot.factoryReset.enable off; `cairn factory-reset --cancel` takes it back now
            "#]],
        );
    }

    #[test]
    fn a_machine_all_of_which_is_kept() {
        let kept = json!({"keep": ["/persist"], "fileSystems": []});
        check(
            &[Some(kept)],
            1,
            1,
            "",
            &expect![[r#"
                At the next boot, generation 1 (the default) does a factory reset:
                  removed: nothing; no file system has anything else
                  kept:    /nix, /boot, /persist
                Passwords that were set on this machine go, too: those of the configuration count.
                Files are removed, and not overwritten.
            "#]],
        );
    }
}
