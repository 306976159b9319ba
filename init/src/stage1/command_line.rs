//! The kernel's command line, and what it asks of stage 1.
//!
//! Words are split as the kernel does it: at blanks outside double quotes; quotes around a word or
//! a value are dropped; after `--` everything is init's. The last of several words counts.
//!
//! Source: the kernel's `lib/cmdline.c` (`next_arg`) and `admin-guide/kernel-parameters.rst`.

use std::time::Duration;

use cairn_system::live::{self, MediumId};
use cairn_system::verity::{VERITY_PARAMETER, Verity};
use cairn_system::{Device, factory_reset, trial};

/// One word: `key` or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands behind it.
    pub value: Option<String>,
}

/// Splits a command line into words.
#[must_use]
pub fn words(line: &str) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        let mut quoted = false;
        let end = rest
            .find(|character: char| {
                quoted ^= character == '"';
                character.is_ascii_whitespace() && !quoted
            })
            .unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        if word == "--" {
            break;
        }
        words.push(self::word(word));
        rest = tail.trim_start();
    }
    words
}

fn word(text: &str) -> Word {
    let text = unquote(text);
    match text.split_once('=') {
        Some((key, value)) => Word {
            key: key.to_owned(),
            value: Some(unquote(value).to_owned()),
        },
        None => Word {
            key: text.to_owned(),
            value: None,
        },
    }
}

/// Without the quote that it starts with, and the one that it then ends with.
fn unquote(text: &str) -> &str {
    match text.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"').unwrap_or(rest),
        None => text,
    }
}

/// Whether a root file system is mounted for writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `ro`.
    ReadOnly,
    /// `rw`.
    ReadWrite,
}

/// Where stage 1 stops for a shell, to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breakpoint {
    /// `boot.debug1`: before any device is looked for.
    Start,
    /// `boot.debug1devices`: modules are loaded and the root device is there.
    Devices,
    /// `boot.debug1mounts`: everything is mounted.
    Mounts,
}

/// A boot on trial: nobody may be there, and the last good generation is a restart away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The boot entry: a generation's number, maybe with a specialisation: `13-debug`.
    pub entry: String,
    /// From the kernel's start until it must have been judged.
    pub timeout: Duration,
    /// Whether a watchdog may be armed.
    pub watchdog: bool,
}

/// Where the system of a live medium comes from, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveOrders {
    /// `cairn.live=`: which medium.
    pub medium: MediumId,
    /// `cairn.check-media`: it is compared with its manifest first.
    pub check: bool,
    /// `copytoram`: the system is copied to memory.
    pub copy: bool,
    /// `findiso=`, or `iso-scan/filename=` as others call it: the medium is this file.
    pub iso: Option<String>,
    /// `cairn.persistence=`: the label of the file system that keeps what is written.
    pub persistence: Option<String>,
}

/// What the command line asks of stage 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "words of the command line, each on its own"
)]
pub struct Orders {
    /// `init=`: the toplevel's init, absolute in the new root.
    pub init: Option<String>,
    /// `root=`: instead of the described device of `/`.
    pub root: Option<Device>,
    /// `rootflags=`: more options for `/`.
    pub root_flags: Option<String>,
    /// `rootfstype=`: instead of the described type of `/`.
    pub root_type: Option<String>,
    /// `ro` or `rw`.
    pub access: Option<Access>,
    /// `rootdelay=`: devices are waited for at least that long.
    pub root_delay: Duration,
    /// `boot.shell_on_fail`, and every breakpoint.
    pub shell_on_fail: bool,
    /// `boot.panic_on_fail` or `stage1panic`.
    pub panic_on_fail: bool,
    /// `boot.trace` or `boot.debugtrace`: details in the log.
    pub trace: bool,
    /// `boot.debug1…`.
    pub breakpoint: Option<Breakpoint>,
    /// `cairn.factory-reset`: the state of the machine is removed.
    pub factory_reset: bool,
    /// `cairn.trial=`, and what belongs to it.
    pub trial: Option<Trial>,
    /// `cairn.live=`, and what belongs to it.
    pub live: Option<LiveOrders>,
    /// `cairn.verity=`: what the store is verified by.
    pub verity: Option<Verity>,
    /// Words that were not understood, as warnings.
    pub warnings: Vec<String>,
}

impl Orders {
    /// Reads the words of a command line.
    #[must_use]
    pub fn from_words(words: &[Word]) -> Self {
        let mut orders = Self::default();
        for word in words {
            orders.obey(word);
        }
        orders.trial = orders.read_trial(words);
        orders.live = orders.read_live(words);
        orders
    }

    fn read_trial(&mut self, words: &[Word]) -> Option<Trial> {
        let last = |key: &str| words.iter().rev().find(|word| word.key == key);
        let value = |key: &str| last(key)?.value.as_deref();
        let entry = value(trial::TRIAL_PARAMETER).filter(|entry| !entry.is_empty())?;
        let seconds = match last(trial::TIMEOUT_PARAMETER) {
            None => trial::DEFAULT_TIMEOUT_SECONDS,
            Some(word) => {
                let given = word.value.as_deref().unwrap_or_default();
                given.parse().unwrap_or_else(|_| {
                    self.misunderstood(word, "a number of seconds");
                    trial::DEFAULT_TIMEOUT_SECONDS
                })
            }
        };
        Some(Trial {
            entry: entry.to_owned(),
            timeout: Duration::from_secs(seconds.into()),
            watchdog: value(trial::WATCHDOG_PARAMETER) != Some("0"),
        })
    }

    fn read_live(&mut self, words: &[Word]) -> Option<LiveOrders> {
        let last = |key: &str| words.iter().rev().find(|word| word.key == key);
        let value = |key: &str| last(key)?.value.clone().filter(|value| !value.is_empty());
        let on = |key: &str| last(key).is_some_and(|word| is_on(word.value.as_deref()));
        let word = last(live::LIVE_PARAMETER)?;
        let Some(medium) = MediumId::new(word.value.as_deref().unwrap_or_default()) else {
            self.misunderstood(word, "the id of a medium");
            return None;
        };
        Some(LiveOrders {
            medium,
            check: on(live::CHECK_PARAMETER),
            copy: on(live::COPY_PARAMETER),
            iso: value(live::FIND_ISO_PARAMETER).or_else(|| value("iso-scan/filename")),
            persistence: value(live::PERSISTENCE_PARAMETER).filter(|label| is_on(Some(label))),
        })
    }

    fn obey(&mut self, word: &Word) {
        let value = word.value.as_deref().filter(|value| !value.is_empty());
        let on = is_on(value);
        match word.key.as_str() {
            "init" => self.init = value.map(str::to_owned),
            "root" => self.root(value),
            "rootflags" => self.root_flags = value.map(str::to_owned),
            "rootfstype" => self.root_type = value.map(str::to_owned),
            "rootdelay" => match value.map(str::parse) {
                Some(Ok(seconds)) => self.root_delay = Duration::from_secs(seconds),
                _ => self.misunderstood(word, "a number of seconds"),
            },
            VERITY_PARAMETER => match word.value.as_deref().unwrap_or_default().parse() {
                Ok(verity) => self.verity = Some(verity),
                // Nothing is mounted without it.
                Err(error) => {
                    self.verity = None;
                    self.warnings
                        .push(format!("{VERITY_PARAMETER}= is ignored: {error}"));
                }
            },
            "ro" if word.value.is_none() => self.access = Some(Access::ReadOnly),
            "rw" if word.value.is_none() => self.access = Some(Access::ReadWrite),
            "boot.shell_on_fail" => self.shell_on_fail = on,
            "boot.panic_on_fail" | "stage1panic" => self.panic_on_fail = on,
            "boot.trace" | "boot.debugtrace" => self.trace = on,
            factory_reset::PARAMETER => self.factory_reset = on,
            "boot.debug1" | "debug1" => self.stop_at(Breakpoint::Start, on),
            "boot.debug1devices" => self.stop_at(Breakpoint::Devices, on),
            "boot.debug1mounts" => self.stop_at(Breakpoint::Mounts, on),
            _ => {}
        }
    }

    fn root(&mut self, value: Option<&str>) {
        match value.map(|text| Device::try_from(text.to_owned())) {
            Some(Ok(Device::None(name))) => self.warnings.push(format!(
                "root={name} is ignored: LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path in /dev is known"
            )),
            Some(Ok(device)) => self.root = Some(device),
            Some(Err(problem)) => self.warnings.push(format!("root= is ignored: {problem}")),
            None => self.root = None,
        }
    }

    fn stop_at(&mut self, breakpoint: Breakpoint, on: bool) {
        self.breakpoint = on.then_some(breakpoint);
        self.shell_on_fail |= on;
    }

    fn misunderstood(&mut self, word: &Word, wanted: &str) {
        let value = word.value.as_deref().unwrap_or_default();
        self.warnings.push(format!(
            "{}={value} is ignored: it is not {wanted}",
            word.key
        ));
    }
}

/// Whether a parameter without a value, or with this one, is on.
fn is_on(value: Option<&str>) -> bool {
    !matches!(value, Some("0" | "no" | "off" | "false"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(line: &str, expected: &Expect) {
        let text: Vec<_> = words(line)
            .into_iter()
            .map(|word| match word.value {
                Some(value) => format!("{}={value}", word.key),
                None => word.key,
            })
            .collect();
        expected.assert_eq(&text.join("|"));
    }

    #[test]
    fn words_are_split_as_the_kernel_does() {
        check(
            "  quiet  root=/dev/vda2\tro\n",
            &expect!["quiet|root=/dev/vda2|ro"],
        );
        check(
            r#"a="b c" "d=e f" g"h i"j"#,
            &expect![[r#"a=b c|d=e f|g"h i"j"#]],
        );
        check(r#"open="never closed x"#, &expect!["open=never closed x"]);
        check("root=LABEL=x=y init=", &expect!["root=LABEL=x=y|init="]);
        check("a -- b", &expect!["a"]);
        check("", &expect![""]);
    }

    fn orders(line: &str) -> Orders {
        Orders::from_words(&words(line))
    }

    #[test]
    fn orders_of_a_usual_entry() {
        let orders = orders(
            "BOOT_IMAGE=/k init=/nix/store/a-b/init loglevel=4 root=UUID=1234-ABCD rw \
             rootflags=noatime rootfstype=ext4 rootdelay=5 boot.trace boot.panic_on_fail",
        );
        assert_eq!(
            orders,
            Orders {
                init: Some("/nix/store/a-b/init".to_owned()),
                root: Some(Device::Uuid("1234-ABCD".to_owned())),
                root_flags: Some("noatime".to_owned()),
                root_type: Some("ext4".to_owned()),
                access: Some(Access::ReadWrite),
                root_delay: Duration::from_secs(5),
                panic_on_fail: true,
                trace: true,
                ..Orders::default()
            }
        );
    }

    #[test]
    fn breakpoints_allow_the_shell() {
        let orders = orders("boot.debug1mounts stage1panic=0");
        assert_eq!(orders.breakpoint, Some(Breakpoint::Mounts));
        assert!(orders.shell_on_fail);
        assert!(!orders.panic_on_fail);
    }

    #[test]
    fn a_trial_has_a_time() {
        let check = |line: &str, expected: &Expect| {
            expected.assert_eq(&format!("{:?}", orders(line).trial));
        };
        check("cairn.generation=13", &expect!["None"]);
        check("cairn.trial=", &expect!["None"]);
        check(
            "cairn.trial=13-debug",
            &expect![[r#"Some(Trial { entry: "13-debug", timeout: 300s, watchdog: true })"#]],
        );
        check(
            "cairn.trial_timeout=60 cairn.trial=13 cairn.trial_watchdog=0",
            &expect![[r#"Some(Trial { entry: "13", timeout: 60s, watchdog: false })"#]],
        );
        check(
            "cairn.trial=13 cairn.trial_timeout=-1",
            &expect![[r#"Some(Trial { entry: "13", timeout: 300s, watchdog: true })"#]],
        );
    }

    #[test]
    fn a_store_is_verified_by_the_last_order() {
        let check = |line: &str, expected: &Expect| {
            let orders = orders(line);
            let verity = orders.verity.map(|verity| verity.partition());
            expected.assert_eq(&format!("{verity:?} {:?}", orders.warnings));
        };
        let [one, two] = ["1", "2"].map(|digit| {
            let hash = digit.repeat(64);
            format!("cairn.verity={hash}:{hash}:8")
        });
        check(
            &format!("{one} {two}"),
            &expect![[r#"Some("22222222-2222-2222-2222-222222222222") []"#]],
        );
        check(
            &format!("{one} cairn.verity=no"),
            &expect![[
                r#"None ["cairn.verity= is ignored: it is not <root hash>:<salt>:<blocks>, with hashes of 64 lower-case hexadecimal digits"]"#
            ]],
        );
    }

    #[test]
    fn a_live_medium_is_named() {
        let check = |line: &str, expected: &Expect| {
            let orders = orders(line);
            expected.assert_eq(&format!("{:?} {:?}", orders.live, orders.warnings));
        };
        let id = "cairn.live=397e55e7-c7d8-8823-8749-8b304cacefdb";
        check("copytoram", &expect!["None []"]);
        check(
            "cairn.live=CAIRN",
            &expect![[r#"None ["cairn.live=CAIRN is ignored: it is not the id of a medium"]"#]],
        );
        check(
            id,
            &expect![[
                r#"Some(LiveOrders { medium: MediumId("397e55e7-c7d8-8823-8749-8b304cacefdb"), check: false, copy: false, iso: None, persistence: None }) []"#
            ]],
        );
        check(
            &format!(
                "{id} copytoram cairn.check-media cairn.persistence=keep findiso=\"/a b.iso\""
            ),
            &expect![[
                r#"Some(LiveOrders { medium: MediumId("397e55e7-c7d8-8823-8749-8b304cacefdb"), check: true, copy: true, iso: Some("/a b.iso"), persistence: Some("keep") }) []"#
            ]],
        );
        check(
            &format!("{id} copytoram=0 cairn.persistence=off iso-scan/filename=/x.iso"),
            &expect![[
                r#"Some(LiveOrders { medium: MediumId("397e55e7-c7d8-8823-8749-8b304cacefdb"), check: false, copy: false, iso: Some("/x.iso"), persistence: None }) []"#
            ]],
        );
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let orders =
            orders("root=gpt-auto rootdelay=x root=WWN=5 cairn.trial=1 cairn.trial_timeout=soon");
        assert_eq!(orders.root, None);
        expect![[r#"
            root=gpt-auto is ignored: LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path in /dev is known
            rootdelay=x is ignored: it is not a number of seconds
            root= is ignored: 'WWN=5' is not a device; LABEL=, UUID=, PARTLABEL=, PARTUUID= or a path are known
            cairn.trial_timeout=soon is ignored: it is not a number of seconds"#]]
        .assert_eq(&orders.warnings.join("\n"));
    }

    proptest! {
        #[test]
        fn quoted_values_come_back(
            pairs in proptest::collection::vec(("[a-z.]{1,8}", "[a-z =,.-]{0,12}"), 0..6)
        ) {
            let line: Vec<_> = pairs
                .iter()
                .map(|(key, value)| format!("{key}=\"{value}\""))
                .collect();
            let expected: Vec<_> = pairs
                .iter()
                .map(|(key, value)| Word { key: key.clone(), value: Some(value.clone()) })
                .collect();
            prop_assert_eq!(words(&line.join(" ")), expected);
        }

        #[test]
        fn no_line_makes_it_panic(line in ".{0,200}") {
            prop_assert!(Orders::from_words(&words(&line)).warnings.len() <= 200);
        }
    }
}
