//! What is made of a configuration: `build`, `image`, `vm`, `diff`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cairn::Place;
use cairn::configuration::{AttributePath, Configuration, DEFAULT_FILE, Limited, Locking};
use cairn_store::Limits;
use clap::Args;

/// The configuration of the machine itself.
const MACHINE_FILE: &str = "/etc/nixos/configuration.nix";

/// Which configuration, and where its parts come from: for all verbs that evaluate one.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line"
)]
pub struct ConfigurationArguments {
    /// The configuration, or a folder with a configuration.nix [default: configuration.nix in the
    /// working folder; of the running system: `NIXOS_CONFIG`, or /etc/nixos/configuration.nix]
    #[arg(long = "configuration", short = 'c', value_name = "FILE")]
    pub configuration: Option<PathBuf>,
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
    /// Lock file with the versions of all packages [default: cairn.lock beside the configuration]
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Take the newest versions of all packages into the lock file
    #[arg(long, visible_alias = "upgrade", conflicts_with = "locked")]
    pub update: bool,
    /// Fail if the lock file lacks a package, instead of adding it
    #[arg(long)]
    pub locked: bool,
    /// Add an entry to the search path: a folder, or NAME=PATH; cairn=DIR replaces the modules in
    /// this program
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
    /// Show the whole chain that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Show what the evaluation has cost
    #[arg(long)]
    pub stats: bool,
    /// The most memory that the evaluation may take
    #[arg(long, value_name = "MIB", default_value_t = cairn::evaluate::request::DEFAULT_MEMORY >> 20)]
    pub memory: u64,
    /// Stop a builder after so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Stop a builder that has written nothing for so many seconds
    #[arg(long, value_name = "SECONDS")]
    pub max_silent_time: Option<u64>,
}

impl ConfigurationArguments {
    /// Store and cache.
    ///
    /// # Errors
    /// The user's folders are not known.
    pub fn place(&self) -> anyhow::Result<Place> {
        Place::new(self.store.as_deref(), self.cache.as_deref())
    }

    /// The configuration that the command line names.
    ///
    /// # Errors
    /// It is not there, or the user's folders are not known.
    pub fn configuration(&self) -> anyhow::Result<Configuration> {
        let file = self.configuration.as_deref();
        self.configuration_of(file.unwrap_or(Path::new(DEFAULT_FILE)))
    }

    /// The configuration that the command line names, or else that of the machine itself.
    ///
    /// # Errors
    /// It is not there, or the user's folders are not known.
    pub fn own_configuration(&self) -> anyhow::Result<Configuration> {
        if let Some(file) = &self.configuration {
            return self.configuration_of(file);
        }
        let named = std::env::var_os("NIXOS_CONFIG").map(PathBuf::from);
        self.configuration_of(&named.unwrap_or_else(|| MACHINE_FILE.into()))
    }

    /// The configuration in `file`, with all else that the command line says.
    ///
    /// # Errors
    /// It is not there, or the user's folders are not known.
    pub fn configuration_of(&self, file: &Path) -> anyhow::Result<Configuration> {
        let mut configuration = Configuration::new(file, self.place()?)?;
        configuration.mirror.clone_from(&self.mirror);
        configuration.lock_file.clone_from(&self.lock);
        configuration.search_path.clone_from(&self.include);
        configuration.locking = match (self.update, self.locked) {
            (true, _) => Locking::Update,
            (_, true) => Locking::Refuse,
            _ => Locking::Extend,
        };
        configuration.evaluation = Limited {
            memory: self.memory,
            trace: self.show_trace,
            statistics: self.stats,
        };
        configuration.limits = Limits {
            time: self.timeout.map(Duration::from_secs),
            silence: self.max_silent_time.map(Duration::from_secs),
        };
        Ok(configuration)
    }
}

/// `cairn build`.
#[derive(Debug, Args)]
pub struct Build {
    /// What to build instead of the system, such as pkgs.hello or config.system.build.initrd
    #[arg(value_name = "ATTR")]
    pub attributes: Vec<AttributePath>,
    /// The same, as an option
    #[arg(long = "attr", short = 'A', value_name = "ATTR")]
    pub more_attributes: Vec<AttributePath>,
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// Where the link to the result is made; it keeps the result from being collected
    #[arg(long, short, value_name = "LINK", default_value = "result")]
    pub out_link: PathBuf,
    /// Make no link
    #[arg(long, conflicts_with = "out_link")]
    pub no_link: bool,
    /// Only show what would be built
    #[arg(long)]
    pub dry_run: bool,
    /// Show derivations and outputs as JSON
    #[arg(long)]
    pub json: bool,
}

impl Build {
    /// What is to be built: the system, if nothing is named.
    pub fn wanted(&self) -> Vec<AttributePath> {
        let named = self.attributes.iter().chain(&self.more_attributes);
        let named: Vec<AttributePath> = named.cloned().collect();
        if named.is_empty() {
            vec![AttributePath::system()]
        } else {
            named
        }
    }
}

/// `cairn image`.
#[derive(Debug, Args)]
pub struct Image {
    /// What kind of image
    #[arg(value_enum)]
    pub format: cairn::image::Format,
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// Copy the image there, sparsely; of a kind that is a folder, its files into that folder
    #[arg(long, short, value_name = "PATH")]
    pub output: Option<PathBuf>,
    /// Show the image, the system and the time of each step as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cairn vm`.
#[derive(Debug, Args)]
pub struct Vm {
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// The machine's disk, made if it does not exist [default: HOSTNAME.img in the working folder]
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Forget what the machine writes to its disk
    #[arg(long)]
    pub discard: bool,
    /// Add a parameter to the kernel's command line
    #[arg(long, value_name = "WORD")]
    pub kernel_param: Vec<String>,
    /// Show the command that would run the machine, and do not run it
    #[arg(long)]
    pub dry_run: bool,
    /// Further arguments of QEMU
    #[arg(last = true)]
    pub qemu: Vec<OsString>,
}

/// `cairn diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The system before
    #[arg(value_name = "A")]
    pub before: String,
    /// The system after
    #[arg(value_name = "B")]
    pub after: String,
    /// What configurations are evaluated with.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// Show the changes as JSON
    #[arg(long)]
    pub json: bool,
}
