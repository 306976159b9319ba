//! Services and the machine as a whole: `status`, `log`, `start`, `reboot`.

use cairn_bootloader::EntryId;
use cairn_system::ServiceName;
use clap::Args;

/// A service by its name.
#[derive(Debug, Args)]
pub struct Named {
    /// The service's name
    #[arg(value_parser = service_name)]
    pub name: ServiceName,
}

/// `cairn reboot`.
#[derive(Debug, Args)]
pub struct Reboot {
    /// Boot this generation, this once: a number, or 12-NAME for a variant of it
    #[arg(long, value_name = "GENERATION")]
    pub to: Option<EntryId>,
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

fn service_name(text: &str) -> Result<ServiceName, cairn_system::NameError> {
    ServiceName::try_from(text)
}
