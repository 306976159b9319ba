//! The entry on trial: how GRUB counts its boots down.
//!
//! GRUB's language has no arithmetic, so the count is a chain of comparisons. Before the entry
//! boots, the count is saved and read again: a disk that GRUB cannot write to would let the entry
//! boot for ever. Then its files are compared with their SHA-256 sums. If anything fails, the entry
//! itself boots the good one, and says why on its command line. GRUB's own way to fall back is not
//! used for that: it knows places in the menu alone, and where entries of others stand first, nobody
//! knows the place.
//!
//! A key that is pressed in the menu unsets `fallback`, but for the one that opens a hidden menu. So an
//! entry that runs while it is set, and is what boots by itself (`cairn_auto`), is counted or not
//! booted; any other was chosen by somebody, who may boot it uncounted.

use cairn_system::trial::{PARAMETERS, TRIAL_PARAMETER};

use crate::boot_file::checksum_name;
use crate::entry_id::EntryId;
use crate::menu::{Cast, Part, indented, linux, loading};
use crate::quote::{quote, quote_title};

/// The longest argument that the good entry gets where the one on trial was not booted; the others
/// are `damaged`.
pub(crate) const FALLBACK: &str = "cairn.fallback=uncounted";

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
             set default=trial\n    \
             set cairn_auto=yes\n"
    )
}

/// The entry `trial`.
pub(crate) fn trial_entry(cast: &Cast<'_>, trial: &Part<'_>) -> String {
    let id = quote(&trial.id.to_string());
    let name = quote_title(&format!("{}, generation {}, ", cast.options.name, trial.id));
    let label = quote_title(&format!(" ({})", trial.entry.label()));
    let body = counting(&id) + &booting(trial) + &instead(&cast.good);
    format!(
        "set cairn_state='not yet booted'\n\
         if [ \"$cairn_trial\" = {id} ]; then\n  \
           set cairn_state='failed its trial'\n  \
           if [ \"$cairn_tries\" -gt 0 ]; then\n    \
             set cairn_state='on trial'\n  \
           fi\nfi\n\
         menuentry {name}\"$cairn_state\"{label} --id trial --unrestricted {{\n{}}}\n",
        indented(&body)
    )
}

/// Sets `cairn_go` to `counted` if the disk has it that there is one try less.
fn counting(id: &str) -> String {
    let cases: Vec<_> = (1..=9)
        .map(|tries| {
            let left = tries - 1;
            format!("if [ \"$cairn_tries\" = {tries} ]; then\n  set cairn_left={left}\n")
        })
        .collect();
    format!(
        "set cairn_left=\n{}fi\n\
         set cairn_go=uncounted\n\
         if [ \"$cairn_trial\" = {id} -a -n \"$cairn_left\" ]; then\n  \
           set cairn_tries=$cairn_left\n  \
           if save_env cairn_tries; then\n    \
             set cairn_tries=\n    \
             load_env cairn_tries\n    \
             if [ \"$cairn_tries\" = \"$cairn_left\" ]; then\n      \
               set cairn_go=counted\n    \
             fi\n  \
           fi\nfi\n",
        cases.join("el")
    )
}

/// Loads the entry if it may boot, and sets `cairn_go` to `loaded`. A file that is damaged will not
/// be better at the next try: none are left then.
fn booting(trial: &Part<'_>) -> String {
    let files: Vec<_> = std::iter::once(&trial.entry.files().kernel)
        .chain(&trial.entry.files().initrd)
        .collect();
    let there: Vec<_> = files
        .iter()
        .map(|file| format!("-s {}", quote(file)))
        .collect();
    let compared: Vec<_> = files.iter().map(|file| comparing(file)).collect();
    let parameters = trial_parameters(&trial.id);
    let parameters: Vec<_> = parameters.iter().map(String::as_str).collect();
    let linux = linux(trial.entry, &parameters);
    let loading = match &trial.entry.files().initrd {
        Some(initrd) => format!(
            "  if {linux}; then\n    \
               if initrd {}; then\n      \
                 set cairn_go=loaded\n    \
               fi\n  \
             fi\n",
            quote(initrd)
        ),
        None => format!("  if {linux}; then\n    set cairn_go=loaded\n  fi\n"),
    };
    let may = format!(
        "set cairn_go=damaged\n\
         if [ {} ]; then\n  \
           set cairn_go=there\n\
         fi\n\
         {}\
         if [ $cairn_go = there ]; then\n{loading}fi\n\
         if [ $cairn_go != loaded ]; then\n  \
           echo 'Not booted: its kernel or initrd is damaged.'\n  \
           set cairn_go=damaged\n  \
           set cairn_tries=0\n  \
           save_env cairn_tries\n\
         fi\n",
        there.join(" -a "),
        compared.concat()
    );
    format!(
        "if [ $cairn_go = uncounted -a -n \"$fallback\" -a -n \"$cairn_auto\" ]; then\n  \
           echo 'Not booted: its tries cannot be counted.'\n\
         else\n{}fi\n",
        indented(&may)
    )
}

/// Sets `cairn_go` to `damaged` if `file` does not have its checksum.
fn comparing(file: &str) -> String {
    let (folder, _) = file.rsplit_once('/').unwrap_or_default();
    let (folder, sum) = (quote(folder), quote(&checksum_name(file)));
    format!(
        "if [ \"$cairn_hashsum\" = yes -a -s {sum} ]; then\n  \
           if hashsum --hash sha256 --check {sum} --prefix {folder}; then\n    \
             true\n  \
           else\n    \
             set cairn_go=damaged\n  \
           fi\nfi\n"
    )
}

/// Boots the good entry if nobody has chosen the one on trial, and that is not loaded.
fn instead(good: &Part<'_>) -> String {
    format!(
        "if [ $cairn_go != loaded -a -n \"$fallback\" -a -n \"$cairn_auto\" ]; then\n  \
           echo {}\n{}fi\n",
        quote(&format!("Booting generation {} instead.", good.id)),
        loading(good.entry, &[], "cairn.fallback=$cairn_go")
    )
}
