//! The command line: one definition gives the parser, the help and the man pages.

use std::path::PathBuf;

use cairn_system::ServiceName;
use clap::{Args, Parser, Subcommand};

/// Builds Cairn systems, and operates the one that runs
#[derive(Debug, Parser)]
#[command(
    name = "cairn",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Command {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the state of all services, or of one
    ///
    /// The exit status is 1 if what is shown is not well: a service has failed or keeps ending.
    Status(Status),
    /// Show what a service has written to its standard output and error
    Log(Log),
    /// Start a service and what it requires; wait until it is up
    Start(Named),
    /// Stop a service, after those that require it; wait until its processes are gone
    Stop(Named),
    /// Stop a service and start it again
    Restart(Named),
    /// Make a service read its configuration again
    Reload(Named),
    /// Stop everything and switch the machine off
    Poweroff,
    /// Stop everything and start the machine again
    Reboot,
    /// Stop everything and leave the machine standing
    Halt,
    /// Build the demo machine's disk image, and print its path
    DemoImage(DemoImage),
    /// Write this command's man pages into a folder
    ManPages(ManPages),
}

/// A service by its name.
#[derive(Debug, Args)]
pub struct Named {
    /// The service's name
    #[arg(value_parser = service_name)]
    pub name: ServiceName,
}

/// `cairn status`.
#[derive(Debug, Args)]
pub struct Status {
    /// The service's name; all services if absent
    #[arg(value_parser = service_name)]
    pub name: Option<ServiceName>,
    /// One line of JSON a service, for scripts
    #[arg(long)]
    pub json: bool,
}

/// `cairn log`.
#[derive(Debug, Args)]
pub struct Log {
    /// The service's name
    #[arg(value_parser = service_name)]
    pub name: ServiceName,
    /// How many of the last lines
    #[arg(long, short = 'n', value_name = "COUNT", default_value_t = 100)]
    pub lines: usize,
    /// Go on with what comes, until interrupted
    #[arg(long, short)]
    pub follow: bool,
}

/// `cairn demo-image`.
#[derive(Debug, Args)]
pub struct DemoImage {
    /// Root of the store, whose objects lie in DIR/nix/store [default: cairn in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Folder of downloads and images [default: cairn in the user's cache directory]
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// Take packages from this mirror instead of those of the host's apt configuration
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Lock file with the versions of all packages [default: demo.lock in the store's root]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Resolve the newest versions although there is a lock file
    #[arg(long)]
    pub update: bool,
    /// Copy the image there, sparsely
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `cairn man-pages`.
#[derive(Debug, Args)]
pub struct ManPages {
    /// An existing folder
    pub folder: PathBuf,
}

fn service_name(text: &str) -> Result<ServiceName, cairn_system::NameError> {
    ServiceName::try_from(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_definition_is_sound() {
        Command::command().debug_assert();
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_its_rule() {
        let error = Command::try_parse_from(["cairn", "stop", "../etc"]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ValueValidation);
        assert!(
            error.to_string().contains("'../etc' is not a service name"),
            "{error}"
        );
    }

    #[test]
    fn every_verb_explains_itself() {
        for verb in Command::command().get_subcommands() {
            assert!(
                verb.get_about().is_some(),
                "{} has no help",
                verb.get_name()
            );
        }
    }
}
