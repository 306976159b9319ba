//! The entry on trial: how GRUB counts its boots down.
//!
//! GRUB's language has no arithmetic, so the count is a chain of comparisons. Before the entry
//! boots, the count is saved and read again: a disk that GRUB cannot write to would let the entry
//! boot for ever. Then its files are compared with their SHA-256 sums. If either fails, the entry
//! ends without having loaded anything, and GRUB goes on to `fallback`, which is the good entry.
//!
//! A key that is pressed in the menu unsets `fallback`. So an entry that runs while it is set boots
//! by itself, and one that runs without was chosen by somebody, who may boot it uncounted.

use crate::boot_file::checksum_name;
use cairn_system::trial::{PARAMETERS, TRIAL_PARAMETER};

use crate::entry_id::EntryId;
use crate::generation::Entry;
use crate::menu::{Cast, Part, indented, loading};
use crate::quote::{quote, quote_title};

/// What the good entry's command line says if GRUB found the files of the one on trial damaged.
pub(crate) const DAMAGED: &str = "cairn.fallback=damaged";

/// What it says if GRUB could not count.
pub(crate) const UNCOUNTED: &str = "cairn.fallback=uncounted";

/// The parameters that an entry on trial boots with besides its own.
pub(crate) fn trial_parameters(id: &EntryId) -> Vec<String> {
    std::iter::once(format!("{TRIAL_PARAMETER}={id}"))
        .chain(PARAMETERS.map(str::to_owned))
        .collect()
}

/// Beginning of a chain of conditions: the entry that has become good since the text was written,
/// or is on trial and has tries left.
pub(crate) fn trial_choice(id: &EntryId) -> String {
    let (text, good) = (quote(&id.to_string()), id.menu_id());
    format!(
        "if [ \"$cairn_good\" = {text} ]; then\n    \
             set default={good}\n  \
           elif [ \"$cairn_trial\" = {text} -a \"$cairn_tries\" -gt 0 ]; then\n    \
             set default=trial\n"
    )
}

/// The entry `trial`.
pub(crate) fn trial_entry(cast: &Cast<'_>, trial: &Part<'_>) -> String {
    let id = quote(&trial.id.to_string());
    let name = quote_title(&format!("{}, generation {}, ", cast.options.name, trial.id));
    let label = quote_title(&format!(" ({})", trial.entry.label()));
    let counting: Vec<_> = (1..=9)
        .map(|tries| {
            let keyword = if tries == 1 { "if" } else { "elif" };
            let left = tries - 1;
            format!("  {keyword} [ \"$cairn_tries\" = {tries} ]; then\n    set cairn_left={left}\n")
        })
        .collect();
    let counting = counting.concat();
    let checking = checking(trial.entry);
    let loading = loading(trial.entry, &trial_parameters(&trial.id), "");
    format!(
        "set cairn_state='not yet booted'\n\
         if [ \"$cairn_trial\" = {id} ]; then\n  \
           set cairn_state='failed its trial'\n  \
           if [ \"$cairn_tries\" -gt 0 ]; then\n    \
             set cairn_state='on trial'\n  \
           fi\nfi\n\
         menuentry {name}\"$cairn_state\"{label} --id trial --unrestricted {{\n  \
           set cairn_left=\n\
         {counting}  fi\n  \
           set cairn_go={}\n  \
           if [ \"$cairn_trial\" = {id} -a -n \"$cairn_left\" ]; then\n    \
             set cairn_tries=$cairn_left\n    \
             if save_env cairn_tries; then\n      \
               set cairn_tries=\n      \
               load_env cairn_tries\n      \
               if [ \"$cairn_tries\" = \"$cairn_left\" ]; then\n        \
                 set cairn_go=counted\n      \
               fi\n    \
             fi\n  \
           fi\n  \
           if [ $cairn_go = counted -o -z \"$fallback\" ]; then\n\
         {checking}  \
           else\n    \
             echo 'Not booted: its tries cannot be counted.'\n  \
           fi\n  \
           if [ $cairn_go = sound ]; then\n\
         {}  \
           else\n    \
             set cairn_why=$cairn_go\n  \
           fi\n}}\n",
        UNCOUNTED,
        indented(&loading),
    )
}

/// Sets `cairn_go` to `sound` if the files of `entry` are what they should be. A damaged file will
/// not be better at the next try: none are left then.
fn checking(entry: &Entry) -> String {
    let files = std::iter::once(&entry.files().kernel).chain(&entry.files().initrd);
    let compared: Vec<_> = files
        .map(|file| {
            let (folder, _) = file.rsplit_once('/').unwrap_or_default();
            let (folder, sum, file) = (quote(folder), quote(&checksum_name(file)), quote(file));
            format!(
                "    if [ ! -s {file} ]; then\n      \
                   set cairn_go=damaged\n    \
                 elif [ \"$cairn_hashsum\" = yes -a -s {sum} ]; then\n      \
                   if hashsum --hash sha256 --check {sum} --prefix {folder}; then\n        \
                     true\n      \
                   else\n        \
                     set cairn_go=damaged\n      \
                   fi\n    \
                 fi\n"
            )
        })
        .collect();
    let compared = compared.concat();
    format!(
        "    set cairn_go=sound\n{compared}    if [ $cairn_go = damaged ]; then\n      \
               echo 'Not booted: its kernel or initrd is damaged.'\n      \
               set cairn_go={DAMAGED}\n      \
               set cairn_tries=0\n      \
               save_env cairn_tries\n    \
             fi\n"
    )
}
