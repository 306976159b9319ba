//! Prints the package lock for the packages named on the command line, from the sources that this
//! host's apt configuration names:
//!
//! ```text
//! cargo run --example resolve -- bash coreutils -dpkg -debconf
//! ```
//!
//! A name after `-` is excluded. With `--fetch` the packages are fetched too, and the build groups
//! are listed. Files go to the folder `CAIRN_CACHE`, or `cairn` below the temporary folder.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use cairn_debian::{Archive, FetchOptions, Fetcher, Request, UpdateOptions, groups, host_sources};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (options, names): (Vec<&str>, Vec<&str>) = arguments
        .iter()
        .map(String::as_str)
        .partition(|argument| argument.starts_with('-'));
    let excluded = options.iter().filter(|option| !option.starts_with("--"));
    let request =
        Request::parse(names)?.excluding(excluded.map(|option| option.trim_start_matches('-')));
    let cache = std::env::var_os("CAIRN_CACHE")
        .map_or_else(|| std::env::temp_dir().join("cairn"), PathBuf::from);

    let sources = host_sources(Path::new("/"))?;
    let update_options = UpdateOptions {
        offline: options.contains(&"--offline"),
        ..UpdateOptions::of_host()
    };
    let start = Instant::now();
    let archive = Archive::update(&sources, &cache, &update_options)?;
    eprintln!(
        "{} packages known after {:.2?}",
        archive.len(),
        start.elapsed()
    );

    let start = Instant::now();
    let lock = archive.resolve(&request)?;
    let size: u64 = lock.packages().iter().map(|package| package.size).sum();
    let count = lock.packages().len();
    eprintln!(
        "{count} packages, {} MiB, resolved in {:.2?}",
        size >> 20,
        start.elapsed()
    );
    print!("{}", lock.to_text());

    if options.contains(&"--fetch") {
        let start = Instant::now();
        let groups = groups(&lock, &[]);
        eprintln!("{} groups, in {:.2?}", groups.len(), start.elapsed());
        for (number, group) in groups.iter().enumerate() {
            eprintln!(
                "{number:4} {} {} {:?}",
                group.name, group.version, group.inputs
            );
        }
        let start = Instant::now();
        let fetcher = Fetcher::new(&sources, &cache, FetchOptions::of_host())?;
        let packages: Vec<_> = lock.packages().iter().collect();
        let paths = fetcher.fetch(&packages)?;
        eprintln!("{} files fetched in {:.2?}", paths.len(), start.elapsed());
    }
    Ok(())
}
