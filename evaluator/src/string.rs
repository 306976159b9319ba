//! Strings, which are bytes with a context, and paths.

use std::cell::Cell;

use bumpalo::Bump;

/// A string and the store paths that it depends on.
///
/// A long string that was put together from two is not copied before somebody looks at its bytes:
/// a program that appends to one string again and again takes time and memory for what it appends.
pub struct NixString<'e> {
    text: Cell<Text<'e>>,
    context: Option<&'e Context<'e>>,
}

// As large as a slice and a reference.
const _: () = assert!(size_of::<NixString<'_>>() == 24);

#[derive(Clone, Copy)]
enum Text<'e> {
    Whole(&'e [u8]),
    Sum(&'e Sum<'e>),
}

/// Two strings, one behind the other.
struct Sum<'e> {
    left: &'e NixString<'e>,
    right: &'e NixString<'e>,
    len: usize,
    /// Where the bytes will lie.
    arena: &'e Bump,
}

/// Below this length, copying costs less than a [`Sum`].
const LONG: usize = 256;

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
        Self {
            text: Cell::new(Text::Whole(bytes)),
            context,
        }
    }

    /// `left` and then `right`, with the contexts of both.
    pub(crate) fn sum(left: &'e Self, right: &'e Self, arena: &'e Bump) -> &'e Self {
        if right.is_empty() && !right.has_context() {
            return left;
        }
        if left.is_empty() && !left.has_context() {
            return right;
        }
        let mut context = ContextBuilder::new();
        context.add(left);
        context.add(right);
        let context = context.finish(arena);
        let len = left.len() + right.len();
        let sum = Sum {
            left,
            right,
            len,
            arena,
        };
        let text = if len < LONG {
            Text::Whole(sum.flatten())
        } else {
            Text::Sum(arena.alloc(sum))
        };
        let text = Cell::new(text);
        arena.alloc(Self { text, context })
    }

    /// The string's bytes.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &'e [u8] {
        match self.text.get() {
            Text::Whole(bytes) => bytes,
            Text::Sum(sum) => {
                let bytes = sum.flatten();
                self.text.set(Text::Whole(bytes));
                bytes
            }
        }
    }

    /// How many bytes there are.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        match self.text.get() {
            Text::Whole(bytes) => bytes.len(),
            Text::Sum(sum) => sum.len,
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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

impl<'e> Sum<'e> {
    /// Both in one piece. Sums nest deeply; they are walked without recursion.
    fn flatten(&self) -> &'e [u8] {
        let bytes = self.arena.alloc_slice_fill_copy(self.len, 0);
        let mut rest = &mut *bytes;
        let mut todo = vec![self.right, self.left];
        while let Some(string) = todo.pop() {
            match string.text.get() {
                Text::Sum(sum) => todo.extend([sum.right, sum.left]),
                Text::Whole(piece) => {
                    let Some((to, behind)) = rest.split_at_mut_checked(piece.len()) else {
                        debug_assert!(false, "a sum is as long as its parts");
                        break;
                    };
                    to.copy_from_slice(piece);
                    rest = behind;
                }
            }
        }
        bytes
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_their_parts_in_order() {
        let arena = Bump::new();
        let whole: &NixString<'_> = arena.alloc(NixString::new(b"", None));
        let mut sum = whole;
        let mut expected = Vec::new();
        for number in 0..100_000 {
            let text = number.to_string();
            expected.extend_from_slice(text.as_bytes());
            let part = arena.alloc(NixString::new(
                arena.alloc_slice_copy(text.as_bytes()),
                None,
            ));
            sum = NixString::sum(sum, part, &arena);
            assert_eq!(sum.len(), expected.len());
        }
        let twice = NixString::sum(sum, sum, &arena);
        assert_eq!(twice.bytes(), expected.repeat(2));
        assert_eq!(sum.bytes(), expected);
        let with = arena.alloc(NixString::new(
            b"",
            Some(arena.alloc(Context::new(arena.alloc([ContextElement::Path("/x")])))),
        ));
        assert!(NixString::sum(sum, with, &arena).has_context());
        assert!(std::ptr::eq(NixString::sum(sum, whole, &arena), sum));
    }
}
