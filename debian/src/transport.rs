//! Files from a mirror: `http`, `https` and `file` addresses, from any offset on.
//!
//! Nothing that comes through here is trusted: callers check signatures, sizes and digests.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use ureq::Agent;
use ureq::http::Uri;

use crate::http_proxy;
use crate::proxy::Proxies;

/// How long connecting, an answer, or the next piece of one may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Redirections that are followed.
const REDIRECTIONS: usize = 10;

/// A client for mirrors; threads share one.
pub struct Transport {
    proxies: Proxies,
    /// One agent, with its open connections, per proxy.
    agents: Mutex<Vec<(Option<String>, Agent)>>,
}

/// A file's bytes from an offset on.
pub struct Body {
    /// The bytes.
    pub reader: Box<dyn Read>,
    /// Where they begin: the offset that was asked for, or 0 if the mirror cannot do that.
    pub offset: u64,
}

/// Why a file does not come.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The mirror does not have it.
    #[error("the mirror does not have it (404)")]
    NotFound,
    /// The offset is past the file's end.
    #[error("the mirror has a shorter file (416)")]
    PastEnd,
    /// Another refusal.
    #[error("the mirror answered {0}")]
    Status(u16),
    /// The proxy's address is wrong.
    #[error("proxy {0:?} cannot be used: an address such as http://host:port is expected")]
    Proxy(String),
    /// The address is wrong.
    #[error("the address is not one of http, https or file")]
    Address,
    /// No connection, or a broken one.
    #[error("{0}")]
    Connection(#[source] ureq::Error),
    /// A local file could not be read.
    #[error("{0}")]
    File(#[source] io::Error),
}

impl TransportError {
    /// Whether trying again may help.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status(status) => *status >= 500 || [408, 425, 429].contains(status),
            Self::Connection(error) => !matches!(
                error,
                ureq::Error::BadUri(_) | ureq::Error::Tls(_) | ureq::Error::Rustls(_)
            ),
            _ => false,
        }
    }
}

impl Transport {
    /// A client that goes through these proxies.
    #[must_use]
    pub fn new(proxies: Proxies) -> Self {
        Self {
            proxies,
            agents: Mutex::default(),
        }
    }

    /// Asks for the bytes of `url` from `offset` on. Follows redirections.
    ///
    /// # Errors
    /// [`TransportError`]; reading the body later gives its own errors.
    pub fn get(&self, url: &str, offset: u64) -> Result<Body, TransportError> {
        if let Some(path) = url.strip_prefix("file:") {
            return open(path, offset);
        }
        let uri: Uri = url.parse().map_err(|_| TransportError::Address)?;
        let (scheme, host) = (
            uri.scheme_str().unwrap_or_default(),
            uri.host().unwrap_or_default(),
        );
        if !["http", "https"].contains(&scheme) || host.is_empty() {
            return Err(TransportError::Address);
        }
        let proxy = self.proxies.proxy(scheme, host);
        if let Some(proxy) = proxy.filter(|proxy| scheme == "http" && is_plain(proxy)) {
            return self.get_through(proxy, uri, offset);
        }
        let agent = self.agent(proxy)?;
        let mut request = agent.get(&uri);
        if offset > 0 {
            request = request.header("Range", format!("bytes={offset}-"));
        }
        let response = request.call().map_err(TransportError::Connection)?;
        let range = response.headers().get("Content-Range");
        let range = range
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let offset = begin(response.status().as_u16(), range, offset)?;
        // Callers know the size to expect, and stop there.
        let reader = response
            .into_body()
            .into_with_config()
            .limit(u64::MAX)
            .reader();
        Ok(Body {
            reader: Box::new(reader),
            offset,
        })
    }

    fn get_through(&self, proxy: &str, mut uri: Uri, offset: u64) -> Result<Body, TransportError> {
        for _ in 0..REDIRECTIONS {
            let answer = http_proxy::get(proxy, &uri, offset, TIMEOUT)?;
            if (301..=308).contains(&answer.status) && answer.status != 304 {
                let target = if answer.location.starts_with('/') {
                    let authority = uri.authority().map(ToString::to_string).unwrap_or_default();
                    format!("http://{authority}{}", answer.location)
                } else {
                    answer.location
                };
                if !target.starts_with("http://") {
                    return self.get(&target, offset);
                }
                uri = target.parse().map_err(|_| TransportError::Address)?;
                continue;
            }
            let offset = begin(answer.status, &answer.content_range, offset)?;
            return Ok(Body {
                reader: answer.reader,
                offset,
            });
        }
        Err(TransportError::Status(302))
    }

    fn agent(&self, proxy: Option<&str>) -> Result<Agent, TransportError> {
        let mut agents = self
            .agents
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, agent)) = agents.iter().find(|(known, _)| known.as_deref() == proxy) {
            return Ok(agent.clone());
        }
        let parse =
            |text: &str| ureq::Proxy::new(text).map_err(|_| TransportError::Proxy(text.to_owned()));
        let agent: Agent = Agent::config_builder()
            .proxy(proxy.map(parse).transpose()?)
            .http_status_as_error(false)
            .user_agent(concat!("cairn/", env!("CARGO_PKG_VERSION")))
            // Content codings would make sizes and ranges differ from the file's.
            .accept_encoding("identity")
            .timeout_connect(Some(TIMEOUT))
            .timeout_recv_response(Some(TIMEOUT))
            .timeout_per_read(Some(TIMEOUT))
            .build()
            .into();
        agents.push((proxy.map(str::to_owned), agent.clone()));
        Ok(agent)
    }
}

/// Where a body begins, by the answer's status and its range.
fn begin(status: u16, range: &str, offset: u64) -> Result<u64, TransportError> {
    match status {
        200 => Ok(0),
        206 if range.starts_with(&format!("bytes {offset}-")) => Ok(offset),
        404 | 410 => Err(TransportError::NotFound),
        416 => Err(TransportError::PastEnd),
        status => Err(TransportError::Status(status)),
    }
}

/// Whether a proxy is spoken to in plain HTTP.
fn is_plain(proxy: &str) -> bool {
    proxy.starts_with("http://") || !proxy.contains("://")
}

fn open(path: &str, offset: u64) -> Result<Body, TransportError> {
    // Both file:/path and file:///path are in use.
    let path = PathBuf::from(format!("/{}", path.trim_start_matches('/')));
    let mut file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => TransportError::NotFound,
        _ => TransportError::File(error),
    })?;
    file.seek(SeekFrom::Start(offset))
        .map_err(TransportError::File)?;
    Ok(Body {
        reader: Box::new(file),
        offset,
    })
}
