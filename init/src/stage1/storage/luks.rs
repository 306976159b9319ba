//! LUKS, opened by Debian's `cryptsetup`. It reads keys from their files itself, and passphrases from
//! its standard input.
//!
//! Source of the exit status: `cryptsetup(8)`. 1 = wrong parameters, 2 = no permission (the passphrase
//! or the key does not fit), 3 = out of memory, 4 = wrong device, 5 = it is busy or exists.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use cairn_sys::secret::Secret;
use cairn_system::EncryptedDevice;
use cairn_system::tpm2::Header;

use super::super::block::Blocks;
use super::super::hardware::Hardware;
use super::super::tool::{Ended, Tool};
use super::passphrase::{Answer, Consoles};
use super::{NO_UDEV, is_there, place, tpm};

const PROGRAM: &str = "/bin/cryptsetup";
/// Where it locks headers, in the words of its own warning if this is not there.
const LOCKS: &str = "/run/cryptsetup";
const DOES_NOT_FIT: i32 = 2;

/// How it went with a device that people open.
#[derive(Debug)]
pub enum Asked {
    /// It is open, by a passphrase that somebody had to type, if one is here.
    Opened(Option<Secret>),
    /// The device went away, or its key came.
    Interrupted,
}

/// Whether a secret fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Fits,
    DoesNot,
}

/// Opens a device with its key file.
///
/// # Errors
/// Why not; it names the device.
pub fn open_with_key(device: &EncryptedDevice, blocks: &Blocks) -> anyhow::Result<()> {
    let file = device.key_file.as_ref().context("there is no key file")?;
    let key = place(blocks, &file.device)
        .with_context(|| format!("cannot open {}: {} went away", device.name, file.device))?;
    let mut arguments = vec![
        format!("--key-file={}", key.display()),
        format!("--keyfile-offset={}", file.offset),
    ];
    arguments.extend(file.size.map(|size| format!("--keyfile-size={size}")));
    match open(device, blocks, arguments, b"")? {
        Fit::Fits => Ok(()),
        Fit::DoesNot => bail!(
            "cannot open {}: the key on {} does not fit",
            device.name,
            file.device
        ),
    }
}

/// Opens a device with a key that the TPM keeps.
///
/// # Errors
/// Why not; it names the device.
pub fn open_with_tpm(device: &EncryptedDevice, blocks: &Blocks) -> anyhow::Result<()> {
    let what = || format!("cannot open {} with the TPM", device.name);
    let node = place(blocks, device.header.as_ref().unwrap_or(&device.device))
        .with_context(|| format!("{}: {} went away", what(), device.device))?;
    let header = read_header(&node).with_context(what)?;
    let mut problems = Vec::new();
    for key in header.sealed_keys() {
        let opened = key
            .map_err(|error| error.clone().into())
            .and_then(tpm::open);
        match opened {
            Ok(secret) if open_with(device, blocks, &secret)? == Fit::Fits => return Ok(()),
            Ok(_) => problems.push("the key that it keeps does not fit".to_owned()),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if problems.is_empty() {
        problems.push("it has no key; make one: cairn tpm2 enrol".to_owned());
    }
    bail!("{}: {}", what(), problems.join("; "))
}

/// The most that the JSON of a header may be, in bytes.
const HEADER: usize = 4 << 20;

fn read_header(node: &Path) -> anyhow::Result<Header> {
    make_lock_folder();
    let node = node.display().to_string();
    let tool = Tool {
        program: Path::new(PROGRAM),
        arguments: &["luksDump", "--dump-json-metadata", &node],
        environment: &[NO_UDEV],
        work: &format!("a look at the header of {node}"),
    };
    let mut json = Vec::new();
    let ended = tool.read(b"", &mut |bytes| {
        let room = HEADER.saturating_sub(json.len());
        json.extend(bytes.iter().take(room));
    });
    let ended = ended.with_context(|| format!("cannot run {PROGRAM}"))?;
    if ended.status != 0 {
        bail!("{node}: {}", ended.last_line());
    }
    Header::parse(&json).context(node)
}

/// Opens a device with one of `known`, or with a passphrase that somebody is asked for until it fits.
///
/// # Errors
/// It cannot be opened, whatever somebody types; it names the device.
pub fn open_with_people(
    device: &EncryptedDevice,
    known: &[Secret],
    hardware: &mut Hardware,
) -> anyhow::Result<Asked> {
    let empty = Secret::new();
    let tried_first = Some(&empty).filter(|_| device.try_empty_passphrase);
    for secret in tried_first.into_iter().chain(known) {
        if hardware.with_blocks(|blocks| open_with(device, blocks, secret))? == Fit::Fits {
            return Ok(Asked::Opened(None));
        }
    }
    let nobody = || format!("cannot open {}: there is no passphrase", device.name);
    let mut consoles = Consoles::open().with_context(nobody)?;
    let question = format!("passphrase of {} ({}): ", device.device, device.name);
    let key_was_there = hardware.with_blocks(|blocks| has_key(device, blocks));
    loop {
        let interrupted = |blocks: &Blocks| is_not_needed(device, key_was_there, blocks);
        let answer = consoles.ask(&question, hardware, interrupted);
        let Answer::Passphrase(secret) = answer.with_context(nobody)? else {
            return Ok(Asked::Interrupted);
        };
        consoles.say("opening ...\r\n");
        match hardware.with_blocks(|blocks| open_with(device, blocks, &secret))? {
            Fit::Fits => return Ok(Asked::Opened(Some(secret))),
            Fit::DoesNot => consoles.say("wrong passphrase\r\n"),
        }
    }
}

/// Whether the device went away, or the key came that was waited for before somebody was asked.
fn is_not_needed(device: &EncryptedDevice, key_was_there: bool, blocks: &Blocks) -> bool {
    blocks.find(&device.device) == Ok(None) || (!key_was_there && has_key(device, blocks))
}

/// Whether what opens the device without people is there: the device of its key, or else the TPM.
pub fn has_key(device: &EncryptedDevice, blocks: &Blocks) -> bool {
    match &device.key_file {
        Some(file) => is_there(blocks, &file.device),
        None => device.tpm2.is_some() && tpm::is_there(),
    }
}

fn open_with(device: &EncryptedDevice, blocks: &Blocks, secret: &Secret) -> anyhow::Result<Fit> {
    let (argument, input) = given(secret.as_bytes());
    let arguments = argument.into_iter().map(str::to_owned).collect();
    open(device, blocks, arguments, input)
}

/// How a passphrase is given: as it is, byte by byte. An empty one would be no key to try, but an error, so
/// it is given as a line.
fn given(secret: &[u8]) -> (Option<&'static str>, &[u8]) {
    match secret {
        [] => (None, b"\n"),
        secret => (Some("--key-file=-"), secret),
    }
}

fn open(
    device: &EncryptedDevice,
    blocks: &Blocks,
    mut arguments: Vec<String>,
    input: &[u8],
) -> anyhow::Result<Fit> {
    let what = || format!("cannot open {}", device.name);
    let (node, _) = blocks
        .find(&device.device)
        .with_context(what)?
        .with_context(|| format!("{}: {} went away", what(), device.device))?;
    if let Some(header) = &device.header {
        let header = place(blocks, header)
            .with_context(|| format!("{}: its header on {header} went away", what()))?;
        arguments.push(format!("--header={}", header.display()));
    }
    arguments.extend(options(device).map(str::to_owned));
    let ended = run(&node, device.name.as_str(), &arguments, input).with_context(what)?;
    match ended.status {
        0 => Ok(Fit::Fits),
        DOES_NOT_FIT => Ok(Fit::DoesNot),
        status => bail!(
            "{} with {}: cryptsetup ended with status {status}: {}",
            what(),
            node.display(),
            ended.last_line()
        ),
    }
}

fn options(device: &EncryptedDevice) -> impl Iterator<Item = &'static str> {
    let queues = ["--perf-no_read_workqueue", "--perf-no_write_workqueue"];
    let queues = queues.into_iter().filter(|_| device.bypass_workqueues);
    let discards = Some("--allow-discards").filter(|_| device.allow_discards);
    discards.into_iter().chain(queues)
}

fn run(node: &Path, name: &str, options: &[String], input: &[u8]) -> anyhow::Result<Ended> {
    make_lock_folder();
    let node = node.display().to_string();
    let mut arguments = vec!["open", "--type=luks"];
    arguments.extend(options.iter().map(String::as_str));
    arguments.extend([node.as_str(), name]);
    let tool = Tool {
        program: Path::new(PROGRAM),
        arguments: &arguments,
        environment: &[NO_UDEV],
        work: &format!("the opening of {name}"),
    };
    tool.run(input).with_context(|| {
        format!("cannot run {PROGRAM}; the initrd has it if boot.initrd.luks.devices is set")
    })
}

fn make_lock_folder() {
    let made = DirBuilder::new().mode(0o700).create(PathBuf::from(LOCKS));
    if let Err(error) = made
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        log::info!("cannot make {LOCKS}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_passphrase_is_one_that_can_be_wrong() {
        assert_eq!(given(b""), (None, &b"\n"[..]));
        assert_eq!(given(b"\n"), (Some("--key-file=-"), &b"\n"[..]));
        assert_eq!(given(b"open"), (Some("--key-file=-"), &b"open"[..]));
    }
}
