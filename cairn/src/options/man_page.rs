//! `cairn-configuration.nix(5)`: the reference as a man page, in the macros of `man(7)`.

use super::markdown::{Block, Span, blocks, inline};
use super::push;
use super::reference::{Entry, Reference, Text};

const START: &str = r#".TH CAIRN\-CONFIGURATION.NIX 5 "" "Cairn" "Configuration"
.nh
.ad l
.SH NAME
cairn\-configuration.nix \- what describes a Cairn system
.SH DESCRIPTION
The file
.I configuration.nix
describes a whole system in the Nix language:
.PP
.RS 4
.nf
{ config, pkgs, ... }:
{
  boot.loader.grub.device = "/dev/sda";
  fileSystems."/".device = "/dev/sda1";
  services.sshd.enable = true;
}
.fi
.RE
.PP
It is a module: a set of definitions of options, or a function that gives one. With
.I imports
it takes in other modules. Definitions of one option are merged as its type says;
.I lib.mkIf\fR,
.I lib.mkMerge\fR,
.I lib.mkDefault
and
.I lib.mkForce
say under which condition a definition counts, and which wins.
.PP
A part of a name in angle brackets, such as
.I <name>\fR,
stands for any name;
.I *
stands for the elements of a list.
.SH OPTIONS
"#;

/// The man page.
#[must_use]
pub fn man_page(reference: &Reference) -> String {
    let mut page = START.to_owned();
    for entry in &reference.entries {
        write_entry(&mut page, entry);
    }
    page.push_str(".SH SEE ALSO\n.BR cairn (1)\n");
    page
}

fn write_entry(page: &mut String, entry: &Entry) {
    push(
        page,
        format_args!(".PP\n\\fB{}\\fR\n.RS 4\n", escaped(&entry.name)),
    );
    write_blocks(page, &blocks(&entry.description));
    page.push_str(".sp\n");
    field(page, "Type", &escaped(&entry.value_type));
    for (label, value) in [("Default", &entry.default), ("Example", &entry.example)] {
        if let Some(value) = value {
            write_value(page, label, value);
        }
    }
    if entry.read_only {
        field(page, "Read-only", "set by its module alone");
    }
    for declaration in &entry.declared_by {
        field(page, "Declared in", &escaped(&declaration.place()));
    }
    page.push_str(".RE\n");
}

fn field(page: &mut String, label: &str, text: &str) {
    let space = if text.is_empty() { "" } else { " " };
    push(
        page,
        format_args!(".br\n\\fI{}:\\fR{space}{text}\n", escaped(label)),
    );
}

fn write_value(page: &mut String, label: &str, value: &Text) {
    if value.markdown {
        field(page, label, &spans(&inline(&value.text)));
    } else if value.text.contains('\n') {
        field(page, label, "");
        write_code(page, &value.text);
    } else {
        field(page, label, &code(&value.text));
    }
}

fn write_blocks(page: &mut String, blocks: &[Block]) {
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            page.push_str(".sp\n");
        }
        match block {
            Block::Paragraph(text) => {
                page.push_str(&spans(text));
                page.push('\n');
            }
            Block::Code(text) => write_code(page, text),
            Block::Note(kind, inner) => {
                push(page, format_args!("\\fB{}:\\fR\n.br\n", escaped(kind)));
                write_blocks(page, inner);
            }
            Block::List { ordered, items } => {
                for (number, item) in (1..).zip(items) {
                    let mark = if *ordered {
                        format!("{number}.")
                    } else {
                        "\\(bu".to_owned()
                    };
                    push(page, format_args!(".IP {mark} 3\n"));
                    write_blocks(page, item);
                }
                // Back to the indentation of the entry.
                page.push_str(".RE\n.RS 4\n");
            }
        }
    }
}

fn write_code(page: &mut String, text: &str) {
    page.push_str(".RS 4\n.nf\n");
    for line in text.lines() {
        page.push_str(&code(line));
        page.push('\n');
    }
    page.push_str(".fi\n.RE\n");
}

fn spans(spans: &[Span]) -> String {
    let text: String = spans
        .iter()
        .map(|span| match span {
            Span::Text(text) => words(text),
            Span::Code(text) | Span::Option(text) | Span::Name(text) | Span::Strong(text) => {
                format!("\\fB{}\\fR", escaped(text))
            }
            Span::ManPage(text) | Span::Emphasis(text) => format!("\\fI{}\\fR", escaped(text)),
            Span::Link { text, target } if text == target => format!("<{}>", escaped(target)),
            Span::Link { text, target } => format!("{} <{}>", escaped(text), escaped(target)),
        })
        .collect();
    // A line that begins with a dot or a quote would be a command.
    text.lines()
        .map(|line| protected(line.trim_start()))
        .collect::<Vec<_>>()
        .join("\n")
}

fn words(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
        + if text.ends_with('\n') { "\n" } else { "" }
}

/// A line of code, with its indentation.
fn code(line: &str) -> String {
    protected(&escaped(line))
}

fn protected(line: &str) -> String {
    if line.starts_with(['.', '\'']) {
        format!("\\&{line}")
    } else {
        line.to_owned()
    }
}

/// The characters of text, none of which means anything to the formatter.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::super::reference::tests::sample;
    use super::*;

    #[test]
    fn an_entry() {
        let mut page = String::new();
        for entry in &sample().entries[1..] {
            write_entry(&mut page, entry);
        }
        expect![[r#"
            .PP
            \fBservices.openssh.ports\fR
            .RS 4
            Ports on which the server listens. See \fIsshd_config(5)\fR.
            .sp
            .IP \(bu 3
            low ones need no more than high ones
            .IP \(bu 3
            the firewall opens them
            .RE
            .RS 4
            .sp
            .br
            \fIType:\fR list of 16 bit unsigned integer
            .br
            \fIDefault:\fR [ 22 ]
            .br
            \fIExample:\fR
            .RS 4
            .nf
            [
              22
              2222
            ]
            .fi
            .RE
            .br
            \fIDeclared in:\fR services/openssh.nix:12
            .RE
            .PP
            \fBusers.users.<name>.uid\fR
            .RS 4
            The number of the account; unprivileged ones begin at \fB1000\fR. If it is \fBnull\fR, activation picks one & keeps it in \fB/var/lib/nixos\fR; see \fBservices.openssh.enable\fR.
            .sp
            \fBnote:\fR
            .br
            Never <reused>.
            .sp
            .br
            \fIType:\fR null or signed integer
            .br
            \fIDefault:\fR the \fInext\fR free one
            .br
            \fIRead\-only:\fR set by its module alone
            .br
            \fIDeclared in:\fR users/users.nix
            .RE
        "#]].assert_eq(&page);
    }

    #[test]
    fn no_text_is_a_command() {
        assert_eq!(code(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(
            spans(&inline("a\n.so b\n'c \\fB")),
            "a\n\\&.so b\n\\(aqc \\efB"
        );
    }
}
