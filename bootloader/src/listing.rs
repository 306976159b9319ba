//! The list of all generations, in pages.
//!
//! ```text
//! generations-a.cfg     the newest, and a submenu for each further page
//! generations-a-1.cfg   the next older ones
//! …
//! ```
//!
//! GRUB's parser takes seconds for some hundred entries, and longer with each more. So a file has
//! few, and is read when somebody opens it. Where `cairn_pick` names an entry, the page that has it
//! is read, and shows that one alone; where `cairn_more` is set, entries get those parameters besides.

use crate::date::{day, utc};
use crate::generation::{Entry, Generation};
use crate::menu::{indented, loading, menu_entry, restricted_submenu};
use crate::options::{DefaultEntry, Options};
use crate::quote::quote;

/// Generations in a page.
const PAGE: usize = 25;

/// Parameters of a boot that says more, and opens a shell where it stops.
pub(crate) const MORE: [&str; 3] = ["boot.shell_on_fail", "boot.trace", "loglevel=7"];

/// The pages of the list of `generations`, the newest first; there is always one.
pub(crate) fn pages(generations: &[&Generation], options: &Options) -> Vec<String> {
    let chunks: Vec<_> = generations.chunks(PAGE).collect();
    let mut pages: Vec<_> = chunks
        .iter()
        .map(|chunk| {
            let listed: Vec<_> = chunk.iter().map(|one| listed(one, options)).collect();
            listed.concat()
        })
        .collect();
    if pages.is_empty() {
        pages.push(String::new());
    }
    if let (Some(first), Some((_, older @ [_, ..]))) = (pages.first_mut(), chunks.split_first()) {
        *first += &leading_to(older);
    }
    if let Some(first) = pages.first_mut()
        && options.debug_entry
        && !generations.is_empty()
    {
        *first += &with_messages();
    }
    pages
}

/// GRUB's commands that read a page; `page` is what follows the slot in its name.
pub(crate) fn reading(page: &str) -> String {
    let name = format!("\"$prefix/generations-$cairn_slot{page}");
    format!(
        "if [ \"$cairn_hashsum\" = yes ]; then\n  \
           hashsum --hash sha256 --check {name}.sum\" --prefix \"$prefix\"\n\
         fi\n\
         source {name}.cfg\"\n"
    )
}

/// The ways to the pages after the first: submenus, or the one that has what was picked.
fn leading_to(older: &[&[&Generation]]) -> String {
    let mut submenus = String::new();
    let mut cases = Vec::new();
    for (page, chunk) in (1..).zip(older) {
        let (Some(newest), Some(oldest)) = (chunk.first(), chunk.last()) else {
            continue;
        };
        let title = format!(
            "{} to {}, {} to {}",
            newest.number,
            oldest.number,
            day(newest.date),
            day(oldest.date)
        );
        let suffix = format!("-{page}");
        submenus += &restricted_submenu(&title, &format!("page-{page}"), &reading(&suffix));
        cases.push(format!(
            "if [ \"$cairn_number\" -ge {} -a \"$cairn_number\" -le {} ]; then\n  \
               source \"$prefix/generations-$cairn_slot{suffix}.cfg\"\n",
            oldest.number, newest.number
        ));
    }
    format!(
        "if [ -z \"$cairn_pick\" ]; then\n{}\
         elif regexp --set=1:cairn_number '^([0-9]+)' \"$cairn_pick\"; then\n{}fi\n",
        indented(&submenus),
        indented(&(cases.join("el") + "fi\n")),
    )
}

/// The same list once more, whose entries boot with messages.
fn with_messages() -> String {
    let body = format!(
        "set cairn_more={}\nexport cairn_more\n{}",
        quote(&MORE.join(" ")),
        reading("")
    );
    let submenu = restricted_submenu("With messages and a shell on failure", "more", &body);
    format!(
        "if [ -z \"$cairn_pick$cairn_more\" ]; then\n{}fi\n",
        indented(&submenu)
    )
}

/// The entries of a generation.
fn listed(generation: &Generation, options: &Options) -> String {
    let (number, date) = (generation.number, utc(generation.date));
    let title = format!(
        "{number}, {date}, Linux {}, {}",
        generation.kernel_version,
        generation.entry.label()
    );
    let mut text = listed_entry(&generation.entry, &title, options);
    for (specialisation, entry) in &generation.specialisations {
        let title = format!(
            "{number}, specialisation {specialisation}, {date}, {}",
            entry.label()
        );
        text += &listed_entry(entry, &title, options);
    }
    text
}

fn listed_entry(entry: &Entry, title: &str, options: &Options) -> String {
    let id = quote(&entry.id().to_string());
    let saving = if options.default == DefaultEntry::Saved {
        format!(
            "  if [ -z \"$cairn_pick$cairn_more\" ]; then\n    \
               set cairn_saved={id}\n    save_env cairn_saved\n  fi\n"
        )
    } else {
        String::new()
    };
    let more = if options.debug_entry && entry.has_room_for(&MORE) {
        "$cairn_more"
    } else {
        ""
    };
    let entry = menu_entry(
        title,
        &entry.id().menu_id(),
        &saving,
        &loading(entry, &[], more),
    );
    format!("if [ -z \"$cairn_pick\" -o \"$cairn_pick\" = {id} ]; then\n{entry}fi\n")
}
