//! One file of any address, whose size is not known before.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::fetch::{Fetcher, file_url};
use crate::transport::TransportError;

/// Attempts at one address.
const ATTEMPTS: u32 = 4;

/// The pause after the first failed attempt; it doubles each time.
const PAUSE: Duration = Duration::from_millis(400);

/// What `mirror://NAME/` stands for. `mirror://debian/` is asked of the sources of packages.
const MIRRORS: [(&str, &[&str]); 6] = [
    (
        "gnu",
        &["https://ftpmirror.gnu.org", "https://ftp.gnu.org/gnu"],
    ),
    ("savannah", &["https://download.savannah.gnu.org/releases"]),
    ("sourceforge", &["https://downloads.sourceforge.net"]),
    ("kernel", &["https://cdn.kernel.org/pub"]),
    ("pypi", &["https://files.pythonhosted.org/packages/source"]),
    ("gnome", &["https://download.gnome.org"]),
];

/// Why no address gave the file.
#[derive(Debug, thiserror::Error)]
pub enum FetchUrlError {
    /// There was no address.
    #[error("no address was given")]
    NoAddress,
    /// The name after `mirror://` means nothing.
    #[error("cannot fetch {0}: no such mirror is known; write an https address")]
    Mirror(String),
    /// An address failed; with several, this is the last.
    #[error("cannot fetch {url}: {source}")]
    Transport {
        /// The address.
        url: String,
        /// What happened.
        source: TransportError,
    },
    /// The connection broke, or the file cannot be written.
    #[error("cannot fetch {url} into {}: {source}", file.display())]
    Copy {
        /// The address.
        url: String,
        /// Where it was written.
        file: PathBuf,
        /// What happened.
        source: io::Error,
    },
}

impl Fetcher {
    /// Fetches the first of `urls` that is to be had into `file`, which is overwritten. The caller
    /// has to check what came.
    ///
    /// # Errors
    /// The last address's failure.
    pub fn fetch_url(&self, urls: &[String], file: &Path) -> Result<(), FetchUrlError> {
        let mut failure = FetchUrlError::NoAddress;
        for url in urls {
            for url in self.addresses(url)? {
                match self.fetch_patiently(&url, file) {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        log::info!("{error}");
                        failure = error;
                    }
                }
            }
        }
        Err(failure)
    }

    fn addresses(&self, url: &str) -> Result<Vec<String>, FetchUrlError> {
        let Some((name, path)) = url
            .strip_prefix("mirror://")
            .and_then(|rest| rest.split_once('/'))
        else {
            return Ok(vec![url.to_owned()]);
        };
        if name == "debian" {
            let mut addresses: Vec<String> = Vec::new();
            for base in self.addresses_of_sources() {
                let address = file_url(base, path);
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
            return Ok(addresses);
        }
        let mirror = MIRRORS.iter().find(|(known, _)| *known == name);
        let (_, bases) = mirror.ok_or_else(|| FetchUrlError::Mirror(url.to_owned()))?;
        Ok(bases.iter().map(|base| file_url(base, path)).collect())
    }

    fn fetch_patiently(&self, url: &str, file: &Path) -> Result<(), FetchUrlError> {
        let mut pause = PAUSE;
        let mut attempt = 1;
        loop {
            let error = match self.fetch_once(url, file) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let is_passing = match &error {
                FetchUrlError::Transport { source, .. } => source.is_passing(),
                FetchUrlError::Copy { source, .. } => source.kind() != io::ErrorKind::StorageFull,
                _ => false,
            };
            if !is_passing || attempt == ATTEMPTS {
                return Err(error);
            }
            log::info!("{error}; trying again");
            std::thread::sleep(pause);
            pause *= 2;
            attempt += 1;
        }
    }

    fn fetch_once(&self, url: &str, file: &Path) -> Result<(), FetchUrlError> {
        let copy = |source| FetchUrlError::Copy {
            url: url.to_owned(),
            file: file.to_owned(),
            source,
        };
        let transport = |source| FetchUrlError::Transport {
            url: url.to_owned(),
            source,
        };
        let mut body = self.transport().get(url, 0).map_err(transport)?;
        let mut target = File::create(file).map_err(copy)?;
        io::copy(&mut body.reader, &mut target).map_err(copy)?;
        Ok(())
    }
}
