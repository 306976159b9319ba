//! Which proxy leads to a mirror: apt's own settings first, then the environment.
//!
//! Source: apt-transport-http(1): `Acquire::http::Proxy`, `Acquire::http::Proxy::<host>`, the value
//! `DIRECT`, then `http_proxy`; `no_proxy` as curl(1) reads it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

/// The proxies to use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proxies {
    /// By the lower-case name of the setting: `http`, or `http::` and a host.
    by_name: BTreeMap<String, String>,
    /// Hosts and suffixes of hosts that are reached directly.
    exceptions: Vec<String>,
}

impl Proxies {
    /// No proxy at all.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// What this host is configured for. Runs `apt-config dump`; a host without apt has only the
    /// environment's settings.
    #[must_use]
    pub fn of_host() -> Self {
        let output = Command::new("apt-config")
            .arg("dump")
            .stdin(Stdio::null())
            .output();
        let dump = match output {
            Ok(output) if output.status.success() => output.stdout,
            Ok(output) => {
                log::warn!(
                    "apt's proxy settings are not used: apt-config ended with {}",
                    output.status
                );
                Vec::new()
            }
            Err(error) => {
                log::debug!("no proxy settings of apt: cannot run apt-config: {error}");
                Vec::new()
            }
        };
        let environment = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self::parse(&String::from_utf8_lossy(&dump), environment)
    }

    /// Reads the output of `apt-config dump`; `environment` gives environment variables.
    #[must_use]
    pub fn parse(dump: &str, environment: impl Fn(&str) -> Option<String>) -> Self {
        let mut proxies = Self::default();
        for scheme in ["http", "https"] {
            let lower = format!("{scheme}_proxy");
            let upper = lower.to_ascii_uppercase();
            // `HTTP_PROXY` may come from a request header in CGI programs; curl ignores it too.
            let value = environment(&lower)
                .or_else(|| environment(&upper).filter(|_| scheme == "https"))
                .or_else(|| environment("all_proxy"));
            proxies
                .by_name
                .extend(value.map(|value| (scheme.to_owned(), value)));
        }
        let exceptions = environment("no_proxy").or_else(|| environment("NO_PROXY"));
        let exceptions = exceptions.unwrap_or_default();
        let words = exceptions.split([',', ' ']).filter(|word| !word.is_empty());
        proxies.exceptions = words
            .map(|word| word.trim_start_matches('.').to_owned())
            .collect();
        for line in dump.lines() {
            let Some((name, value)) = line.trim().split_once(' ') else {
                continue;
            };
            let name = name.to_ascii_lowercase();
            let value = value.trim_end_matches(';').trim_matches('"');
            if name.ends_with("proxy-auto-detect") && !value.is_empty() {
                log::warn!(
                    "apt's proxy detection ({value}) is not supported; set http_proxy instead"
                );
            }
            let Some((scheme, host)) = name
                .strip_prefix("acquire::")
                .and_then(|name| name.split_once("::proxy"))
                .filter(|(scheme, rest)| {
                    ["http", "https"].contains(scheme)
                        && (rest.is_empty() || rest.starts_with("::"))
                })
            else {
                continue;
            };
            if !value.is_empty() {
                proxies
                    .by_name
                    .insert(format!("{scheme}{host}"), value.to_owned());
            }
        }
        proxies
    }

    /// The address of the proxy for requests of `scheme` to `host`; `None`: reached directly.
    #[must_use]
    pub fn proxy(&self, scheme: &str, host: &str) -> Option<&str> {
        let host = host.to_ascii_lowercase();
        let own = self.by_name.get(&format!("{scheme}::{host}"));
        let excepted = self.exceptions.iter().any(|exception| {
            let suffix = exception.to_ascii_lowercase();
            let below = host
                .strip_suffix(&suffix)
                .is_some_and(|rest| rest.ends_with('.'));
            suffix == "*" || host == suffix || below
        });
        let general = self.by_name.get(scheme).filter(|_| !excepted);
        let value = own.or(general)?;
        (!value.eq_ignore_ascii_case("DIRECT") && value != "false").then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "APT \"\";\nAcquire::http \"\";\nAcquire::http::Proxy \"http://cache:3142\";\n\
        Acquire::http::Proxy::local.example \"DIRECT\";\nAcquire::https::Proxy \"\";\n";

    #[test]
    fn apt_goes_before_the_environment() {
        let environment = |name: &str| match name {
            "http_proxy" => Some("http://env:1".to_owned()),
            "https_proxy" => Some("http://env:2".to_owned()),
            "no_proxy" => Some("localhost,.inner.example".to_owned()),
            _ => None,
        };
        for (dump, scheme, host, proxy) in [
            (DUMP, "http", "deb.example.org", Some("http://cache:3142")),
            (DUMP, "http", "local.example", None),
            (DUMP, "https", "deb.example.org", Some("http://env:2")),
            ("", "http", "deb.example.org", Some("http://env:1")),
            ("", "http", "a.inner.example", None),
            ("", "http", "localhost", None),
            ("", "http", "notlocalhost", Some("http://env:1")),
        ] {
            assert_eq!(
                Proxies::parse(dump, environment).proxy(scheme, host),
                proxy,
                "{host}"
            );
        }
    }
}
