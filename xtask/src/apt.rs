//! Installs packages from Debian: finds what is missing, says what and why, and lets apt do it.
//!
//! Invariant: no package is removed. A package from a newer suite (say a backport of `qemu-utils`)
//! may conflict with the stable release's `qemu-system-common`; apt's answer is to remove it or to
//! give up. Instead, its siblings are brought to one version: the installed one if the archive
//! has it, else the stable one, and that is said.

use std::collections::BTreeMap;
use std::process::Command;

use anyhow::{Context, bail};

use crate::packages::{Need, Package, needed_for};

/// Installs what is missing for `need`.
pub fn install_missing(need: Need) -> anyhow::Result<()> {
    let installed = installed()?;
    let missing: Vec<&Package> = needed_for(need)
        .filter(|package| !installed.contains_key(package.name))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("These Debian packages are needed and will be installed:");
    for package in &missing {
        eprintln!("  {:<24}{}", package.name, package.reason);
    }
    let names: Vec<&str> = missing.iter().map(|package| package.name).collect();
    let privilege = Privilege::find(&names)?;
    let plain = Attempt::plain(&names);
    if known_to_apt(&names)? && plain.run(privilege)? {
        return Ok(());
    }
    eprintln!("Refreshing apt's package lists:");
    if !apt_get(privilege, &["update".to_owned()])? {
        bail!("cannot refresh apt's package lists: apt-get update failed");
    }
    if plain.run(privilege)? {
        return Ok(());
    }
    let available = available_qemu()?;
    for attempt in reconcile(&names, &installed, &available) {
        if attempt.run(privilege)? {
            return Ok(());
        }
    }
    bail!(
        "cannot install {}: apt-get refuses, or would remove other packages; \
         its messages are above",
        names.join(" ")
    )
}

/// One way to ask apt.
#[derive(Debug, PartialEq, Eq)]
struct Attempt {
    /// Told before it is tried.
    note: Option<String>,
    arguments: Vec<String>,
}

const INSTALL: [&str; 4] = ["install", "-y", "--no-install-recommends", "--no-remove"];

impl Attempt {
    fn plain(names: &[&str]) -> Self {
        let arguments = INSTALL
            .iter()
            .chain(names)
            .map(|&word| word.to_owned())
            .collect();
        Self {
            note: None,
            arguments,
        }
    }

    fn run(&self, privilege: Privilege) -> anyhow::Result<bool> {
        if let Some(note) = &self.note {
            eprintln!("{note}");
        }
        apt_get(privilege, &self.arguments)
    }
}

/// Ways to install `names` although packages of QEMU are installed in a version of their own.
/// `installed` and `available` map a package to its version, or its versions with the best last.
fn reconcile(
    names: &[&str],
    installed: &BTreeMap<String, String>,
    available: &BTreeMap<String, Vec<String>>,
) -> Vec<Attempt> {
    let Some(stable) = available
        .get("qemu-system-x86")
        .and_then(|versions| versions.first())
    else {
        return Vec::new();
    };
    let is_qemu = |name: &str| name.starts_with("qemu-");
    let odd: BTreeMap<&str, &str> = installed
        .iter()
        .filter(|(name, version)| {
            let stable = available
                .get(name.as_str())
                .and_then(|versions| versions.first());
            is_qemu(name) && stable.is_some_and(|stable| stable != *version)
        })
        .map(|(name, version)| (name.as_str(), version.as_str()))
        .collect();
    let list = odd
        .iter()
        .map(|(name, version)| format!("{name} {version}"))
        .collect::<Vec<_>>()
        .join(", ");
    let mut attempts = Vec::new();
    // The installed siblings' version, for all.
    if let Some(version) = odd.values().next()
        && available
            .get("qemu-system-x86")
            .is_some_and(|versions| versions.iter().any(|found| found == version))
    {
        let note = format!("Installed are {list}; QEMU is installed in that version:");
        attempts.push(pinned(note, names, &odd, available, version));
    }
    if !odd.is_empty() {
        let note = format!(
            "Installed are {list}, which the release's QEMU conflicts with; \
             they are downgraded to {stable}:"
        );
        let mut attempt = pinned(note, names, &odd, available, stable);
        attempt
            .arguments
            .insert(INSTALL.len(), "--allow-downgrades".to_owned());
        attempts.push(attempt);
    }
    attempts
}

/// Installs `names` and the `odd` ones, each in `version` where there is such a one.
fn pinned(
    note: String,
    names: &[&str],
    odd: &BTreeMap<&str, &str>,
    available: &BTreeMap<String, Vec<String>>,
    version: &str,
) -> Attempt {
    let mut all: Vec<&str> = names.to_vec();
    // Its strict dependencies must come along, whatever apt's preferences are.
    if names.contains(&"qemu-system-x86") {
        all.extend(["qemu-system-common", "qemu-system-data"]);
    }
    all.extend(odd.keys().filter(|name| !names.contains(*name)));
    let mut arguments: Vec<String> = INSTALL.iter().map(|&word| word.to_owned()).collect();
    for name in all {
        let exists = available
            .get(name)
            .is_some_and(|versions| versions.iter().any(|found| found == version));
        // Architecture-independent parts lack the suffix of a binary rebuild.
        let source = version
            .split_once("+b")
            .map_or(version, |(source, _)| source);
        let source_exists = available
            .get(name)
            .is_some_and(|versions| versions.iter().any(|found| found == source));
        let word = match (exists, source_exists) {
            (true, _) => format!("{name}={version}"),
            (false, true) => format!("{name}={source}"),
            (false, false) => name.to_owned(),
        };
        if !arguments.contains(&word) {
            arguments.push(word);
        }
    }
    Attempt {
        note: Some(note),
        arguments,
    }
}

/// How apt-get gets its rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Privilege {
    Root,
    Sudo,
}

impl Privilege {
    fn find(names: &[&str]) -> anyhow::Result<Self> {
        let id = output("id", &["-u"])?;
        if id.trim() == "0" {
            return Ok(Self::Root);
        }
        let sudo = Command::new("sudo").arg("--version").output();
        if sudo.is_ok_and(|output| output.status.success()) {
            return Ok(Self::Sudo);
        }
        bail!(
            "cannot install packages: not root, and there is no sudo; run this as root:\n  \
             apt-get install --no-install-recommends {}",
            names.join(" ")
        )
    }
}

fn apt_get(privilege: Privilege, arguments: &[String]) -> anyhow::Result<bool> {
    let mut command = match privilege {
        Privilege::Root => Command::new("env"),
        Privilege::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.arg("env");
            sudo
        }
    };
    command
        .args(["DEBIAN_FRONTEND=noninteractive", "apt-get"])
        .args(arguments);
    eprintln!("+ apt-get {}", arguments.join(" "));
    let status = command
        .status()
        .context("cannot run apt-get; is this Debian?")?;
    Ok(status.success())
}

/// Whether apt knows a version of each.
fn known_to_apt(names: &[&str]) -> anyhow::Result<bool> {
    let text = output("apt-cache", &[&["madison"], names].concat())?;
    let known = parse_madison(&text);
    Ok(names.iter().all(|name| known.contains_key(*name)))
}

fn available_qemu() -> anyhow::Result<BTreeMap<String, Vec<String>>> {
    let names = output("apt-cache", &["pkgnames", "qemu-"])?;
    let names: Vec<&str> = names.lines().collect();
    Ok(parse_madison(&output(
        "apt-cache",
        &[&["madison"], names.as_slice()].concat(),
    )?))
}

/// Versions of each package, the release's own (from the suite with the shortest name: not a
/// backport) first: ` name | version | http://… suite/component amd64 Packages`.
fn parse_madison(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut rows: BTreeMap<String, Vec<(bool, String)>> = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split('|').map(str::trim);
        if let (Some(name), Some(version), Some(origin)) =
            (fields.next(), fields.next(), fields.next())
            && origin.ends_with("Packages")
        {
            let versions = rows.entry(name.to_owned()).or_default();
            versions.push((origin.contains("-backports"), version.to_owned()));
        }
    }
    rows.into_iter()
        .map(|(name, mut versions)| {
            versions.sort_by_key(|(backport, _)| *backport);
            versions.dedup();
            (
                name,
                versions.into_iter().map(|(_, version)| version).collect(),
            )
        })
        .collect()
}

/// Installed packages and their versions.
fn installed() -> anyhow::Result<BTreeMap<String, String>> {
    let format = "-f=${db:Status-Status} ${Package} ${Version}\n";
    Ok(parse_installed(&output("dpkg-query", &["-W", format])?))
}

fn parse_installed(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| {
            let (name, version) = line.strip_prefix("installed ")?.split_once(' ')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

fn output(program: &str, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .with_context(|| format!("cannot run {program}; is this Debian?"))?;
    if !output.status.success() {
        bail!(
            "cannot run {program}: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    String::from_utf8(output.stdout).with_context(|| format!("{program} wrote no UTF-8"))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    const STABLE: &str = "1:7.2+dfsg-7+deb12u18+b3";
    const NEWER: &str = "1:9.2+ds-1~bpo12+1";

    fn check(installed: &[(&str, &str)], madison: &str, expected: &Expect) {
        let installed = installed
            .iter()
            .map(|(name, version)| ((*name).to_owned(), (*version).to_owned()))
            .collect();
        let attempts = reconcile(
            &["qemu-system-x86", "ovmf"],
            &installed,
            &parse_madison(madison),
        );
        let text: Vec<_> = attempts
            .iter()
            .map(|attempt| {
                let note = attempt.note.as_deref().unwrap_or_default();
                format!("{note}\n{}\n", attempt.arguments.join(" "))
            })
            .collect();
        expected.assert_eq(&text.concat());
    }

    fn madison(rows: &[(&str, &str, &str)]) -> String {
        let row = |(name, version, suite): &(&str, &str, &str)| {
            format!(" {name} | {version} | http://mirror {suite}/main amd64 Packages\n")
        };
        rows.iter().map(row).collect::<Vec<_>>().concat()
    }

    #[test]
    fn an_odd_sibling_is_downgraded_by_name() {
        let rows = [
            ("qemu-system-x86", STABLE, "bookworm"),
            ("qemu-system-common", STABLE, "bookworm"),
            ("qemu-system-data", "1:7.2+dfsg-7+deb12u18", "bookworm"),
            ("qemu-utils", STABLE, "bookworm"),
        ];
        check(
            &[("qemu-utils", NEWER), ("bash", "5")],
            &madison(&rows),
            &expect![[r#"
            Installed are qemu-utils 1:9.2+ds-1~bpo12+1, which the release's QEMU conflicts with; they are downgraded to 1:7.2+dfsg-7+deb12u18+b3:
            install -y --no-install-recommends --no-remove --allow-downgrades qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3 ovmf qemu-system-common=1:7.2+dfsg-7+deb12u18+b3 qemu-system-data=1:7.2+dfsg-7+deb12u18 qemu-utils=1:7.2+dfsg-7+deb12u18+b3
        "#]],
        );
    }

    #[test]
    fn the_installed_version_is_preferred_where_the_archive_has_it() {
        let rows = [
            ("qemu-system-x86", NEWER, "bookworm-backports"),
            ("qemu-system-x86", STABLE, "bookworm"),
            ("qemu-system-common", NEWER, "bookworm-backports"),
            ("qemu-utils", NEWER, "bookworm-backports"),
            ("qemu-utils", STABLE, "bookworm"),
        ];
        check(
            &[("qemu-utils", NEWER)],
            &madison(&rows),
            &expect![[r#"
            Installed are qemu-utils 1:9.2+ds-1~bpo12+1; QEMU is installed in that version:
            install -y --no-install-recommends --no-remove qemu-system-x86=1:9.2+ds-1~bpo12+1 ovmf qemu-system-common=1:9.2+ds-1~bpo12+1 qemu-system-data qemu-utils=1:9.2+ds-1~bpo12+1
            Installed are qemu-utils 1:9.2+ds-1~bpo12+1, which the release's QEMU conflicts with; they are downgraded to 1:7.2+dfsg-7+deb12u18+b3:
            install -y --no-install-recommends --no-remove --allow-downgrades qemu-system-x86=1:7.2+dfsg-7+deb12u18+b3 ovmf qemu-system-common qemu-system-data qemu-utils=1:7.2+dfsg-7+deb12u18+b3
        "#]],
        );
    }

    #[test]
    fn without_an_odd_sibling_there_is_nothing_to_reconcile() {
        let rows = [
            ("qemu-system-x86", STABLE, "bookworm"),
            ("qemu-utils", STABLE, "bookworm"),
        ];
        check(&[("qemu-utils", STABLE)], &madison(&rows), &expect![[""]]);
        check(&[], "", &expect![[""]]);
    }

    #[test]
    fn only_installed_packages_count() {
        let text = "installed bash 5.2-1\nconfig-files nano 7\nnot-installed vim \n";
        let expected = BTreeMap::from([("bash".to_owned(), "5.2-1".to_owned())]);
        assert_eq!(parse_installed(text), expected);
    }
}
