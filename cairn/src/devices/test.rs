//! What rules would decide about a device, and why: `cairn devices test`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use cairn_devices::builtins;
use cairn_devices::device::Device;
use cairn_devices::dry_run;
use cairn_devices::event::Event;
use cairn_devices::places::Places;
use cairn_devices::ruleset;

use super::shown;

/// What the rules in these folders decide if `action` happens to `device`: what each of them does, by file and line, and
/// what comes of it. Nothing is changed; programs that rules ask something are run.
///
/// # Errors
/// A folder cannot be read.
pub fn test(places: &Places, rules: &[PathBuf], action: &str, device: Device) -> Result<String> {
    let (rules, problems) = ruleset::read(rules)?;
    for problem in problems {
        log::warn!("{problem}");
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let (event, decided) = dry_run::decide(&rules, places, &path, action, device);
    let mut text = String::new();
    for decided in decided {
        writeln!(text, "{}: {}", decided.place, shown(&decided.what))?;
    }
    writeln!(text, "\nP: {}", event.device.devpath())?;
    if let Some(node) = event.device.node() {
        writeln!(text, "N: {node}")?;
    }
    for link in &event.links {
        writeln!(text, "S: {link}")?;
    }
    for tag in &event.tags {
        writeln!(text, "Q: {tag}")?;
    }
    for (name, value) in &event.properties {
        writeln!(text, "E: {}", shown(&format!("{name}={value}")))?;
    }
    Ok(text)
}

/// What a builtin finds out about a device, a property a line.
///
/// # Errors
/// There is none of this name, or the device cannot be read.
pub fn builtin(places: &Places, command: &str, device: Device) -> Result<String> {
    let argv: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
    let found = builtins::run(&argv, &Event::new("change", device), &places.dev)?;
    let found = found.unwrap_or_default();
    let lines = found
        .iter()
        .map(|(name, value)| shown(&format!("{name}={value}")) + "\n");
    Ok(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use std::path::Path;

    #[test]
    fn rules_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let rules = "KERNEL==\"null\", MODE=\"0666\", SYMLINK+=\"nothing\"\n";
        std::fs::write(folder.path().join("x.rules"), rules).unwrap();
        let places = Places::of(Path::new("/"));
        let device = Device::open(&places.sys, "/devices/virtual/mem/null").unwrap();
        let text = test(&places, &[folder.path().to_owned()], "add", device.clone()).unwrap();
        let text = text.replace(&*folder.path().to_string_lossy(), "");
        expect![[r#"
            /x.rules:1: MODE="0666"
            /x.rules:1: SYMLINK+="nothing"

            P: /devices/virtual/mem/null
            N: null
            S: nothing
            E: ACTION=add
            E: DEVMODE=0666
            E: DEVNAME=/dev/null
            E: DEVPATH=/devices/virtual/mem/null
            E: MAJOR=1
            E: MINOR=3
            E: SUBSYSTEM=mem
        "#]]
        .assert_eq(&text);
        assert_eq!(builtin(&places, "blkid", device.clone()).unwrap(), "");
        assert!(builtin(&places, "none", device).is_err());
    }
}
