//! The device manager: `devices`, which answers as `udevadm` too.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use cairn::devices::info::{self, Form, Query};
use cairn::devices::trigger::{self, Selection};
use cairn::devices::{monitor, named, serve, settle, test, verify};
use cairn_devices::enumerate;
use cairn_devices::places::Places;
use cairn_devices::record::Records;
use clap::{Args, Subcommand};

/// `cairn devices`.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true, disable_version_flag = true)]
pub struct Devices {
    /// Print the number of the version of udev whose forms these are
    #[arg(short = 'V', long)]
    version: bool,
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<DevicesVerb>,
}

/// What scripts compare: the forms of records, messages and options are those of this version.
const VERSION: u32 = 252;

/// How long the device manager may take for an answer.
const ANSWER: Duration = Duration::from_mins(1);

/// Where rules are, those first that count before others of the same name.
const RULES: [&str; 2] = ["/run/udev/rules.d", "/etc/udev/rules.d"];

/// What to do.
#[derive(Debug, Subcommand)]
pub enum DevicesVerb {
    /// Show what is known of devices
    Info(Info),
    /// Have devices handled anew, as if they had come or changed just now
    Trigger(Trigger),
    /// Wait until all that the kernel has said of devices was handled
    Settle {
        /// Wait so many seconds at most
        #[arg(short, long, default_value_t = 120)]
        timeout: u64,
        /// Wait no longer than until this is there
        #[arg(short = 'E', long, value_name = "FILE")]
        exit_if_exists: Option<PathBuf>,
    },
    /// Show what happens to devices, as it happens
    Monitor(Monitor),
    /// Read the rules anew
    Control {
        /// Devices that come from now on are handled by the new rules; `trigger` has the others handled by them too
        #[arg(
            short = 'R',
            long,
            alias = "reload-rules",
            required_unless_present = "ping"
        )]
        reload: bool,
        /// Only see whether the device manager answers
        #[arg(short, long)]
        ping: bool,
    },
    /// Show what rules would decide about a device, and which of them; nothing is changed
    ///
    /// Programs that rules ask something are run; what rules would run or write is only shown.
    Test {
        /// The device: its node, or its folder below /sys
        device: String,
        /// What is to have happened
        #[arg(short, long, default_value = "add")]
        action: String,
        /// Folders of rules; the first one that has a name counts
        #[arg(long, default_values_os_t = RULES.map(PathBuf::from))]
        rules: Vec<PathBuf>,
    },
    /// Show what a builtin of rules finds out about a device
    TestBuiltin {
        /// Its name and arguments
        command: String,
        /// The device: its node, or its folder below /sys
        device: String,
    },
    /// Say what is wrong with rules, without a device
    Verify {
        /// Files, and folders of files whose names end with .rules
        #[arg(default_values_os_t = [PathBuf::from("/etc/udev/rules.d")])]
        paths: Vec<PathBuf>,
    },
    /// Handle devices by rules, as the service does
    #[command(hide = true)]
    Serve {
        /// A folder of rules; the first one that has a name counts
        #[arg(long, required = true)]
        rules: Vec<PathBuf>,
    },
}

/// `cairn devices info`.
#[derive(Debug, Args)]
pub struct Info {
    /// Devices: nodes, folders below /sys, names of nodes
    devices: Vec<String>,
    /// What is asked
    #[arg(short, long, value_enum, default_value = "all")]
    query: Query,
    /// The device with this node
    #[arg(short, long, value_name = "NAME")]
    name: Vec<String>,
    /// The device with this folder below /sys
    #[arg(short, long, value_name = "PATH")]
    path: Vec<String>,
    /// Show what rules can match, of the device and of those above it
    #[arg(short, long)]
    attribute_walk: bool,
    #[command(flatten)]
    form: FormArguments,
    /// All devices
    #[arg(short, long)]
    export_db: bool,
    /// As JSON, an object a line
    #[arg(long)]
    json: bool,
}

/// How it is shown.
#[derive(Debug, Args)]
pub struct FormArguments {
    /// With /dev/ before names
    #[arg(short, long)]
    root: bool,
    /// Values in quotes, for a shell
    #[arg(short = 'x', long)]
    export: bool,
    /// Before each of the names then
    #[arg(short = 'P', long, value_name = "TEXT", default_value = "")]
    export_prefix: String,
    /// Only these properties
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    property: Vec<String>,
    /// Their values alone
    #[arg(long, requires = "property")]
    value: bool,
}

impl From<FormArguments> for Form {
    fn from(arguments: FormArguments) -> Self {
        Self {
            with_root: arguments.root,
            quoted: arguments.export,
            prefix: arguments.export_prefix,
            only: arguments.property,
            value: arguments.value,
        }
    }
}

/// `cairn devices trigger`.
#[derive(Debug, Args)]
pub struct Trigger {
    /// Only these devices
    devices: Vec<String>,
    /// What is to have happened
    #[arg(short = 'c', long, default_value = "change", value_parser = ["add", "remove", "change", "move", "online", "offline", "bind", "unbind"])]
    action: String,
    /// Print the devices
    #[arg(short, long)]
    verbose: bool,
    /// Do nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Only those of a subsystem
    #[arg(short, long, value_name = "PATTERN")]
    subsystem_match: Vec<String>,
    /// Not those of a subsystem
    #[arg(short = 'S', long, value_name = "PATTERN")]
    subsystem_nomatch: Vec<String>,
    /// Only those with an attribute
    #[arg(short, long, value_name = "NAME[=PATTERN]")]
    attr_match: Vec<String>,
    /// Only those with one of these properties
    #[arg(short, long, value_name = "NAME=PATTERN")]
    property_match: Vec<String>,
    /// Only those with a tag
    #[arg(short = 'g', long, value_name = "TAG")]
    tag_match: Vec<String>,
    /// Only those with a name
    #[arg(short = 'y', long, value_name = "PATTERN")]
    sysname_match: Vec<String>,
    /// The device with this node
    #[arg(long, value_name = "NODE")]
    name_match: Vec<String>,
    /// Wait until they were handled
    #[arg(short = 'w', long)]
    settle: bool,
    /// Kinds of what there is; only devices are
    #[arg(short, long, default_value = "devices", value_parser = ["devices", "subsystems", "all"], hide = true)]
    r#type: String,
}

/// `cairn devices monitor`.
#[derive(Debug, Args)]
pub struct Monitor {
    /// What the kernel says
    #[arg(short, long)]
    kernel: bool,
    /// What the rules have made of it
    #[arg(short, long)]
    udev: bool,
    /// Properties too
    #[arg(short, long, alias = "environment")]
    property: bool,
    /// Only those of a subsystem
    #[arg(short, long, value_name = "SUBSYSTEM")]
    subsystem_match: Vec<String>,
}

impl Devices {
    /// Does it.
    ///
    /// # Errors
    /// Why not.
    pub fn run(self) -> Result<ExitCode> {
        let places = Places::of(Path::new("/"));
        if self.version {
            super::super::print(&format!("{VERSION}\n"))?;
            return Ok(ExitCode::SUCCESS);
        }
        let Some(verb) = self.verb else {
            bail!("what is to be done? `cairn devices --help` shows what can be");
        };
        match verb {
            DevicesVerb::Info(info) => super::super::print(&info.text(&places)?)?,
            DevicesVerb::Trigger(trigger) => super::super::print(&trigger.run(&places)?)?,
            DevicesVerb::Settle {
                timeout,
                exit_if_exists,
            } => {
                settle::settle(
                    &places,
                    Duration::from_secs(timeout),
                    exit_if_exists.as_deref(),
                )?;
            }
            DevicesVerb::Monitor(arguments) => {
                let both = arguments.kernel == arguments.udev;
                let shown = monitor::Shown {
                    kernel: both || arguments.kernel,
                    rules: both || arguments.udev,
                    properties: arguments.property,
                    subsystems: arguments.subsystem_match,
                };
                monitor::monitor(&shown, &mut io::stdout())?;
            }
            DevicesVerb::Control { reload, ping: _ } => {
                let request = if reload { "reload" } else { "sync" };
                settle::ask(&places, request, ANSWER)?;
            }
            DevicesVerb::Test {
                device,
                action,
                rules,
            } => {
                let device = named::find(&places, &device)?;
                super::super::print(&test::test(&places, &rules, &action, device)?)?;
            }
            DevicesVerb::TestBuiltin { command, device } => {
                let device = named::find(&places, &device)?;
                super::super::print(&test::builtin(&places, &command, device)?)?;
            }
            DevicesVerb::Verify { paths } => {
                let problems = verify::verify(&paths)?;
                for problem in &problems {
                    eprintln!("{problem}");
                }
                return Ok(if problems.is_empty() {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                });
            }
            DevicesVerb::Serve { rules } => serve::serve(rules)?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Info {
    fn text(self, places: &Places) -> Result<String> {
        let records = Records::of(&places.state);
        let devices = if self.export_db {
            enumerate::devices(&places.sys)
        } else {
            let nodes = self
                .name
                .iter()
                .map(|name| match name.strip_prefix("/dev/") {
                    Some(_) => name.clone(),
                    None => format!("/dev/{name}"),
                });
            let names: Vec<String> = self
                .devices
                .iter()
                .cloned()
                .chain(nodes)
                .chain(self.path.iter().cloned())
                .collect();
            if names.is_empty() {
                bail!(
                    "which device? Name its node, or its folder below /sys; --export-db shows all"
                );
            }
            names
                .iter()
                .map(|name| named::find(places, name))
                .collect::<Result<_>>()?
        };
        let form = Form::from(self.form);
        let query = if form.only.is_empty() {
            self.query
        } else {
            Query::Property
        };
        let texts = devices.iter().map(|device| {
            let record = records.known(device);
            Ok(if self.json {
                info::json(device, &record)?
            } else if self.attribute_walk {
                info::walk(device)
            } else {
                let end = if self.export_db { "\n" } else { "" };
                info::answer(device, &record, query, &form) + end
            })
        });
        texts.collect()
    }
}

impl Trigger {
    fn run(self, places: &Places) -> Result<String> {
        let selection = Selection {
            subsystems: self.subsystem_match,
            not_subsystems: self.subsystem_nomatch,
            names: self.sysname_match,
            attributes: self.attr_match,
            properties: self.property_match,
            tags: self.tag_match,
            devices: self.devices.into_iter().chain(self.name_match).collect(),
        };
        let devices = match self.r#type.as_str() {
            "subsystems" => Vec::new(),
            _ => selection.devices(places)?,
        };
        if !self.dry_run {
            let patience = self.settle.then_some(Duration::from_mins(2));
            trigger::trigger(places, &devices, &self.action, patience)?;
        }
        if !self.verbose && !self.dry_run {
            return Ok(String::new());
        }
        let paths = devices
            .iter()
            .map(|device| device.path().display().to_string());
        Ok(super::super::lines(&paths.collect::<Vec<_>>()))
    }
}
