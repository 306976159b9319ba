//! The header of a LUKS2 device: a key that is read is written the same, and the TPM is told nothing that the bytes
//! have made up.

#![no_main]

use cairn_system::tpm2::{self, Header};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = Header::parse(bytes) else {
        return;
    };
    for key in header.sealed_keys().flatten() {
        let token = key.to_token(0).expect("it is JSON");
        let again = format!(r#"{{"keyslots":{{}},"tokens":{{"0":{token}}}}}"#);
        let again = Header::parse(again.as_bytes()).expect("it was written by us");
        assert_eq!(again.sealed_keys().next(), Some(Ok(key)));
        let words = tpm2::opening(key, "/run").concat().concat();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-=/:,|".contains(&byte);
        assert!(words.bytes().all(is_plain), "{words}");
    }
});
