//! The entry that has the machine forget what it has become.
//!
//! It boots what is known to be good, as the boot state says when the menu is run, and is there only if that
//! system's stage 1 obeys: any other would start, and withdraw the request. It is the last in the menu,
//! so that it moves no other entry from its place.
//!
//! Invariant: it is never booted by itself. The submenu begins with the way back and waits, whatever `default`
//! and `timeout` led into it, and nothing in it is saved as what was chosen.
//!
//! Source: GRUB 2.06, `grub-core/normal/menu.c` (`grub_menu_execute_entry` sets the rest of `default` for a
//! submenu before it runs the submenu's commands).

use cairn_system::factory_reset::PARAMETER;

use crate::menu::{
    Cast, Part, indented, loading, menu_entry, restricted_entry, restricted_submenu,
};
use crate::quote::quote;

/// What the submenu does before anybody can choose: it waits, at the first entry.
const WAITING: &str = "set timeout=-1\nset default=0\n";

/// A menu that was left by its entry has ended, and is read again.
const BACK: &str = "  configfile \"$prefix/grub.cfg\"\n";

/// The entry, for whichever of those in `cast` is good when the menu is run.
pub(crate) fn factory_reset(cast: &Cast<'_>) -> String {
    if !cast.options.factory_reset_entry {
        return String::new();
    }
    let parts = std::iter::once(&cast.good).chain(&cast.trial);
    let cases: Vec<_> = parts.filter_map(|part| case(cast, part)).collect();
    if cases.is_empty() {
        return String::new();
    }
    cases.join("el") + "fi\n"
}

/// Beginning of a chain of conditions: `part` is good; nothing if its stage 1 does no factory reset.
fn case(cast: &Cast<'_>, part: &Part<'_>) -> Option<String> {
    let kept: Vec<_> = part.entry.factory_reset()?.kept().collect();
    let title = format!(
        "{}, factory reset: removes everything but {}",
        cast.options.name,
        kept.join(", ")
    );
    let back = menu_entry("No, go back", "factory-reset-no", "", BACK);
    let begin = restricted_entry(
        &format!("Yes, remove it all, and start generation {}", part.id),
        "factory-reset-yes",
        &loading(part.entry, &[PARAMETER], ""),
    );
    let submenu = restricted_submenu(
        &title,
        "factory-reset",
        &(WAITING.to_owned() + &back + &begin),
    );
    Some(format!(
        "if [ \"$cairn_good\" = {} ]; then\n{}",
        quote(&part.id.to_string()),
        indented(&submenu)
    ))
}
