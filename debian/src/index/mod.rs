//! A package index (`Packages`), compact: only the fields that resolving and locking need, in one
//! text, with sorted tables over it.
//!
//! Debian's main index has some 63,000 paragraphs and 50 MB; what stays in memory is under 30 MB.

use std::io::BufRead;
use std::ops::Range;

use cairn_store_path::Sha256;

use crate::archive::Listed;
use crate::control::{Paragraph, ParseControlError, read_paragraph};
use crate::lock::{MultiArch, is_safe_filename};
use crate::relation::{Operator, parse_relations};
use crate::request::is_package_name;
use crate::version::Version;

/// The packages of one release and component.
#[derive(Debug, Default)]
pub struct Index {
    text: String,
    /// Sorted by name.
    entries: Vec<Entry>,
    /// Virtual name, version, number of the entry; sorted by name.
    provisions: Vec<(Span, Option<Span>, u32)>,
}

/// Why an index could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ParseIndexError {
    /// The file could not be read or decompressed.
    #[error("cannot decompress it: {0}")]
    Read(#[from] std::io::Error),
    /// A paragraph has a line that is no field.
    #[error("{0}")]
    Control(#[from] ParseControlError),
    /// A field is missing or has an unusable value.
    #[error("package {package:?}: field {field} is missing or wrong")]
    Field {
        /// The package, as far as known.
        package: String,
        /// The field's name.
        field: &'static str,
    },
    /// More than 4 GiB of fields.
    #[error("it is too large")]
    TooLarge,
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    length: u32,
}

#[derive(Debug, Default)]
struct Entry {
    name: Span,
    version: Span,
    architecture: Span,
    source: Span,
    section: Span,
    priority: Span,
    filename: Span,
    depends: Span,
    pre_depends: Span,
    conflicts: Span,
    breaks: Span,
    provides: Span,
    description: Span,
    homepage: Span,
    sha256: [u8; 32],
    size: u64,
    essential: bool,
    multi_arch: Option<MultiArch>,
}

/// One package of an index.
#[derive(Clone, Copy)]
pub struct Package<'a> {
    index: &'a Index,
    entry: &'a Entry,
}

impl Index {
    /// Reads the paragraphs of a `Packages` file; those of other architectures than
    /// `architecture` and `all` are left out.
    ///
    /// # Errors
    /// [`ParseIndexError`].
    pub fn parse(mut reader: impl BufRead, architecture: &str) -> Result<Self, ParseIndexError> {
        let mut index = Self::default();
        let mut buffer = Vec::new();
        while read_paragraph(&mut reader, &mut buffer)? {
            let text = String::from_utf8_lossy(&buffer);
            index.add(&Paragraph::parse(&text)?, architecture)?;
        }
        index.text.shrink_to_fit();
        let Self { text, entries, .. } = &mut index;
        entries.sort_by_key(|entry| text_of(text, entry.name));
        index.collect_provisions()?;
        Ok(index)
    }

    /// The number of packages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// All packages, sorted by name.
    pub fn packages(&self) -> impl Iterator<Item = Package<'_>> {
        self.entries
            .iter()
            .map(|entry| Package { index: self, entry })
    }

    /// All versions of the package called `name`.
    pub fn named(&self, name: &str) -> impl Iterator<Item = Package<'_>> {
        let range = equal_range(&self.entries, |entry| text_of(&self.text, entry.name), name);
        self.entries
            .get(range)
            .into_iter()
            .flatten()
            .map(|entry| Package { index: self, entry })
    }

    /// The packages that provide `name`, with the provided version if there is one.
    pub fn providers(&self, name: &str) -> impl Iterator<Item = (Package<'_>, Option<&str>)> {
        let range = equal_range(
            &self.provisions,
            |provision| text_of(&self.text, provision.0),
            name,
        );
        let provisions = self.provisions.get(range).into_iter().flatten();
        provisions.filter_map(|(_, version, at)| {
            let entry = self.entries.get(usize::try_from(*at).ok()?)?;
            Some((
                Package { index: self, entry },
                version.map(|span| text_of(&self.text, span)),
            ))
        })
    }

    fn add(
        &mut self,
        paragraph: &Paragraph<'_>,
        architecture: &str,
    ) -> Result<(), ParseIndexError> {
        let before = self.text.len();
        let mut entry = Entry::default();
        let (mut size, mut sha256, mut name, mut other) = (None, None, "", false);
        for (field, value) in paragraph.fields() {
            let place = match field {
                "Package" => {
                    name = value;
                    &mut entry.name
                }
                "Architecture" => {
                    other = value != architecture && value != "all";
                    &mut entry.architecture
                }
                "Version" => &mut entry.version,
                "Source" => &mut entry.source,
                "Section" => &mut entry.section,
                "Priority" => &mut entry.priority,
                "Filename" => &mut entry.filename,
                "Depends" => &mut entry.depends,
                "Pre-Depends" => &mut entry.pre_depends,
                "Conflicts" => &mut entry.conflicts,
                "Breaks" => &mut entry.breaks,
                "Provides" => &mut entry.provides,
                "Homepage" => &mut entry.homepage,
                "Description" => {
                    // Only the first line: what follows is the long text.
                    let line = value.lines().next().unwrap_or_default();
                    entry.description = append(&mut self.text, line)?;
                    continue;
                }
                "Size" => {
                    size = value.parse().ok();
                    continue;
                }
                "SHA256" => {
                    sha256 = crate::digest::parse(value);
                    continue;
                }
                "Essential" => {
                    entry.essential = value.eq_ignore_ascii_case("yes");
                    continue;
                }
                "Multi-Arch" => {
                    entry.multi_arch = parse_multi_arch(value);
                    continue;
                }
                _ => continue,
            };
            *place = append(&mut self.text, value)?;
        }
        if other {
            self.text.truncate(before);
            return Ok(());
        }
        let error = |field| ParseIndexError::Field {
            package: name.chars().take(80).collect(),
            field,
        };
        let text = |span| text_of(&self.text, span);
        if !is_package_name(text(entry.name)) {
            return Err(error("Package"));
        }
        if text(entry.version).parse::<Version>().is_err() {
            return Err(error("Version"));
        }
        if entry.architecture.length == 0 {
            return Err(error("Architecture"));
        }
        if !is_safe_filename(text(entry.filename)) {
            return Err(error("Filename"));
        }
        entry.size = size.ok_or_else(|| error("Size"))?;
        entry.sha256 = *sha256.ok_or_else(|| error("SHA256"))?.as_bytes();
        self.entries.push(entry);
        Ok(())
    }

    fn collect_provisions(&mut self) -> Result<(), ParseIndexError> {
        let base = self.text.as_ptr().addr();
        let span = |part: &str| Span {
            // `part` lies within `text`, whose length fits (see `append`).
            start: u32::try_from(part.as_ptr().addr() - base).unwrap_or_default(),
            length: u32::try_from(part.len()).unwrap_or_default(),
        };
        let mut provisions = Vec::new();
        for (at, entry) in (0..).zip(&self.entries) {
            let error = || ParseIndexError::Field {
                package: text_of(&self.text, entry.name).to_owned(),
                field: "Provides",
            };
            let groups =
                parse_relations(text_of(&self.text, entry.provides)).map_err(|_| error())?;
            for relation in groups.iter().flatten() {
                let version = match relation.bound {
                    None => None,
                    Some((Operator::Equal, version)) => Some(span(version)),
                    Some(_) => return Err(error()),
                };
                provisions.push((span(relation.name), version, at));
            }
        }
        provisions.sort_by_key(|provision| text_of(&self.text, provision.0));
        self.provisions = provisions;
        Ok(())
    }
}

fn append(text: &mut String, value: &str) -> Result<Span, ParseIndexError> {
    let start = u32::try_from(text.len()).map_err(|_| ParseIndexError::TooLarge)?;
    let length = u32::try_from(value.len()).map_err(|_| ParseIndexError::TooLarge)?;
    start.checked_add(length).ok_or(ParseIndexError::TooLarge)?;
    text.push_str(value);
    Ok(Span { start, length })
}

fn text_of(text: &str, span: Span) -> &str {
    let start = span.start as usize;
    text.get(start..start + span.length as usize)
        .unwrap_or_default()
}

fn equal_range<'a, T>(sorted: &[T], key: impl Fn(&T) -> &'a str, wanted: &str) -> Range<usize> {
    let start = sorted.partition_point(|item| key(item) < wanted);
    let tail = sorted.get(start..).unwrap_or_default();
    start..start + tail.partition_point(|item| key(item) == wanted)
}

fn parse_multi_arch(value: &str) -> Option<MultiArch> {
    match value {
        "same" => Some(MultiArch::Same),
        "foreign" => Some(MultiArch::Foreign),
        "allowed" => Some(MultiArch::Allowed),
        _ => None,
    }
}

impl<'a> Package<'a> {
    fn text(&self, span: Span) -> &'a str {
        text_of(&self.index.text, span)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.text(self.entry.name)
    }

    /// The version; checked to be one.
    #[must_use]
    pub fn version(&self) -> &'a str {
        self.text(self.entry.version)
    }

    /// The architecture.
    #[must_use]
    pub fn architecture(&self) -> &'a str {
        self.text(self.entry.architecture)
    }

    /// The name and version of the source package. `Source` is only written where they differ
    /// from the package's own.
    #[must_use]
    pub fn source(&self) -> (&'a str, &'a str) {
        let field = self.text(self.entry.source);
        let (name, version) = field.split_once('(').unwrap_or((field, ""));
        let version = version.trim_end().trim_end_matches(')').trim();
        let or = |text: &'a str, default| if text.is_empty() { default } else { text };
        (or(name.trim(), self.name()), or(version, self.version()))
    }

    /// The archive section.
    #[must_use]
    pub fn section(&self) -> &'a str {
        self.text(self.entry.section)
    }

    /// How much the package belongs to every system: 0 is required, 4 is extra.
    #[must_use]
    pub fn priority(&self) -> usize {
        let names = ["required", "important", "standard", "optional"];
        let own = self.text(self.entry.priority);
        names
            .iter()
            .position(|name| *name == own)
            .unwrap_or(names.len())
    }

    /// The file's path below the mirror's address; checked to be safe.
    #[must_use]
    pub fn filename(&self) -> &'a str {
        self.text(self.entry.filename)
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.entry.size
    }

    /// The file's digest.
    #[must_use]
    pub fn sha256(&self) -> Sha256 {
        Sha256::from_bytes(self.entry.sha256)
    }

    /// Whether it is essential.
    #[must_use]
    pub fn essential(&self) -> bool {
        self.entry.essential
    }

    /// The field `Multi-Arch`.
    #[must_use]
    pub fn multi_arch(&self) -> MultiArch {
        self.entry.multi_arch.unwrap_or(MultiArch::No)
    }

    /// The fields `Pre-Depends` and `Depends`.
    #[must_use]
    pub fn dependency_fields(&self) -> [&'a str; 2] {
        [
            self.text(self.entry.pre_depends),
            self.text(self.entry.depends),
        ]
    }

    /// The fields `Conflicts` and `Breaks`.
    #[must_use]
    pub fn conflict_fields(&self) -> [&'a str; 2] {
        [
            self.text(self.entry.conflicts),
            self.text(self.entry.breaks),
        ]
    }

    /// One line about it.
    #[must_use]
    pub fn description(&self) -> Option<&'a str> {
        Some(self.text(self.entry.description)).filter(|text| !text.is_empty())
    }

    /// The address of its makers.
    #[must_use]
    pub fn homepage(&self) -> Option<&'a str> {
        Some(self.text(self.entry.homepage)).filter(|text| !text.is_empty())
    }

    /// As a list of packages shows it.
    #[must_use]
    pub fn listed(&self) -> Listed<'a> {
        Listed {
            name: self.name(),
            version: self.version(),
            description: self.description(),
        }
    }

    /// The field `Provides`.
    #[must_use]
    pub fn provides_field(&self) -> &'a str {
        self.text(self.entry.provides)
    }
}

impl PartialEq for Package<'_> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.entry, other.entry)
    }
}

#[cfg(test)]
mod tests;
