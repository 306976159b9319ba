//! Services and the machine as a whole: `status`, `log`, `start`, `reboot`.

use std::path::PathBuf;

use cairn::service_control::log::Query;
use cairn::service_control::since::{self, NoTime};
use cairn::time_zone;
use cairn_bootloader::EntryId;
use cairn_system::log_line::LEVELS;
use cairn_system::{LocalZone, ServiceName};
use clap::Args;

/// Lines of a log that are shown if nothing else bounds them.
const LINES: usize = 100;

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
    /// Restart user space alone: the kernel, and what is mounted, stay as they are
    #[arg(long, conflicts_with = "kexec")]
    pub soft: bool,
    /// Execute the generation's kernel without the firmware and the boot loader
    #[arg(long)]
    pub kexec: bool,
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
    /// Services by their names; all services if absent
    #[arg(value_parser = service_name)]
    pub names: Vec<ServiceName>,
    /// How many of the last lines; without this, --since and --boot, the last 100
    #[arg(long, short = 'n', value_name = "COUNT")]
    pub lines: Option<usize>,
    /// Go on with what comes, until interrupted
    #[arg(long, short)]
    pub follow: bool,
    /// Nothing from before this time: 10m, 2h, 3d, today, yesterday, 2026-11-29, '2026-11-29 08:20'
    #[arg(long, short = 'S', value_name = "TIME")]
    pub since: Option<String>,
    /// Only of this boot: 0 is the present one, -1 the one before, 1 the first that the logs have
    #[arg(long, short, value_name = "N", allow_negative_numbers = true, num_args = 0..=1, default_missing_value = "0")]
    pub boot: Option<i64>,
    /// Nothing less serious than this; lines that do not say how serious they are are info
    #[arg(long, short = 'p', value_name = "LEVEL", value_parser = level)]
    pub level: Option<u8>,
    /// A line of JSON for each line
    #[arg(long)]
    pub json: bool,
}

impl Log {
    /// What is asked for.
    ///
    /// # Errors
    /// The time is none.
    pub fn query(self, zone: &LocalZone) -> Result<Query, NoTime> {
        let now = time_zone::since_epoch().as_secs();
        let since = self.since.map(|since| since::parse(&since, now, zone));
        let is_bounded = since.is_some() || self.boot.is_some();
        Ok(Query {
            services: self.names,
            lines: self.lines.or((!is_bounded).then_some(LINES)),
            since: since.transpose()?,
            boot: self.boot,
            level: self.level,
            json: self.json,
        })
    }
}

/// `cairn blame`.
#[derive(Debug, Args)]
pub struct Blame {
    /// Draw the boot as a picture and write it to this file, as SVG
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub chart: Option<PathBuf>,
    /// All times as JSON, in milliseconds since the kernel began
    #[arg(long)]
    pub json: bool,
}

fn service_name(text: &str) -> Result<ServiceName, cairn_system::NameError> {
    ServiceName::try_from(text)
}

/// From its name, or from 0 to 7.
fn level(text: &str) -> Result<u8, String> {
    let number = LEVELS.iter().position(|name| *name == text);
    let number = number.or_else(|| text.parse().ok().filter(|number| *number < LEVELS.len()));
    let number = number.and_then(|number| u8::try_from(number).ok());
    number.ok_or_else(|| format!("there are {}, or 0 to 7", LEVELS.join(", ")))
}
