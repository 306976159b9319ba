//! What the kernel's command line says about modules: parameters and a blacklist.
//!
//! `name.parameter=value` goes to the module `name`, as the kernel itself does for what is built
//! in; `modprobe.blacklist=a,b` keeps modules from being loaded for a device.

use std::collections::{HashMap, HashSet};

use super::alias::normalise;

/// Parameters and blacklist.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    parameters: HashMap<String, String>,
    /// Names of modules, with `_` for `-`.
    pub(super) blacklist: HashSet<String>,
}

impl Policy {
    /// Reads the words of a command line: a key, and its value if it has one.
    #[must_use]
    pub fn from_parameters<'a>(words: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Self {
        let mut policy = Self::default();
        for (key, value) in words {
            policy.add(key, value);
        }
        policy
    }

    fn add(&mut self, key: &str, value: Option<&str>) {
        if let ("modprobe.blacklist", Some(names)) = (key, value) {
            self.blacklist.extend(names.split(',').map(normalise));
            return;
        }
        let Some((module, parameter)) = key.split_once('.') else {
            return;
        };
        if module.is_empty() || parameter.is_empty() {
            return;
        }
        let parameters = self.parameters.entry(normalise(module)).or_default();
        if !parameters.is_empty() {
            parameters.push(' ');
        }
        parameters.push_str(parameter);
        if let Some(value) = value {
            parameters.push('=');
            let quote = if value.contains(' ') { "\"" } else { "" };
            parameters.push_str(quote);
            parameters.push_str(value);
            parameters.push_str(quote);
        }
    }

    /// Gives a module these parameters, in the kernel's form, after those of the command line.
    pub fn set_parameters(&mut self, module: &str, text: &str) {
        let parameters = self.parameters.entry(normalise(module)).or_default();
        if !parameters.is_empty() {
            parameters.push(' ');
        }
        parameters.push_str(text);
    }

    /// The parameters of a module in the kernel's form; empty if there are none.
    #[must_use]
    pub fn parameters(&self, module: &str) -> &str {
        self.parameters.get(module).map_or("", String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_blacklist() {
        let words = [
            ("quiet", None),
            ("usb-storage.quirks", Some("1234:5678:u")),
            ("usb_storage.delay_use", Some("0")),
            ("nic.name", Some("a b")),
            ("nic.flag", None),
            ("modprobe.blacklist", Some("nouveau,snd-hda-intel")),
            (".x", Some("y")),
        ];
        let policy = Policy::from_parameters(words.into_iter());
        assert_eq!(
            policy.parameters("usb_storage"),
            "quirks=1234:5678:u delay_use=0"
        );
        assert_eq!(policy.parameters("nic"), "name=\"a b\" flag");
        assert_eq!(policy.parameters("other"), "");
        let mut policy = policy;
        policy.set_parameters("usb-storage", "delay_use=2");
        assert_eq!(
            policy.parameters("usb_storage"),
            "quirks=1234:5678:u delay_use=0 delay_use=2"
        );
        let mut blacklist: Vec<_> = policy.blacklist.into_iter().collect();
        blacklist.sort();
        assert_eq!(blacklist, ["nouveau", "snd_hda_intel"]);
    }
}
