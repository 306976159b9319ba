//! Keys that sign what firmware starts.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use cairn_qemu_tests::artefacts;

/// The key that Debian's OVMF trusts in its variables for tests, which is there for everybody.
const PRIVATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.key";
const CERTIFICATE: &str = "/usr/share/ovmf/PkKek-1-snakeoil.pem";

/// A key and its certificate, as PEM.
pub struct Keys {
    /// The key, without a passphrase.
    pub private: PathBuf,
    /// The certificate.
    pub certificate: PathBuf,
}

impl Keys {
    /// The key of the machine's owner.
    pub fn of_owner() -> anyhow::Result<Self> {
        let private = artefacts::root()?.join("owner.key");
        if !private.exists() {
            let args = ["pkey", "-in", PRIVATE, "-passin", "pass:snakeoil"];
            make(&private, &args)?;
        }
        Ok(Self {
            private,
            certificate: CERTIFICATE.into(),
        })
    }

    /// A key that no firmware knows.
    pub fn of_a_stranger(folder: &Path) -> anyhow::Result<Self> {
        let keys = Self {
            private: folder.join("stranger.key"),
            certificate: folder.join("stranger.pem"),
        };
        make(&keys.private, &["genrsa", "2048"])?;
        let private = keys.private.display().to_string();
        let subject = ["-days", "10", "-subj", "/CN=Stranger"];
        let args = [
            &["req", "-x509", "-new", "-key", private.as_str()][..],
            &subject,
        ];
        make(&keys.certificate, &args.concat())?;
        Ok(keys)
    }
}

/// What openssl gives for `args`, in a file that is whole.
fn make(file: &Path, args: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("openssl")
        .args(args)
        .output()
        .context("cannot run openssl; install it: apt-get install openssl")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "openssl {args:?}: {said}");
    let folder = file.parent().context("a file without a folder")?;
    let mut made = tempfile::NamedTempFile::new_in(folder)?;
    std::io::Write::write_all(&mut made, &output.stdout)?;
    made.persist(file)
        .with_context(|| format!("cannot create {}", file.display()))?;
    Ok(())
}
