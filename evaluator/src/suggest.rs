//! Names that were probably meant.

/// How many names a suggestion lists.
const MOST: usize = 3;

/// `did you mean 'a', 'b' or 'c'?`: the candidates nearest to `wanted`, if any is near.
#[must_use]
pub fn did_you_mean<'a>(
    wanted: &[u8],
    candidates: impl Iterator<Item = &'a [u8]>,
) -> Option<String> {
    let near = nearest(wanted, candidates);
    let quoted: Vec<String> = near
        .iter()
        .map(|name| format!("'{}'", String::from_utf8_lossy(name)))
        .collect();
    let (last, others) = quoted.split_last()?;
    if others.is_empty() {
        return Some(format!("did you mean {last}?"));
    }
    Some(format!("did you mean {} or {last}?", others.join(", ")))
}

/// The candidates that differ from `wanted` by the fewest edits, if these are few enough.
pub fn nearest<'a>(wanted: &[u8], candidates: impl Iterator<Item = &'a [u8]>) -> Vec<&'a [u8]> {
    let limit = match wanted.len() {
        0 => return Vec::new(),
        1..=3 => 1,
        4..=8 => 2,
        _ => 3,
    };
    let mut near: Vec<(usize, &[u8])> = candidates
        .filter(|name| name.len().abs_diff(wanted.len()) <= limit)
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| *distance <= limit && *distance < name.len().max(wanted.len()))
        .collect();
    near.sort_unstable();
    near.dedup();
    // What is further away than the nearest would only distract from it.
    let least = near.first().map(|(distance, _)| *distance);
    near.retain(|(distance, _)| Some(*distance) == least);
    near.truncate(MOST);
    near.into_iter().map(|(_, name)| name).collect()
}

/// Insertions, deletions, replacements and swaps of neighbours; a change of case costs nothing
/// more than the least.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous_a = None;
    for (row, from) in a.iter().enumerate() {
        let mut current = Vec::with_capacity(last.len());
        current.push(row + 1);
        let mut previous_b = None;
        for (column, to) in b.iter().enumerate() {
            let at =
                |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX - 1);
            let replaced = at(&last, column) + usize::from(from != to);
            let mut best = replaced
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if previous_a == Some(to) && previous_b == Some(from) && column > 0 {
                best = best.min(at(&before_last, column - 1).saturating_add(1));
            }
            current.push(best);
            previous_b = Some(to);
        }
        before_last = std::mem::replace(&mut last, current);
        previous_a = Some(from);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        let names: [&[u8]; 6] = [b"food", b"foo", b"fod", b"bar", b"networking", b"x"];
        for (wanted, hint) in [
            ("foood", Some("did you mean 'food'?")),
            ("fo", Some("did you mean 'fod' or 'foo'?")),
            ("netwroking", Some("did you mean 'networking'?")),
            ("y", None),
            ("completely", None),
        ] {
            let got = did_you_mean(wanted.as_bytes(), names.into_iter());
            assert_eq!(got.as_deref(), hint, "{wanted}");
        }
    }
}
