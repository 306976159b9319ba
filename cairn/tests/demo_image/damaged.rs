//! Packages that are not what the lock promises, or are what it promises but no package.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cairn_debian::{Lock, LockedPackage};
use cairn_store_path::Sha256;

use super::full_disk::assert_tidy;
use super::nix;
use super::run::{Site, demo, error_of, programs, text_of};
use super::scratch::Scratch;

/// A small package whose only dependency is the C library.
const PACKAGE: &str = "hostname";

/// A store and a cache with the packages that [`PACKAGE`] needs.
struct Workshop {
    folder: Scratch,
    site: Site,
}

impl Workshop {
    fn new() -> Self {
        let folder = Scratch::new();
        let site = Site {
            configuration: demo().site.configuration.clone(),
            store: folder.path().join("store"),
            cache: folder.path().join("cache"),
            lock: folder.path().join("lock"),
        };
        let this = Self { folder, site };
        for (digest, file) in demo().downloaded() {
            this.put(&digest, &fs::read(file).unwrap());
        }
        this
    }

    fn downloads(&self) -> PathBuf {
        self.site.cache.join("debian")
    }

    fn put(&self, name: &Sha256, bytes: &[u8]) {
        let file = downloaded(&self.downloads(), name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }

    /// Builds [`PACKAGE`] as `lock` has it.
    fn build(&self, lock: &Lock, mirror: &str) -> Output {
        fs::write(&self.site.lock, lock.to_text()).unwrap();
        Command::new(programs().join("cairn"))
            .arg("build")
            .arg(format!("pkgs.{PACKAGE}"))
            .args(["--no-link", "--mirror", mirror, "-c"])
            .arg(&self.site.configuration)
            .args(self.site.options())
            .output()
            .unwrap()
    }

    /// Nothing of the package is left, and the store is whole.
    fn assert_without(&self) {
        let store = &self.site.store;
        for name in super::full_disk::names(&store.join("nix/store")) {
            let object = name.get(33..).unwrap_or_default();
            // A store object's name ends as it does, and is no file's with an extension.
            let built = object.starts_with(PACKAGE) && object.strip_suffix(".drv").is_none();
            assert!(!built || object.strip_suffix(".deb").is_some(), "{name}");
        }
        nix::verifies(store);
        assert_tidy(store, &nix::database(store));
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
    let whole = fs::read(downloaded(&workshop.downloads(), &locked(&good).sha256)).unwrap();
    for length in [7, 100, whole.len() / 2, whole.len() - 1] {
        let cut = &whole[..length];
        let bad = with_file(&good, cut);
        workshop.put(&Sha256::of(cut), cut);
        let error = error_of(&workshop.build(&bad, "http://127.0.0.1:9"));
        assert!(
            error.contains(PACKAGE) && error.contains("download it again"),
            "{length} bytes: {error}"
        );
        workshop.assert_without();
    }
    let built = text_of(&workshop.build(&good, "http://127.0.0.1:9"));
    let store = &workshop.site.store;
    nix::verifies(store);
    let database = nix::database(store);
    assert!(database.contains(built.trim_end()), "{built}");
    assert_tidy(store, &database);
    drop(workshop.folder);
}

#[test]
fn a_mirror_that_serves_something_else_is_not_believed() {
    let workshop = Workshop::new();
    let lock = demo().lock();
    let wanted = downloaded(&workshop.downloads(), &locked(&lock).sha256);
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
        let error = error_of(&workshop.build(&lock, &mirror));
        assert!(error.contains(PACKAGE) && error.contains(&found), "{error}");
        assert!(!wanted.exists(), "the wrong file is still in the cache");
        workshop.assert_without();
    }
    let built = text_of(&workshop.build(&lock, &serve(whole)));
    assert!(
        nix::database(&workshop.site.store).contains(built.trim_end()),
        "{built}"
    );
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
