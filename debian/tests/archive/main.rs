//! The way from a source to files in the cache, against a mirror on the loopback interface that
//! is honest, broken or hostile.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a test may fail in any line"
)]

mod mirror;
mod server;

use cairn_debian::{
    Archive, DownloadError, Lock, LockedPackage, Request, SignatureError, Source, UpdateError,
    host_sources,
};
use cairn_store_path::Sha256;
use expect_test::{Expect, expect};
use mirror::{HEAD, INDEX, Key, Mirror, SUITE, content, list, time};

const PACKAGES: [(&str, &str); 3] = [
    ("bash", "Depends: libc6 (>= 1)\n"),
    ("libc6", "Section: libs\n"),
    ("nano", ""),
];

fn lock(mirror: &Mirror, names: &[&str]) -> Lock {
    let request = Request::parse(names.iter().copied()).unwrap();
    mirror.update().unwrap().resolve(&request).unwrap()
}

fn fetch(mirror: &Mirror, lock: &Lock) -> Result<(), DownloadError> {
    let packages: Vec<&LockedPackage> = lock.packages().iter().collect();
    let paths = mirror.fetcher().fetch(&packages)?;
    for (package, path) in packages.iter().zip(paths) {
        assert_eq!(std::fs::read(path).unwrap(), content(&package.name));
    }
    Ok(())
}

fn fetch_error(mirror: &Mirror, lock: &Lock) -> String {
    fetch(mirror, lock)
        .unwrap_err()
        .to_string()
        .replace(&mirror.server.uri, "URI")
}

#[test]
fn from_source_to_files() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["bash"]);
    fetch(&mirror, &lock).unwrap();
    let index = format!("dists/stable/{INDEX}");
    assert_eq!(
        mirror.server.requests(),
        [SUITE, &index, "pool/bash.deb", "pool/libc6.deb"]
    );
    assert!(list(&mirror.cache.path().join("partial")).is_empty());
    assert!(
        !lock.to_text().contains("127.0.0.1"),
        "a lock names no mirror"
    );
}

#[test]
fn what_is_known_costs_no_request() {
    let mut mirror = Mirror::new(&PACKAGES);
    let first = lock(&mirror, &["bash"]);
    fetch(&mirror, &first).unwrap();
    mirror.server.requests();
    let second = lock(&mirror, &["bash"]);
    fetch(&mirror, &second).unwrap();
    assert_eq!(
        (mirror.server.requests(), &first),
        (vec![SUITE.to_owned()], &second)
    );
    mirror.options.offline = true;
    let offline = lock(&mirror, &["bash"]);
    fetch(&mirror, &offline).unwrap();
    assert_eq!((mirror.server.requests(), &first), (vec![], &offline));
}

#[test]
fn offline_before_the_first_update() {
    let mut mirror = Mirror::new(&PACKAGES);
    mirror.options.offline = true;
    expect!["cannot work offline: the release file URI/dists/stable/InRelease was never fetched; update once online"]
        .assert_eq(&mirror.update_error());
}

#[test]
fn by_hash_is_preferred() {
    let mirror = Mirror::new(&PACKAGES);
    mirror.publish(
        &mirror
            .release
            .replace("SHA256:", "Acquire-By-Hash: yes\nSHA256:"),
    );
    let index = mirror.server.state().files[&format!("/debian/dists/stable/{INDEX}")].clone();
    let path = format!(
        "dists/stable/main/binary-amd64/by-hash/SHA256/{}",
        Sha256::of(&index).to_base16()
    );
    // Where the mirror promises it but does not have it, the plain name will do.
    assert_eq!(mirror.update().unwrap().len(), 3);
    assert_eq!(mirror.server.requests().len(), 3);
    std::fs::remove_dir_all(mirror.cache.path()).unwrap();
    mirror.server.put(&path, index);
    assert_eq!(mirror.update().unwrap().len(), 3);
    assert_eq!(mirror.server.requests(), [SUITE, &path]);
}

#[expect(clippy::needless_pass_by_value, reason = "reads better in the tests")]
fn check_release(release: &str, expected: Expect) {
    let mirror = Mirror::new(&PACKAGES);
    mirror.publish(&release.replace("FILES", mirror.release.strip_prefix(HEAD).unwrap()));
    expected.assert_eq(&mirror.update_error());
    assert!(
        list(&mirror.cache.path().join("lists")).is_empty(),
        "nothing bad is kept"
    );
}

#[test]
fn releases_that_do_not_answer() {
    let now = "11 Jul 2026 10:16:37 UTC";
    check_release(
        &format!("Origin: Debian\nSuite: testing\nCodename: trixie\nDate: {now}\nFILES"),
        expect![
            "cannot use the release file URI/dists/stable/InRelease: it is for suite testing (trixie)"
        ],
    );
    check_release(
        &format!("Origin: Other\nSuite: stable\nDate: {now}\nFILES"),
        expect!["cannot find packages: no source for amd64 has a release of origin Debian"],
    );
    check_release(
        "Origin: Debian\nSuite: stable\nFILES",
        expect![
            "cannot use the release file URI/dists/stable/InRelease: field Date is missing or wrong"
        ],
    );
    check_release(
        &format!("Origin: Debian\nSuite: stable\nDate: {now}\n"),
        expect![
            "cannot use the release file URI/dists/stable/InRelease: field SHA256 is missing or wrong"
        ],
    );
}

#[test]
fn expired_releases_need_consent() {
    let mut mirror = Mirror::new(&PACKAGES);
    mirror.options.now = time("2026-08-01");
    expect!["cannot use the release file URI/dists/stable/InRelease: it was valid until 2026-07-18 only: the mirror is out of date, or someone holds back updates; use another mirror, or accept expired releases for an archive of the past"]
        .assert_eq(&mirror.update_error());
    let source = Source {
        check_valid_until: false,
        ..mirror.source()
    };
    assert!(Archive::update(&[source], mirror.cache.path(), &mirror.options).is_ok());
    mirror.options.accept_expired = true;
    assert!(mirror.update().is_ok());
}

#[test]
fn unsigned_and_tampered_releases() {
    let mirror = Mirror::new(&PACKAGES);
    let signed = String::from_utf8(mirror.key.sign(&mirror.release)).unwrap();
    let unsigned = "cannot trust the release file URI/dists/stable/InRelease: it is not signed";
    mirror.server.put(SUITE, mirror.release.clone());
    assert_eq!(mirror.update_error(), unsigned);
    // Text around the signed part, or a second part, would make it unclear what was signed.
    for text in [
        format!("{signed}{}", mirror.release),
        format!("x\n{signed}"),
        signed.repeat(2),
    ] {
        mirror.server.put(SUITE, text);
        assert_eq!(mirror.update_error(), unsigned);
    }
    mirror
        .server
        .put(SUITE, signed.replace("Origin: Debian", "Origin: Debiam"));
    let error = mirror.update().unwrap_err();
    assert!(
        matches!(
            error,
            UpdateError::Signature {
                source: SignatureError::Bad(_),
                ..
            }
        ),
        "{error}"
    );
    let signature = signed.split_once("-----BEGIN PGP SIGNATURE").unwrap().1;
    mirror.server.put(
        SUITE,
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\n\nx\n-----BEGIN PGP SIGNATURE{}",
            &signature[..80]
        ),
    );
    assert_eq!(mirror.update_error(), unsigned);
}

#[test]
fn other_keys_do_not_count() {
    let mirror = Mirror::new(&PACKAGES);
    let other = Key::new();
    mirror.server.put(SUITE, other.sign(&mirror.release));
    let error = mirror.update().unwrap_err();
    assert!(
        matches!(
            error,
            UpdateError::Signature {
                source: SignatureError::Untrusted(_),
                ..
            }
        ),
        "{error}"
    );
    // A source that is not required is left out instead.
    let source = Source {
        required: false,
        suite: "other".to_owned(),
        ..mirror.source()
    };
    mirror.publish(&mirror.release);
    let archive = Archive::update(
        &[source, mirror.source()],
        mirror.cache.path(),
        &mirror.options,
    )
    .unwrap();
    assert_eq!(archive.len(), 3);
    let missing = Source {
        keys: cairn_debian::Keys::keyring("/nonexistent/keyring.gpg"),
        ..mirror.source()
    };
    let error = Archive::update(&[missing], mirror.cache.path(), &mirror.options).unwrap_err();
    assert!(
        error.to_string().contains("install debian-archive-keyring"),
        "{error}"
    );
}

#[test]
fn expired_keys_do_not_count() {
    let mut mirror = Mirror::new(&PACKAGES);
    mirror.key = Key::expired();
    mirror.publish(&mirror.release);
    let error = mirror.update_error();
    assert!(error.contains("or it has expired"), "{error}");
}

#[test]
fn a_replayed_release_is_not_taken() {
    let mirror = Mirror::new(&PACKAGES);
    let old = mirror.key.sign(&mirror.release.replace("11 Jul", "10 Jul"));
    let new = lock(&mirror, &["nano"]);
    mirror.server.put(SUITE, old);
    assert_eq!(lock(&mirror, &["nano"]), new);
}

#[test]
fn sources_of_a_host_with_an_embedded_key() {
    let mirror = Mirror::new(&PACKAGES);
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("etc/apt/sources.list.d");
    std::fs::create_dir_all(&folder).unwrap();
    let lines = |line: &str| format!(" {}\n", if line.is_empty() { "." } else { line });
    let key = mirror
        .key
        .armoured()
        .lines()
        .map(lines)
        .collect::<Vec<_>>()
        .concat();
    let uri = &mirror.server.uri;
    let entry =
        format!("Types: deb\nURIs: {uri}/\nSuites: stable\nComponents: main\nSigned-By:\n{key}");
    std::fs::write(folder.join("test.sources"), entry).unwrap();
    let sources = host_sources(root.path()).unwrap();
    let archive = Archive::update(&sources, mirror.cache.path(), &mirror.options).unwrap();
    assert_eq!(archive.len(), 3);
    // The same key in an armoured file, and of a key that is not named.
    let keyring = root.path().join("key.asc");
    std::fs::write(&keyring, mirror.key.armoured()).unwrap();
    let mut keys = cairn_debian::Keys::keyring(&keyring);
    let source = |keys| Source {
        keys,
        ..mirror.source()
    };
    let update = |keys| Archive::update(&[source(keys)], mirror.cache.path(), &mirror.options);
    assert!(update(keys.clone()).is_ok());
    keys.fingerprints
        .push("0123456789ABCDEF0123456789ABCDEF01234567".to_owned());
    assert!(
        update(keys)
            .unwrap_err()
            .to_string()
            .contains("no trusted key")
    );
}

#[test]
fn an_index_that_the_release_does_not_vouch_for() {
    let mirror = Mirror::new(&PACKAGES);
    let path = format!("dists/stable/{INDEX}");
    let size = mirror.server.state().files[&format!("/debian/{path}")].len();
    mirror.server.put(&path, vec![b'x'; size]);
    let error = mirror.update_error();
    assert!(
        error.starts_with("cannot accept stable main/binary-amd64/Packages.xz from"),
        "{error}"
    );
    // What the release vouches for must still be an index.
    let junk = b"no xz at all".to_vec();
    let files = format!(
        "SHA256:\n {} {} {INDEX}\n",
        Sha256::of(&junk).to_base16(),
        junk.len()
    );
    mirror.server.put(&path, junk);
    mirror.publish(&format!("{HEAD}{files}"));
    let error = mirror.update_error();
    assert!(error.contains("cannot decompress it"), "{error}");
}

#[test]
fn a_broken_connection_is_resumed() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    mirror.server.requests();
    mirror
        .server
        .state()
        .cuts
        .insert("/debian/pool/nano.deb".to_owned(), vec![70_000, 100_000]);
    fetch(&mirror, &lock).unwrap();
    assert_eq!(
        mirror.server.requests(),
        [
            "pool/nano.deb",
            "pool/nano.deb from 100000",
            "pool/nano.deb from 170000"
        ]
    );
}

#[test]
fn a_partial_file_of_an_earlier_run_is_used() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    let part = mirror.cache_file("partial", "nano");
    std::fs::write(&part, &content("nano")[..200_000]).unwrap();
    mirror.server.requests();
    fetch(&mirror, &lock).unwrap();
    assert_eq!(mirror.server.requests(), ["pool/nano.deb from 200000"]);
    // A partial file with other content, of any length, does no harm.
    for length in [10, 300_000, 400_000] {
        std::fs::remove_file(mirror.cache_file("sha256", "nano")).unwrap();
        std::fs::write(&part, vec![b'?'; length]).unwrap();
        fetch(&mirror, &lock).unwrap();
    }
}

#[test]
fn a_server_without_ranges() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    mirror.server.state().no_ranges = true;
    mirror
        .server
        .state()
        .cuts
        .insert("/debian/pool/nano.deb".to_owned(), vec![100_000]);
    fetch(&mirror, &lock).unwrap();
}

#[test]
fn wrong_content_is_removed() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    for wrong in [
        vec![b'x'; 300_000],
        vec![b'x'; 300_001],
        content("nano")[..9].to_vec(),
    ] {
        mirror.server.put("pool/nano.deb", wrong);
        let error = fetch_error(&mirror, &lock);
        assert!(
            error.starts_with("cannot accept nano from URI/pool/nano.deb: "),
            "{error}"
        );
        assert!(error.ends_with("it was removed"), "{error}");
        assert!(!mirror.cache_file("sha256", "nano").exists());
        assert!(!mirror.cache_file("partial", "nano").exists());
    }
    mirror.server.put("pool/nano.deb", content("nano"));
    fetch(&mirror, &lock).unwrap();
}

#[test]
fn a_damaged_file_in_the_cache_is_replaced() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    fetch(&mirror, &lock).unwrap();
    std::fs::write(mirror.cache_file("sha256", "nano"), "damaged").unwrap();
    fetch(&mirror, &lock).unwrap();
}

#[test]
fn refusals() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    let path = "/debian/pool/nano.deb".to_owned();
    mirror
        .server
        .state()
        .statuses
        .insert(path.clone(), vec![503, 429]);
    fetch(&mirror, &lock).unwrap();
    std::fs::remove_file(mirror.cache_file("sha256", "nano")).unwrap();
    mirror
        .server
        .state()
        .statuses
        .insert(path.clone(), vec![403]);
    expect!["cannot fetch nano from URI/pool/nano.deb: the mirror answered 403"]
        .assert_eq(&fetch_error(&mirror, &lock));
    mirror.server.state().files.remove(&path);
    expect!["cannot fetch nano: no mirror has it (404 at URI/pool/nano.deb); the package lock or index is older than the mirror: resolve again to renew it"]
        .assert_eq(&fetch_error(&mirror, &lock));
}

#[test]
fn one_failure_stops_the_others() {
    let names: Vec<String> = (10..60).map(|number| format!("package{number}")).collect();
    let packages: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    let mirror = Mirror::new(&packages);
    let names: Vec<&str> = packages.iter().map(|(name, _)| *name).collect();
    let lock = lock(&mirror, &names);
    mirror
        .server
        .state()
        .files
        .remove("/debian/pool/package30.deb");
    let error = fetch_error(&mirror, &lock);
    assert!(
        error.starts_with("cannot fetch package30: no mirror has it"),
        "{error}"
    );
    mirror
        .server
        .put("pool/package30.deb", content("package30"));
    fetch(&mirror, &lock).unwrap();
}

#[test]
fn two_at_once_fetch_it_once() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    mirror.server.requests();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| fetch(&mirror, &lock).unwrap());
        }
    });
    assert_eq!(mirror.server.requests(), ["pool/nano.deb"]);
    assert!(list(&mirror.cache.path().join("partial")).is_empty());
}

#[test]
fn through_a_proxy() {
    let mut mirror = Mirror::new(&PACKAGES);
    let proxy = mirror.server.uri.trim_end_matches("/debian");
    let dump = format!("Acquire::http::Proxy \"{proxy}\";\n");
    mirror.options.proxies = cairn_debian::Proxies::parse(&dump, |_| None);
    let source = Source {
        uri: "http://mirror.example/debian".to_owned(),
        ..mirror.source()
    };
    let sources = [source];
    let archive = Archive::update(&sources, mirror.cache.path(), &mirror.options).unwrap();
    let lock = archive.resolve(&Request::parse(["nano"]).unwrap()).unwrap();
    let cut = ("/debian/pool/nano.deb".to_owned(), vec![100_000]);
    mirror.server.state().cuts.extend([cut]);
    let options = cairn_debian::FetchOptions {
        show: cairn_debian::Show::Nothing,
        threads: 1,
        proxies: mirror.options.proxies.clone(),
    };
    let fetcher = cairn_debian::Fetcher::new(&sources, mirror.cache.path(), options).unwrap();
    let path = fetcher.fetch_one(&lock.packages()[0]).unwrap();
    assert_eq!(std::fs::read(path).unwrap(), content("nano"));
    assert_eq!(
        mirror.server.requests(),
        [
            format!("http://mirror.example/debian/{SUITE}"),
            format!("http://mirror.example/debian/dists/stable/{INDEX}"),
            "http://mirror.example/debian/pool/nano.deb".to_owned(),
            "http://mirror.example/debian/pool/nano.deb from 100000".to_owned(),
        ]
    );
}

#[test]
fn files_on_a_disk() {
    let mirror = Mirror::new(&PACKAGES);
    let lock = lock(&mirror, &["nano"]);
    let disk = tempfile::tempdir().unwrap();
    std::fs::create_dir(disk.path().join("pool")).unwrap();
    std::fs::write(disk.path().join("pool/nano.deb"), content("nano")).unwrap();
    let source = Source {
        uri: format!("file:{}", disk.path().display()),
        ..mirror.source()
    };
    let options = cairn_debian::FetchOptions {
        show: cairn_debian::Show::Nothing,
        threads: 1,
        proxies: cairn_debian::Proxies::none(),
    };
    let fetcher = cairn_debian::Fetcher::new(&[source], mirror.cache.path(), options).unwrap();
    assert!(fetcher.fetch_one(&lock.packages()[0]).is_ok());
}
