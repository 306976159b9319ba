//! Any bytes as GRUB's environment block: what is read says the same when it is written again.

#![no_main]

use cairn_bootloader::BootState;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(state) = BootState::parse(bytes)
        && let Ok(again) = state.to_bytes()
    {
        let again = BootState::parse(&again).expect("its own bytes are a boot state");
        assert_eq!(again, state);
    }
});
