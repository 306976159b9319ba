//! What the TPM is told: the arguments of `tpm2`, and what its complaints mean.

use std::collections::BTreeSet;

use super::header::{Bank, Primary, SealedKey};
use super::{POLICY, PRIVATE, PUBLIC, VALUES};

/// A command for the TPM, by its arguments.
pub type Call = Vec<String>;

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

/// What has the TPM open a key, before [`unseal`]. The files lie in `folder`.
///
/// The session is salted with the TPM's own key, and encrypts what is unsealed: on many boards it comes over
/// wires that somebody can listen to.
#[must_use]
pub fn opening(key: &SealedKey, folder: &str) -> Vec<Call> {
    let mut calls = vec![
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
        session("--policy-session", folder),
        flush(),
    ];
    if !key.registers.is_empty() {
        calls.push(call(
            "policypcr",
            &[
                "--quiet",
                &format!("--session={folder}/session"),
                &format!("--pcr-list={}", selection(key.bank, &key.registers)),
            ],
        ));
    }
    calls
}

/// What writes the secret to its standard output.
#[must_use]
pub fn unseal(folder: &str) -> Call {
    call(
        "unseal",
        &[
            &format!("--object-context={folder}/key"),
            &format!("--auth=session:{folder}/session"),
        ],
    )
}

/// What comes before [`seal`]: the condition goes to the file [`POLICY`].
#[must_use]
pub fn before_sealing(registers: &BTreeSet<u8>, folder: &str) -> Vec<Call> {
    let session_file = format!("--session={folder}/session");
    vec![
        call(
            "startauthsession",
            &["--hash-algorithm=sha256", &session_file],
        ),
        call(
            "policypcr",
            &[
                "--quiet",
                &session_file,
                &format!("--pcr-list={}", selection(Bank::default(), registers)),
                &format!("--policy={folder}/{POLICY}"),
            ],
        ),
        call("flushcontext", &[&format!("{folder}/session")]),
        Primary::default().create(folder),
        flush(),
        session("--hmac-session", folder),
        flush(),
    ]
}

/// What seals its standard input; the result goes to [`PRIVATE`] and [`PUBLIC`].
#[must_use]
pub fn seal(folder: &str) -> Call {
    call(
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
    )
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
        Some(0x921) => "it is locked, after too many wrong passwords of others".to_owned(),
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

    fn lines(calls: &[Call]) -> String {
        calls.iter().map(|call| call.join(" ") + "\n").collect()
    }

    #[test]
    fn a_key_is_opened_under_its_condition() {
        let part = [0, 1, 7];
        let key = SealedKey::new(&part, &part, &[0; 32], &BTreeSet::from([4, 7])).unwrap();
        let mut calls = opening(&key, "/run");
        calls.push(unseal("/run"));
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
        let any = SealedKey::new(&part, &part, &[0; 32], &BTreeSet::new()).unwrap();
        assert!(!lines(&opening(&any, "/run")).contains("policypcr"));
    }

    #[test]
    fn a_secret_is_sealed_under_a_condition() {
        let mut calls = before_sealing(&BTreeSet::from([7]), "/run");
        calls.push(seal("/run"));
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
                "it is locked, after too many wrong passwords of others",
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
