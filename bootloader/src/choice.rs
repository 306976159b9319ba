//! What boots if nobody chooses: decided by GRUB, from the boot state, each time.
//!
//! Sets `default`, `fallback` (what boots if that fails), and `cairn_pick`: an entry that has to be
//! looked up among all generations, and `cairn_auto` if the entry on trial boots by itself. A generation that is not known to be good is never among them,
//! unless somebody asked for it.

use crate::menu::Cast;
use crate::options::DefaultEntry;
use crate::quote::quote;
use crate::trial::trial_choice;

/// GRUB's commands that decide for `cast`.
pub(crate) fn choice(cast: &Cast<'_>) -> String {
    let good = quote(&cast.good.id.to_string());
    let good_id = quote(&cast.good.id.menu_id());
    format!(
        "{}{ONCE}\
         if [ -z \"$cairn_pick\" ]; then\n{}fi\n\
         if [ -n \"$cairn_pick\" ]; then\n  set default=picked\nfi\n\
         {}",
        state(&good, &good_id),
        ordinary(cast, &good),
        fallback(cast, &good_id),
    )
}

/// GRUB falls back to a place in the menu. The first one is that of the good generation, or of
/// entries that the configuration puts before it.
fn fallback(cast: &Cast<'_>, good_id: &str) -> String {
    let become_good = match (&cast.trial, cast.before_good()) {
        (Some(trial), Some(place)) => format!(
            "  if [ \"$default\" = {} ]; then\n    set fallback={place}\n  fi\n",
            trial.id.menu_id()
        ),
        _ => String::new(),
    };
    format!(
        "if [ \"$default\" != {good_id} -a \"$timeout\" != -1 ]; then\n  \
           set fallback=0\n{become_good}fi\n"
    )
}

/// Reads the boot state. What it does not say, or cannot say any more, is as the text has it.
fn state(good: &str, good_id: &str) -> String {
    format!(
        "set cairn_good={good}\n\
         set cairn_trial=\nset cairn_tries=\nset cairn_once=\nset cairn_saved=\n\
         load_env cairn_good cairn_trial cairn_tries cairn_once cairn_saved\n\
         if [ -z \"$cairn_good\" ]; then\n  set cairn_good={good}\nfi\n\
         set cairn_pick=\nset cairn_auto=\nset default={good_id}\n"
    )
}

/// What is to boot once is forgotten first; where the disk keeps it, it would boot for ever, and is
/// not booted at all.
const ONCE: &str = r#"if [ -n "$cairn_once" ]; then
  set cairn_pick="$cairn_once"
  set cairn_title=', this once'
  set cairn_once=
  if save_env cairn_once; then
    set cairn_once=kept
    load_env cairn_once
  else
    set cairn_once=kept
  fi
  if [ -n "$cairn_once" ]; then
    echo "Generation $cairn_pick is not booted: the disk would boot it for ever."
    set cairn_pick=
  fi
fi
"#;

/// What boots when nothing is to boot once; `good` is quoted.
fn ordinary(cast: &Cast<'_>, good: &str) -> String {
    let trial = cast.trial.as_ref().map(|trial| trial_choice(&trial.id));
    let saved = match &cast.options.default {
        DefaultEntry::Entry(default) => return format!("  set default={}\n", quote(default)),
        DefaultEntry::Good => None,
        DefaultEntry::Saved => Some(SAVED.to_owned()),
    };
    let other_good = format!(
        "if [ \"$cairn_good\" != {good} ]; then\n    \
           set cairn_pick=\"$cairn_good\"\n    \
           set cairn_title=\n"
    );
    let cases: Vec<_> = [trial, saved, Some(other_good)]
        .into_iter()
        .flatten()
        .collect();
    format!("  {}  fi\n", cases.join("  el"))
}

/// A number is a generation, which may be gone; anything else is an entry of the menu.
const SAVED: &str = r#"if regexp '^[0-9]+(-.*)?$' "$cairn_saved"; then
    set cairn_pick="$cairn_saved"
    set cairn_title=', chosen last'
  elif [ -n "$cairn_saved" ]; then
    set default="$cairn_saved"
"#;
