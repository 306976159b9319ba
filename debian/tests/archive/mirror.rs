//! A small archive: signed release, package index, files that stand for packages.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use cairn_debian::{
    Archive, FetchOptions, Fetcher, Keys, Proxies, Show, Source, UpdateError, UpdateOptions,
};

use cairn_store_path::Sha256;

use crate::server::Server;

/// A throwaway key in a folder of its own.
pub struct Key {
    home: tempfile::TempDir,
    /// The time that gpg is told, if not the true one.
    time: Option<&'static str>,
}

impl Key {
    pub fn new() -> Self {
        Self::valid_for("never", None)
    }

    /// A key that was valid in 2020 only, and signs as if it still were 2020.
    pub fn expired() -> Self {
        Self::valid_for("1y", Some("20200102T000000"))
    }

    fn valid_for(period: &str, time: Option<&'static str>) -> Self {
        let home = tempfile::Builder::new()
            .prefix("cairn-key-")
            .tempdir_in("/tmp")
            .unwrap();
        let key = Self { home, time };
        let name = "Test Archive <archive@example.org>";
        key.gpg(
            &[
                "--passphrase",
                "",
                "--quick-gen-key",
                name,
                "ed25519",
                "sign",
                period,
            ],
            b"",
        );
        key.gpg(
            &["--output", key.keyring().to_str().unwrap(), "--export"],
            b"",
        );
        key
    }

    pub fn keyring(&self) -> PathBuf {
        self.home.path().join("keyring.gpg")
    }

    pub fn armoured(&self) -> String {
        String::from_utf8(self.gpg(&["--armor", "--export"], b"").stdout).unwrap()
    }

    pub fn sign(&self, text: &str) -> Vec<u8> {
        self.gpg(&["--clearsign"], text.as_bytes()).stdout
    }

    fn gpg(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new("gpg");
        command
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--batch", "--quiet"])
            .args(self.time.map(|time| format!("--faked-system-time={time}")))
            .args(arguments);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .expect("gpg is needed: apt-get install gpg gpg-agent");
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "gpg {arguments:?}: {output:?}");
        output
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        // The agent that gpg started for this folder, and no other.
        let mut command = Command::new("gpgconf");
        command
            .arg("--homedir")
            .arg(self.home.path())
            .args(["--kill", "gpg-agent"]);
        drop(command.output());
    }
}

/// The archive, the client's cache, and what the client is told.
pub struct Mirror {
    pub server: Server,
    pub key: Key,
    pub cache: tempfile::TempDir,
    pub release: String,
    pub options: UpdateOptions,
}

pub const SUITE: &str = "dists/stable/InRelease";
pub const INDEX: &str = "main/binary-amd64/Packages.xz";

/// Fields of the release file, before the list of files.
pub const HEAD: &str = "Origin: Debian\nSuite: stable\nCodename: bookworm\nArchitectures: amd64\n\
    Date: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\n";

/// The content of a package's file.
pub fn content(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(300_000).collect()
}

impl Mirror {
    /// Serves `packages`: name, and more fields.
    pub fn new(packages: &[(&str, &str)]) -> Self {
        let server = Server::start();
        let mut index = String::new();
        for (name, fields) in packages {
            let (path, content) = (format!("pool/{name}.deb"), content(name));
            let (size, sha256) = (content.len(), Sha256::of(&content).to_base16());
            let paragraph = format!(
                "Package: {name}\nVersion: 1.0\nArchitecture: amd64\n{fields}Filename: {path}\n\
                 Size: {size}\nSHA256: {sha256}\n\n"
            );
            index.push_str(&paragraph);
            server.put(&path, content);
        }
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
        encoder.write_all(index.as_bytes()).unwrap();
        let index = encoder.finish().unwrap();
        let release = format!(
            "{HEAD}SHA256:\n {} {} {INDEX}\n",
            Sha256::of(&index).to_base16(),
            index.len()
        );
        server.put(&format!("dists/stable/{INDEX}"), index);
        let mirror = Self {
            server,
            key: Key::new(),
            cache: tempfile::tempdir().unwrap(),
            release,
            options: UpdateOptions {
                architecture: "amd64".to_owned(),
                origin: "Debian".to_owned(),
                accept_expired: false,
                offline: false,
                pins: Vec::new(),
                now: time("2026-07-12"),
                proxies: Proxies::none(),
            },
        };
        mirror.publish(&mirror.release);
        mirror
    }

    pub fn publish(&self, release: &str) {
        self.server.put(SUITE, self.key.sign(release));
    }

    pub fn source(&self) -> Source {
        Source {
            uri: self.server.uri.clone(),
            suite: "stable".to_owned(),
            components: vec!["main".to_owned()],
            architectures: vec![],
            keys: Keys::keyring(self.key.keyring()),
            check_valid_until: true,
            required: true,
        }
    }

    pub fn update(&self) -> Result<Archive, UpdateError> {
        Archive::update(&[self.source()], self.cache.path(), &self.options)
    }

    /// The message of an update that must fail, without what differs from run to run.
    pub fn update_error(&self) -> String {
        self.update()
            .unwrap_err()
            .to_string()
            .replace(&self.server.uri, "URI")
    }

    pub fn fetcher(&self) -> Fetcher {
        let options = FetchOptions {
            show: Show::Nothing,
            threads: 4,
            proxies: Proxies::none(),
        };
        Fetcher::new(&[self.source()], self.cache.path(), options).unwrap()
    }

    pub fn cache_file(&self, folder: &str, name: &str) -> PathBuf {
        self.cache
            .path()
            .join(folder)
            .join(Sha256::of(&content(name)).to_base16())
    }
}

/// Midnight (UTC) of a day.
pub fn time(day: &str) -> SystemTime {
    let output = Command::new("date")
        .args(["-u", "-d", day, "+%s"])
        .output()
        .unwrap();
    let seconds = String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds)
}

/// The files of a folder, sorted.
pub fn list(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
