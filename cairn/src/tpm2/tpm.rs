//! The TPM, spoken to by `tpm2`. What it is told is in [`cairn_system::tpm2`].

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use cairn_system::tpm2::{self, Call, Condition, SealedKey};
use tempfile::TempDir;

use super::{Key, run};

/// A TPM, and a folder in memory where the program keeps its place between two calls.
pub struct Tpm {
    folder: TempDir,
}

impl Tpm {
    /// # Errors
    /// There is none.
    pub fn open() -> Result<Self> {
        let device = tpm2::DEVICE;
        ensure!(
            Path::new(device).exists(),
            "there is no TPM, {device}; check the firmware's settings"
        );
        let folder = tempfile::Builder::new()
            .prefix("cairn-tpm2-")
            .tempdir_in("/run");
        Ok(Self {
            folder: folder.context("cannot make a folder in /run")?,
        })
    }

    /// Has it seal a secret, to be given out under a condition that holds now; the PIN is there if that wants one.
    pub fn seal(
        &self,
        secret: &[u8],
        condition: &Condition,
        pin: Option<&Key>,
    ) -> Result<SealedKey> {
        let password = pin.map(|pin| self.password(pin)).transpose()?;
        let sealed = tpm2::before_sealing(condition, &self.path())
            .iter()
            .try_for_each(|call| tell(call, b"").map(drop))
            .and_then(|()| tell(&tpm2::seal(condition, &self.path()), secret));
        drop(password);
        self.close();
        sealed?;
        let [private, public, policy] = [tpm2::PRIVATE, tpm2::PUBLIC, tpm2::POLICY].map(|name| {
            let file = self.folder.path().join(name);
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
        });
        Ok(SealedKey::new(
            &private?,
            &public?,
            &policy?,
            condition.clone(),
        )?)
    }

    /// The file with the password of a PIN, while the program reads it.
    fn password(&self, pin: &Key) -> Result<Password> {
        let text = Key(tpm2::password_of(pin.bytes()).into_bytes());
        let path = self.folder.path().join(tpm2::PASSWORD);
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .and_then(|mut file| file.write_all(text.bytes()).map(|()| file));
        let file = made.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Password {
            file,
            length: text.bytes().len(),
        })
    }

    /// Has it take a key that it has sealed, without giving it out.
    pub fn load(&self, key: &SealedKey) -> Result<()> {
        self.place(key)?;
        let loaded = tpm2::loading(key, &self.path())
            .iter()
            .try_for_each(|call| tell(call, b"").map(drop));
        self.close();
        loaded
    }

    /// Has it give a secret out, of a key without a PIN.
    pub fn unseal(&self, key: &SealedKey) -> Result<Key> {
        self.place(key)?;
        let secret = tpm2::opening(key, &self.path())
            .iter()
            .try_for_each(|call| tell(call, b"").map(drop))
            .and_then(|()| tell(&tpm2::unseal(&self.path(), None), b""));
        self.close();
        secret.map(Key)
    }

    /// Writes what it has sealed to where the program reads it.
    fn place(&self, key: &SealedKey) -> Result<()> {
        for (name, content) in [(tpm2::PRIVATE, key.private()), (tpm2::PUBLIC, key.public())] {
            let file = self.folder.path().join(name);
            fs::write(&file, content)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }

    /// Whether each of the registers has measured something.
    pub fn measures(&self, registers: &BTreeSet<u8>) -> Result<bool> {
        tell(&tpm2::read_registers(registers, &self.path()), b"")?;
        let file = self.folder.path().join(tpm2::VALUES);
        let values = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let mut values = values.chunks(values.len().div_ceil(registers.len().max(1)).max(1));
        Ok(values.all(|value| {
            let first = value.first();
            value.iter().any(|byte| Some(byte) != first)
        }))
    }

    fn path(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn close(&self) {
        for call in tpm2::closing(&self.path()) {
            if let Err(error) = tell(&call, b"") {
                log::info!("the TPM keeps what it was given: {error:#}");
            }
        }
    }
}

/// A file in memory that is overwritten when it goes.
struct Password {
    file: fs::File,
    length: usize,
}

impl Drop for Password {
    fn drop(&mut self) {
        use std::os::unix::fs::FileExt;
        if let Err(error) = self.file.write_all_at(&vec![0; self.length], 0) {
            log::warn!("cannot overwrite the PIN's password: {error}");
        }
    }
}

fn tell(call: &Call, input: &[u8]) -> Result<Vec<u8>> {
    let mut command = Command::new(tpm2::PROGRAM);
    let output = run(command.args(call).envs(tpm2::ENVIRONMENT), input)?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    bail!("the TPM refuses: {}", tpm2::explain(&said, "a register"))
}
