//! Any text where udev's rules are read, and what they decide about a device whose own words are any text too.

#![no_main]

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use cairn_devices::device::{Device, Properties};
use cairn_devices::event::{Event, Surroundings};
use cairn_devices::rules::{ENTRIES, Rules, VALUE_BYTES};
use libfuzzer_sys::fuzz_target;

/// A machine on which programs say what they are asked to, and files and records what the device says.
struct Echo<'a>(&'a str);

impl Surroundings for Echo<'_> {
    fn output(&mut self, argv: &[String], _: &Properties) -> io::Result<Option<String>> {
        Ok(Some(argv.join(" ")))
    }
    fn builtin(&mut self, argv: &[String], _: &Event) -> io::Result<Option<Properties>> {
        Ok(Some(
            argv.iter()
                .map(|word| (word.clone(), self.0.to_owned()))
                .collect(),
        ))
    }
    fn recorded(&mut self, id: &str) -> Properties {
        Properties::from([(id.to_owned(), self.0.to_owned())])
    }
    fn recorded_tags(&mut self, id: &str) -> BTreeSet<String> {
        BTreeSet::from([id.to_owned()])
    }
    fn command_line(&mut self, key: &str) -> Option<String> {
        (!key.is_empty()).then(|| self.0.to_owned())
    }
    fn file(&mut self, _: &str) -> io::Result<String> {
        Ok(self.0.to_owned())
    }
    fn mode(&mut self, path: &str) -> Option<u32> {
        (path.len() % 2 == 0).then_some(0o644)
    }
    fn user(&mut self, name: &str) -> Option<u32> {
        name.parse().ok()
    }
    fn group(&mut self, name: &str) -> Option<u32> {
        name.parse().ok()
    }
    fn sysctl(&mut self, key: &str) -> Option<String> {
        Some(key.to_owned())
    }
    fn set_sysctl(&mut self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }
    fn set_attribute(&mut self, _: &Device, _: &str, _: &str) -> io::Result<()> {
        Err(io::Error::from(io::ErrorKind::PermissionDenied))
    }
    fn constant(&mut self, key: &str) -> Option<String> {
        Some(key.to_owned())
    }
}

fuzz_target!(|pieces: (&[u8], &str)| {
    let (text, words) = pieces;
    let (rules, problems) = Rules::parse(&[("x.rules", text)]);
    for problem in problems {
        assert!(!problem.to_string().is_empty());
    }
    assert!(
        rules
            .static_nodes()
            .iter()
            .all(|node| !node.name.starts_with('/'))
    );
    let fields = [
        ("SUBSYSTEM", "mem"),
        ("MAJOR", "1"),
        ("MINOR", "3"),
        ("DEVNAME", "null"),
        ("IFINDEX", "2"),
        ("WORDS", words),
    ];
    let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
    // None that any machine has: what is found does not depend on it.
    let sys = Path::new("/nonexistent");
    let device = Device::of_event(sys, "/devices/virtual/mem/null0", &Properties::from(fields));
    let mut event = Event::new("add", device.expect("the path is a plain one"));
    let before: BTreeSet<_> = event.properties.keys().cloned().collect();
    rules.apply(&mut event, &mut Echo(words));
    assert!(event.links.len() <= ENTRIES && event.tags.len() <= ENTRIES);
    assert!(event.commands.len() <= ENTRIES && event.properties.len() <= ENTRIES);
    for (name, value) in &event.properties {
        let is_plain = value.len() <= VALUE_BYTES && !value.contains('\n');
        assert!(is_plain || before.contains(name), "{name}={value}");
    }
    for link in &event.links {
        assert!(
            !link.starts_with('/') && link.split('/').all(|part| !["", ".", ".."].contains(&part)),
            "{link}"
        );
    }
    assert!(
        event
            .interface
            .is_none_or(|name| name.len() <= 15 && !name.contains('/'))
    );
});
