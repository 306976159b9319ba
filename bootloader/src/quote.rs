//! Words of GRUB's script language.
//!
//! Source: GRUB manual 2.06, "Shell-like scripting", quoting: between single quotes every
//! character stands for itself, and a single quote ends them. So a single quote inside is written
//! as `'\''`: the quotes closed, an escaped quote, the quotes opened again.

/// `text` as one word that GRUB's parser gives back unchanged.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// `text` as a menu title: one quoted word on one line. Control characters, which would break the
/// line or move the cursor, become `?`.
pub(crate) fn quote_title(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect();
    quote(&plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_words() {
        for (text, quoted) in [
            ("", "''"),
            ("plain", "'plain'"),
            ("it's", r"'it'\''s'"),
            ("'", r"''\'''"),
            ("${root} $(x) `x` ; } \\", r"'${root} $(x) `x` ; } \'"),
        ] {
            assert_eq!(quote(text), quoted);
        }
        assert_eq!(quote_title("a\nb\u{1b}[2J"), "'a?b?[2J'");
    }

    /// The quoting rules of GRUB's lexer for these two kinds of quoting.
    fn unquote(word: &str) -> Option<String> {
        let mut text = String::new();
        let mut rest = word.chars();
        while let Some(c) = rest.next() {
            match c {
                '\'' => loop {
                    match rest.next()? {
                        '\'' => break,
                        c => text.push(c),
                    }
                },
                '\\' => text.push(rest.next()?),
                _ => return None,
            }
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text in any::<String>()) {
            prop_assert_eq!(unquote(&quote(&text)), Some(text));
        }
    }
}
