//! Names that are chosen by a part of them, and sizes.

/// How many names an error lists.
const LISTED: usize = 12;

/// The name that `typed` is, or is a part of; else why there is none.
pub(super) fn choose(kind: &str, names: &[String], typed: &str) -> Result<String, String> {
    let wanted = normal(typed);
    let is = |name: &&String| normal(name) == wanted;
    if let Some(name) = names.iter().find(is) {
        return Ok(name.clone());
    }
    let last_is = |name: &&String| normal(name).rsplit('/').next() == Some(wanted.as_str());
    let has = |name: &&String| normal(name).contains(&wanted);
    for found in [
        names.iter().filter(last_is).collect::<Vec<_>>(),
        names.iter().filter(has).collect(),
    ] {
        match found.as_slice() {
            [] => {}
            [name] => return Ok((*name).clone()),
            many => return Err(ambiguous(kind, typed, many)),
        }
    }
    Err(format!("there is no {kind} '{typed}'"))
}

fn ambiguous(kind: &str, typed: &str, names: &[&String]) -> String {
    let shown: Vec<&str> = names
        .iter()
        .take(LISTED)
        .map(|name| name.as_str())
        .collect();
    let more = if names.len() > LISTED { ", …" } else { "" };
    format!(
        "{} {kind}s have '{typed}' in their name, type more of one: {}{more}",
        names.len(),
        shown.join(", ")
    )
}

fn normal(text: &str) -> String {
    text.to_lowercase().replace(' ', "_")
}

/// A number of MiB of `512M`, `2G`, `2 GiB`, `1024`.
pub(super) fn mebibytes(text: &str) -> Option<u32> {
    let end = text
        .find(|character: char| !character.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    let number: u32 = digits.parse().ok()?;
    match unit.trim().to_ascii_lowercase().as_str() {
        "" | "m" | "mb" | "mib" => Some(number),
        "g" | "gb" | "gib" => number.checked_mul(1024),
        _ => None,
    }
}

/// The shortest way to write a number of MiB.
pub(super) fn size(mebibytes: u32) -> String {
    match mebibytes {
        0 => "0".to_owned(),
        whole if whole % 1024 == 0 => format!("{}G", whole / 1024),
        _ => format!("{mebibytes}M"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_by_a_part_of_them() {
        let names = [
            "America/New_York",
            "Europe/Berlin",
            "Europe/Bern",
            "UTC",
            "Etc/UTC",
            "Etc/UCT",
        ]
        .map(str::to_owned);
        for (typed, expected) in [
            ("Europe/Berlin", Ok("Europe/Berlin")),
            ("utc", Ok("UTC")),
            ("berlin", Ok("Europe/Berlin")),
            ("new york", Ok("America/New_York")),
            ("uct", Ok("Etc/UCT")),
            (
                "europe/b",
                Err(
                    "2 time zones have 'europe/b' in their name, type more of one: Europe/Berlin, Europe/Bern",
                ),
            ),
            ("Atlantis", Err("there is no time zone 'Atlantis'")),
        ] {
            let found = choose("time zone", &names, typed);
            assert_eq!(
                found.as_deref().map_err(String::as_str),
                expected,
                "{typed}"
            );
        }
    }

    #[test]
    fn sizes() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512M", Some(512)),
            ("2 GiB", Some(2048)),
            ("2g", Some(2048)),
            ("4194304G", None),
            ("", None),
            ("G", None),
            ("-1", None),
            ("2T", None),
            ("1.5G", None),
        ] {
            assert_eq!(mebibytes(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_size_is_read_as_it_is_written(number in any::<u32>()) {
            prop_assert_eq!(mebibytes(&size(number)), Some(number));
        }

        #[test]
        fn whatever_is_typed_is_no_panic(text in ".{0,12}") {
            mebibytes(&text);
        }
    }
}
