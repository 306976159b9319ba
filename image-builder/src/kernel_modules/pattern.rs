//! Names and alias patterns of modules, as libkmod compares them.
//!
//! In names, `-` and `_` are the same, except inside brackets. Patterns are those of fnmatch(3)
//! without flags: `*`, `?`, `[a-z]`, `[!a]`, `\x`.

/// `-` to `_`, except inside of `[…]`; `None` if a bracket is not closed.
pub(super) fn underscores(text: &str) -> Option<String> {
    let mut result = String::with_capacity(text.len());
    let mut inside = false;
    for character in text.chars() {
        match character {
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            _ => {}
        }
        result.push(if character == '-' && !inside {
            '_'
        } else {
            character
        });
    }
    (!inside).then_some(result)
}

/// The name of a module from its file's name: `snd-hda-intel.ko.xz` is `snd_hda_intel`.
pub(super) fn module_name(file_name: &str) -> String {
    let stem = file_name.split('.').next().unwrap_or(file_name);
    stem.replace('-', "_")
}

/// Whether `text` holds a character that patterns give a meaning to.
pub(super) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '[', '\\'])
}

/// Whether `pattern` matches the whole of `text`.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut position) = (0, 0);
    // Where to go on when the text after the last `*` does not fit: one byte further.
    let mut retry: Option<(usize, usize)> = None;
    loop {
        let step = match pattern.get(at) {
            Some(b'*') => {
                retry = Some((at + 1, position));
                at += 1;
                continue;
            }
            Some(_) => text
                .get(position)
                .and_then(|byte| single(pattern.get(at..).unwrap_or_default(), *byte)),
            None if position == text.len() => return true,
            None => None,
        };
        if let Some(length) = step {
            at += length;
            position += 1;
        } else {
            match retry {
                Some((after_star, from)) if from < text.len() => {
                    retry = Some((after_star, from + 1));
                    at = after_star;
                    position = from + 1;
                }
                _ => return false,
            }
        }
    }
}

/// The length of the pattern's first element if it matches `byte`.
fn single(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => match class(rest, byte) {
            Some((matched, length)) => matched.then_some(length + 1),
            // Not closed: an ordinary bracket.
            None => (byte == b'[').then_some(1),
        },
        [literal, ..] => (*literal == byte).then_some(1),
        [] => None,
    }
}

/// Whether the class behind `[` matches, and its length with the `]`.
fn class(body: &[u8], byte: u8) -> Option<(bool, usize)> {
    let negated = matches!(body.first(), Some(b'!' | b'^'));
    let mut at = usize::from(negated);
    let start = at;
    let mut found = false;
    loop {
        let low = *body.get(at)?;
        if low == b']' && at > start {
            return Some((found != negated, at + 1));
        }
        match (body.get(at + 1), body.get(at + 2)) {
            (Some(b'-'), Some(high)) if *high != b']' => {
                found |= (low..=*high).contains(&byte);
                at += 3;
            }
            _ => {
                found |= low == byte;
                at += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_match_as_fnmatch_does() {
        let table = [
            ("pci:v00001AF4d*sv*", "pci:v00001AF4d00001000sv0000", true),
            ("pci:v00001AF4d*sv*", "pci:v00001AF5d00001000sv0000", false),
            ("*", "", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a[0-9a-f]c", "afc", true),
            ("a[!0-9]c", "a1c", false),
            ("a[]x]c", "a]c", true),
            ("usb:v0*[2-4]*d", "usb:v0123d", true),
            ("a[b", "a[b", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("", "a", false),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn names_are_normalised() {
        assert_eq!(module_name("snd-hda-intel.ko.xz"), "snd_hda_intel");
        assert_eq!(underscores("a-b[c-d]e-f").unwrap(), "a_b[c-d]e_f");
        assert_eq!(underscores("a[b"), None);
        assert_eq!(underscores("a]b"), None);
    }

    proptest! {
        #[test]
        fn a_text_matches_itself(text in "[a-z0-9:_-]{0,30}") {
            prop_assert!(matches(&text, &text));
        }

        #[test]
        fn no_pattern_hangs_or_panics(pattern in "[a-c*?\\[\\]!\\\\-]{0,20}", text in "[a-c]{0,40}") {
            matches(&pattern, &text);
        }
    }
}
