//! `system.json`, with services, sockets and timers: never a panic, and what is read is written the same.

#![no_main]

use cairn_system::{Facts, Service, SystemDescription};
use libfuzzer_sys::fuzz_target;

const SOMEBODY: Facts<'_> = Facts {
    name: "alice",
    uid: 1000,
    home: "/home/alice",
    shell: "/bin/sh",
    runtime: "/run/user/1000",
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(description) = SystemDescription::parse(text) {
        let again = serde_json::to_string(&description).expect("it is JSON");
        let again = SystemDescription::parse(&again).expect("it was written by us");
        assert_eq!(again, description);
        // Texts of the user's may make a service that is none: that is an error, and no panic.
        drop(description.user_services.of(&SOMEBODY));
    }
    if let Ok(service) = serde_json::from_str::<Service>(text) {
        let again = serde_json::to_string(&service).expect("it is JSON");
        assert_eq!(serde_json::from_str::<Service>(&again).ok(), Some(service));
    }
});
