//! Finding options by words.

use super::reference::{Entry, Reference};

/// How many names a suggestion lists.
const SUGGESTIONS: usize = 3;

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<'a> {
    /// The option of exactly that name.
    Option(&'a Entry),
    /// Options that have all words, the best first.
    Several(Vec<&'a Entry>),
    /// Nothing; names that are near.
    Nothing(Vec<&'a str>),
}

/// Searches names and descriptions for all words of `query`, without regard to case.
#[must_use]
pub fn search<'a>(reference: &'a Reference, query: &str) -> Found<'a> {
    let exact = reference.entries.iter().find(|entry| entry.name == query);
    if let Some(entry) = exact {
        return Found::Option(entry);
    }
    let words: Vec<String> = query.split_whitespace().map(str::to_lowercase).collect();
    let mut found: Vec<(u32, &Entry)> = reference
        .entries
        .iter()
        .filter_map(|entry| rank(entry, &words).map(|rank| (rank, entry)))
        .collect();
    if found.is_empty() {
        return Found::Nothing(nearest(reference, query));
    }
    // Stable: equal ones stay in order of their names.
    found.sort_by_key(|(rank, _)| *rank);
    Found::Several(found.into_iter().map(|(_, entry)| entry).collect())
}

/// How well an option fits, the lower the better; `None` if one of the words is nowhere in it.
fn rank(entry: &Entry, words: &[String]) -> Option<u32> {
    let name = entry.name.to_lowercase();
    let description = entry.description.to_lowercase();
    let parts: Vec<String> = entry.loc.iter().map(|part| part.to_lowercase()).collect();
    let mut sum = 0;
    for word in words {
        sum += if name.starts_with(word.as_str()) {
            0
        } else if parts.iter().any(|part| part == word) {
            1
        } else if parts.iter().any(|part| part.starts_with(word.as_str())) {
            2
        } else if name.contains(word.as_str()) {
            3
        } else if description.contains(word.as_str()) {
            10
        } else {
            return None;
        };
    }
    Some(sum)
}

fn nearest<'a>(reference: &'a Reference, query: &str) -> Vec<&'a str> {
    let wanted = query.to_lowercase();
    let limit = (wanted.chars().count() / 4).clamp(1, 4);
    let mut near: Vec<(usize, &str)> = reference
        .entries
        .iter()
        .filter_map(|entry| {
            let distance = distance(&wanted, &entry.name.to_lowercase());
            (distance <= limit).then_some((distance, entry.name.as_str()))
        })
        .collect();
    near.sort_unstable();
    near.into_iter()
        .take(SUGGESTIONS)
        .map(|(_, name)| name)
        .collect()
}

/// The number of characters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut new = Vec::with_capacity(row.len());
        let mut left = i + 1;
        new.push(left);
        for (pair, to) in row.windows(2).zip(&b) {
            if let [diagonal, above] = pair {
                left = (diagonal + usize::from(from != *to))
                    .min(above + 1)
                    .min(left + 1);
                new.push(left);
            }
        }
        row = new;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::reference::tests::sample;
    use super::*;

    fn names<'a>(found: &Found<'a>) -> Vec<&'a str> {
        match found {
            Found::Option(entry) => vec![entry.name.as_str()],
            Found::Several(entries) => entries.iter().map(|entry| entry.name.as_str()).collect(),
            Found::Nothing(near) => near.clone(),
        }
    }

    #[test]
    fn the_best_come_first() {
        let reference = sample();
        let find = |query: &str| search(&reference, query);
        assert!(matches!(find("services.openssh.ports"), Found::Option(_)));
        assert_eq!(
            names(&find("openssh")),
            [
                "services.openssh.enable",
                "services.openssh.ports",
                // Its description names the option.
                "users.users.<name>.uid"
            ]
        );
        assert_eq!(names(&find("SSH port")), ["services.openssh.ports"]);
        assert_eq!(names(&find("unprivileged")), ["users.users.<name>.uid"]);
    }

    #[test]
    fn a_misspelt_name_gives_near_ones() {
        let reference = sample();
        assert_eq!(
            search(&reference, "services.opensshd.enabel"),
            Found::Nothing(vec!["services.openssh.enable"])
        );
        assert_eq!(search(&reference, "quux"), Found::Nothing(Vec::new()));
    }

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("book", "hook", 1),
            ("ab", "ba", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
