//! Descriptors and manifests of live media: never a panic, and what is read is written the same.

#![no_main]

use cairn_system::live::{LiveMedium, MediaManifest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(medium)) = LiveMedium::from_descriptor(bytes) {
        assert_eq!(LiveMedium::parse(&medium.to_string()), Ok(medium));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(medium) = LiveMedium::parse(text) {
        assert_eq!(LiveMedium::parse(&medium.to_string()), Ok(medium));
    }
    if let Ok(manifest) = MediaManifest::parse(text) {
        assert_eq!(MediaManifest::parse(&manifest.to_string()), Ok(manifest));
    }
});
