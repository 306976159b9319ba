//! Generations of the machine: `switch` and its kin, `generations`, `gc`.

use std::path::PathBuf;

use cairn::Place;
use cairn::boot_loader::BootLoaderFacts;
use cairn::generations::{Collection, Selection};
use cairn::switch::{Action, Existing, Source, Target, Wish};
use cairn_store_path::StorePath;
use clap::Args;

use super::configuration::ConfigurationArguments;

/// `cairn assess`.
#[derive(Debug, Args)]
pub struct Assess {
    /// For how long services must have been up without a restart of one
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub stable_seconds: u32,
}

/// `cairn switch`, `boot`, `test`, `dry-run`.
#[derive(Debug, Args)]
pub struct Switch {
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// Take the generation before the current one that has not failed, and build nothing
    #[arg(long, conflicts_with_all = ["to", "configuration", "update"])]
    pub rollback: bool,
    /// Take this generation, and build nothing
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["configuration", "update"])]
    pub to: Option<u64>,
    /// Take this variant of the system
    #[arg(long, value_name = "NAME")]
    pub specialisation: Option<String>,
    /// Write GRUB itself to the disks and EFI system partitions that the configuration names, too
    #[arg(long, conflicts_with_all = ["to", "rollback"])]
    pub install_bootloader: bool,
    /// Show what would be done as JSON
    #[arg(long)]
    pub json: bool,
}

impl Switch {
    /// What the command line asks for.
    ///
    /// # Errors
    /// The configuration is not there, or the user's folders are not known.
    pub fn wish(&self) -> anyhow::Result<Wish> {
        let source = match (self.rollback, self.to) {
            (true, _) => Source::Existing(Existing::Previous),
            (false, Some(number)) => Source::Existing(Existing::Number(number)),
            (false, None) => Source::Configuration(self.configuration.own_configuration()?.into()),
        };
        Ok(Wish {
            source,
            specialisation: self.specialisation.clone(),
            boot_loader: self.install_bootloader,
        })
    }
}

/// `cairn generations`.
#[derive(Debug, Args)]
pub struct Generations {
    /// The machine whose file systems are at DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Show the kernels' parameters, too
    #[arg(long, short)]
    pub verbose: bool,
    /// Show all as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cairn delete-generations`.
#[derive(Debug, Args)]
pub struct DeleteGenerations {
    /// old (all but the wanted one), +5 (all that are older than the newest five), 30d (all that were
    /// no longer wanted 30 days ago), or numbers
    #[arg(required = true, value_name = "WHICH")]
    pub which: Vec<String>,
    /// The machine whose file systems are at DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Show what would be done, and do nothing of it
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Show what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cairn gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Remove old generations first, as cairn delete-generations old
    #[arg(long, short = 'd')]
    pub delete_old: bool,
    /// Remove generations first that were no longer wanted so many days ago
    #[arg(
        long,
        visible_alias = "delete-older-than",
        value_name = "30d",
        value_parser = Selection::age,
        conflicts_with = "delete_old"
    )]
    pub older_than: Option<Selection>,
    /// Stop when so many bytes are free that were not before; 500M and 10G are understood
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub max_freed: Option<u64>,
    /// Root of the store, whose objects lie in DIR/nix/store [default: that of the running system, or
    /// cairn in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Show what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Show what was removed as JSON
    #[arg(long)]
    pub json: bool,
}

impl Gc {
    /// What the command line asks for.
    ///
    /// # Errors
    /// The user's folders are not known.
    pub fn collection(&self) -> anyhow::Result<Collection> {
        let old = self.delete_old.then_some(Selection::Old);
        Ok(Collection {
            root: Place::new(self.store.as_deref(), None)?.store,
            generations: old.or_else(|| self.older_than.clone()),
            limit: self.max_freed,
        })
    }
}

/// `nixos-version`.
#[derive(Debug, Args)]
pub struct NixosVersion {
    /// Show it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `500M`: a number of bytes, or of 1024, 1024², 1024³ or 1024⁴.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|one: char| !one.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    shift
        .zip(number)
        .and_then(|(shift, number)| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("'{text}' is no number of bytes; say 500M or 10G"))
}

/// `cairn apply-switch`.
#[derive(Debug, Args)]
pub struct ApplySwitch {
    /// How far it goes
    #[arg(long, value_enum)]
    pub action: Action,
    /// The generation's toplevel
    #[arg(long)]
    pub toplevel: StorePath,
    /// Its number, if it has one already
    #[arg(long)]
    pub number: Option<u64>,
    /// A variant of it
    #[arg(long)]
    pub specialisation: Option<String>,
    /// Where GRUB itself is written, as JSON
    #[arg(long, value_parser = |text: &str| serde_json::from_str::<BootLoaderFacts>(text))]
    pub boot_loader: Option<BootLoaderFacts>,
}

impl ApplySwitch {
    /// What the change leads to.
    pub fn target(&self) -> Target {
        Target {
            toplevel: self.toplevel.clone(),
            number: self.number,
            specialisation: self.specialisation.clone(),
            boot_loader: self.boot_loader.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_bytes_have_units() {
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("10g"), Ok(10 << 30));
        for text in ["", "M", "1X", "-1", "1.5G", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
