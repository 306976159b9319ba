//! What a boot menu's text says: which entries there are, and what each loads.
//!
//! It reads the language that [`cairn_bootloader::entries()`] writes, as GRUB would: one command a
//! line, words in single quotes, `'\''` for a quote.

use cairn_bootloader::EntryId;

/// An entry of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuEntry {
    /// What GRUB calls it.
    pub id: String,
    /// The kernel's path.
    pub kernel: String,
    /// The initrd's path.
    pub initrd: Option<String>,
    /// The system that it boots: a path in the store.
    pub toplevel: String,
}

impl MenuEntry {
    /// Which generation it is, if its id says so.
    #[must_use]
    pub fn entry_id(&self) -> Option<EntryId> {
        self.id.strip_prefix("generation-")?.parse().ok()
    }
}

/// The entries of a menu, in their order.
#[must_use]
pub fn parse(text: &str) -> Vec<MenuEntry> {
    let mut entries = Vec::new();
    let mut id = None;
    for line in text.lines() {
        let words = words(line);
        let mut words = words.iter().map(String::as_str);
        match words.next() {
            Some("menuentry") => {
                id = words
                    .skip_while(|word| *word != "--id")
                    .nth(1)
                    .map(str::to_owned);
            }
            Some("linux") => {
                let kernel = words.next();
                let init = words.find_map(|word| word.strip_prefix("init="));
                if let (Some(id), Some(kernel), Some(init)) = (id.take(), kernel, init) {
                    entries.push(MenuEntry {
                        id,
                        kernel: kernel.to_owned(),
                        initrd: None,
                        toplevel: init.strip_suffix("/init").unwrap_or(init).to_owned(),
                    });
                }
            }
            Some("initrd") => {
                if let Some(entry) = entries.last_mut() {
                    entry.initrd = words.next().map(str::to_owned);
                }
            }
            _ => {}
        }
    }
    entries
}

/// The value that a menu gives a variable.
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
            ' ' | '\t' if !quoted => words.extend(word.take()),
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
    fn a_menu_is_read() {
        let text = r"
set cairn_good='12'
set cairn_next=$cairn_good
menuentry 'it'\''s \ new' --id 'generation-13-debug' {
  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet'
  initrd '/boot/kernels/k-initrd'
}
menuentry 'Memory test' {
  linux16 /memtest
}
";
        expect![[r#"
            [
                MenuEntry {
                    id: "generation-13-debug",
                    kernel: "/boot/kernels/k-vmlinuz",
                    initrd: Some(
                        "/boot/kernels/k-initrd",
                    ),
                    toplevel: "/nix/store/t",
                },
            ]
        "#]]
        .assert_debug_eq(&parse(text));
        assert_eq!(variable(text, "cairn_good").as_deref(), Some("12"));
        assert_eq!(variable(text, "cairn_next"), None);
        let id = parse(text)[0].entry_id().unwrap();
        assert_eq!(id.to_string(), "13-debug");
    }
}
