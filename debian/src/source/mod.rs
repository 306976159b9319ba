//! Where packages come from: the host's apt sources, or one mirror.
//!
//! Source: sources.list(5). `Trusted: yes` is not honoured: unsigned archives are never used.

mod deb822;
mod one_line;

use std::io;
use std::path::{Path, PathBuf};

use crate::keys::Keys;

/// Debian's keyring, from the package debian-archive-keyring.
pub const DEBIAN_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The base address, without a slash at its end.
    pub uri: String,
    /// The suite or codename, such as `bookworm-updates`.
    pub suite: String,
    /// The components, such as `main`.
    pub components: Vec<String>,
    /// The architectures that it is configured for; empty: all.
    pub architectures: Vec<String>,
    /// Whose signatures count.
    pub keys: Keys,
    /// Whether `Valid-Until` counts; archives of the past switch it off.
    pub check_valid_until: bool,
    /// Whether a failure of this source is an error. It is not for sources of the host whose
    /// keys are others than Debian's: they would not take part anyway.
    pub required: bool,
}

/// Why the sources are not known.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A file or folder could not be read.
    #[error("cannot read {path}: {cause}")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        #[source]
        cause: io::Error,
    },
    /// A file has a mistake.
    #[error("cannot read {path}: {cause}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// The mistake.
        cause: String,
    },
    /// No usable source is configured.
    #[error(
        "cannot find a package source below {0}: no enabled deb entry with http, https or file; \
         name one with --mirror"
    )]
    None(PathBuf),
    /// The host is not Debian, so its release says nothing.
    #[error("cannot tell which Debian release is meant: {path} says ID={id:?}; name the release")]
    NotDebian {
        /// The file.
        path: PathBuf,
        /// Its `ID`.
        id: String,
    },
}

/// An entry of a file, before it is split by address and suite.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    binary: bool,
    enabled: bool,
    uris: Vec<String>,
    suites: Vec<String>,
    components: Vec<String>,
    architectures: Vec<String>,
    signed_by: Option<String>,
    check_valid_until: bool,
}

impl Default for Entry {
    fn default() -> Self {
        Self {
            binary: true,
            enabled: true,
            uris: Vec::new(),
            suites: Vec::new(),
            components: Vec::new(),
            architectures: Vec::new(),
            signed_by: None,
            check_valid_until: true,
        }
    }
}

/// The sources that the apt configuration below `root` names (`/` for the running system): of
/// each file, the enabled entries for binary packages. Reads `etc/apt` only.
///
/// # Errors
/// [`SourceError`]: unreadable or mistaken files; no source at all.
pub fn host_sources(root: &Path) -> Result<Vec<Source>, SourceError> {
    let mut sources: Vec<Source> = Vec::new();
    let main = root.join("etc/apt/sources.list");
    let mut files = if main.exists() { vec![main] } else { vec![] };
    files.extend(list(
        &root.join("etc/apt/sources.list.d"),
        &["list", "sources"],
    )?);
    let fallback = fallback_keys(root)?;
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|cause| SourceError::Read {
            path: path.clone(),
            cause,
        })?;
        let parsed = match path.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => deb822::parse(&text),
            _ => one_line::parse(&text),
        };
        let entries = parsed.map_err(|cause| SourceError::Parse {
            path: path.clone(),
            cause,
        })?;
        for source in entries
            .iter()
            .flat_map(|entry| entry.sources(root, &fallback))
        {
            let same = |other: &&mut Source| other.uri == source.uri && other.suite == source.suite;
            match sources.iter_mut().find(same) {
                Some(known) => known.components.extend(source.components),
                None => sources.push(source),
            }
        }
    }
    for source in &mut sources {
        source.components.sort();
        source.components.dedup();
    }
    if sources.is_empty() {
        Err(SourceError::None(root.to_owned()))
    } else {
        Ok(sources)
    }
}

/// Where security updates come from when a mirror is named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Security {
    /// Beside the mirror: its address with `-security` added, as on Debian's own mirrors.
    Beside,
    /// At this address.
    At(String),
    /// Nowhere: for archives of the past, and tests.
    None,
}

/// The suites of the Debian release `codename` on one mirror: the release itself, its updates and
/// its security updates; component main. `keyring` is usually [`DEBIAN_KEYRING`].
#[must_use]
pub fn mirror_sources(
    uri: &str,
    security: &Security,
    codename: &str,
    keyring: &Path,
) -> Vec<Source> {
    let uri = uri.trim_end_matches('/');
    let source = |uri: &str, suite: String| Source {
        uri: uri.trim_end_matches('/').to_owned(),
        suite,
        components: vec!["main".to_owned()],
        architectures: Vec::new(),
        keys: Keys::keyring(keyring),
        check_valid_until: true,
        required: true,
    };
    let mut sources = vec![
        source(uri, codename.to_owned()),
        source(uri, format!("{codename}-updates")),
    ];
    let suite = format!("{codename}-security");
    match security {
        Security::Beside => sources.push(source(&format!("{uri}-security"), suite)),
        Security::At(uri) => sources.push(source(uri, suite)),
        Security::None => {}
    }
    sources
}

/// The codename of the Debian release that runs below `root`, from `os-release`.
///
/// # Errors
/// [`SourceError`]: the file is missing, or it is another distribution.
pub fn host_codename(root: &Path) -> Result<String, SourceError> {
    let etc = root.join("etc/os-release");
    let path = if etc.exists() {
        etc
    } else {
        root.join("usr/lib/os-release")
    };
    let text = std::fs::read_to_string(&path).map_err(|cause| SourceError::Read {
        path: path.clone(),
        cause,
    })?;
    let field = |name: &str| {
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value
            .unwrap_or_default()
            .trim_matches(['"', '\'', ' '])
            .to_owned()
    };
    let (id, codename) = (field("ID"), field("VERSION_CODENAME"));
    if id == "debian" && !codename.is_empty() {
        Ok(codename)
    } else {
        Err(SourceError::NotDebian { path, id })
    }
}

impl Entry {
    fn sources(&self, root: &Path, fallback: &Keys) -> Vec<Source> {
        if !self.binary || !self.enabled {
            return Vec::new();
        }
        let keys = self.signed_by.as_deref().map_or_else(
            || fallback.clone(),
            |value| {
                let keys = parse_signed_by(value, root);
                // Fingerprints alone select among the keys that apt trusts anyway.
                if keys.keyrings.is_empty() && keys.embedded.is_empty() {
                    Keys {
                        fingerprints: keys.fingerprints,
                        ..fallback.clone()
                    }
                } else {
                    keys
                }
            },
        );
        // Keys of the fallback may be Debian's too.
        let required =
            self.signed_by.is_none() || keys.keyrings == fallback.keyrings || keys.are_debian();
        let mut sources = Vec::new();
        for uri in &self.uris {
            let scheme = uri.split_once(':').map_or("", |(scheme, _)| scheme);
            if !["http", "https", "file"].contains(&scheme) {
                log::warn!("package source {uri} is left out: {scheme} is not supported");
                continue;
            }
            for suite in &self.suites {
                if suite.ends_with('/') {
                    log::warn!("package source {uri} {suite} is left out: it has no suites");
                    continue;
                }
                sources.push(Source {
                    uri: uri.trim_end_matches('/').to_owned(),
                    suite: suite.clone(),
                    components: self.components.clone(),
                    architectures: self.architectures.clone(),
                    keys: keys.clone(),
                    check_valid_until: self.check_valid_until,
                    required,
                });
            }
        }
        sources
    }
}

fn parse_signed_by(value: &str, root: &Path) -> Keys {
    if value.contains("-----BEGIN") {
        // In deb822, the lines of an embedded key are indented, and an empty line is a dot.
        let lines = value
            .lines()
            .map(|line| if line.trim() == "." { "" } else { line.trim() });
        let key = lines.collect::<Vec<_>>().join("\n");
        return Keys {
            embedded: vec![key],
            ..Keys::default()
        };
    }
    let mut keys = Keys::default();
    for word in value
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|w| !w.is_empty())
    {
        match word.strip_prefix('/') {
            Some(path) => keys.keyrings.push(root.join(path)),
            None => keys.fingerprints.push(word.to_owned()),
        }
    }
    keys
}

/// What apt trusts for sources without `Signed-By`; on a host without, Debian's keyring.
fn fallback_keys(root: &Path) -> Result<Keys, SourceError> {
    let mut keyrings = list(&root.join("etc/apt/trusted.gpg.d"), &["gpg", "asc"])?;
    keyrings.extend(Some(root.join("etc/apt/trusted.gpg")).filter(|path| path.exists()));
    if keyrings.is_empty() {
        keyrings.push(root.join(DEBIAN_KEYRING.trim_start_matches('/')));
    }
    Ok(Keys {
        keyrings,
        ..Keys::default()
    })
}

/// The files of a folder with one of these extensions and a name that apt reads, sorted. None if
/// the folder does not exist.
fn list(folder: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, SourceError> {
    let error = |cause| SourceError::Read {
        path: folder.to_owned(),
        cause,
    };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(error(cause)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let plain = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        let extension = path.extension().and_then(|extension| extension.to_str());
        if plain && extension.is_some_and(|extension| extensions.contains(&extension)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests;
