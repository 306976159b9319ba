//! A key of a LUKS2 device that a TPM2 keeps: what the device's header says of it, and the words for Debian's
//! `tpm2-tools` that make one and take it out again.
//!
//! The format is that of systemd 252, so that its `systemd-cryptenroll` makes such keys too, and its
//! `systemd-cryptsetup` uses ours. It is a token of the header's JSON:
//!
//! ```text
//! "type": "systemd-tpm2"
//! "keyslots": ["1"]               the slot that the key opens
//! "tpm2-blob": "<base64>"         TPM2B_PRIVATE, TPM2B_PUBLIC: each a length (16 bits, big endian), and as many bytes
//! "tpm2-pcrs": [7]                what the TPM has measured must be what it was
//! "tpm2-pcr-bank": "sha256"
//! "tpm2-primary-alg": "ecc"       the key that the TPM makes of its seed, and that the blob is encrypted with
//! "tpm2-policy-hash": "<hex>"
//! "tpm2-pin": false               whether it is given out for a PIN alone: the SHA-256 of that is the password
//! ```
//!
//! The slot's passphrase is the base64 of what is sealed. Later versions of systemd add fields for ways that this
//! one does not know; a token that needs them is refused by their name.
//!
//! Source: `src/shared/tpm2-util.c` of systemd 252; the LUKS2 On-Disk Format Specification, 3.6; TPM 2.0 Library,
//! Part 2, 6.6 (codes) and 12.3 (`TPM2B_PRIVATE`).

mod call;
mod header;

pub use cairn_store_path::base64::base64;
pub use call::{
    Call, Condition, WRONG_PIN, before_sealing, closing, explain, loading, opening, password_of,
    read_registers, seal, unseal,
};
pub use header::{Header, HeaderError, SealedKey, Token, TokenError};

/// The program that speaks to the TPM.
pub const PROGRAM: &str = "tpm2";
/// The TPM itself: the sessions of one command outlive it, which they do not behind the kernel's `/dev/tpmrm0`.
pub const DEVICE: &str = "/dev/tpm0";
/// What the program is told beside its arguments: which TPM, and that errors are its own alone, and not those of
/// each library on the way.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("TPM2TOOLS_TCTI", "device:/dev/tpm0"),
    ("TSS2_LOG", "all+NONE"),
];
/// Registers of a TPM that measure.
pub const REGISTERS: u8 = 24;

/// In the working folder: what the TPM has sealed, and for whom.
pub const PRIVATE: &str = "private";
/// In the working folder: the public part of it.
pub const PUBLIC: &str = "public";
/// In the working folder: the condition, as the TPM computes it.
pub const POLICY: &str = "policy";
/// In the working folder: the password, as [`password_of`] a PIN has it.
pub const PASSWORD: &str = "password";
/// In the working folder: the values of registers.
pub const VALUES: &str = "values";
