//! What can be chosen on this machine.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use indicatif::BinaryBytes;

use super::names::choose;
use crate::install::answers::Answers;
use crate::install::disks::{Content, Disk};
use crate::install::words::Line;

/// Swap space that is proposed at most, in MiB.
const MOST_SWAP: u64 = 4096;

/// Folders with the time zones: of a Cairn machine, and of others.
const ZONES: [&str; 2] = ["etc/zoneinfo", "usr/share/zoneinfo"];

/// Folders with the layouts of a PC's keyboards: of an installation medium, and of others.
const KEYBOARDS: [&str; 2] = ["etc/cairn/keymaps/i386", "usr/share/keymaps/i386"];

const KEYBOARD_SUFFIX: &str = ".kmap.gz";

/// Lists of the locales that can be compiled.
const LOCALES: [&str; 2] = ["etc/cairn/locales", "usr/share/i18n/SUPPORTED"];

/// What can be chosen.
#[derive(Debug, Clone, Default)]
pub struct Offers {
    /// The disks that are there.
    pub disks: Vec<Disk>,
    /// Time zones; whatever is typed is taken if there are none.
    pub time_zones: Vec<String>,
    /// Languages that can be installed beside `C.UTF-8`; it is not asked for one if there are none.
    pub locales: Vec<String>,
    /// Keyboards; whatever is typed is taken if there are none.
    pub keyboards: Vec<String>,
    /// Swap space that is proposed, in MiB.
    pub swap_mib: u32,
}

impl Offers {
    /// What the running machine has.
    ///
    /// # Errors
    /// Disks or lists cannot be read.
    pub fn read() -> Result<Self> {
        let root = Path::new("/");
        let mut disks = Disk::all()?;
        disks.retain(|disk| !disk.path.starts_with("/dev/loop") && !is_loop(&disk.path));
        Ok(Self {
            swap_mib: proposed_swap(&read(&root.join("proc/meminfo"))?),
            time_zones: time_zones(root)?,
            locales: locales(root)?,
            keyboards: keyboards(root)?,
            disks,
        })
    }

    /// Whether there is what `answers` name, as far as the machine at `root` has lists of it: a build would find
    /// it out when the disk is divided already.
    ///
    /// # Errors
    /// There is not, or a list cannot be read.
    pub fn ensure_there(root: &Path, answers: &Answers) -> Result<()> {
        if let Some(zone) = &answers.time_zone {
            ensure_named("time-zone", "time zone", &time_zones(root)?, zone)?;
        }
        if let Some(keyboard) = &answers.keyboard {
            ensure_named("keyboard", "keyboard", &keyboards(root)?, keyboard)?;
        }
        if let Some(locale) = answers.locale.as_ref().filter(|locale| is_utf8(locale)) {
            ensure_named("locale", "language", &locales(root)?, locale)?;
        }
        Ok(())
    }

    /// Disks that can have the system.
    pub(super) fn usable(&self) -> impl Iterator<Item = &Disk> {
        self.disks.iter().filter(|disk| disk.uses.is_empty())
    }

    /// Disks that cannot, the medium that was booted among them.
    pub(super) fn unusable(&self) -> impl Iterator<Item = &Disk> {
        self.disks.iter().filter(|disk| !disk.uses.is_empty())
    }
}

/// Whether the list could have the locale.
fn is_utf8(locale: &Line) -> bool {
    locale.as_str().ends_with(".UTF-8")
}

fn ensure_named(field: &str, kind: &str, names: &[String], name: &Line) -> Result<()> {
    let name = name.as_str();
    if names.is_empty() || names.iter().any(|known| known == name) {
        return Ok(());
    }
    let meant = match choose(kind, names, name) {
        Ok(meant) => format!("there is no {kind} '{name}'; is '{meant}' meant?"),
        Err(refusal) => refusal,
    };
    bail!("cannot use the answers: at '{field}': {meant}")
}

fn is_loop(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ["loop", "ram", "zram"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// A disk on one line.
pub(super) fn line(disk: &Disk) -> String {
    let words = [&disk.model, &disk.serial, &disk.transport];
    let words: Vec<&str> = words.into_iter().flatten().map(String::as_str).collect();
    format!(
        "{:<14} {:>11}  {}{}",
        disk.path.display().to_string(),
        BinaryBytes(disk.bytes).to_string(),
        words.join(" "),
        match content(&disk.content) {
            text if words.is_empty() => text,
            text => format!(", {text}"),
        }
    )
}

fn content(content: &Content) -> String {
    match content {
        Content::Nothing => "empty".to_owned(),
        Content::Unknown => "with data that are not known".to_owned(),
        Content::Whole(kind) => format!("with {kind}"),
        Content::Partitions { partitions, .. } => {
            let of = |kind: &Option<String>| kind.clone().unwrap_or_else(|| "?".to_owned());
            let kinds: Vec<String> = partitions
                .iter()
                .map(|partition| match &partition.label {
                    Some(label) => format!("{} \"{label}\"", of(&partition.file_system)),
                    None => of(&partition.file_system),
                })
                .collect();
            match kinds.len() {
                0 => "with an empty partition table".to_owned(),
                1 => format!("with a partition: {}", kinds.join(", ")),
                number => format!("with {number} partitions: {}", kinds.join(", ")),
            }
        }
    }
}

/// The disk's name without its folder.
pub(super) fn name(disk: &Disk) -> &str {
    let name = disk.path.file_name().and_then(|name| name.to_str());
    name.unwrap_or_default()
}

fn read(path: &Path) -> Result<String> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read '{}'", path.display())),
    }
}

/// As much as there is memory, in whole GiB, and not more than [`MOST_SWAP`].
fn proposed_swap(meminfo: &str) -> u32 {
    let kibibytes = meminfo.lines().find_map(|line| {
        let value = line.strip_prefix("MemTotal:")?.trim();
        value.strip_suffix(" kB")?.parse::<u64>().ok()
    });
    let mebibytes = kibibytes.unwrap_or(0).div_ceil(1 << 20) * 1024;
    u32::try_from(mebibytes.min(MOST_SWAP)).unwrap_or(0)
}

/// The first of the places that is there.
fn first(root: &Path, places: [&str; 2]) -> Option<PathBuf> {
    places
        .into_iter()
        .map(|place| root.join(place))
        .find(|place| place.exists())
}

/// Files of zones by their paths, but for those that are zones with leap seconds.
fn time_zones(root: &Path) -> Result<Vec<String>> {
    let Some(folder) = first(root, ZONES) else {
        return Ok(Vec::new());
    };
    let mut zones = Vec::new();
    files(&folder, &mut |name, path| {
        let is_other = ["posix/", "right/"]
            .iter()
            .any(|prefix| name.starts_with(prefix));
        if !is_other && name.starts_with(|first: char| first.is_ascii_uppercase()) && is_zone(path)?
        {
            zones.push(name.to_owned());
        }
        Ok(())
    })?;
    zones.sort();
    Ok(zones)
}

/// Whether a file has the magic of RFC 9636.
fn is_zone(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == b"TZif")
}

fn keyboards(root: &Path) -> Result<Vec<String>> {
    let Some(folder) = first(root, KEYBOARDS) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    files(&folder, &mut |name, _| {
        let name = name.rsplit('/').next().unwrap_or(name);
        names.extend(name.strip_suffix(KEYBOARD_SUFFIX).map(str::to_owned));
        Ok(())
    })?;
    names.sort();
    names.dedup();
    Ok(names)
}

/// The file of a keyboard's layout.
pub(super) fn keyboard_file(root: &Path, keyboard: &str) -> Result<Option<PathBuf>> {
    let mut file = None;
    let wanted = format!("{keyboard}{KEYBOARD_SUFFIX}");
    if let Some(folder) = first(root, KEYBOARDS) {
        files(&folder, &mut |name, path| {
            if name.rsplit('/').next() == Some(&wanted) {
                file = Some(path.to_owned());
            }
            Ok(())
        })?;
    }
    Ok(file)
}

fn locales(root: &Path) -> Result<Vec<String>> {
    let Some(file) = first(root, LOCALES) else {
        return Ok(Vec::new());
    };
    Ok(parse_locales(&read(&file)?))
}

/// Lines `de_DE.UTF-8 UTF-8`: those in UTF-8, since a console has no other.
fn parse_locales(text: &str) -> Vec<String> {
    let lines = text.lines().filter_map(|line| {
        let (name, charset) = line.split_once(' ')?;
        // Most names of this set are without it: `aa_DJ`, `aa_DJ.UTF-8`.
        (charset.trim() == "UTF-8" && name.ends_with(".UTF-8")).then(|| name.to_owned())
    });
    std::iter::once("C.UTF-8".to_owned()).chain(lines).collect()
}

/// Calls `found` for each file below `folder`, links followed, with its path from there.
fn files(folder: &Path, found: &mut dyn FnMut(&str, &Path) -> io::Result<()>) -> Result<()> {
    let mut pending = vec![PathBuf::new()];
    while let Some(below) = pending.pop() {
        let place = folder.join(&below);
        let reading = || format!("cannot read '{}'", place.display());
        for entry in fs::read_dir(&place).with_context(reading)? {
            let name = below.join(entry.with_context(reading)?.file_name());
            let path = folder.join(&name);
            // A link that leads out of the tree of packages is no folder to look into.
            if path.is_dir() && name.components().count() < 6 {
                pending.push(name);
            } else if path.is_file()
                && let Some(name) = name.to_str()
            {
                found(name, &path).with_context(|| format!("cannot read '{}'", path.display()))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals() {
        for (meminfo, expected) in [
            ("MemTotal:         498000 kB\nMemFree: 1 kB\n", 1024),
            ("MemTotal:        2040000 kB\n", 2048),
            ("MemTotal:       32600000 kB\n", 4096),
            ("", 0),
        ] {
            assert_eq!(proposed_swap(meminfo), expected);
        }
    }

    #[test]
    fn lists_of_a_tree() {
        let root = tempfile::tempdir().unwrap();
        let file = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/Indiana/Knox",
            "right/UTC",
            "posixrules",
        ] {
            file(&format!("usr/share/zoneinfo/{zone}"), "TZif2");
        }
        file("usr/share/zoneinfo/Europe/notes", "no zone");
        file("etc/cairn/keymaps/i386/qwertz/de.kmap.gz", "");
        file("etc/cairn/keymaps/mac/qwertz/mac-de.kmap.gz", "");
        file("etc/cairn/keymaps/i386/include/x.inc.gz", "");
        file(
            "etc/cairn/locales",
            "# list\naa_DJ ISO-8859-1\nde_DE.UTF-8 UTF-8\neo UTF-8\n",
        );
        let root = root.path();
        assert_eq!(
            time_zones(root).unwrap(),
            ["America/Indiana/Knox", "Europe/Berlin", "UTC"]
        );
        assert_eq!(keyboards(root).unwrap(), ["de"]);
        assert_eq!(
            keyboard_file(root, "de").unwrap(),
            Some(root.join("etc/cairn/keymaps/i386/qwertz/de.kmap.gz"))
        );
        assert_eq!(keyboard_file(root, "fr").unwrap(), None);
        assert_eq!(locales(root).unwrap(), ["C.UTF-8", "de_DE.UTF-8"]);
        let check = |answers: &str| {
            let answers = Answers::parse(&format!("disk = '/dev/x'\n{answers}")).unwrap();
            match Offers::ensure_there(root, &answers) {
                Ok(()) => "good".to_owned(),
                Err(error) => format!("{error:#}"),
            }
        };
        let all = [
            check(""),
            check("time-zone = 'Europe/Berlin'\nkeyboard = 'de'\nlocale = 'de_DE.UTF-8'"),
            check("locale = 'eo'"),
            check("time-zone = 'berlin'"),
            check("time-zone = '../Europe/Berlin'"),
            check("keyboard = 'fr'"),
            check("locale = 'xx_XX.UTF-8'"),
        ];
        expect_test::expect![[r#"
            good
            good
            good
            cannot use the answers: at 'time-zone': there is no time zone 'berlin'; is 'Europe/Berlin' meant?
            cannot use the answers: at 'time-zone': there is no time zone '../Europe/Berlin'
            cannot use the answers: at 'keyboard': there is no keyboard 'fr'
            cannot use the answers: at 'locale': there is no language 'xx_XX.UTF-8'"#]].assert_eq(&all.join("\n"));
    }
}
