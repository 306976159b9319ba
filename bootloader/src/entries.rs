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
            default: DefaultEntry::Newest,
            extra_config: String::new(),
            extra_entries: String::new(),
            extra_place: ExtraPlace::Last,
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultEntry {
    /// The newest generation.
    Newest,
    /// The generation of this number; the newest if there is none.
    Generation(u64),
    /// The entry with this id, title or place in the menu, as GRUB's `default` has it.
    Entry(String),
}

/// The text of the menu for `generations`, in whatever order they come.
#[must_use]
pub fn entries(generations: &[Generation], options: &Options) -> String {
    let mut sorted: Vec<_> = generations.iter().collect();
    sorted.sort_by_key(|generation| std::cmp::Reverse(generation.number));
    let serial = options.serial.map(Serial::commands).unwrap_or_default();
    let timeout = match options.timeout {
        Timeout::Seconds(seconds) => seconds.to_string(),
        Timeout::Never => "-1".to_owned(),
    };
    let default = quote(&default_id(&sorted, &options.default));
    let menu = match sorted.first() {
        Some(newest) => {
            newest_entries(newest, &options.name) + &all_entries(&sorted, &options.name)
        }
        None => "echo 'There is no generation to boot.'\n".to_owned(),
    };
    let extra = whole_lines(&options.extra_entries);
    let menu = match options.extra_place {
        ExtraPlace::First => extra + &menu,
        ExtraPlace::Last => menu + &extra,
    };
    let config = whole_lines(&options.extra_config);
    format!("{serial}set timeout={timeout}\nset default={default}\n{config}{menu}")
}

/// `text` with a newline at its end, unless it is empty.
fn whole_lines(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The id of what boots if nobody chooses; GRUB writes an entry of a submenu as `submenu>entry`.
fn default_id(sorted: &[&Generation], default: &DefaultEntry) -> String {
    match default {
        DefaultEntry::Generation(number)
            if sorted.iter().skip(1).any(|other| other.number == *number) =>
        {
            format!("all>generation-{number}")
        }
        DefaultEntry::Entry(id) => id.clone(),
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
        // Its name comes early: the menu cuts titles off at 70 characters or so.
        let title = format!(
            "{name}, specialisation {specialisation}, generation {} ({})",
            newest.number,
            entry.label()
        );
        text += &menu_entry("", &title, &format!("newest-{specialisation}"), entry);
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
            let title = format!(
                "{}, specialisation {specialisation}, {}, {}",
                generation.number,
                utc(generation.date),
                entry.label()
            );
            text += &menu_entry("  ", &title, &format!("{id}-{specialisation}"), entry);
        }
    }
    text + "}\n"
}

fn menu_entry(indent: &str, title: &str, id: &str, entry: &Entry) -> String {
    let (title, id) = (quote_title(title), quote_title(id));
    let linux: Vec<_> = std::iter::once(&entry.files().kernel)
        .chain(entry.arguments())
        .map(|word| quote(word))
        .collect();
    let linux = linux.join(" ");
    let initrd = match &entry.files().initrd {
        Some(initrd) => format!("{indent}  initrd {}\n", quote(initrd)),
        None => String::new(),
    };
    format!("{indent}menuentry {title} --id {id} {{\n{indent}  linux {linux}\n{initrd}{indent}}}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generation::BootFiles;
    use cairn_system::{Bootspec, BootspecV1};
    use expect_test::{Expect, expect};
    use std::collections::BTreeMap;

    fn bootspec(label: &str, params: &[&str], specialisations: &[&str]) -> Bootspec {
        Bootspec {
            v1: BootspecV1 {
                init: "/nix/store/t/init".to_owned(),
                initrd: None,
                initrd_secrets: None,
                kernel: "/nix/store/k/bzImage".to_owned(),
                kernel_params: params.iter().map(|param| (*param).to_owned()).collect(),
                label: label.to_owned(),
                system: "x86_64-linux".to_owned(),
                toplevel: "/nix/store/t".to_owned(),
            },
            specialisations: specialisations
                .iter()
                .map(|name| ((*name).to_owned(), bootspec(label, &["special"], &[])))
                .collect(),
        }
    }

    fn files(name: &str) -> BootFiles {
        BootFiles {
            kernel: format!("/boot/kernels/{name}-vmlinuz"),
            initrd: Some(format!("/boot/kernels/{name}-initrd")),
        }
    }

    fn generation(number: u64, label: &str, params: &[&str], special: &[&str]) -> Generation {
        let special_files: BTreeMap<_, _> = special
            .iter()
            .map(|name| ((*name).to_owned(), files(name)))
            .collect();
        let bootspec = bootspec(label, params, special);
        let date = 1_795_336_200 + 86_400 * i64::try_from(number).unwrap();
        Generation::new(number, date, "6.1.0", &bootspec, files("k"), &special_files).unwrap()
    }

    fn check(generations: &[Generation], options: &Options, wanted: &Expect) {
        wanted.assert_eq(&entries(generations, options));
    }

    #[test]
    fn no_generation() {
        check(
            &[],
            &Options::default(),
            &expect![[r#"
            set timeout=5
            set default='newest'
            echo 'There is no generation to boot.'
        "#]],
        );
    }

    #[test]
    fn generations_in_any_order() {
        let generations = [
            generation(9, "old", &["quiet"], &[]),
            generation(10, "new", &["quiet", "console=ttyS0,115200"], &["debug"]),
        ];
        check(
            &generations,
            &Options::default(),
            &expect![[r#"
                set timeout=5
                set default='newest'
                menuentry 'Cairn, generation 10 (new)' --id 'newest' {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'console=ttyS0,115200'
                  initrd '/boot/kernels/k-initrd'
                }
                menuentry 'Cairn, specialisation debug, generation 10 (new)' --id 'newest-debug' {
                  linux '/boot/kernels/debug-vmlinuz' 'init=/nix/store/t/init' 'special'
                  initrd '/boot/kernels/debug-initrd'
                }
                submenu 'Cairn, all generations' --id 'all' {
                  menuentry '10, 2026-12-02 08:30 UTC, Linux 6.1.0, new' --id 'generation-10' {
                    linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet' 'console=ttyS0,115200'
                    initrd '/boot/kernels/k-initrd'
                  }
                  menuentry '10, specialisation debug, 2026-12-02 08:30 UTC, new' --id 'generation-10-debug' {
                    linux '/boot/kernels/debug-vmlinuz' 'init=/nix/store/t/init' 'special'
                    initrd '/boot/kernels/debug-initrd'
                  }
                  menuentry '9, 2026-12-01 08:30 UTC, Linux 6.1.0, old' --id 'generation-9' {
                    linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'quiet'
                    initrd '/boot/kernels/k-initrd'
                  }
                }
            "#]],
        );
    }

    #[test]
    fn serial_port_and_a_chosen_default() {
        let generations = [
            generation(1, "one", &[], &[]),
            generation(2, "two", &[], &[]),
        ];
        let options = Options {
            timeout: Timeout::Never,
            serial: Some(Serial::COM1),
            default: DefaultEntry::Generation(1),
            ..Options::default()
        };
        check(
            &generations,
            &options,
            &expect![[r#"
            serial --unit=0 --speed=115200
            terminal_input console serial
            terminal_output console serial
            set timeout=-1
            set default='all>generation-1'
            menuentry 'Cairn, generation 2 (two)' --id 'newest' {
              linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init'
              initrd '/boot/kernels/k-initrd'
            }
            submenu 'Cairn, all generations' --id 'all' {
              menuentry '2, 2026-11-24 08:30 UTC, Linux 6.1.0, two' --id 'generation-2' {
                linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init'
                initrd '/boot/kernels/k-initrd'
              }
              menuentry '1, 2026-11-23 08:30 UTC, Linux 6.1.0, one' --id 'generation-1' {
                linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init'
                initrd '/boot/kernels/k-initrd'
              }
            }
        "#]],
        );
        for (number, default) in [(2, "'newest'"), (7, "'newest'")] {
            let options = Options {
                default: DefaultEntry::Generation(number),
                ..Options::default()
            };
            let text = entries(&generations, &options);
            assert!(text.contains(&format!("set default={default}\n")), "{text}");
        }
    }

    #[test]
    fn what_the_configuration_adds() {
        let mut options = Options {
            default: DefaultEntry::Entry("2".to_owned()),
            extra_config: "set color_normal=light-blue/black".to_owned(),
            extra_entries: "menuentry 'Memory test' { linux16 /memtest }\n".to_owned(),
            extra_place: ExtraPlace::First,
            ..Options::default()
        };
        let nothing = "echo 'There is no generation to boot.'\n";
        let head = "set timeout=5\nset default='2'\nset color_normal=light-blue/black\n";
        let extra = &options.extra_entries.clone();
        assert_eq!(entries(&[], &options), format!("{head}{extra}{nothing}"));
        options.extra_place = ExtraPlace::Last;
        assert_eq!(entries(&[], &options), format!("{head}{nothing}{extra}"));
    }

    #[test]
    fn hostile_labels_and_parameters() {
        let generations = [generation(
            1,
            "it's ${x} $(y) \"z\" } ; {\n}\u{1b}[2J",
            &["a=$b", "c={;}", "d=\"e f\" #g"],
            &["' --id 'newest"],
        )];
        check(
            &generations,
            &Options::default(),
            &expect![[r#"
                set timeout=5
                set default='newest'
                menuentry 'Cairn, generation 1 (it'\''s ${x} $(y) "z" } ; {?}?[2J)' --id 'newest' {
                  linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'a=$b' 'c={;}' 'd=e f' '#g'
                  initrd '/boot/kernels/k-initrd'
                }
                menuentry 'Cairn, specialisation '\'' --id '\''newest, generation 1 (it'\''s ${x} $(y) "z" } ; {?}?[2J)' --id 'newest-'\'' --id '\''newest' {
                  linux '/boot/kernels/'\'' --id '\''newest-vmlinuz' 'init=/nix/store/t/init' 'special'
                  initrd '/boot/kernels/'\'' --id '\''newest-initrd'
                }
                submenu 'Cairn, all generations' --id 'all' {
                  menuentry '1, 2026-11-23 08:30 UTC, Linux 6.1.0, it'\''s ${x} $(y) "z" } ; {?}?[2J' --id 'generation-1' {
                    linux '/boot/kernels/k-vmlinuz' 'init=/nix/store/t/init' 'a=$b' 'c={;}' 'd=e f' '#g'
                    initrd '/boot/kernels/k-initrd'
                  }
                  menuentry '1, specialisation '\'' --id '\''newest, 2026-11-23 08:30 UTC, it'\''s ${x} $(y) "z" } ; {?}?[2J' --id 'generation-1-'\'' --id '\''newest' {
                    linux '/boot/kernels/'\'' --id '\''newest-vmlinuz' 'init=/nix/store/t/init' 'special'
                    initrd '/boot/kernels/'\'' --id '\''newest-initrd'
                  }
                }
            "#]],
        );
    }
}
