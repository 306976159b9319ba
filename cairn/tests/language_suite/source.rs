//! Debian's source package `nix`, through apt with a configuration of its own: the host's archives,
//! but their sources, and neither the host's lists nor its cache are touched.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use cairn::Place;
use cairn_debian::{DEBIAN_KEYRING, Source, host_sources};

/// The folder of the unpacked package that has the tests; it is fetched if it is not there.
pub fn fetch() -> PathBuf {
    let cache = Place::new(None, None).unwrap().cache.join("nix-source");
    let unpacked = cache.join("unpacked");
    if !unpacked.exists() {
        fs::create_dir_all(&cache).unwrap();
        let download = tempfile::tempdir_in(&cache).unwrap();
        apt(download.path());
        let tree = download.path().join("tree");
        unpack(&original(download.path()), &tree);
        fs::rename(&tree, &unpacked).unwrap();
    }
    tests(&unpacked)
}

/// Where releases have had their tests.
fn tests(unpacked: &Path) -> PathBuf {
    let top = fs::read_dir(unpacked)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    ["tests/functional", "tests"]
        .into_iter()
        .map(|folder| top.join(folder))
        .find(|folder| folder.join("lang").is_dir())
        .unwrap_or_else(|| panic!("{top:?} has no tests/lang"))
}

fn apt(folder: &Path) {
    let sources = host_sources(Path::new("/")).unwrap();
    let lines: Vec<String> = sources
        .iter()
        .filter(|source| source.required)
        .map(line)
        .collect();
    fs::write(folder.join("sources.list"), lines.concat()).unwrap();
    for name in ["state/lists/partial", "cache/archives/partial"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    for words in [&["update"][..], &["source", "--download-only", "nix"]] {
        let mut apt = Command::new("apt-get");
        for (name, value) in [
            ("Dir::Etc::sourcelist", "sources.list"),
            ("Dir::Etc::sourceparts", "no-parts"),
            ("Dir::State", "state"),
            ("Dir::Cache", "cache"),
        ] {
            apt.arg(format!("-o={name}={}", folder.join(value).display()));
        }
        // It writes into this folder only, which belongs to whoever runs this.
        apt.args(["-o=Dir::State::status=/dev/null", "-o=APT::Sandbox::User="]);
        apt.args(["-o=Acquire::Languages=none", "-qq"]).args(words);
        let output = apt.current_dir(folder).output();
        let output = output.unwrap_or_else(|error| panic!("cannot run apt-get: {error}"));
        assert!(output.status.success(), "{apt:?}: {output:?}");
    }
}

fn line(source: &Source) -> String {
    let check = if source.check_valid_until {
        "yes"
    } else {
        "no"
    };
    format!(
        "deb-src [signed-by={DEBIAN_KEYRING} check-valid-until={check}] {} {} {}\n",
        source.uri,
        source.suite,
        source.components.join(" ")
    )
}

/// The archive of what the project itself released.
fn original(folder: &Path) -> PathBuf {
    let mut files = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_original = |file: &PathBuf| file.to_string_lossy().contains(".orig.tar.");
    files
        .find(is_original)
        .expect("apt-get source gives an original archive")
}

fn unpack(archive: &Path, to: &Path) {
    let file = File::open(archive).unwrap();
    let name = archive.to_string_lossy();
    let reader: Box<dyn std::io::Read> = match () {
        () if name.ends_with(".xz") => Box::new(liblzma::read::XzDecoder::new(file)),
        () if name.ends_with(".gz") => Box::new(flate2::read::GzDecoder::new(file)),
        () => panic!("{name} is compressed in a way that this test does not know"),
    };
    tar::Archive::new(reader).unpack(to).unwrap();
}
