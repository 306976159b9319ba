//! The operator's command.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use cairn::Place;
use cairn::build::BuildOptions;
use cairn::demo;
use clap::{Args, Parser, Subcommand};

/// Builds Cairn systems, and operates the one that runs.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, max_term_width = 100)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Build the demo machine's disk image, and print its path
    DemoImage(DemoImage),
}

#[derive(Debug, Args)]
struct DemoImage {
    /// Root of the store; objects lie in DIR/nix/store [default: cairn in the user's data directory]
    #[arg(long, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Folder of downloads and images [default: cairn in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Take packages from this mirror instead of those of the host's apt configuration
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Lock file with the versions of all packages [default: demo.lock in the store's root]
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Resolve the newest versions although there is a lock file
    #[arg(long)]
    update: bool,
    /// Copy the image there, sparsely
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(Command::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cairn: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command.verb {
        Verb::DemoImage(arguments) => demo_image(arguments),
    }
}

fn demo_image(arguments: DemoImage) -> Result<()> {
    let place = Place::new(arguments.store.as_deref(), arguments.cache.as_deref())?;
    let options = BuildOptions {
        lock_file: arguments
            .lock
            .unwrap_or_else(|| place.store.join("demo.lock")),
        place,
        mirror: arguments.mirror,
        update: arguments.update,
        programs: own_folder()?,
    };
    let built = demo::build(&options)?;
    let image = match arguments.output {
        Some(output) => {
            cairn::image::copy_sparse(&built.image, &output)?;
            output
        }
        None => built.image,
    };
    println!("{}", image.display());
    Ok(())
}

/// Where this program lies, and its companions.
fn own_folder() -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    own.parent()
        .map(PathBuf::from)
        .context("this program has no folder")
}
