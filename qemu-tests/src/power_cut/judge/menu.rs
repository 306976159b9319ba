//! What a boot menu's text says: which entries there are, and what each loads.
//!
//! It reads the language that [`cairn_bootloader::entries()`] writes, as GRUB would: one command a
//! line, words in single quotes, `'\''` for a quote. That it is GRUB's language, GRUB's own parser says.

use std::io::Write as _;
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail};
use cairn_bootloader::EntryId;

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuEntry {
    /// Which generation it boots.
    pub id: EntryId,
    /// Whether it is counted as a try.
    pub on_trial: bool,
    /// The kernel's path.
    pub kernel: String,
    /// The initrd's path.
    pub initrd: Option<String>,
    /// The system that it boots: a path in the store.
    pub toplevel: String,
}

impl MenuEntry {
    /// The command `linux` with these words.
    fn of(words: &[String]) -> Option<Self> {
        let parameter = |name: &str| words.iter().find_map(|word| word.strip_prefix(name));
        let init = parameter("init=")?;
        Some(Self {
            id: parameter("cairn.generation=")?.parse().ok()?,
            on_trial: parameter("cairn.trial=").is_some(),
            kernel: words.get(1)?.clone(),
            initrd: None,
            toplevel: init.strip_suffix("/init").unwrap_or(init).to_owned(),
        })
    }
}

/// The entries of a menu that boot a generation, in their order.
#[must_use]
pub fn parse(text: &str) -> Vec<MenuEntry> {
    let mut entries: Vec<MenuEntry> = Vec::new();
    for line in text.lines() {
        let mut words = words(line);
        // A command may be a condition: the entry on trial asks whether it loads.
        if words
            .first()
            .is_some_and(|word| word == "if" || word == "elif")
        {
            words.remove(0);
        }
        match words.first().map(String::as_str) {
            Some("linux") => entries.extend(MenuEntry::of(&words)),
            Some("initrd") => {
                if let Some(entry) = entries.last_mut() {
                    entry.initrd = words.get(1).cloned();
                }
            }
            _ => {}
        }
    }
    entries
}

/// Has GRUB's parser read a menu.
///
/// # Errors
/// It does not understand it, or `grub-script-check` cannot be run.
pub fn check(text: &str) -> anyhow::Result<()> {
    const PROGRAM: &str = "cannot run grub-script-check; install it: apt-get install grub-common";
    let mut parser = Command::new("grub-script-check")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context(PROGRAM)?;
    let mut stdin = parser.stdin.take().context(PROGRAM)?;
    // What it does not read, it complains about.
    let written = stdin.write_all(text.as_bytes());
    drop(stdin);
    let output = parser.wait_with_output().context(PROGRAM)?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    written.context(PROGRAM)
}

/// The value that a menu gives a variable first.
#[must_use]
pub fn variable(text: &str, name: &str) -> Option<String> {
    let assignment = format!("{name}=");
    text.lines().find_map(|line| {
        let words = words(line);
        let [set, assigned] = &words[..] else {
            return None;
        };
        let value = assigned.strip_prefix(&assignment)?;
        (set == "set" && !value.contains('$')).then(|| value.to_owned())
    })
}

/// The words of a line, without their quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    let mut quoted = false;
    while let Some(character) = characters.next() {
        match character {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            '\\' if !quoted => word.get_or_insert_default().extend(characters.next()),
            ' ' | '\t' | ';' if !quoted => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    #[test]
    fn grub_has_the_last_word() {
        check("menuentry 'x' --id y {\n  linux '/k'\n}\n").unwrap();
        let error = check("menuentry 'x' {\n  linux '/k'\n").unwrap_err();
        assert!(error.to_string().contains("syntax error"), "{error}");
    }

    #[test]
    fn a_menu_is_read() {
        let text = r"
set cairn_good='12'
if [ 1 ]; then
  set cairn_good=$cairn_next
fi
menuentry 'it'\''s \ new' --id trial {
  if linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'cairn.generation=13-debug' 'cairn.trial=13-debug'; then
    initrd '/boot/kernels/k-initrd'
  fi
}
menuentry 'old' --id generation-12 {
  linux '/boot/kernels/o-vmlinuz' 'init=/nix/store/o/init' 'cairn.generation=12' $cairn_why
}
menuentry 'Memory test' {
  linux '/boot/memtest'
}
";
        expect![[r#"
            [
                MenuEntry {
                    id: EntryId {
                        generation: 13,
                        specialisation: Some(
                            "debug",
                        ),
                    },
                    on_trial: true,
                    kernel: "/boot/kernels/k-vmlinuz",
                    initrd: Some(
                        "/boot/kernels/k-initrd",
                    ),
                    toplevel: "/nix/store/t",
                },
                MenuEntry {
                    id: EntryId {
                        generation: 12,
                        specialisation: None,
                    },
                    on_trial: false,
                    kernel: "/boot/kernels/o-vmlinuz",
                    initrd: None,
                    toplevel: "/nix/store/o",
                },
            ]
        "#]]
        .assert_debug_eq(&parse(text));
        assert_eq!(variable(text, "cairn_good").as_deref(), Some("12"));
        assert_eq!(variable(text, "cairn_next"), None);
    }
}
