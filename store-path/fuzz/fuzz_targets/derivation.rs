//! Any bytes as a derivation: what is taken is written back as it was.

#![no_main]

use cairn_store_path::Derivation;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(derivation) = Derivation::parse("name", bytes) {
        let text = derivation.to_aterm();
        let again = Derivation::parse("name", &text).expect("its own text is a derivation");
        assert_eq!(derivation, again);
    }
});
