//! The header of a LUKS2 device, read and written by `cryptsetup`.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use cairn_system::tpm2::Header;

use super::{Key, run};

/// What is slow about a passphrase of people would be slow for nothing: the key is random.
const DERIVATION: [&str; 2] = ["--pbkdf=pbkdf2", "--pbkdf-force-iterations=1000"];

/// A device.
pub struct Luks(String);

impl Luks {
    pub fn new(path: &Path) -> Self {
        Self(path.display().to_string())
    }

    pub fn path(&self) -> &str {
        &self.0
    }

    pub fn header(&self) -> Result<Header> {
        let json = cryptsetup(&["luksDump", "--dump-json-metadata", &self.0], b"")?;
        Ok(Header::parse(&json)?)
    }

    /// Adds a key to a slot that is free; which.
    pub fn add_key(&self, passphrase: &Key, key: &Key) -> Result<u32> {
        let before = self.header()?;
        // Each is a line: neither is in a file or on the command line.
        let mut lines = Key(Vec::with_capacity(
            passphrase.bytes().len() + key.bytes().len() + 1,
        ));
        lines.0.extend_from_slice(passphrase.bytes());
        lines.0.push(b'\n');
        lines.0.extend_from_slice(key.bytes());
        let [kind, iterations] = DERIVATION;
        let words = ["luksAddKey", "--batch-mode", kind, iterations, &self.0];
        cryptsetup(&words, lines.bytes())?;
        let after = self.header()?;
        let mut added = after.key_slots.difference(&before.key_slots);
        added.next().copied().context("no key slot was added")
    }

    /// Adds a token; cryptsetup writes it whole or not at all.
    pub fn add_token(&self, json: &str) -> Result<()> {
        let words = ["token", "import", "--disable-external-tokens", &self.0];
        cryptsetup(&words, json.as_bytes()).map(drop)
    }

    /// Fails unless `key` opens the slot.
    pub fn opens(&self, slot: u32, key: &Key) -> Result<()> {
        let slot = format!("--key-slot={slot}");
        let words = ["open", "--test-passphrase", "--key-file=-", &slot, &self.0];
        cryptsetup(&words, key.bytes()).map(drop)
    }

    /// Removes slots and tokens. The slots go first: a token without any is removed by the next one that tries.
    pub fn remove(&self, slots: &BTreeSet<u32>, tokens: &BTreeSet<u32>) -> Result<()> {
        let now = self.header()?;
        for slot in slots.intersection(&now.key_slots) {
            let slot = slot.to_string();
            cryptsetup(&["luksKillSlot", "--batch-mode", &self.0, &slot], b"")?;
        }
        for token in tokens.iter().filter(|id| now.tokens.contains_key(id)) {
            let token = format!("--token-id={token}");
            cryptsetup(&["token", "remove", &token, &self.0], b"")?;
        }
        Ok(())
    }
}

fn cryptsetup(words: &[&str], input: &[u8]) -> Result<Vec<u8>> {
    let output = run(Command::new("cryptsetup").args(words), input)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().rfind(|line| !line.trim().is_empty());
    bail!("cryptsetup: {}", line.unwrap_or("it does not say why"))
}
