//! The part of Markdown that descriptions of options use: paragraphs, lists, fenced code, notes
//! (`::: {.note}`), and inside of text code, emphasis, links and roles such as `` {option}`name` ``.

/// A piece of a description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Block {
    /// Text.
    Paragraph(Vec<Span>),
    /// Items, each with blocks of its own.
    List {
        /// Whether they are numbered.
        ordered: bool,
        /// The items.
        items: Vec<Vec<Block>>,
    },
    /// Lines that stay as they are.
    Code(String),
    /// A note, a warning and so on: its kind, and what it says.
    Note(String, Vec<Block>),
}

/// A piece of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Span {
    /// Words.
    Text(String),
    /// Code: a value, a command.
    Code(String),
    /// The name of an option of this reference.
    Option(String),
    /// The name of a file, a command, a variable: set like code.
    Name(String),
    /// A page of the manual: `sshd(8)`.
    ManPage(String),
    /// Stressed words.
    Emphasis(String),
    /// Words that stand out.
    Strong(String),
    /// Words that lead to an address.
    Link {
        /// The words.
        text: String,
        /// The address.
        target: String,
    },
}

impl Span {
    /// What is read.
    #[must_use]
    pub fn text(&self) -> &str {
        match self {
            Self::Text(text)
            | Self::Code(text)
            | Self::Option(text)
            | Self::Name(text)
            | Self::ManPage(text)
            | Self::Emphasis(text)
            | Self::Strong(text)
            | Self::Link { text, .. } => text,
        }
    }
}

/// The text of some Markdown, in one line.
#[must_use]
pub fn plain(text: &str) -> String {
    let text: String = inline(text)
        .iter()
        .map(|span| span.text().to_owned())
        .collect();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The options that a description names.
#[must_use]
pub fn options(text: &str) -> Vec<String> {
    inline(text)
        .into_iter()
        .filter_map(|span| match span {
            Span::Option(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Reads a description.
#[must_use]
pub fn blocks(text: &str) -> Vec<Block> {
    let lines: Vec<&str> = text.lines().collect();
    read_blocks(&lines)
}

fn read_blocks(lines: &[&str]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut rest = lines;
    while let Some((first, others)) = rest.split_first() {
        let line = first.trim();
        if line.is_empty() {
            rest = others;
        } else if let Some(fence) = fence(line) {
            let end = others
                .iter()
                .position(|line| line.trim().starts_with(fence))
                .unwrap_or(others.len());
            let (inside, after) = others.split_at(end);
            blocks.push(Block::Code(dedent(inside).join("\n")));
            rest = after.get(1..).unwrap_or_default();
        } else if let Some(kind) = note(line) {
            let end = others
                .iter()
                .position(|line| line.trim() == ":::")
                .unwrap_or(others.len());
            let (inside, after) = others.split_at(end);
            blocks.push(Block::Note(kind.to_owned(), read_blocks(inside)));
            rest = after.get(1..).unwrap_or_default();
        } else if let Some((ordered, _)) = item(line) {
            let (list, after) = read_list(rest, ordered);
            blocks.push(list);
            rest = after;
        } else {
            let end = rest
                .iter()
                .position(|line| ends_paragraph(line))
                .unwrap_or(rest.len());
            let (inside, after) = rest.split_at(end.max(1));
            blocks.push(Block::Paragraph(inline(&inside.join("\n"))));
            rest = after;
        }
    }
    blocks
}

fn ends_paragraph(line: &str) -> bool {
    let line = line.trim();
    line.is_empty() || fence(line).is_some() || note(line).is_some() || item(line).is_some()
}

/// The items of a list, and the lines after it. An item goes on with lines that are indented.
fn read_list<'a, 'b>(lines: &'a [&'b str], ordered: bool) -> (Block, &'a [&'b str]) {
    let mut items: Vec<Vec<&str>> = Vec::new();
    let base = lines.first().map_or(0, |line| indentation(line));
    let mut used = 0;
    for line in lines {
        let here = indentation(line);
        match item(line.trim()) {
            Some((kind, text)) if here <= base && kind == ordered => items.push(vec![text]),
            _ if line.trim().is_empty() || here > base => {
                if let Some(last) = items.last_mut() {
                    last.push(line);
                }
            }
            _ => break,
        }
        used += 1;
    }
    let items = items
        .iter()
        .map(|lines| read_blocks(&dedent_rest(lines)))
        .collect();
    (
        Block::List { ordered, items },
        lines.get(used..).unwrap_or_default(),
    )
}

/// All lines but the first without what they are all indented by.
fn dedent_rest<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    match lines.split_first() {
        Some((first, rest)) => std::iter::once(*first).chain(dedent(rest)).collect(),
        None => Vec::new(),
    }
}

fn dedent<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let least = lines
        .iter()
        .filter(|line| !line.trim().is_empty())
        .map(|line| indentation(line))
        .min()
        .unwrap_or(0);
    lines
        .iter()
        .map(|line| line.get(least..).unwrap_or(""))
        .collect()
}

fn indentation(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn fence(line: &str) -> Option<&'static str> {
    ["```", "~~~"]
        .into_iter()
        .find(|fence| line.starts_with(fence))
}

/// `::: {.note}`
fn note(line: &str) -> Option<&str> {
    let kind = line
        .strip_prefix(":::")?
        .trim()
        .strip_prefix("{.")?
        .strip_suffix('}')?;
    kind.split([' ', '.']).next()
}

/// The text of a list's item, and whether the list is numbered.
fn item(line: &str) -> Option<(bool, &str)> {
    if let Some(text) = line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")) {
        return Some((false, text));
    }
    let digits = line.len() - line.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let text = line.get(digits..)?.strip_prefix(". ")?;
    (digits > 0).then_some((true, text))
}

/// Reads text inside of a block.
#[must_use]
pub fn inline(text: &str) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut words = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some((span, after)) = special(rest) {
            if !words.is_empty() {
                spans.push(Span::Text(std::mem::take(&mut words)));
            }
            spans.push(span);
            rest = after;
        } else {
            let escaped = (next == '\\')
                .then(|| rest.chars().nth(1).filter(char::is_ascii_punctuation))
                .flatten();
            words.push(escaped.unwrap_or(next));
            let taken = next.len_utf8() + escaped.map_or(0, char::len_utf8);
            rest = rest.get(taken..).unwrap_or("");
        }
    }
    if !words.is_empty() {
        spans.push(Span::Text(words));
    }
    spans
}

/// What begins at the start of `text`, if it is more than words.
fn special(text: &str) -> Option<(Span, &str)> {
    if let Some(rest) = text.strip_prefix('{') {
        let (role, rest) = rest.split_once('}')?;
        if role.is_empty() || !role.bytes().all(|byte| byte.is_ascii_lowercase()) {
            return None;
        }
        let (code, rest) = code(rest)?;
        let span = match role {
            "option" => Span::Option(code),
            "manpage" => Span::ManPage(code),
            _ => Span::Name(code),
        };
        return Some((span, rest));
    }
    if text.starts_with('`') {
        let (code, rest) = code(text)?;
        return Some((Span::Code(code), rest));
    }
    if let Some(rest) = text.strip_prefix("**") {
        let (words, rest) = rest.split_once("**")?;
        return Some((Span::Strong(words.to_owned()), rest));
    }
    for mark in ['*', '_'] {
        if let Some(rest) = text.strip_prefix(mark) {
            let (words, rest) = rest.split_once(mark)?;
            let stressed = !words.is_empty()
                && !words.starts_with(char::is_whitespace)
                && !words.ends_with(char::is_whitespace)
                && !rest.starts_with(|c: char| c.is_alphanumeric());
            return stressed.then(|| (Span::Emphasis(words.to_owned()), rest));
        }
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (words, rest) = rest.split_once("](")?;
        let (target, rest) = rest.split_once(')')?;
        if words.contains(['[', ']']) || target.contains(char::is_whitespace) {
            return None;
        }
        let words = if words.is_empty() { target } else { words };
        return Some((
            Span::Link {
                text: plain(words),
                target: target.to_owned(),
            },
            rest,
        ));
    }
    if let Some(rest) = text.strip_prefix('<') {
        let (target, rest) = rest.split_once('>')?;
        let is_address = target.starts_with("https://") || target.starts_with("http://");
        return is_address.then(|| {
            let (text, target) = (target.to_owned(), target.to_owned());
            (Span::Link { text, target }, rest)
        });
    }
    None
}

/// What stands between backquotes, of which there may be several.
fn code(text: &str) -> Option<(String, &str)> {
    let count = text.len() - text.trim_start_matches('`').len();
    let (quotes, inside) = text.split_at_checked(count)?;
    let (code, rest) = (count > 0).then(|| inside.split_once(quotes)).flatten()?;
    let code = code.replace('\n', " ");
    let code = if count > 1 { code.trim() } else { &code };
    Some((code.to_owned(), rest))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "written as a value in every test"
    )]
    fn check(text: &str, expected: Expect) {
        expected.assert_eq(&format!("{:#?}\n", blocks(text)));
    }

    #[test]
    fn roles_code_and_links() {
        let text = "Sets {option}`a.b` in {file}`/etc/x`, see {manpage}`x(5)`: `y`, *so*, **very**, [here](https://x.org) and snake_case.";
        let spans: Vec<String> = inline(text)
            .iter()
            .map(|span| format!("{span:?}"))
            .collect();
        expect![[r#"
            Text("Sets ")
            Option("a.b")
            Text(" in ")
            Name("/etc/x")
            Text(", see ")
            ManPage("x(5)")
            Text(": ")
            Code("y")
            Text(", ")
            Emphasis("so")
            Text(", ")
            Strong("very")
            Text(", ")
            Link { text: "here", target: "https://x.org" }
            Text(" and snake_case.")"#]]
        .assert_eq(&spans.join("\n"));
    }

    #[test]
    fn what_is_not_closed_is_text() {
        for text in [
            "a ` b",
            "a * b",
            "{x} y",
            "[a] (b)",
            "<b>",
            "{option}x",
            "\\",
            "2 * 3 * 4",
        ] {
            assert_eq!(inline(text), [Span::Text(text.to_owned())], "{text}");
        }
    }

    #[test]
    fn blocks_of_all_kinds() {
        check(
            "One\nparagraph.\n\n- first\n  goes on\n- second\n\n```nix\n{\n  a = 1;\n}\n```\n::: {.note}\nMind.\n:::\nLast.",
            expect![[r#"
                [
                    Paragraph(
                        [
                            Text(
                                "One\nparagraph.",
                            ),
                        ],
                    ),
                    List {
                        ordered: false,
                        items: [
                            [
                                Paragraph(
                                    [
                                        Text(
                                            "first\ngoes on",
                                        ),
                                    ],
                                ),
                            ],
                            [
                                Paragraph(
                                    [
                                        Text(
                                            "second",
                                        ),
                                    ],
                                ),
                            ],
                        ],
                    },
                    Code(
                        "{\n  a = 1;\n}",
                    ),
                    Note(
                        "note",
                        [
                            Paragraph(
                                [
                                    Text(
                                        "Mind.",
                                    ),
                                ],
                            ),
                        ],
                    ),
                    Paragraph(
                        [
                            Text(
                                "Last.",
                            ),
                        ],
                    ),
                ]
            "#]],
        );
    }
}
