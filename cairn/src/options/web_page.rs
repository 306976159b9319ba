//! The reference as one web page that needs nothing else: no network, no other file.
//!
//! Every option is in the page's text, so that it can be read without scripts; the script adds the
//! search. Light and dark follow the reader's system.

use std::collections::BTreeMap;

use super::markdown::{Block, Span, blocks, inline};
use super::push;
use super::reference::{Entry, Reference, Text};

const TEMPLATE: &str = include_str!("web_page.html");
const STYLE: &str = include_str!("web_page.css");
const SCRIPT: &str = include_str!("web_page.js");

/// The page.
#[must_use]
pub fn web_page(reference: &Reference) -> String {
    let mut options = String::new();
    for entry in &reference.entries {
        Page { reference, entry }.write_entry(&mut options);
    }
    let parts = [
        ("{{style}}", STYLE),
        ("{{groups}}", &groups(reference)),
        ("{{count}}", &reference.entries.len().to_string()),
        ("{{script}}", SCRIPT),
        ("{{options}}", &options),
    ];
    // One pass from the front: what was put in is not looked at again.
    let mut out = String::with_capacity(options.len() + TEMPLATE.len() + SCRIPT.len());
    let mut rest = TEMPLATE;
    while let Some((position, (mark, text))) = parts
        .iter()
        .filter_map(|part| rest.find(part.0).map(|position| (position, part)))
        .min_by_key(|(position, _)| *position)
    {
        out.push_str(rest.get(..position).unwrap_or(""));
        out.push_str(text);
        rest = rest.get(position + mark.len()..).unwrap_or("");
    }
    out.push_str(rest);
    out
}

/// The first parts of all names, with the number of options below each.
fn groups(reference: &Reference) -> String {
    let mut groups: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for entry in &reference.entries {
        if let Some(first) = entry.loc.first() {
            groups.entry(first).or_insert((0, &entry.name)).0 += 1;
        }
    }
    let mut out = String::new();
    for (name, (count, first)) in groups {
        let (name, first) = (escaped(name), escaped(first));
        push(
            &mut out,
            format_args!(
                "<li><a href=\"#opt-{first}\" data-group=\"{name}\">{name} <span>{count}</span></a></li>\n"
            ),
        );
    }
    out
}

/// One option on its page.
struct Page<'a> {
    reference: &'a Reference,
    entry: &'a Entry,
}

impl Page<'_> {
    fn write_entry(&self, out: &mut String) {
        let entry = self.entry;
        let name = escaped(&entry.name);
        // Long names may be broken after their dots.
        let broken = name.replace('.', ".<wbr>");
        let group = entry
            .loc
            .first()
            .map(|first| escaped(first))
            .unwrap_or_default();
        let summary = escaped(&entry.summary());
        push(
            out,
            format_args!(
                "<details id=\"opt-{name}\" data-group=\"{group}\"><summary><code>{broken}</code> <span>{summary}</span></summary>\n<div>\n"
            ),
        );
        self.write_blocks(out, &blocks(&entry.description));
        out.push_str("<dl>\n");
        field(out, "Type", &escaped(&entry.value_type));
        if let Some(default) = &entry.default {
            field(out, "Default", &self.value(default, None));
        }
        if let Some(example) = &entry.example {
            field(out, "Example", &self.value(example, Some(&entry.name)));
        }
        if entry.read_only {
            field(out, "Read-only", "set by its module alone");
        }
        for declaration in &entry.declared_by {
            field(
                out,
                "Declared in",
                &format!("<code>{}</code>", escaped(&declaration.place())),
            );
        }
        out.push_str("</dl>\n</div></details>\n");
    }

    fn value(&self, value: &Text, name: Option<&str>) -> String {
        if value.markdown {
            self.spans(&inline(&value.text))
        } else if let Some(name) = name {
            format!("<pre>{} = {};</pre>", escaped(name), escaped(&value.text))
        } else if value.text.contains('\n') {
            format!("<pre>{}</pre>", escaped(&value.text))
        } else {
            format!("<code>{}</code>", escaped(&value.text))
        }
    }

    fn write_blocks(&self, out: &mut String, blocks: &[Block]) {
        for block in blocks {
            match block {
                Block::Paragraph(text) => {
                    push(out, format_args!("<p>{}</p>\n", self.spans(text)));
                }
                Block::Code(code) => push(out, format_args!("<pre>{}</pre>\n", escaped(code))),
                Block::Note(kind, inner) => {
                    push(
                        out,
                        format_args!("<aside><strong>{}</strong>\n", escaped(kind)),
                    );
                    self.write_blocks(out, inner);
                    out.push_str("</aside>\n");
                }
                Block::List { ordered, items } => {
                    let list = if *ordered { "ol" } else { "ul" };
                    push(out, format_args!("<{list}>\n"));
                    for item in items {
                        out.push_str("<li>");
                        self.write_blocks(out, item);
                        out.push_str("</li>\n");
                    }
                    push(out, format_args!("</{list}>\n"));
                }
            }
        }
    }

    fn spans(&self, spans: &[Span]) -> String {
        spans.iter().map(|span| self.span(span)).collect()
    }

    fn span(&self, span: &Span) -> String {
        match span {
            Span::Text(text) => escaped(text),
            Span::Code(text) | Span::Name(text) => format!("<code>{}</code>", escaped(text)),
            Span::Option(name) => match self.reference.resolve(self.entry, name) {
                Some(target) => format!(
                    "<a href=\"#opt-{}\"><code>{}</code></a>",
                    escaped(&target.name),
                    escaped(name)
                ),
                None => format!("<code>{}</code>", escaped(name)),
            },
            Span::ManPage(text) => format!("<cite>{}</cite>", escaped(text)),
            Span::Emphasis(text) => format!("<em>{}</em>", escaped(text)),
            Span::Strong(text) => format!("<strong>{}</strong>", escaped(text)),
            Span::Link { text, target } => {
                let is_address = ["https://", "http://", "#"]
                    .iter()
                    .any(|start| target.starts_with(start));
                if is_address {
                    format!("<a href=\"{}\">{}</a>", escaped(target), escaped(text))
                } else {
                    escaped(text)
                }
            }
        }
    }
}

fn field(out: &mut String, label: &str, html: &str) {
    push(out, format_args!("<dt>{label}</dt><dd>{html}</dd>\n"));
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
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
        let reference = sample();
        let page = Page {
            reference: &reference,
            entry: &reference.entries[2],
        };
        let mut out = String::new();
        page.write_entry(&mut out);
        expect![[r##"
            <details id="opt-users.users.&lt;name&gt;.uid" data-group="users"><summary><code>users.<wbr>users.<wbr>&lt;name&gt;.<wbr>uid</code> <span>The number of the account; unprivileged ones begin at 1000.</span></summary>
            <div>
            <p>The number of the account; unprivileged ones begin at <code>1000</code>. If it is <code>null</code>, activation picks one &amp; keeps it in <code>/var/lib/nixos</code>; see <a href="#opt-services.openssh.enable"><code>services.openssh.enable</code></a>.</p>
            <aside><strong>note</strong>
            <p>Never &lt;reused&gt;.</p>
            </aside>
            <dl>
            <dt>Type</dt><dd>null or signed integer</dd>
            <dt>Default</dt><dd>the <em>next</em> free one</dd>
            <dt>Read-only</dt><dd>set by its module alone</dd>
            <dt>Declared in</dt><dd><code>users/users.nix</code></dd>
            </dl>
            </div></details>
        "##]].assert_eq(&out);
    }

    #[test]
    fn the_page_is_whole_and_needs_nothing_else() {
        let page = web_page(&sample());
        assert!(!page.contains("{{"), "a mark is left");
        for outside in ["src=", "href=\"http", "url(", "@import", "fetch("] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("<details").count(), 3);
    }

    #[test]
    fn no_text_is_markup() {
        let mut reference = sample();
        for entry in &mut reference.entries {
            entry.name = "a.\"<script>alert(1)</script>\"".to_owned();
            entry.description =
                "<script>alert(1)</script> [x](javascript:alert(1)) {{script}}".to_owned();
        }
        let page = web_page(&reference);
        assert!(!page.contains("<script>alert"));
        assert!(!page.contains("javascript:"));
    }
}
