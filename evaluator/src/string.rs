//! Strings, which are bytes with a context, and paths.

/// A string and the store paths that it depends on.
pub struct NixString<'e> {
    bytes: &'e [u8],
    context: Option<&'e Context<'e>>,
}

/// The store paths that a string depends on: sorted, without duplicates, not empty.
pub struct Context<'e> {
    elements: &'e [ContextElement<'e>],
}

/// One thing that a string depends on. Paths are full store paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContextElement<'e> {
    /// A store object as it is, such as a copied source.
    Path(&'e str),
    /// An output of a derivation.
    Output {
        /// The derivation's path.
        derivation: &'e str,
        /// The output's name.
        output: &'e str,
    },
    /// A derivation with all its outputs and everything that it needs (`drvPath`).
    AllOutputs(&'e str),
}

impl<'e> ContextElement<'e> {
    /// The store path that it is about.
    #[must_use]
    pub fn path(&self) -> &'e str {
        match self {
            Self::Path(path) | Self::AllOutputs(path) => path,
            Self::Output { derivation, .. } => derivation,
        }
    }
}

impl<'e> NixString<'e> {
    pub(crate) fn new(bytes: &'e [u8], context: Option<&'e Context<'e>>) -> Self {
        Self { bytes, context }
    }

    /// The string's bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'e [u8] {
        self.bytes
    }

    /// Its context: sorted, without duplicates, mostly empty.
    #[must_use]
    pub fn context(&self) -> &'e [ContextElement<'e>] {
        self.context.map_or(&[], |context| context.elements)
    }

    /// Whether there is a context.
    #[must_use]
    pub fn has_context(&self) -> bool {
        self.context.is_some()
    }

    pub(crate) fn shared_context(&self) -> Option<&'e Context<'e>> {
        self.context
    }
}

impl<'e> Context<'e> {
    pub(crate) fn new(elements: &'e [ContextElement<'e>]) -> Self {
        Self { elements }
    }

    /// Its elements: sorted, without duplicates.
    #[must_use]
    pub fn elements(&self) -> &'e [ContextElement<'e>] {
        self.elements
    }
}

/// A path value: absolute, without `.`, `..`, double or trailing slashes.
pub struct NixPath<'e> {
    bytes: &'e [u8],
}

impl<'e> NixPath<'e> {
    pub(crate) fn new(bytes: &'e [u8]) -> Self {
        Self { bytes }
    }

    /// The path's bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'e [u8] {
        self.bytes
    }
}

/// Makes an absolute path canonical: `.`, `..` (never above the root), double and trailing slashes
/// go; symbolic links are not looked at.
#[must_use]
pub fn canonical_path(path: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(path.len());
    for part in path.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                let end = out.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                out.truncate(end);
            }
            part => {
                out.push(b'/');
                out.extend_from_slice(part);
            }
        }
    }
    if out.is_empty() {
        out.push(b'/');
    }
    out
}

/// The union of contexts, as text concatenation needs it.
#[derive(Default)]
pub struct ContextBuilder<'e> {
    /// The only one so far, which is then shared rather than copied.
    single: Option<&'e Context<'e>>,
    elements: Vec<ContextElement<'e>>,
}

impl<'e> ContextBuilder<'e> {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds all that `string` depends on.
    #[inline]
    pub fn add(&mut self, string: &NixString<'e>) {
        if let Some(context) = string.context {
            self.add_shared(context);
        }
    }

    /// Adds one element.
    pub fn insert(&mut self, element: ContextElement<'e>) {
        if let Some(single) = self.single.take() {
            self.elements.extend_from_slice(single.elements);
        }
        self.elements.push(element);
    }

    fn add_shared(&mut self, context: &'e Context<'e>) {
        if self.elements.is_empty() {
            match self.single {
                None => {
                    self.single = Some(context);
                    return;
                }
                Some(single) if std::ptr::eq(single, context) => return,
                Some(_) => {}
            }
        }
        if let Some(single) = self.single.take() {
            self.elements.extend_from_slice(single.elements);
        }
        self.elements.extend_from_slice(context.elements);
    }

    /// Whether nothing was added.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.single.is_none() && self.elements.is_empty()
    }

    /// The union, in the arena.
    pub fn finish(mut self, arena: &'e bumpalo::Bump) -> Option<&'e Context<'e>> {
        if self.elements.is_empty() {
            return self.single;
        }
        self.elements.sort_unstable();
        self.elements.dedup();
        let elements = arena.alloc_slice_copy(&self.elements);
        Some(arena.alloc(Context::new(elements)))
    }
}
