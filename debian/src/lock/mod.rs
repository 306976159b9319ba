//! The lock file: what a request resolved to, with all that is needed to plan builds and to fetch
//! the packages without the archive's index.
//!
//! It is JSON, sorted and indented, so that the same resolution gives the same text and a
//! difference can be read. It names no mirror: any mirror that has the files will do, since every
//! file is pinned by size and SHA-256. Unknown fields and other format versions are refused.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use cairn_store_path::Sha256;
use serde::{Deserialize, Serialize};

use crate::request::{Request, is_package_name};
use crate::version::Version;

/// The format that this program writes and reads.
const FORMAT: u32 = 1;

/// The largest package that is accepted: 4 GiB; Debian's largest has 2.
const SIZE_LIMIT: u64 = 1 << 32;

/// A resolution. Fields are private: a lock is made by resolving or by parsing, both checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    format: u32,
    request: Request,
    releases: Vec<LockedRelease>,
    packages: Vec<LockedPackage>,
}

/// The identity of one release whose index took part.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedRelease {
    /// The codename, such as `bookworm-security`.
    pub codename: String,
    /// The suite, such as `stable-security`.
    pub suite: String,
    /// When the archive signed it, as written in the file.
    pub date: String,
    /// The digest of the whole `InRelease` file.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Sha256,
}

/// One package, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LockedPackage {
    /// The package's name.
    pub name: String,
    /// Its version.
    pub version: Version,
    /// Its architecture: the request's, or `all`.
    pub architecture: String,
    /// The source package that it was built from.
    pub source: String,
    /// The version of that source package.
    pub source_version: Version,
    /// The archive section, such as `libs`.
    pub section: String,
    /// One line about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The address of its makers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub homepage: Option<String>,
    /// Whether it is marked `Essential: yes`.
    pub essential: bool,
    /// How it behaves with several architectures installed.
    pub multi_arch: MultiArch,
    /// The codename of the release that lists it: tells which mirror has it.
    pub release: String,
    /// The path of the file below the mirror's base address.
    pub filename: String,
    /// The size of the file in bytes.
    pub size: u64,
    /// The digest of the file.
    #[serde(with = "crate::digest::hex")]
    pub sha256: Sha256,
    /// The locked packages that satisfy its `Pre-Depends` and `Depends`, sorted.
    pub dependencies: BTreeSet<String>,
    /// The virtual packages that it provides, some with a version.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub provides: BTreeMap<String, Option<Version>>,
}

/// The field `Multi-Arch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MultiArch {
    /// Not said, or `no`.
    No,
    /// Installable for several architectures side by side.
    Same,
    /// Satisfies dependencies of every architecture.
    Foreign,
    /// Satisfies dependencies of every architecture that say `:any`.
    Allowed,
}

/// A text that is not a lock.
#[derive(Debug, thiserror::Error)]
pub enum ParseLockError {
    /// Not the JSON that is expected.
    #[error("cannot read the package lock: {0}")]
    Json(#[source] serde_json::Error),
    /// Written by another version of the program.
    #[error(
        "cannot read the package lock: it has format {0}, this program knows {FORMAT}; \
         resolve again to renew it"
    )]
    Format(u64),
    /// The parts contradict each other, or a value is not acceptable.
    #[error("cannot use the package lock: {0}")]
    Content(String),
}

/// Why a lock does not answer a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the package lock answers another request ({0}); resolve again to renew it")]
pub struct LockMismatch(String);

impl Lock {
    /// Puts a lock together; packages and releases are sorted here.
    ///
    /// # Errors
    /// [`ParseLockError::Content`] if the parts contradict each other: a package twice, a
    /// dependency on a package that is absent, a wanted one missing, an unsafe file name.
    pub fn new(
        request: Request,
        mut releases: Vec<LockedRelease>,
        mut packages: Vec<LockedPackage>,
    ) -> Result<Self, ParseLockError> {
        releases.sort();
        packages.sort_by(|left, right| left.name.cmp(&right.name));
        let lock = Self {
            format: FORMAT,
            request,
            releases,
            packages,
        };
        lock.check().map_err(ParseLockError::Content)?;
        Ok(lock)
    }

    /// Reads a lock file's text.
    ///
    /// # Errors
    /// [`ParseLockError`]: not JSON, an unknown field, another format, or contradictions.
    pub fn parse(text: &str) -> Result<Self, ParseLockError> {
        #[derive(Deserialize)]
        struct Head {
            format: u64,
        }
        let head: Head = serde_json::from_str(text).map_err(ParseLockError::Json)?;
        if head.format != u64::from(FORMAT) {
            return Err(ParseLockError::Format(head.format));
        }
        let lock: Self = serde_json::from_str(text).map_err(ParseLockError::Json)?;
        Self::new(lock.request, lock.releases, lock.packages)
    }

    /// The text of the lock file; the same lock always gives the same text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{self:#}");
        text.push('\n');
        text
    }

    /// What was asked for.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The releases that took part, sorted by codename.
    #[must_use]
    pub fn releases(&self) -> &[LockedRelease] {
        &self.releases
    }

    /// The packages, sorted by name.
    #[must_use]
    pub fn packages(&self) -> &[LockedPackage] {
        &self.packages
    }

    /// The package called `name`.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&LockedPackage> {
        let found = self
            .packages
            .binary_search_by(|package| package.name.as_str().cmp(name));
        found.ok().and_then(|at| self.packages.get(at))
    }

    /// Whether this lock was made for exactly this request.
    ///
    /// # Errors
    /// The first difference.
    pub fn verify(&self, request: &Request) -> Result<(), LockMismatch> {
        let own = &self.request;
        let mismatch = |text: String| Err(LockMismatch(text));
        if own.architecture != request.architecture {
            return mismatch(format!("architecture {}", own.architecture));
        }
        if own.essential != request.essential {
            return mismatch(format!("essential packages: {}", own.essential));
        }
        if let Some(name) = request.wanted.difference(&own.wanted).next() {
            return mismatch(format!("without {name}"));
        }
        if let Some(name) = own.wanted.difference(&request.wanted).next() {
            return mismatch(format!("with {name} as well"));
        }
        match own.excluded.symmetric_difference(&request.excluded).next() {
            Some(name) => mismatch(format!("the exclusions differ in {name}")),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<(), String> {
        let twice = self.packages.windows(2).find_map(|pair| match pair {
            [left, right] if left.name == right.name => Some(&left.name),
            _ => None,
        });
        if let Some(name) = twice {
            return Err(format!("package {name} occurs twice"));
        }
        self.packages.iter().try_for_each(|package| {
            self.check_package(package)
                .map_err(|cause| format!("package {}: {cause}", package.name))
        })?;
        for wanted in &self.request.wanted {
            let found = self.package(wanted.name());
            let provided = || {
                self.packages
                    .iter()
                    .any(|p| p.provides.contains_key(wanted.name()))
            };
            match (found, wanted.version()) {
                (Some(package), Some(version)) if package.version != *version => {
                    return Err(format!(
                        "{wanted} is wanted, but {} is locked",
                        package.version
                    ));
                }
                (None, None) if provided() => {}
                (None, _) => return Err(format!("{wanted} is wanted, but absent")),
                (Some(_), _) => {}
            }
        }
        Ok(())
    }

    fn check_package(&self, package: &LockedPackage) -> Result<(), String> {
        if !is_package_name(&package.name) || !is_package_name(&package.source) {
            return Err("its name or source is no package name".to_owned());
        }
        if ![self.request.architecture.as_str(), "all"].contains(&package.architecture.as_str()) {
            return Err(format!("its architecture is {}", package.architecture));
        }
        if !is_safe_filename(&package.filename) {
            return Err(format!("unsafe file name {:?}", package.filename));
        }
        if package.size == 0 || package.size > SIZE_LIMIT {
            return Err(format!("its size is {} bytes", package.size));
        }
        let absent = package
            .dependencies
            .iter()
            .find(|name| self.package(name).is_none());
        match absent {
            Some(name) => Err(format!("it depends on {name}, which is absent")),
            None => Ok(()),
        }
    }
}

/// Whether `filename` can stand below a mirror's address: relative, no `..`, no odd characters.
#[must_use]
pub fn is_safe_filename(filename: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"/+-._~:%=@,".contains(&byte);
    filename.bytes().all(allowed)
        && filename
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
}

impl fmt::Display for Lock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Writing these types to a string cannot fail: no maps with odd keys, no I/O.
        f.write_str(&serde_json::to_string_pretty(self).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Lock {
    type Err = ParseLockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

#[cfg(test)]
pub(crate) mod tests;
