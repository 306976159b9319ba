//! `cairn tpm2`: a key of an encrypted device that this machine's TPM keeps. Stage 1 opens the device with it.
//!
//! Invariants: the new key is in memory, and in the TPM, and nowhere else; nothing is written to the device
//! before the TPM has given the key back (or taken it back, if it would ask for a PIN: the program takes one in its
//! arguments alone, which everybody on the machine can read); an old key goes when the new one has opened the
//! device; the last way to open a device stays.

mod luks;
mod tpm;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};
use cairn_sys::secret::wipe;
use cairn_system::tpm2::{self, Condition, Header, SealedKey};

use crate::install::dialogue::{Console as _, Echo, Prompt, Terminal};
use crate::program;

use luks::Luks;
use tpm::Tpm;

/// Makes a key for `device`, which its TPM gives out under a condition; asks for a passphrase that opens the
/// device, and for a PIN where one is wanted. Says what is left to be known.
///
/// # Errors
/// The device is not LUKS2, the passphrase is wrong, or the TPM does not keep the key. The device is as it was
/// then, unless the message says otherwise.
pub fn enrol(device: &Path, condition: &Condition) -> Result<String> {
    let made = make_key(&Luks::new(device), condition);
    made.with_context(|| format!("cannot make a key for {}", device.display()))
}

fn make_key(device: &Luks, condition: &Condition) -> Result<String> {
    let before = device.header()?;
    let tpm = Tpm::open()?;
    let passphrase = passphrase(device)?;
    let pin = condition.pin.then(new_pin).transpose()?;
    let secret = Key::random()?;
    let sealed = tpm.seal(secret.bytes(), condition, pin.as_ref())?;
    if condition.pin {
        tpm.load(&sealed)?;
    } else {
        let given = tpm.unseal(&sealed)?;
        ensure!(
            given.bytes() == secret.bytes(),
            "the TPM gives another one back"
        );
    }
    let caution = caution(&tpm, &sealed, condition)?;
    let slot = device.add_key(&passphrase, &secret.passphrase())?;
    if let Err(error) = attach(device, &sealed, slot, &secret) {
        return Err(match undo(device, &before, slot) {
            Ok(()) => error,
            Err(left) => error.context(format!("slot {slot} stays, without use: {left:#}")),
        });
    }
    let (slots, tokens) = kept_by_tpms(&before);
    device
        .remove(&slots, &tokens)
        .with_context(|| format!("it is in slot {slot}, but the old one stays"))?;
    Ok(format!(
        "this machine's TPM opens {}{}\n{caution}",
        device.path(),
        if condition.pin { " for the PIN" } else { "" }
    ))
}

/// Takes the keys that TPMs keep from `device`. Says what was done.
///
/// # Errors
/// Nothing else would open the device, or it cannot be written.
pub fn remove(device: &Path) -> Result<String> {
    let removed = remove_keys(&Luks::new(device));
    removed.with_context(|| format!("cannot remove the key of {} in a TPM", device.display()))
}

fn remove_keys(device: &Luks) -> Result<String> {
    let header = device.header()?;
    let (slots, tokens) = kept_by_tpms(&header);
    if tokens.is_empty() {
        return Ok(format!("no TPM opens {}\n", device.path()));
    }
    if header.key_slots.is_subset(&slots) {
        bail!("nothing else opens it; add a passphrase first: cryptsetup luksAddKey");
    }
    device.remove(&slots, &tokens)?;
    Ok(format!("no TPM opens {} any more\n", device.path()))
}

/// What is to be said of a condition that always holds.
fn caution(tpm: &Tpm, sealed: &SealedKey, condition: &Condition) -> Result<String> {
    if tpm.measures(&condition.registers)? {
        return Ok(String::new());
    }
    let measured = sealed.measured();
    let gets = if condition.pin {
        "gets the key with the PIN"
    } else {
        "gets the key"
    };
    Ok(format!(
        "the firmware measures nothing into {measured}: whatever is started on this machine {gets}\n"
    ))
}

/// The slots that only tokens of TPMs name, and those tokens.
fn kept_by_tpms(header: &Header) -> (BTreeSet<u32>, BTreeSet<u32>) {
    let slots = |of_tpm: bool| {
        let tokens = header.tokens.values();
        let tokens = tokens.filter(move |token| token.key.is_some() == of_tpm);
        tokens.flat_map(|token| token.key_slots.iter().copied())
    };
    let others: BTreeSet<u32> = slots(false).collect();
    let tokens = header.tokens.iter();
    (
        slots(true).filter(|slot| !others.contains(slot)).collect(),
        tokens
            .filter(|(_, token)| token.key.is_some())
            .map(|(id, _)| *id)
            .collect(),
    )
}

/// Writes the token of a key that is in `slot`, and reads it back: it must say what was meant, and open.
fn attach(device: &Luks, sealed: &SealedKey, slot: u32, secret: &Key) -> Result<()> {
    device.add_token(&sealed.to_token(slot)?)?;
    let header = device.header()?;
    let is_there = header.sealed_keys().any(|key| key == Ok(sealed));
    ensure!(is_there, "the token is not what was written");
    device.opens(slot, &secret.passphrase())
}

/// Removes a slot that was added, and what was written for it.
fn undo(device: &Luks, before: &Header, slot: u32) -> Result<()> {
    let now = device.header()?;
    let tokens = now.tokens.keys().copied();
    let added = tokens
        .filter(|id| !before.tokens.contains_key(id))
        .collect();
    device.remove(&BTreeSet::from([slot]), &added)
}

fn passphrase(device: &Luks) -> Result<Key> {
    let line = ask(&format!("passphrase of {}: ", device.path()))?;
    line.context("there is no passphrase")
}

/// A PIN that somebody chooses: typed twice, or a line of standard input.
fn new_pin() -> Result<Key> {
    let pin = ask("new PIN: ")?.filter(|pin| !pin.bytes().is_empty());
    let pin = pin.context("there is no PIN")?;
    if is_terminal() {
        let again = ask("the PIN again: ")?;
        let same = again.is_some_and(|again| again.bytes() == pin.bytes());
        ensure!(same, "the two PINs differ");
    }
    Ok(pin)
}

fn is_terminal() -> bool {
    std::io::IsTerminal::is_terminal(&std::io::stdin())
}

fn ask(question: &str) -> Result<Option<Key>> {
    let text = if is_terminal() { question } else { "" };
    let prompt = Prompt {
        text: text.to_owned(),
        echo: Echo::Hidden,
    };
    let line = Terminal.ask(&prompt)?;
    Ok(line.map(|line| Key(line.into_bytes())))
}

/// Runs one of the programs that make such keys.
fn run(command: &mut Command, input: &[u8]) -> Result<Output> {
    log::info!("{command:?}");
    program::run(command, input, |name| {
        format!(
            "cannot run {name}; a system has it with boot.initrd.luks.devices.<name>.tpm2.enable"
        )
    })
}

/// Bytes of a new key.
const KEY: usize = 32;

/// A secret, which is overwritten when it goes.
struct Key(Vec<u8>);

impl Key {
    fn random() -> Result<Self> {
        const SOURCE: &str = "/dev/random";
        let mut key = Self(vec![0; KEY]);
        std::fs::File::open(SOURCE)
            .and_then(|mut source| std::io::Read::read_exact(&mut source, &mut key.0))
            .with_context(|| format!("cannot read {SOURCE}"))?;
        Ok(key)
    }

    fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// What opens the slot.
    fn passphrase(&self) -> Self {
        // With all of its room at once: what grows leaves a copy.
        let mut text = Vec::with_capacity(self.0.len() * 2);
        text.extend(tpm2::base64(&self.0));
        Self(text)
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cairn_system::tpm2::{Token, TokenError};

    #[test]
    fn a_slot_that_something_else_opens_stays() {
        let token = |slots: &[u32], of_tpm: bool| Token {
            key_slots: slots.iter().copied().collect(),
            key: of_tpm.then_some(Err(TokenError::Unsupported("several keys"))),
        };
        let header = Header {
            key_slots: (0..5).collect(),
            tokens: [
                (0, token(&[1, 2], true)),
                (3, token(&[2], false)),
                (4, token(&[4], true)),
                (5, token(&[], true)),
            ]
            .into(),
        };
        let expected = (BTreeSet::from([1, 4]), BTreeSet::from([0, 4, 5]));
        assert_eq!(kept_by_tpms(&header), expected);
    }
}
