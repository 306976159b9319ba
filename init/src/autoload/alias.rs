//! `modules.alias`: which modules drive a device, as an index that is quick to ask.
//!
//! Each line is `alias PATTERN MODULE`. A kernel has some 26,000 of them, and a machine asks a few
//! hundred times; so the lines are sorted by what stands before their first wildcard, and only
//! those are tried whose literal start is a start of the question. The index borrows nothing and
//! keeps one copy of the text and 12 bytes a line.

use super::wildcard;

/// The lines, sorted by literal start.
#[derive(Debug, Default)]
pub struct AliasIndex {
    text: String,
    lines: Vec<Line>,
}

/// One line, as offsets into the text.
#[derive(Debug, Clone, Copy)]
struct Line {
    pattern: u32,
    literal: u16,
    length: u16,
    module: u16,
    module_length: u16,
}

impl AliasIndex {
    /// Reads the text of a `modules.alias`; lines in another form are skipped.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let text = normalise(text);
        let mut lines = Vec::new();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            lines.extend(Line::parse(line, offset));
            offset += line.len();
        }
        let mut index = Self { text, lines };
        let mut lines = std::mem::take(&mut index.lines);
        lines.sort_by(|a, b| index.literal(a).cmp(index.literal(b)));
        index.lines = lines;
        index
    }

    /// The modules whose pattern matches `alias`, each once, in the file's order.
    #[must_use]
    pub fn modules(&self, alias: &str) -> Vec<&str> {
        let alias = normalise(alias);
        let mut found: Vec<&Line> = (0..=alias.len())
            .filter_map(|length| alias.as_bytes().get(..length))
            .flat_map(|start| self.starting(start))
            .filter(|line| wildcard::matches(self.pattern(line), alias.as_bytes()))
            .collect();
        found.sort_by_key(|line| line.pattern);
        let mut modules = Vec::new();
        for module in found.into_iter().map(|line| self.module(line)) {
            if !modules.contains(&module) {
                modules.push(module);
            }
        }
        modules
    }

    fn starting(&self, literal: &[u8]) -> impl Iterator<Item = &Line> {
        let first = self
            .lines
            .partition_point(|line| self.literal(line) < literal);
        let rest = self.lines.get(first..).unwrap_or_default();
        rest.iter()
            .take_while(move |line| self.literal(line) == literal)
    }

    fn literal(&self, line: &Line) -> &[u8] {
        self.slice(line.pattern as usize, line.literal)
    }

    fn pattern(&self, line: &Line) -> &[u8] {
        self.slice(line.pattern as usize, line.length)
    }

    fn module(&self, line: &Line) -> &str {
        let start = line.pattern as usize + usize::from(line.module);
        let end = start + usize::from(line.module_length);
        self.text.get(start..end).unwrap_or_default()
    }

    fn slice(&self, start: usize, length: u16) -> &[u8] {
        let end = start + usize::from(length);
        self.text.as_bytes().get(start..end).unwrap_or_default()
    }
}

impl Line {
    fn parse(line: &str, offset: usize) -> Option<Self> {
        let rest = line.strip_prefix("alias ")?;
        let (pattern, module) = rest.rsplit_once(' ')?;
        let name = module.trim_end();
        let wild = pattern.find(['*', '?', '[']).unwrap_or(pattern.len());
        (!name.is_empty()).then_some(())?;
        Some(Self {
            pattern: u32::try_from(offset + (line.len() - rest.len())).ok()?,
            literal: u16::try_from(wild).ok()?,
            length: u16::try_from(pattern.len()).ok()?,
            module: u16::try_from(pattern.len() + 1).ok()?,
            module_length: u16::try_from(name.len()).ok()?,
        })
    }
}

/// `-` and `_` mean the same in names and aliases, but not inside brackets.
pub(super) fn normalise(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut inside = false;
    for byte in &mut bytes {
        match *byte {
            b'[' => inside = true,
            b']' | b'\n' => inside = false,
            b'-' if !inside => *byte = b'_',
            _ => {}
        }
    }
    // One ASCII character for another: it is as valid as before.
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALIASES: &str = "\
# Aliases extracted from modules themselves.
alias fs-ext4 ext4
alias fs-ext3 ext4
alias crypto-crc32c crc32c_generic
alias crypto-crc32c crc32c-intel
alias virtio:d00000002v* virtio_blk
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias *:any-thing catch_all
alias x-[a-c]y brackets
alias broken
";

    #[test]
    fn modules_are_found() {
        let index = AliasIndex::parse(ALIASES);
        let table: [(&str, &[&str]); 8] = [
            ("fs-ext3", &["ext4"]),
            ("fs_ext3", &["ext4"]),
            ("crypto-crc32c", &["crc32c_generic", "crc32c_intel"]),
            ("virtio:d00000002v00001AF4", &["virtio_blk"]),
            (
                "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00",
                &["virtio_pci"],
            ),
            ("of:any-thing", &["catch_all"]),
            ("x-by", &["brackets"]),
            ("nothing", &[]),
        ];
        for (alias, expected) in table {
            assert_eq!(index.modules(alias), expected, "{alias}");
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_what_a_search_finds(
            patterns in proptest::collection::vec("[ab*:?]{1,6}", 0..30),
            alias in "[ab:]{0,8}",
        ) {
            let text = patterns
                .iter()
                .enumerate()
                .map(|(number, pattern)| format!("alias {pattern} m{number}\n"))
                .collect::<Vec<_>>()
                .concat();
            let expected: Vec<_> = patterns
                .iter()
                .enumerate()
                .filter(|(_, pattern)| wildcard::matches(pattern.as_bytes(), alias.as_bytes()))
                .map(|(number, _)| format!("m{number}"))
                .collect();
            let index = AliasIndex::parse(&text);
            prop_assert_eq!(index.modules(&alias), expected);
        }
    }
}
