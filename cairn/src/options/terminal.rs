//! Options in a terminal.

use super::markdown::{Block, blocks, plain};
use super::reference::{Entry, Text};

/// How wide text is set.
const WIDTH: usize = 80;

/// One line an option: its name, and the first sentence of its description.
#[must_use]
pub fn listing(entries: &[&Entry]) -> String {
    let mut out = String::new();
    for entry in entries {
        let summary = entry.summary();
        let room = WIDTH.saturating_sub(4);
        let summary = if summary.chars().count() > room {
            let cut: String = summary.chars().take(room.saturating_sub(1)).collect();
            format!("{}…", cut.trim_end())
        } else {
            summary
        };
        line(&mut out, 0, &entry.name);
        if !summary.is_empty() {
            line(&mut out, 4, &summary);
        }
    }
    out
}

/// All that is known of one option.
#[must_use]
pub fn details(entry: &Entry) -> String {
    let mut out = format!("{}\n\n", entry.name);
    write_blocks(&mut out, 2, &blocks(&entry.description));
    if !out.ends_with("\n\n") {
        out.push('\n');
    }
    field(&mut out, "type", &entry.value_type);
    if let Some(default) = &entry.default {
        value(&mut out, "default", default, None);
    }
    if let Some(example) = &entry.example {
        value(&mut out, "example", example, Some(&entry.name));
    }
    if entry.read_only {
        field(&mut out, "set", "by its module alone: it is read-only");
    }
    for declaration in &entry.declared_by {
        field(&mut out, "declared", &declaration.place());
    }
    out
}

fn value(out: &mut String, label: &str, value: &Text, name: Option<&str>) {
    let text = if value.markdown {
        plain(&value.text)
    } else if let Some(name) = name {
        format!("{name} = {};", value.text)
    } else {
        value.text.clone()
    };
    let mut lines = text.lines();
    field(out, label, lines.next().unwrap_or(""));
    for rest in lines {
        line(out, 12, rest);
    }
}

fn field(out: &mut String, label: &str, text: &str) {
    line(out, 2, &format!("{:<10}{text}", format!("{label}:")));
}

fn line(out: &mut String, indent: usize, text: &str) {
    if text.is_empty() {
        out.push('\n');
    } else {
        out.extend(std::iter::repeat_n(' ', indent));
        out.push_str(text);
        out.push('\n');
    }
}

fn write_blocks(out: &mut String, indent: usize, blocks: &[Block]) {
    for block in blocks {
        match block {
            Block::Paragraph(spans) => {
                let text: String = spans.iter().map(super::markdown::Span::text).collect();
                write_wrapped(out, indent, &text);
                out.push('\n');
            }
            Block::Code(code) => {
                for text in code.lines() {
                    line(out, indent + 4, text);
                }
                out.push('\n');
            }
            Block::Note(kind, inner) => {
                write_wrapped(out, indent, &format!("{kind}:"));
                write_blocks(out, indent + 2, inner);
            }
            Block::List { ordered, items } => {
                for (number, item) in (1..).zip(items) {
                    let mark = if *ordered {
                        format!("{number}. ")
                    } else {
                        "- ".to_owned()
                    };
                    let mut inner = String::new();
                    write_blocks(&mut inner, indent + mark.len(), item);
                    let text = inner.trim_end().get(indent + mark.len()..).unwrap_or("");
                    line(out, indent, &format!("{mark}{text}"));
                }
                out.push('\n');
            }
        }
    }
}

fn write_wrapped(out: &mut String, indent: usize, text: &str) {
    let mut current = String::new();
    for word in text.split_whitespace() {
        if !current.is_empty()
            && indent + current.chars().count() + 1 + word.chars().count() > WIDTH
        {
            line(out, indent, &std::mem::take(&mut current));
        }
        if !current.is_empty() {
            current.push(' ');
        }
        current.push_str(word);
    }
    line(out, indent, &current);
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::reference::tests::sample;
    use super::*;

    #[test]
    fn one_option_in_full() {
        let reference = sample();
        expect![[r"
            services.openssh.ports

              Ports on which the server listens. See sshd_config(5).

              - low ones need no more than high ones
              - the firewall opens them

              type:     list of 16 bit unsigned integer
              default:  [ 22 ]
              example:  services.openssh.ports = [
                          22
                          2222
                        ];
              declared: services/openssh.nix:12
        "]]
        .assert_eq(&details(&reference.entries[1]));
    }

    #[test]
    fn many_options_in_short() {
        let reference = sample();
        let entries: Vec<&Entry> = reference.entries.iter().collect();
        expect![[r"
            services.openssh.enable
                Whether to enable the SSH server.
            services.openssh.ports
                Ports on which the server listens.
            users.users.<name>.uid
                The number of the account; unprivileged ones begin at 1000.
        "]]
        .assert_eq(&listing(&entries));
    }
}
