//! What the menu does beside its entries.

use cairn_system::{Memtest, MenuUser, MenuV1};

use crate::entry_id::EntryId;
use crate::menu::indented;
use crate::quote::quote;
use crate::slot::Addition;

/// What the menu does beside its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The name that titles begin with.
    pub name: String,
    /// How long the menu waits.
    pub timeout: Timeout,
    /// A serial port on which the menu is shown too.
    pub serial: Option<Serial>,
    /// What boots if nobody chooses.
    pub default: DefaultEntry,
    /// The entry that is known to be good as the menu is written: boots if the boot state says
    /// nothing, or is damaged. Without one it is the newest generation that is not on trial.
    pub good: Option<EntryId>,
    /// The entry that the boot state may put on trial. That it is named here alone boots nothing.
    pub trial: Option<EntryId>,
    /// At most so many generations are listed; those above are always.
    pub configuration_limit: usize,
    /// Whether there is an entry that says more, and opens a shell on failure.
    pub debug_entry: bool,
    /// Whether there is an entry that asks for a factory reset, where what it would boot does one.
    pub factory_reset_entry: bool,
    /// Who may do more than boot the default generation, by name; nobody need log in where there
    /// is nobody.
    pub users: Vec<(String, MenuUser)>,
    /// A memory test, with the paths at which GRUB sees it.
    pub memtest: Option<Memtest>,
    /// GRUB's commands that are run before the menu; taken as they are.
    pub extra_config: String,
    /// Entries in GRUB's own language; taken as they are.
    pub extra_entries: String,
    /// Where the extra entries stand.
    pub extra_place: ExtraPlace,
}

/// Where entries stand that are not generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraPlace {
    /// Above the newest generation.
    First,
    /// Below all generations.
    Last,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "Cairn".to_owned(),
            timeout: Timeout::Seconds(5),
            serial: None,
            default: DefaultEntry::Good,
            good: None,
            trial: None,
            configuration_limit: usize::MAX,
            debug_entry: false,
            factory_reset_entry: false,
            users: Vec::new(),
            memtest: None,
            extra_config: String::new(),
            extra_entries: String::new(),
            extra_place: ExtraPlace::Last,
        }
    }
}

impl Options {
    /// What the `boot.json` of the default generation says. What is good and what is on trial is
    /// for the caller to add; a memory test too, which has to lie in `/boot`.
    #[must_use]
    pub fn of(menu: &MenuV1) -> Self {
        Self {
            name: menu.name.clone(),
            timeout: menu.timeout.map_or(Timeout::Never, Timeout::Seconds),
            serial: menu.serial.then_some(Serial::COM1),
            default: DefaultEntry::of(&menu.default),
            configuration_limit: usize::try_from(menu.configuration_limit).unwrap_or(usize::MAX),
            debug_entry: menu.debug_entry,
            factory_reset_entry: menu.factory_reset_entry,
            users: menu.users.clone().into_iter().collect(),
            extra_config: menu.extra_config.clone(),
            extra_entries: menu.extra_entries.clone(),
            extra_place: if menu.extra_entries_first {
                ExtraPlace::First
            } else {
                ExtraPlace::Last
            },
            ..Self::default()
        }
    }
}

impl Options {
    /// What the configuration adds in GRUB's own language, in whole lines.
    pub(crate) fn additions(&self) -> impl Iterator<Item = (Addition, String)> {
        let all = [
            (Addition::Config, &self.extra_config),
            (Addition::Entries, &self.extra_entries),
        ];
        all.into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(addition, text)| (addition, whole_lines(text)))
    }
}

/// `text` with a newline at its end, unless it is empty.
fn whole_lines(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// How long the menu waits for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds; with 0 the menu is not shown, unless a key asks for it. GRUB looks once, when
    /// it would show the menu: escape or F4, pressed since it could be noticed (on a serial port
    /// since GRUB began), or shift, held on a keyboard.
    Seconds(u32),
    /// Until someone chooses.
    Never,
}

impl Timeout {
    /// GRUB's commands that set it.
    pub(crate) fn commands(self) -> String {
        match self {
            Self::Never => "set timeout=-1\n".to_owned(),
            Self::Seconds(0) => "set timeout=0\n\
                 set timeout_style=hidden\n\
                 if keystatus --shift; then\n  set timeout=-1\nfi\n"
                .to_owned(),
            Self::Seconds(seconds) => format!("set timeout={seconds}\n"),
        }
    }
}

/// A serial port as GRUB counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial {
    /// 0 is COM1, `ttyS0`.
    pub unit: u8,
    /// Bits per second.
    pub speed: u32,
}

impl Serial {
    /// COM1 at 115200 bits per second.
    pub const COM1: Self = Self {
        unit: 0,
        speed: 115_200,
    };

    /// GRUB's commands that use this port beside the screen and the keyboard, for a configuration
    /// inside the core image, which knows no conditions.
    pub(crate) fn early_commands(self) -> String {
        let Self { unit, speed } = self;
        format!(
            "serial --unit={unit} --speed={speed}\n\
             terminal_input console serial\n\
             terminal_output console serial\n\
             set cairn_serial={unit},{speed}\n\
             export cairn_serial\n"
        )
    }

    /// The same, unless they were run before: they empty the port, and a key that was pressed for a
    /// hidden menu would be lost.
    pub(crate) fn commands(self) -> String {
        let Self { unit, speed } = self;
        format!(
            "if [ \"$cairn_serial\" != {unit},{speed} ]; then\n{}fi\n",
            indented(&self.early_commands())
        )
    }
}

/// What boots if nobody chooses, and nothing is to boot once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEntry {
    /// The entry on trial while it has tries left, else the last known good one.
    Good,
    /// What was chosen last; while nothing is kept, as [`DefaultEntry::Good`].
    Saved,
    /// The entry with this id, title or place in the menu, as GRUB's `default` has it. Nothing is
    /// tried by itself.
    Entry(String),
}

impl DefaultEntry {
    /// As the option `boot.loader.grub.default` has it.
    #[must_use]
    pub fn of(option: &str) -> Self {
        match option {
            "0" => Self::Good,
            "saved" => Self::Saved,
            other => Self::Entry(other.to_owned()),
        }
    }
}

/// GRUB's commands that let `users` alone do more than boot entries that are open to all.
pub(crate) fn user_commands(users: &[(String, MenuUser)]) -> String {
    if users.is_empty() {
        return String::new();
    }
    let names: Vec<_> = users.iter().map(|(name, _)| name.as_str()).collect();
    let passwords = users.iter().map(|(name, user)| {
        let (command, password) = match user {
            MenuUser::HashedPassword(hash) => ("password_pbkdf2", hash),
            MenuUser::Password(password) => ("password", password),
        };
        format!("{command} {} {}\n", quote(name), quote(password))
    });
    format!(
        "set superusers={}\nexport superusers\n{}",
        quote(&names.join(" ")),
        passwords.collect::<String>()
    )
}
