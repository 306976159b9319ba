//! The command line: one definition gives the parser, the help and the man pages.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bstr::BString;
use cairn::Place;
use cairn::configuration::{AttributePath, Configuration, DEFAULT_FILE, Limited, Locking};
use cairn::evaluate::Request;
use cairn::evaluate::request::{
    Argument, Calls, Depth, Format, Goal, Input, Language, Report, StoreChoice, Writes,
};
use cairn::generations::{Collection, Selection};
use cairn::switch::{Action, Existing, Source, Target, Wish};
use cairn_bootloader::EntryId;
use cairn_store::Limits;
use cairn_store_path::StorePath;
use cairn_system::ServiceName;
use clap::{Args, Parser, Subcommand};

/// The configuration of the machine itself.
const MACHINE_FILE: &str = "/etc/nixos/configuration.nix";

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
    Reboot(Reboot),
    /// Stop everything and leave the machine standing
    Halt,
    /// Show what a configuration.nix can set
    ///
    /// Without SEARCH all options are listed; with it those that have all its words in their name
    /// or description. The whole name of an option shows all that is known of it.
    Options(Options),
    /// Evaluate an expression of the Nix language and show its value
    Eval(Eval),
    /// Evaluate expressions that are typed in
    Repl(Repl),
    /// Lay out files of the Nix language as nixfmt does; print the names of those that changed
    Fmt(Fmt),
    /// Build a configuration's system, or other parts of it, and print the store paths
    ///
    /// Packages are pinned in cairn.lock beside the configuration. What the configuration newly
    /// asks for is added to it; nothing else changes.
    Build(Build),
    /// Make an image of a configuration's system
    ///
    /// The image is made in the cache, once for each system; --output copies it.
    Image(Image),
    /// Run a configuration in a virtual machine, without making an image
    ///
    /// The machine has the host's store; what it writes goes to a disk of its own, which is kept.
    /// Its serial console is on the terminal; Ctrl-A X ends it at once.
    Vm(Vm),
    /// Build a configuration's system, run it, and make it what boots
    ///
    /// Services whose definition has changed are stopped, restarted or reloaded; the others go on. If
    /// something fails, the machine goes back to the system that ran before, and boots it. What
    /// boots from now on is on trial at its next boot: if it does not come up, the machine returns to
    /// the last generation that did.
    Switch(Switch),
    /// Build a configuration's system and make it what boots; the running system stays as it is
    Boot(Switch),
    /// Build a configuration's system and run it until the next boot
    Test(Switch),
    /// Show what `cairn switch` would do, and do nothing of it
    DryRun(Switch),
    /// Go back to the generation before the current one: `cairn switch --rollback`
    Rollback,
    /// Show the generations of this machine: what they are, and what they are to it
    ///
    /// booted: the machine was started with it. current: it runs. default: it boots if nobody says
    /// otherwise. good: it has booted and was well; last good: it boots when another one fails. on
    /// trial: it has so many boots left to prove itself. failed: it did not come up, and why.
    Generations(Generations),
    /// Remove generations, so that the next garbage collection takes what they alone need
    ///
    /// The one that booted, the one that runs, the one that boots by default, the one on trial and
    /// the last known good one always stay. The boot menu is written without the others before any
    /// of them is removed.
    DeleteGenerations(DeleteGenerations),
    /// Remove everything from the store that nobody needs
    ///
    /// Needed is what roots lead to: generations, links that cairn build makes, what runs and what is
    /// being built, and all that these refer to.
    #[command(alias = "nix-collect-garbage")]
    Gc(Gc),
    /// Show the version of the running system, as NixOS does
    #[command(hide = true)]
    NixosVersion(NixosVersion),
    /// Go on with a change as a process of its own; `cairn switch` calls it
    #[command(hide = true)]
    ApplySwitch(ApplySwitch),
    /// Find out whether the generation that was booted is good; the service boot-assessment calls it
    #[command(hide = true)]
    Assess(Assess),
    /// Show what changes between two systems: packages, and options
    ///
    /// A system is a configuration's file, the number of a generation, or a path of the store. Of
    /// two configurations the values of all options are compared, otherwise what the systems'
    /// descriptions say.
    Diff(Diff),
    /// Run a program where a tree of packages is /usr
    ///
    /// For programs that know nothing of a store. `pkgs.fhs` makes such trees, and scripts that
    /// call this.
    Fhs(Fhs),
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

/// `cairn options`.
#[derive(Debug, Args)]
pub struct Options {
    /// Words, or the name of an option
    #[arg(value_name = "SEARCH")]
    pub words: Vec<String>,
    /// Show what is found as JSON
    #[arg(long)]
    pub json: bool,
    /// Write all options as a web page that needs nothing else
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "json"])]
    pub html: Option<PathBuf>,
    /// Write all options as the man page cairn-configuration.nix(5)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["words", "json"])]
    pub man: Option<PathBuf>,
    /// Include the options that this configuration's own modules declare
    #[arg(long, short = 'c', value_name = "FILE")]
    pub configuration: Option<PathBuf>,
    /// Add an entry to the search path: a folder, or NAME=PATH; cairn=DIR replaces the modules in
    /// this program
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
}

/// `cairn eval`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one switch of the command line"
)]
pub struct Eval {
    /// File, folder with a default.nix, <NAME> of the search path, or - for standard input
    #[arg(value_name = "FILE", default_value = "./default.nix")]
    pub input: OsString,
    /// Attribute to select, such as config.services."a.b".enable
    #[arg(value_name = "ATTR")]
    pub attribute: Option<OsString>,
    /// FILE is an expression
    #[arg(long, short = 'E')]
    pub expr: bool,
    /// Show the value as JSON
    #[arg(long, conflicts_with_all = ["raw", "xml"])]
    pub json: bool,
    /// Show a string as it is, without quotes and without a line's end
    #[arg(long, conflicts_with = "xml")]
    pub raw: bool,
    /// Show the value as XML
    #[arg(long)]
    pub xml: bool,
    /// Compute the whole value instead of its outermost form
    #[arg(long)]
    pub strict: bool,
    /// Give functions on the way the value of an expression as the argument NAME
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], allow_hyphen_values = true)]
    pub arg: Vec<OsString>,
    /// Give functions on the way a string as the argument NAME
    #[arg(long, num_args = 2, value_names = ["NAME", "STRING"], allow_hyphen_values = true)]
    pub argstr: Vec<OsString>,
    /// Add an entry to the search path: a folder, or NAME=PATH
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
    /// Write what is instantiated to the store, so that it can be built
    #[arg(long)]
    pub write: bool,
    /// Root of the store, whose objects lie in DIR/nix/store [default: cairn in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Lock file of the packages that are built when the expression reads them
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Write down what the evaluation asks of the machine
    #[arg(long, value_name = "FILE", hide = true)]
    pub record: Option<PathBuf>,
    /// Show peak memory and other costs
    #[arg(long)]
    pub stats: bool,
    /// Show the whole chain that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Understand the operators |> and <|
    #[arg(long)]
    pub pipe_operators: bool,
    /// The most memory that the evaluation may take
    #[arg(long, value_name = "MIB", default_value_t = cairn::evaluate::request::DEFAULT_MEMORY >> 20)]
    pub memory: u64,
}

/// `cairn repl`.
#[derive(Debug, Args)]
pub struct Repl {
    /// Files to load: their attributes are in scope
    #[arg(value_name = "FILE")]
    pub files: Vec<OsString>,
    /// Add an entry to the search path: a folder, or NAME=PATH
    #[arg(long, short = 'I', value_name = "ENTRY")]
    pub include: Vec<OsString>,
    /// Root of the store, whose objects lie in DIR/nix/store [default: cairn in the user's data
    /// directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Lock file of the packages that are built
    #[arg(long, value_name = "FILE")]
    pub lock: Option<PathBuf>,
    /// Show the whole chain that led to an error
    #[arg(long)]
    pub show_trace: bool,
    /// Understand the operators |> and <|
    #[arg(long)]
    pub pipe_operators: bool,
    /// The most memory that it may take
    #[arg(long, value_name = "MIB", default_value_t = cairn::evaluate::request::DEFAULT_MEMORY >> 20)]
    pub memory: u64,
}

impl Repl {
    /// The request that the command line stands for.
    pub fn request(&self) -> Request {
        let bytes = |word: &OsString| BString::from(word.as_bytes());
        let files = self.files.iter().map(bytes);
        Request {
            inputs: files.map(Input::File).collect(),
            search_path: self.include.iter().map(bytes).collect(),
            writes: Writes::WhenBuilt,
            store: self
                .store
                .clone()
                .map_or(StoreChoice::Default, StoreChoice::Root),
            lock: self.lock.clone(),
            language: Language {
                pipe_operators: self.pipe_operators,
                memory: self.memory << 20,
                ..Language::default()
            },
            report: Report {
                trace: self.show_trace,
                ..Report::default()
            },
            ..Request::default()
        }
    }
}

impl Eval {
    /// The request that the command line stands for.
    pub fn request(&self) -> Request {
        let bytes = |word: &OsString| BString::from(word.as_bytes());
        let depth = if self.strict {
            Depth::Whole
        } else {
            Depth::Shallow
        };
        let format = match () {
            () if self.json => Format::Json,
            () if self.raw => Format::Raw,
            () if self.xml => Format::Xml {
                depth,
                places: true,
            },
            () => Format::Nix(depth),
        };
        let input = match self.input.as_bytes() {
            text if self.expr => Input::Expression(text.into()),
            b"-" => Input::Stdin,
            text => Input::File(text.into()),
        };
        let pairs = |words: &[OsString], make: fn(BString) -> Argument| {
            let (pairs, _) = words.as_chunks::<2>();
            let pair = |[name, value]: &[OsString; 2]| (bytes(name), make(bytes(value)));
            pairs.iter().map(pair).collect::<Vec<_>>()
        };
        let mut arguments = pairs(&self.arg, Argument::Expression);
        arguments.extend(pairs(&self.argstr, Argument::String));
        Request {
            inputs: vec![input],
            attributes: self.attribute.iter().map(bytes).collect(),
            arguments,
            search_path: self.include.iter().map(bytes).collect(),
            goal: Goal::Value(format),
            calls: Calls::Always,
            writes: if self.write {
                Writes::Always
            } else {
                Writes::Never
            },
            store: self
                .store
                .clone()
                .map_or(StoreChoice::Default, StoreChoice::Root),
            lock: self.lock.clone(),
            language: Language {
                pipe_operators: self.pipe_operators,
                memory: self.memory << 20,
                ..Language::default()
            },
            report: Report {
                trace: self.show_trace,
                statistics: self.stats,
                ..Report::default()
            },
            record: self.record.clone(),
        }
    }
}

/// Files to lay out.
#[derive(Debug, Args)]
pub struct Fmt {
    /// Files, and folders whose *.nix files are meant; standard input to standard output if absent
    pub files: Vec<PathBuf>,
    /// Change nothing; the exit status is 1 if something would change
    #[arg(long)]
    pub check: bool,
}

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

/// `cairn assess`.
#[derive(Debug, Args)]
pub struct Assess {
    /// For how long services must have been up without a restart of one
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub stable_seconds: u32,
}

/// `cairn fhs`.
#[derive(Debug, Args)]
pub struct Fhs {
    /// The tree that becomes /usr
    pub view: PathBuf,
    /// The program, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub command: Vec<OsString>,
    /// Root of the store, if it does not lie at /nix/store
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
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
    /// Copy the image there, sparsely
    #[arg(long, short, value_name = "FILE")]
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

/// `cairn switch`, `boot`, `test`, `dry-run`.
#[derive(Debug, Args)]
pub struct Switch {
    /// Which configuration.
    #[command(flatten)]
    pub configuration: ConfigurationArguments,
    /// Take the generation before the current one, and build nothing
    #[arg(long, conflicts_with_all = ["to", "configuration", "update"])]
    pub rollback: bool,
    /// Take this generation, and build nothing
    #[arg(long, value_name = "NUMBER", conflicts_with_all = ["configuration", "update"])]
    pub to: Option<u64>,
    /// Take this variant of the system
    #[arg(long, value_name = "NAME")]
    pub specialisation: Option<String>,
    /// Show what would be done as JSON
    #[arg(long)]
    pub json: bool,
}

impl Switch {
    /// What the command line asks for.
    ///
    /// # Errors
    /// The configuration is not there, or the user's folders are not known.
    pub fn wish(&self) -> anyhow::Result<Wish> {
        let source = match (self.rollback, self.to) {
            (true, _) => Source::Existing(Existing::Previous),
            (false, Some(number)) => Source::Existing(Existing::Number(number)),
            (false, None) => Source::Configuration(self.configuration.own_configuration()?.into()),
        };
        Ok(Wish {
            source,
            specialisation: self.specialisation.clone(),
        })
    }
}

/// `cairn generations`.
#[derive(Debug, Args)]
pub struct Generations {
    /// The machine whose file systems are at DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Show the kernels' parameters, too
    #[arg(long, short)]
    pub verbose: bool,
    /// Show all as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cairn delete-generations`.
#[derive(Debug, Args)]
pub struct DeleteGenerations {
    /// old (all but the wanted one), +5 (all that are older than the newest five), 30d (all that were
    /// no longer wanted 30 days ago), or numbers
    #[arg(required = true, value_name = "WHICH")]
    pub which: Vec<String>,
    /// The machine whose file systems are at DIR
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Show what would be done, and do nothing of it
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Show what was done as JSON
    #[arg(long)]
    pub json: bool,
}

/// `cairn gc`.
#[derive(Debug, Args)]
pub struct Gc {
    /// Remove old generations first, as cairn delete-generations old
    #[arg(long, short = 'd')]
    pub delete_old: bool,
    /// Remove generations first that were no longer wanted so many days ago
    #[arg(
        long,
        visible_alias = "delete-older-than",
        value_name = "30d",
        value_parser = Selection::age,
        conflicts_with = "delete_old"
    )]
    pub older_than: Option<Selection>,
    /// Stop when so many bytes are free that were not before; 500M and 10G are understood
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub max_freed: Option<u64>,
    /// Root of the store, whose objects lie in DIR/nix/store [default: that of the running system, or
    /// cairn in the user's data directory]
    #[arg(long, value_name = "DIR")]
    pub store: Option<PathBuf>,
    /// Show what would be removed, and remove nothing
    #[arg(long, short = 'n')]
    pub dry_run: bool,
    /// Show what was removed as JSON
    #[arg(long)]
    pub json: bool,
}

impl Gc {
    /// What the command line asks for.
    ///
    /// # Errors
    /// The user's folders are not known.
    pub fn collection(&self) -> anyhow::Result<Collection> {
        let old = self.delete_old.then_some(Selection::Old);
        Ok(Collection {
            root: Place::new(self.store.as_deref(), None)?.store,
            generations: old.or_else(|| self.older_than.clone()),
            limit: self.max_freed,
        })
    }
}

/// `nixos-version`.
#[derive(Debug, Args)]
pub struct NixosVersion {
    /// Show it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `500M`: a number of bytes, or of 1024, 1024², 1024³ or 1024⁴.
fn bytes(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.find(|one: char| !one.is_ascii_digit()) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.to_ascii_uppercase().as_str() {
        "" => Some(0),
        "K" => Some(10),
        "M" => Some(20),
        "G" => Some(30),
        "T" => Some(40),
        _ => None,
    };
    let number: Option<u64> = digits.parse().ok();
    shift
        .zip(number)
        .and_then(|(shift, number)| number.checked_mul(1 << shift))
        .ok_or_else(|| format!("'{text}' is no number of bytes; say 500M or 10G"))
}

/// `cairn apply-switch`.
#[derive(Debug, Args)]
pub struct ApplySwitch {
    /// How far it goes
    #[arg(long, value_enum)]
    pub action: Action,
    /// The generation's toplevel
    #[arg(long)]
    pub toplevel: StorePath,
    /// Its number, if it has one already
    #[arg(long)]
    pub number: Option<u64>,
    /// A variant of it
    #[arg(long)]
    pub specialisation: Option<String>,
}

impl ApplySwitch {
    /// What the change leads to.
    pub fn target(&self) -> Target {
        Target {
            toplevel: self.toplevel.clone(),
            number: self.number,
            specialisation: self.specialisation.clone(),
        }
    }
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
    fn a_request_is_its_arguments() {
        let request = Request {
            inputs: vec![Input::Expression("--x".into())],
            attributes: vec!["a.b".into()],
            arguments: vec![
                ("n".into(), Argument::Expression("-1".into())),
                ("s".into(), Argument::String("--s".into())),
            ],
            search_path: vec!["cairn=/x".into()],
            goal: Goal::Value(Format::Json),
            writes: Writes::Always,
            store: StoreChoice::Root("/s".into()),
            lock: Some("/l".into()),
            record: Some("/r".into()),
            ..Request::default()
        };
        let words = request.to_arguments().unwrap();
        let program = ["cairn", "eval"].map(OsString::from);
        let command = Command::try_parse_from(program.into_iter().chain(words)).unwrap();
        let Verb::Eval(eval) = command.verb else {
            panic!("{command:?}");
        };
        assert_eq!(eval.request(), request);
    }

    #[test]
    fn numbers_of_bytes_have_units() {
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("10g"), Ok(10 << 30));
        for text in ["", "M", "1X", "-1", "1.5G", "99999999999T"] {
            assert!(bytes(text).is_err(), "{text}");
        }
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
