//! A listing for people: a line for each generation, and one below it for each variant.

use std::fmt::Write as _;

use cairn_system::{Civil, LocalZone};

use super::listing::{Entry, Listing, Mark};

/// Titles of the columns.
const TITLES: [&str; 5] = ["GENERATION", "DATE", "KERNEL", "LABEL", "STATE"];

/// `seconds` since 1970 on the clocks of `zone`: `2026-11-28 17:00`.
#[must_use]
pub fn local_date(zone: &LocalZone, seconds: i64) -> String {
    let shown = u64::try_from(seconds).ok();
    let date = |civil: Civil| {
        let Civil {
            year,
            month,
            day,
            hour,
            minute,
            ..
        } = civil;
        format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}")
    };
    shown
        .and_then(|seconds| zone.civil(seconds))
        .map_or_else(|| "?".to_owned(), date)
}

/// The listing as text. `date` makes one of seconds since 1970; `parameters` shows those of kernels,
/// too.
#[must_use]
pub fn table(listing: &Listing, date: impl Fn(i64) -> String, parameters: bool) -> String {
    let mut rows: Vec<(Vec<String>, &Entry)> = Vec::new();
    for one in &listing.generations {
        let number = one.generation.to_string();
        rows.push((row(number, date(one.time), &one.entry), &one.entry));
        for variant in &one.specialisations {
            let name = variant.name.as_deref().unwrap_or_default();
            let number = format!("{}-{}", one.generation, one_line(name));
            rows.push((row(number, String::new(), variant), variant));
        }
    }
    let titles: Vec<String> = TITLES.iter().map(ToString::to_string).collect();
    let lines = std::iter::once(&titles).chain(rows.iter().map(|(row, _)| row));
    let widths = widths(lines);
    let mut text = line(&titles, &widths);
    for (row, entry) in &rows {
        text += &line(row, &widths);
        if let Some(why) = &entry.failure {
            // A String takes whatever is written to it.
            writeln!(text, "    failed: {}", one_line(why)).unwrap_or(());
        }
        if parameters {
            let words = one_line(&entry.kernel_params.join(" "));
            writeln!(text, "    kernel parameters: {words}").unwrap_or(());
        }
    }
    text
}

fn row(number: String, date: String, entry: &Entry) -> Vec<String> {
    let known = |text: Option<&String>| text.map_or_else(|| "?".to_owned(), |text| one_line(text));
    let marks = entry.marks.iter().filter(|mark| {
        // The last good one is good.
        **mark != Mark::Good || !entry.marks.contains(&Mark::LastGood)
    });
    let marks: Vec<String> = marks.map(|mark| word(*mark, entry.tries)).collect();
    vec![
        number,
        date,
        known(entry.kernel_version.as_ref()),
        known(entry.label.as_ref()),
        marks.join(", "),
    ]
}

fn word(mark: Mark, tries: Option<u8>) -> String {
    match (mark, tries) {
        (Mark::Booted, _) => "booted".to_owned(),
        (Mark::Current, _) => "current".to_owned(),
        (Mark::Default, _) => "default".to_owned(),
        (Mark::Once, _) => "boots once".to_owned(),
        (Mark::Chosen, _) => "chosen last".to_owned(),
        (Mark::Trial, Some(1)) => "on trial, 1 try left".to_owned(),
        (Mark::Trial, Some(tries)) if tries > 0 => format!("on trial, {tries} tries left"),
        (Mark::Trial, _) => "no tries left".to_owned(),
        (Mark::Good, _) => "good".to_owned(),
        (Mark::LastGood, _) => "last good".to_owned(),
        (Mark::Failed, _) => "failed".to_owned(),
    }
}

/// Labels and reasons come from elsewhere: none of their bytes commands a terminal.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|one| if one.is_control() { ' ' } else { one })
        .collect()
}

fn widths<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> Vec<usize> {
    let mut widths = vec![0; TITLES.len()];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    widths
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let padded = cells.iter().zip(widths).map(|(cell, width)| {
        let gap = width.saturating_sub(cell.chars().count());
        format!("{cell}{}", " ".repeat(gap))
    });
    let text: Vec<String> = padded.collect();
    text.join("  ").trim_end().to_owned() + "\n"
}
