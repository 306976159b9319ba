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
use cairn_system::tpm2::{Header, SealedKey, WRONG_PIN};

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
    /// It is open, by what somebody had to type, if that is here.
    Opened(Option<Typed>),
    /// The device went away, or its key came.
    Interrupted,
}

/// What somebody has typed that opens a device.
#[derive(Debug)]
pub struct Typed {
    /// The PIN or the passphrase.
    pub secret: Secret,
    /// Whether it is a PIN.
    pub is_pin: bool,
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

/// How it went with a key of the TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unattended {
    /// The device is open.
    Opened,
    /// It is given out for a PIN.
    NeedsPin,
}

/// Opens a device with a key that the TPM keeps, if that takes nobody.
///
/// # Errors
/// Why not; it names the device.
pub fn open_with_tpm(device: &EncryptedDevice, blocks: &Blocks) -> anyhow::Result<Unattended> {
    let what = || format!("cannot open {} with the TPM", device.name);
    let header = header_of(device, blocks).with_context(what)?;
    let mut problems = Vec::new();
    let mut needs_pin = false;
    for key in header.sealed_keys() {
        let opened = match key {
            Ok(key) if key.needs_pin() => {
                needs_pin = true;
                continue;
            }
            Ok(key) => tpm::open(key, None),
            Err(error) => Err(error.clone().into()),
        };
        match opened {
            Ok(secret) if open_with(device, blocks, &secret)? == Fit::Fits => {
                return Ok(Unattended::Opened);
            }
            Ok(_) => problems.push("the key that it keeps does not fit".to_owned()),
            Err(error) => problems.push(format!("{error:#}")),
        }
    }
    if needs_pin && problems.is_empty() {
        return Ok(Unattended::NeedsPin);
    }
    if problems.is_empty() {
        problems.push("it has no key; make one: cairn tpm2 enrol".to_owned());
    }
    bail!("{}: {}", what(), problems.join("; "))
}

fn header_of(device: &EncryptedDevice, blocks: &Blocks) -> anyhow::Result<Header> {
    let node = place(blocks, device.header.as_ref().unwrap_or(&device.device))
        .with_context(|| format!("{} went away", device.device))?;
    read_header(&node)
}

/// The keys that the TPM gives out for a PIN. Where they cannot be read, there are none.
fn keys_with_pin(device: &EncryptedDevice, blocks: &Blocks) -> Vec<SealedKey> {
    if device.tpm2.is_none() || !tpm::is_there() {
        return Vec::new();
    }
    match header_of(device, blocks) {
        Ok(header) => {
            let keys = header.sealed_keys().flatten();
            keys.filter(|key| key.needs_pin()).cloned().collect()
        }
        Err(error) => {
            log::info!("{}: {error:#}", device.name);
            Vec::new()
        }
    }
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
    known: &[Typed],
    hardware: &mut Hardware,
) -> anyhow::Result<Asked> {
    let keys = hardware.with_blocks(|blocks| keys_with_pin(device, blocks));
    let empty = Secret::new();
    let tried_first = Some(&empty).filter(|_| device.try_empty_passphrase);
    let passphrases = known.iter().filter(|known| !known.is_pin);
    let passphrases = passphrases.map(|known| &known.secret);
    for secret in tried_first.into_iter().chain(passphrases) {
        if hardware.with_blocks(|blocks| open_with(device, blocks, secret))? == Fit::Fits {
            return Ok(Asked::Opened(None));
        }
    }
    for pin in known.iter().filter(|known| known.is_pin) {
        let fit =
            hardware.with_blocks(|blocks| open_with_pin(device, &keys, blocks, &pin.secret))?;
        if fit == Ok(Fit::Fits) {
            return Ok(Asked::Opened(None));
        }
    }
    let nobody = || format!("cannot open {}: there is no passphrase", device.name);
    let mut consoles = Consoles::open().with_context(nobody)?;
    let wanted = if keys.is_empty() {
        "passphrase"
    } else {
        "PIN or passphrase"
    };
    let question = format!("{wanted} of {} ({}): ", device.device, device.name);
    let key_was_there = hardware.with_blocks(|blocks| has_key(device, blocks));
    loop {
        let interrupted = |blocks: &Blocks| is_not_needed(device, key_was_there, blocks);
        let answer = consoles.ask(&question, hardware, interrupted);
        let Answer::Passphrase(secret) = answer.with_context(nobody)? else {
            return Ok(Asked::Interrupted);
        };
        consoles.say("opening ...\r\n");
        let fit = hardware.with_blocks(|blocks| open_with_pin(device, &keys, blocks, &secret))?;
        let is_pin = fit == Ok(Fit::Fits);
        if is_pin || hardware.with_blocks(|blocks| open_with(device, blocks, &secret))? == Fit::Fits
        {
            return Ok(Asked::Opened(Some(Typed { secret, is_pin })));
        }
        if let Err(refusal) = fit {
            consoles.say(&format!("the TPM: {refusal}\r\n"));
        }
        consoles.say(&format!("wrong {wanted}\r\n"));
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

/// Tries a PIN. The inner error is why the TPM does not even say whether it fits.
///
/// # Errors
/// As for a passphrase.
fn open_with_pin(
    device: &EncryptedDevice,
    keys: &[SealedKey],
    blocks: &Blocks,
    pin: &Secret,
) -> anyhow::Result<Result<Fit, String>> {
    // It would count as a wrong one, and no PIN is empty.
    let keys = if pin.as_bytes().is_empty() { &[] } else { keys };
    for key in keys {
        match tpm::open(key, Some(pin)) {
            Ok(secret) if open_with(device, blocks, &secret)? == Fit::Fits => {
                return Ok(Ok(Fit::Fits));
            }
            Ok(_) => {}
            Err(error) => {
                let why = format!("{error:#}");
                if why != WRONG_PIN {
                    return Ok(Err(why));
                }
            }
        }
    }
    Ok(Ok(Fit::DoesNot))
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
