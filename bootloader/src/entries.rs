//! The boot menu: generations to GRUB's text.
//!
//! The newest generation and its specialisations come first; a submenu has every generation.
//! Ids never change with the order, so that a default chosen by id means the same after an update.

use crate::date::utc;
use crate::generation::{Entry, Generation};
use crate::quote::{quote, quote_title};

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
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "Cairn".to_owned(),
            timeout: Timeout::Seconds(5),
            serial: None,
            default: DefaultEntry::Newest,
        }
    }
}

/// How long the menu waits for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// So many seconds; 0 boots at once.
    Seconds(u32),
    /// Until someone chooses.
    Never,
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

    /// GRUB's commands that use this port beside the screen and the keyboard.
    pub(crate) fn commands(self) -> String {
        format!(
            "serial --unit={} --speed={}\n\
             terminal_input console serial\n\
             terminal_output console serial\n",
            self.unit, self.speed
        )
    }
}

/// What boots if nobody chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DefaultEntry {
    /// The newest generation.
    Newest,
    /// The generation of this number; the newest if there is none.
    Generation(u64),
}

/// The text of the menu for `generations`, in whatever order they come.
#[must_use]
pub fn entries(generations: &[Generation], options: &Options) -> String {
    let mut sorted: Vec<_> = generations.iter().collect();
    sorted.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    let mut text = options.serial.map(Serial::commands).unwrap_or_default();
    text += &match options.timeout {
        Timeout::Seconds(seconds) => format!("set timeout={seconds}\n"),
        Timeout::Never => "set timeout=-1\n".to_owned(),
    };
    let default = default_id(&sorted, options.default);
    text += &format!("set default={}\n", quote(&default));
    let Some(newest) = sorted.first() else {
        return text + "echo 'There is no generation to boot.'\n";
    };
    text += &newest_entries(newest, &options.name);
    text += &all_entries(&sorted, &options.name);
    text
}

/// The id of what boots if nobody chooses; GRUB writes an entry of a submenu as `submenu>entry`.
fn default_id(sorted: &[&Generation], default: DefaultEntry) -> String {
    match default {
        DefaultEntry::Generation(number)
            if sorted.iter().skip(1).any(|other| other.number == number) =>
        {
            format!("all>generation-{number}")
        }
        _ => "newest".to_owned(),
    }
}

fn newest_entries(newest: &Generation, name: &str) -> String {
    let title = format!(
        "{name}, generation {} ({})",
        newest.number,
        newest.entry.label()
    );
    let mut text = menu_entry("", &title, "newest", &newest.entry);
    for (specialisation, entry) in &newest.specialisations {
        text += &menu_entry(
            "",
            &format!("{title}, specialisation {specialisation}"),
            &format!("newest-{specialisation}"),
            entry,
        );
    }
    text
}

fn all_entries(sorted: &[&Generation], name: &str) -> String {
    let title = quote_title(&format!("{name}, all generations"));
    let mut text = format!("submenu {title} --id 'all' {{\n");
    for generation in sorted {
        let title = format!(
            "{}, {}, Linux {}, {}",
            generation.number,
            utc(generation.date),
            generation.kernel_version,
            generation.entry.label()
        );
        let id = format!("generation-{}", generation.number);
        text += &menu_entry("  ", &title, &id, &generation.entry);
        for (specialisation, entry) in &generation.specialisations {
            text += &menu_entry(
                "  ",
                &format!("{title}, specialisation {specialisation}"),
                &format!("{id}-{specialisation}"),
                entry,
            );
        }
    }
    text + "}\n"
}

fn menu_entry(indent: &str, title: &str, id: &str, entry: &Entry) -> String {
    let mut text = format!(
        "{indent}menuentry {} --id {} {{\n{indent}  linux {}",
        quote_title(title),
        quote_title(id),
        quote(&entry.files().kernel)
    );
    for argument in entry.arguments() {
        text.push(' ');
        text += &quote(argument);
    }
    text.push('\n');
    if let Some(initrd) = &entry.files().initrd {
        text += &format!("{indent}  initrd {}\n", quote(initrd));
    }
    text + indent + "}\n"
}
