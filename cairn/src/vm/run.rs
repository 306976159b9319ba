//! A configuration to a command that runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use cairn_store::Store;
use cairn_store_path::StorePath;
use cairn_system::Bootspec;

use super::{Accelerator, Disk, Facts, QEMU, System, Writes, arguments};
use crate::configuration::{AttributePath, Configuration, Wanted};

/// Where the configuration says what a virtual machine has to know.
const FACTS: &str = "config.system.build.vm.facts";
/// The system that runs in it.
const TOPLEVEL: &str = "config.system.build.vm.toplevel";

/// The longest label of an ext4 file system.
const LABEL_BYTES: usize = 16;

/// What the user asks for beside the configuration.
#[derive(Debug, Clone)]
pub struct Options {
    /// The guest's disk, made if it does not exist; else `<host name>.img` in the working folder.
    pub disk: Option<PathBuf>,
    /// Whether it keeps what the guest writes.
    pub writes: Writes,
    /// Further kernel parameters.
    pub kernel_params: Vec<String>,
}

/// Builds the configuration's virtual machine and its disk, and gives the command that runs it.
///
/// # Errors
/// Whatever step fails; QEMU is missing; the disk cannot be made.
pub fn prepare(configuration: &Configuration, options: &Options) -> Result<Command> {
    let store = Store::open(&configuration.place.store)?;
    let wanted = Wanted {
        derivations: vec![TOPLEVEL.parse::<AttributePath>()?],
        facts: vec![FACTS.parse()?],
    };
    let evaluated = configuration.evaluate(&store, &wanted)?;
    let toplevel = evaluated.toplevel()?;
    let facts: Facts = evaluated.fact(FACTS)?;
    configuration.realise(&store, &evaluated)?;

    let system = system(&store, toplevel, &options.kernel_params)?;
    let disk = match &options.disk {
        Some(disk) => disk.clone(),
        None => PathBuf::from(format!("{}.img", facts.host_name)),
    };
    let label = facts.host_name.get(..LABEL_BYTES);
    let label = label.unwrap_or(&facts.host_name);
    let size = facts.disk_size;
    Disk { label, size }.make(&disk)?;
    let (accelerator, reason) = accelerator(&configuration.place.cache)?;
    log::info!("accelerator: {accelerator}: {reason}");
    let mut command = Command::new(QEMU);
    command.args(arguments(
        &facts,
        &system,
        &disk,
        options.writes,
        accelerator,
    ));
    Ok(command)
}

fn accelerator(cache: &Path) -> Result<(Accelerator, String)> {
    fs::create_dir_all(cache).with_context(|| format!("cannot make '{}'", cache.display()))?;
    Accelerator::detect(&cache.join("accelerator"))
}

/// The built system, as QEMU sees it from the host.
fn system(store: &Store, toplevel: &StorePath, more: &[String]) -> Result<System> {
    let file = store.real_path(toplevel).join("boot.json");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read '{}'", file.display()))?;
    let boot = Bootspec::parse(&text)?.v1;
    let Some(initrd) = &boot.initrd else {
        bail!("'{toplevel}' has no initrd");
    };
    let init = format!("init={}", boot.init);
    let words: Vec<&str> = boot
        .kernel_params
        .iter()
        .chain([&init])
        .chain(more)
        .map(String::as_str)
        .collect();
    Ok(System {
        kernel: store.real_path_of(&boot.kernel)?,
        initrd: store.real_path_of(initrd)?,
        command_line: words.join(" "),
        store: store.root().join("nix/store"),
    })
}
