//! Packages that are not what the lock promises, or are what it promises but no package.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};

use cairn::builders::builders;
use cairn::packages::PackageSet;
use cairn_debian::{
    FetchOptions, Fetcher, Lock, LockedPackage, Proxies, Security, Show, mirror_sources,
};
use cairn_store::{Quiet, RealiseError, Store};
use cairn_store_path::{Sha256, StorePath};

use super::full_disk::assert_tidy;
use super::nix;
use super::run::demo;
use super::scratch::Scratch;

/// A small package whose only dependency is the C library.
const PACKAGE: &str = "hostname";

/// A store and a cache with the packages that [`PACKAGE`] needs.
struct Workshop {
    folder: Scratch,
    store: Store,
}

impl Workshop {
    fn new() -> Self {
        let folder = Scratch::new();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let this = Self { folder, store };
        for package in demo().lock().packages() {
            let known = downloaded(&demo().downloads(), &package.sha256);
            this.put(&package.sha256, &fs::read(known).unwrap());
        }
        this
    }

    fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    fn put(&self, name: &Sha256, bytes: &[u8]) {
        let file = downloaded(&self.cache(), name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    /// Builds [`PACKAGE`] as `lock` has it; gives its path in the store.
    fn build(&self, lock: &Lock, mirror: &str) -> (StorePath, Result<(), RealiseError>) {
        let packages = PackageSet::new(&self.store, lock).unwrap();
        let output = packages.package(PACKAGE).unwrap().clone();
        let derivation = packages.derivation_of(&output).unwrap();
        let keyring = Path::new("/nonexistent");
        let sources = mirror_sources(mirror, &Security::None, "bookworm", keyring);
        let options = FetchOptions {
            show: Show::Nothing,
            threads: 1,
            proxies: Proxies::none(),
        };
        let fetcher = Fetcher::new(&sources, &self.cache(), options).unwrap();
        let builders = builders(fetcher, lock.clone());
        let built = self.store.realise(&[derivation], &builders, &Quiet);
        (output, built.map(drop))
    }

    /// Nothing of `output` is left, and the store is whole.
    fn assert_without(&self, output: &StorePath) {
        assert!(!self.store.is_valid(output).unwrap());
        assert!(!self.store.real_path(output).exists());
        assert_eq!(
            super::full_disk::names(&self.store.state_dir().join("builds"))
                .iter()
                .filter(|name| Path::new(name).extension().is_some_and(|it| it == "lock"))
                .count(),
            1,
            "only our own, of the store that is open"
        );
        nix::verifies(self.store.root());
    }
}

fn downloaded(cache: &Path, name: &Sha256) -> PathBuf {
    cache.join("sha256").join(name.to_base16())
}

fn locked(lock: &Lock) -> &LockedPackage {
    lock.package(PACKAGE).unwrap()
}

/// The lock with another file for [`PACKAGE`].
fn with_file(lock: &Lock, bytes: &[u8]) -> Lock {
    let old = locked(lock);
    let text = lock
        .to_text()
        .replace(&old.sha256.to_base16(), &Sha256::of(bytes).to_base16())
        .replace(
            &format!("\"size\": {},", old.size),
            &format!("\"size\": {},", bytes.len()),
        );
    Lock::parse(&text).unwrap()
}

#[test]
fn a_package_that_is_cut_off_is_not_imported() {
    let workshop = Workshop::new();
    let good = demo().lock();
    let whole = fs::read(downloaded(&workshop.cache(), &locked(&good).sha256)).unwrap();
    for length in [7, 100, whole.len() / 2, whole.len() - 1] {
        let cut = &whole[..length];
        let bad = with_file(&good, cut);
        workshop.put(&Sha256::of(cut), cut);
        let (output, built) = workshop.build(&bad, "http://127.0.0.1:9");
        let error = built.unwrap_err().to_string();
        assert!(
            error.contains(PACKAGE) && error.contains("download it again"),
            "{length} bytes: {error}"
        );
        workshop.assert_without(&output);
    }
    let (output, built) = workshop.build(&good, "http://127.0.0.1:9");
    built.unwrap();
    assert!(workshop.store.is_valid(&output).unwrap());
    let store = workshop.store.root().to_owned();
    let folder = workshop.folder;
    drop(workshop.store);
    nix::verifies(&store);
    assert_tidy(&store, &nix::database(&store));
    drop(folder);
}

#[test]
fn a_mirror_that_serves_something_else_is_not_believed() {
    let workshop = Workshop::new();
    let lock = demo().lock();
    let wanted = downloaded(&workshop.cache(), &locked(&lock).sha256);
    let whole = fs::read(&wanted).unwrap();
    let mut other = whole.clone();
    other[whole.len() / 2] ^= 1;
    let found = Sha256::of(&other).to_base16();
    let mirror = serve(other.clone());
    // Absent from the cache, then there under the right name with the wrong content.
    for cached in [None, Some(&other)] {
        if wanted.exists() {
            fs::remove_file(&wanted).unwrap();
        }
        if let Some(bytes) = cached {
            fs::write(&wanted, bytes).unwrap();
        }
        let (output, built) = workshop.build(&lock, &mirror);
        let error = built.unwrap_err().to_string();
        assert!(error.contains(PACKAGE) && error.contains(&found), "{error}");
        assert!(!wanted.exists(), "the wrong file is still in the cache");
        workshop.assert_without(&output);
    }
    let (output, built) = workshop.build(&lock, &serve(whole));
    built.unwrap();
    assert!(workshop.store.is_valid(&output).unwrap());
}

/// A mirror that answers every request with `body`; gives its address.
fn serve(body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/debian", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let asked: Vec<String> = lines
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty())
                .collect();
            assert!(asked.first().is_some_and(|line| line.starts_with("GET ")));
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                body.len()
            );
            // A client that has seen enough may go away.
            drop(
                stream
                    .write_all(head.as_bytes())
                    .and_then(|()| stream.write_all(&body)),
            );
        }
    });
    address
}
