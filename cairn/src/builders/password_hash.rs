//! `builtin:password-hash`: a user's password as crypt(3) stores it, with SHA-512.
//!
//! A system's own objects then hold no password, only its hash. The salt follows from user and
//! password, so that the same configuration gives the same bytes; it keeps two users with the same
//! password apart. What can be read in a configuration is no secret, and this makes it none.

use anyhow::Context as _;
use cairn_store::Job;
use sha_crypt::{PasswordHasher, ShaCrypt};

use super::{BuildResult, write_file};

/// 16 digits of crypt(3)'s, the longest salt that it takes.
const SALT_BYTES: usize = 12;

pub(super) fn build(job: &Job<'_>) -> BuildResult {
    let hash = hash(job.env("user")?, job.env("password")?)?;
    write_file(job.output(), hash + "\n")?;
    Ok(())
}

fn hash(user: &str, password: &str) -> Result<String, sha_crypt::password_hash::Error> {
    let mut salt = [0; SALT_BYTES];
    let mut hasher = blake3::Hasher::new_derive_key("cairn 2026-11 password salt");
    hasher.update(&(user.len() as u64).to_le_bytes());
    hasher.update(user.as_bytes()).update(password.as_bytes());
    hasher.finalize_xof().fill(&mut salt);
    crypt(password, &salt)
}

/// A password that somebody types, with a salt of the moment.
///
/// # Errors
/// The kernel gives no random bytes, or the password is too long.
pub(crate) fn of_typed(password: &str) -> anyhow::Result<String> {
    let mut salt = [0; SALT_BYTES];
    cairn_sys::random::fill_at_once(&mut salt).context("cannot make a salt")?;
    crypt(password, &salt).context("cannot hash the password")
}

fn crypt(password: &str, salt: &[u8]) -> Result<String, sha_crypt::password_hash::Error> {
    let hash = ShaCrypt::SHA512.hash_password_with_salt(password.as_bytes(), salt)?;
    Ok(hash.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    // Held against `openssl passwd -6 -salt 'rounds=5000$<salt>'`.
    #[test]
    fn a_hash_is_what_crypt_makes_of_it() {
        expect_test::expect!["$6$rounds=5000$a/FpL5kkydfdNt.u$lH.Y.rlJVXe8xobLvx0u0fdTYFVUe02G24h2rCfg66svMLpH7Ru1z9EcvsUsTPaCjX1isKf2YoK7r7Pv472x/."].assert_eq(&hash("alice", "change me").unwrap());
        assert_ne!(hash("alice", "x").unwrap(), hash("bob", "x").unwrap());
        assert_eq!(hash("alice", "").unwrap(), hash("alice", "").unwrap());
        let typed = of_typed("x").unwrap();
        assert!(typed.starts_with("$6$"), "{typed}");
        assert_ne!(typed, of_typed("x").unwrap());
    }
}
