//! What the TPM is told: the arguments of `tpm2`, and what its complaints mean.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use super::header::{Bank, Primary, SealedKey, hexadecimal};
use super::{PASSWORD, POLICY, PRIVATE, PUBLIC, VALUES};

/// A command for the TPM, by its arguments.
pub type Call = Vec<String>;

/// What must hold for the TPM to give a key out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Registers that are what they were.
    pub registers: BTreeSet<u8>,
    /// Somebody knows the PIN. The TPM refuses more after some that were wrong.
    pub pin: bool,
}

/// The password that a PIN stands for, in words of `tpm2`.
#[must_use]
pub fn password_of(pin: &[u8]) -> String {
    format!("hex:{}", hexadecimal(&Sha256::digest(pin)))
}

fn call(verb: &str, arguments: &[&str]) -> Call {
    let words = [verb].into_iter().chain(arguments.iter().copied());
    words.map(str::to_owned).collect()
}

/// Takes out of the TPM what a command has left there: it has room for three keys.
fn flush() -> Call {
    call("flushcontext", &["--transient-object"])
}

fn session(kind: &str, folder: &str) -> Call {
    call(
        "startauthsession",
        &[
            kind,
            "--hash-algorithm=sha256",
            &format!("--key-context={folder}/primary"),
            &format!("--session={folder}/session"),
        ],
    )
}

fn selection(bank: Bank, registers: &BTreeSet<u8>) -> String {
    let all: Vec<_> = registers.iter().map(u8::to_string).collect();
    format!("{}:{}", bank.name(), all.join(","))
}

impl Bank {
    fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl Primary {
    /// Has the TPM make it, as systemd does: any other would not read what that has sealed.
    fn create(self, folder: &str) -> Call {
        let algorithm = match self {
            Self::Ecc => "ecc256:aes128cfb",
            Self::Rsa => "rsa2048:aes128cfb",
        };
        call(
            "createprimary",
            &[
                "--quiet",
                "--hierarchy=o",
                "--hash-algorithm=sha256",
                &format!("--key-algorithm={algorithm}"),
                "--attributes=restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth",
                &format!("--key-context={folder}/primary"),
            ],
        )
    }
}

/// What has the TPM take a key that it has sealed. The files lie in `folder`.
#[must_use]
pub fn loading(key: &SealedKey, folder: &str) -> Vec<Call> {
    vec![
        key.primary.create(folder),
        flush(),
        call(
            "load",
            &[
                "--quiet",
                &format!("--parent-context={folder}/primary"),
                &format!("--public={folder}/{PUBLIC}"),
                &format!("--private={folder}/{PRIVATE}"),
                &format!("--key-context={folder}/key"),
            ],
        ),
        flush(),
    ]
}

/// What has the TPM open a key, before [`unseal`].
///
/// The session is salted with the TPM's own key, and encrypts what is unsealed: on many boards it comes over
/// wires that somebody can listen to.
#[must_use]
pub fn opening(key: &SealedKey, folder: &str) -> Vec<Call> {
    let mut calls = loading(key, folder);
    calls.extend([session("--policy-session", folder), flush()]);
    if !key.condition.registers.is_empty() {
        calls.push(call(
            "policypcr",
            &[
                "--quiet",
                &format!("--session={folder}/session"),
                &format!(
                    "--pcr-list={}",
                    selection(key.bank, &key.condition.registers)
                ),
            ],
        ));
    }
    if key.condition.pin {
        calls.push(call(
            "policyauthvalue",
            &["--quiet", &format!("--session={folder}/session")],
        ));
    }
    calls
}

/// What writes the secret to its standard output. A password is for where nobody else is: the program takes it in
/// its arguments alone.
#[must_use]
pub fn unseal(folder: &str, password: Option<&str>) -> Call {
    let password = password.map(|password| format!("+{password}"));
    call(
        "unseal",
        &[
            &format!("--object-context={folder}/key"),
            &format!(
                "--auth=session:{folder}/session{}",
                password.unwrap_or_default()
            ),
        ],
    )
}

/// What comes before [`seal`]: the condition goes to the file [`POLICY`].
#[must_use]
pub fn before_sealing(condition: &Condition, folder: &str) -> Vec<Call> {
    let session_file = format!("--session={folder}/session");
    let mut calls = vec![
        call(
            "startauthsession",
            &["--hash-algorithm=sha256", &session_file],
        ),
        call(
            "policypcr",
            &[
                "--quiet",
                &session_file,
                &format!(
                    "--pcr-list={}",
                    selection(Bank::default(), &condition.registers)
                ),
                &format!("--policy={folder}/{POLICY}"),
            ],
        ),
    ];
    if condition.pin {
        calls.push(call(
            "policyauthvalue",
            &[
                "--quiet",
                &session_file,
                &format!("--policy={folder}/{POLICY}"),
            ],
        ));
    }
    calls.extend([
        call("flushcontext", &[&format!("{folder}/session")]),
        Primary::default().create(folder),
        flush(),
        session("--hmac-session", folder),
        flush(),
    ]);
    calls
}

/// What seals its standard input; the result goes to [`PRIVATE`] and [`PUBLIC`]. If a PIN is to be known, the file
/// [`PASSWORD`] has its password.
#[must_use]
pub fn seal(condition: &Condition, folder: &str) -> Call {
    let mut seal = call(
        "create",
        &[
            "--quiet",
            &format!("--parent-context={folder}/primary"),
            &format!("--parent-auth=session:{folder}/session"),
            "--hash-algorithm=sha256",
            "--attributes=fixedtpm|fixedparent",
            &format!("--policy={folder}/{POLICY}"),
            "--sealing-input=-",
            &format!("--public={folder}/{PUBLIC}"),
            &format!("--private={folder}/{PRIVATE}"),
        ],
    );
    if condition.pin {
        seal.push(format!("--key-auth=file:{folder}/{PASSWORD}"));
    }
    seal
}

/// What writes the values of registers to [`VALUES`], one after the other.
#[must_use]
pub fn read_registers(registers: &BTreeSet<u8>, folder: &str) -> Call {
    call(
        "pcrread",
        &[
            "--quiet",
            &selection(Bank::default(), registers),
            &format!("--output={folder}/{VALUES}"),
        ],
    )
}

/// What leaves nothing of us in the TPM, however far the commands before came.
#[must_use]
pub fn closing(folder: &str) -> Vec<Call> {
    vec![
        call("flushcontext", &[&format!("{folder}/session")]),
        flush(),
    ]
}

/// How [`explain`] says that the PIN is another one.
pub const WRONG_PIN: &str = "the PIN is wrong";

/// Of a code of format 1: in the bits beside these stands of which parameter or session it is.
const KIND: u32 = 0xbf;

/// What the program's complaint means, for people.
#[must_use]
pub fn explain(said: &str, measured: &str) -> String {
    let code = said.lines().find_map(|line| {
        let (_, rest) = line.split_once("(0x")?;
        let (digits, _) = rest.split_once(')')?;
        u32::from_str_radix(digits, 16).ok()
    });
    match code {
        Some(0x921) => "it is locked for some time, after too many wrong PINs".to_owned(),
        // Of a session, and not of the hierarchy that the first commands use.
        Some(code) if said.contains("Unseal") && code < 0x1000 && code & KIND == 0x8e => {
            WRONG_PIN.to_owned()
        }
        Some(code) if code < 0x1000 && code & KIND == 0x9d => {
            format!("the machine was not started as when the key was made: {measured} differs")
        }
        Some(code) if code < 0x1000 && code & KIND == 0x9f => {
            "another TPM has made the key, or this one was cleared".to_owned()
        }
        Some(code) if code < 0x1000 && matches!(code & KIND, 0x8e | 0xa2) => {
            "its owner has set a password".to_owned()
        }
        _ => {
            let last = |line: &&str| !line.contains("Unable to run");
            let line = said.lines().rfind(last).unwrap_or("it says nothing");
            line.trim_start_matches("ERROR: ").to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;

    fn condition<const N: usize>(registers: [u8; N], pin: bool) -> Condition {
        Condition {
            registers: BTreeSet::from(registers),
            pin,
        }
    }

    fn lines(calls: &[Call]) -> String {
        calls.iter().map(|call| call.join(" ") + "\n").collect()
    }

    #[test]
    fn a_key_is_opened_under_its_condition() {
        let part = [0, 1, 7];
        let key = |condition| SealedKey::new(&part, &part, &[0; 32], condition).unwrap();
        let mut calls = opening(&key(condition([4, 7], false)), "/run");
        calls.push(unseal("/run", None));
        calls.extend(closing("/run"));
        expect![[r#"
            createprimary --quiet --hierarchy=o --hash-algorithm=sha256 --key-algorithm=ecc256:aes128cfb --attributes=restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth --key-context=/run/primary
            flushcontext --transient-object
            load --quiet --parent-context=/run/primary --public=/run/public --private=/run/private --key-context=/run/key
            flushcontext --transient-object
            startauthsession --policy-session --hash-algorithm=sha256 --key-context=/run/primary --session=/run/session
            flushcontext --transient-object
            policypcr --quiet --session=/run/session --pcr-list=sha256:4,7
            unseal --object-context=/run/key --auth=session:/run/session
            flushcontext /run/session
            flushcontext --transient-object
        "#]].assert_eq(&lines(&calls));
        let any = key(condition([], false));
        assert!(!lines(&opening(&any, "/run")).contains("policypcr"));
        let mut calls = opening(&key(condition([7], true)), "/run").split_off(5);
        calls.push(unseal("/run", Some(&password_of(b"1234"))));
        expect![[r#"
            flushcontext --transient-object
            policypcr --quiet --session=/run/session --pcr-list=sha256:7
            policyauthvalue --quiet --session=/run/session
            unseal --object-context=/run/key --auth=session:/run/session+hex:03ac674216f3e15c761ee1a5e255f067953623c8b388b4459e13f978d7c846f4
        "#]]
        .assert_eq(&lines(&calls));
    }

    #[test]
    fn a_secret_is_sealed_under_a_condition() {
        let mut calls = before_sealing(&condition([7], false), "/run");
        calls.push(seal(&condition([7], false), "/run"));
        expect![[r#"
            startauthsession --hash-algorithm=sha256 --session=/run/session
            policypcr --quiet --session=/run/session --pcr-list=sha256:7 --policy=/run/policy
            flushcontext /run/session
            createprimary --quiet --hierarchy=o --hash-algorithm=sha256 --key-algorithm=ecc256:aes128cfb --attributes=restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth --key-context=/run/primary
            flushcontext --transient-object
            startauthsession --hmac-session --hash-algorithm=sha256 --key-context=/run/primary --session=/run/session
            flushcontext --transient-object
            create --quiet --parent-context=/run/primary --parent-auth=session:/run/session --hash-algorithm=sha256 --attributes=fixedtpm|fixedparent --policy=/run/policy --sealing-input=- --public=/run/public --private=/run/private
        "#]].assert_eq(&lines(&calls));
    }

    #[test]
    fn a_secret_is_sealed_with_a_pin() {
        let condition = condition([7], true);
        let mut calls = before_sealing(&condition, "/run");
        calls.push(seal(&condition, "/run"));
        expect![[r#"
            startauthsession --hash-algorithm=sha256 --session=/run/session
            policypcr --quiet --session=/run/session --pcr-list=sha256:7 --policy=/run/policy
            policyauthvalue --quiet --session=/run/session --policy=/run/policy
            flushcontext /run/session
            createprimary --quiet --hierarchy=o --hash-algorithm=sha256 --key-algorithm=ecc256:aes128cfb --attributes=restricted|decrypt|fixedtpm|fixedparent|sensitivedataorigin|userwithauth --key-context=/run/primary
            flushcontext --transient-object
            startauthsession --hmac-session --hash-algorithm=sha256 --key-context=/run/primary --session=/run/session
            flushcontext --transient-object
            create --quiet --parent-context=/run/primary --parent-auth=session:/run/session --hash-algorithm=sha256 --attributes=fixedtpm|fixedparent --policy=/run/policy --sealing-input=- --public=/run/public --private=/run/private --key-auth=file:/run/password
        "#]]
        .assert_eq(&lines(&calls));
    }

    #[test]
    fn a_complaint_is_explained() {
        let said = |line: &str| explain(&format!("{line}\nERROR: Unable to run unseal\n"), "PCR 7");
        for (line, expected) in [
            (
                "ERROR: Esys_Unseal(0x99D) - tpm:session(1):a policy check failed",
                "the machine was not started as when the key was made: PCR 7 differs",
            ),
            (
                "ERROR: Eys_Load(0x1DF) - tpm:parameter(1):integrity check failed",
                "another TPM has made the key, or this one was cleared",
            ),
            (
                "ERROR: Esys_CreatePrimary(0x9A2) - tpm:session(1):authorization failure",
                "its owner has set a password",
            ),
            (
                "ERROR: Esys_Unseal(0x921) - tpm:warn(2.0): authorizations are not allowed",
                "it is locked for some time, after too many wrong PINs",
            ),
            (
                "ERROR: Esys_Unseal(0x98E) - tpm:session(1):the authorization HMAC check failed and DA counter incremented",
                "the PIN is wrong",
            ),
            (
                "ERROR: Eys_Load(0x9000B) - mu:A parameter has a bad value",
                "Eys_Load(0x9000B) - mu:A parameter has a bad value",
            ),
            (
                "ERROR: Could not load tcti, got: \"device:/dev/tpm0\"",
                "Could not load tcti, got: \"device:/dev/tpm0\"",
            ),
        ] {
            assert_eq!(said(line), expected);
        }
        assert_eq!(explain("", "PCR 7"), "it says nothing");
    }
}
