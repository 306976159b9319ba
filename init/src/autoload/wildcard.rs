//! Shell patterns as module aliases use them: `*`, `?`, `[a-z]` and `[!a-z]`, on bytes.
//!
//! Source: `fnmatch(3)` without flags; a bracket that is not closed stands for itself.

/// Whether the whole of `text` matches `pattern`.
///
/// Time is at most the product of both lengths: after a mismatch only the last `*` is tried again.
#[must_use]
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern, mut text) = (pattern, text);
    let mut retry: Option<(&[u8], &[u8])> = None;
    loop {
        let advanced = match pattern.split_first() {
            Some((b'*', rest)) => {
                pattern = rest;
                retry = Some((rest, text));
                continue;
            }
            Some(_) => one(pattern, text),
            None if text.is_empty() => return true,
            None => None,
        };
        if let Some((pattern_rest, text_rest)) = advanced {
            (pattern, text) = (pattern_rest, text_rest);
            continue;
        }
        let Some((after_star, from)) = retry else {
            return false;
        };
        let Some((_, later)) = from.split_first() else {
            return false;
        };
        (pattern, text) = (after_star, later);
        retry = Some((after_star, later));
    }
}

/// Matches one byte; what remains of pattern and text.
fn one<'a>(pattern: &'a [u8], text: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (byte, text) = text.split_first()?;
    let (wanted, rest) = pattern.split_first()?;
    match wanted {
        b'?' => Some((rest, text)),
        b'[' => match bracket(rest, *byte) {
            Some((true, rest)) => Some((rest, text)),
            Some((false, _)) => None,
            None => (*byte == b'[').then_some((rest, text)),
        },
        wanted => (wanted == byte).then_some((rest, text)),
    }
}

/// Whether `byte` is in the set that starts after a `[`, and what follows its `]`.
fn bracket(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (negated, set) = match set.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, set),
    };
    // A `]` that stands first is a member.
    let close = 1 + set.get(1..)?.iter().position(|byte| *byte == b']')?;
    let mut members = set.get(..close)?;
    let mut found = false;
    while let Some((first, rest)) = members.split_first() {
        members = match rest {
            [b'-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&byte);
                rest
            }
            rest => {
                found |= *first == byte;
                rest
            }
        };
    }
    Some((found != negated, set.get(close + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_of_real_aliases() {
        let table: [(&str, &str, bool); 16] = [
            ("virtio:d00000002v*", "virtio:d00000002v00001AF4", true),
            ("virtio:d00000002v*", "virtio:d00000001v00001AF4", false),
            (
                "pci:v00008086d*sv*sd*bc02sc00i*",
                "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc00i00",
                true,
            ),
            (
                "pci:v00008086d*sv*sd*bc02sc00i*",
                "pci:v00008086d0000100Esv00001AF4sd00001100bc02sc01i00",
                false,
            ),
            (
                "usb:v*p*d*dc*dsc*dp*ic08isc06ip50in*",
                "usb:v0781p5583d0100dc00dsc00dp00ic08isc06ip50in00",
                true,
            ),
            ("x[0-9a]y", "x5y", true),
            ("x[0-9a]y", "xby", false),
            ("x[!0-9]y", "x5y", false),
            ("x[]]y", "x]y", true),
            ("x[y", "x[y", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("", "", true),
            ("*", "", true),
            ("?", "", false),
            ("dmi*:svnDell*:pn*", "dmi:bvnX:svnDell Inc.:pnXPS:", true),
        ];
        for (pattern, text, expected) in table {
            assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                expected,
                "{pattern} {text}"
            );
        }
    }

    /// The definition, exponential and plain.
    fn definition(pattern: &[u8], text: &[u8]) -> bool {
        match pattern {
            [] => text.is_empty(),
            [b'*', rest @ ..] => (0..=text.len()).any(|skip| definition(rest, &text[skip..])),
            _ => one(pattern, text).is_some_and(|(pattern, text)| definition(pattern, text)),
        }
    }

    proptest! {
        #[test]
        fn it_is_the_definition(pattern in "[ab*?\\[\\]!-]{0,8}", text in "[ab\\[\\]-]{0,8}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                definition(pattern.as_bytes(), text.as_bytes())
            );
        }
    }
}
