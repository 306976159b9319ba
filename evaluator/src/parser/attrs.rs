//! Attribute sets while they are read: definitions of the same set are merged.
//!
//! `a.b = 1; a = { c = 2; };` defines one `a`. The first definition of a set says whether it is
//! recursive. Sets that may still grow live in a table of the parser, by number, because trees of
//! them would be as deep as the text wants.

use std::collections::HashMap;

use bstr::ByteSlice;

use super::error::Failure;
use super::{Parser, Result, with_stack};
use crate::ast::{Attr, AttrName, AttrNameKind, AttrValue, Attrs, DynamicAttr, Expr, ExprKind};
use crate::{Span, Symbol};

/// More attributes than this are looked up by hash.
const FEW: usize = 12;

/// A set that is being read.
#[derive(Debug, Default)]
pub(super) struct AttrsBuilder<'a> {
    span: Span,
    recursive: bool,
    fixed: Vec<Entry<'a>>,
    /// Where each name stands in `fixed`; filled when there are more than a [`FEW`].
    places: HashMap<Symbol, usize>,
    dynamic: Vec<DynamicAttr<'a>>,
    sources: Vec<&'a Expr<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Entry<'a> {
    name: Symbol,
    span: Span,
    value: Value<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Value<'a> {
    Done(AttrValue<'a>),
    /// A set that may grow, by its number.
    Set(usize),
}

impl<'a> AttrsBuilder<'a> {
    fn find(&self, name: Symbol) -> Option<usize> {
        if self.fixed.len() <= FEW {
            self.fixed.iter().position(|entry| entry.name == name)
        } else {
            self.places.get(&name).copied()
        }
    }

    fn push(&mut self, entry: Entry<'a>) {
        self.fixed.push(entry);
        if self.fixed.len() == FEW + 1 {
            let places = self.fixed.iter().enumerate();
            self.places = places.map(|(at, entry)| (entry.name, at)).collect();
        } else if self.fixed.len() > FEW {
            self.places.insert(entry.name, self.fixed.len() - 1);
        }
    }
}

impl<'a> Parser<'_, '_, 'a> {
    pub(super) fn new_set(&mut self, span: Span, recursive: bool) -> usize {
        self.sets.push(AttrsBuilder {
            span,
            recursive,
            ..AttrsBuilder::default()
        });
        self.sets.len() - 1
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "numbers come from new_set, and a set is dropped only when the one around it is finished"
    )]
    fn set(&mut self, set: usize) -> &mut AttrsBuilder<'a> {
        &mut self.sets[set]
    }

    /// The finished set. It and the sets begun after it are gone from the table.
    pub(super) fn finish_set(&mut self, set: usize) -> &'a Attrs<'a> {
        let attrs = self.freeze(set);
        self.sets.truncate(set);
        attrs
    }

    fn freeze(&mut self, set: usize) -> &'a Attrs<'a> {
        let builder = std::mem::take(self.set(set));
        let arena = self.arena;
        let fixed = arena.alloc_slice_fill_iter(builder.fixed.iter().map(|entry| Attr {
            name: entry.name,
            span: entry.span,
            value: match entry.value {
                Value::Done(value) => value,
                Value::Set(inner) => AttrValue::Expr(with_stack(|| self.freeze_expr(inner))),
            },
        }));
        arena.alloc(Attrs {
            recursive: builder.recursive,
            fixed,
            dynamic: arena.alloc_slice_copy(&builder.dynamic),
            sources: arena.alloc_slice_copy(&builder.sources),
        })
    }

    fn freeze_expr(&mut self, set: usize) -> &'a Expr<'a> {
        let span = self.set(set).span;
        let attrs = self.freeze(set);
        self.alloc(ExprKind::Attrs(attrs), span)
    }

    /// A finished set as one that can grow.
    fn thaw(&mut self, attrs: &Attrs<'a>, span: Span) -> usize {
        let set = self.new_set(span, attrs.recursive);
        let builder = self.set(set);
        for attr in attrs.fixed {
            builder.push(Entry {
                name: attr.name,
                span: attr.span,
                value: Value::Done(attr.value),
            });
        }
        builder.dynamic.extend_from_slice(attrs.dynamic);
        builder.sources.extend_from_slice(attrs.sources);
        set
    }

    /// The set that an attribute is, to add to it; nothing if it is something else.
    fn open_attr(&mut self, set: usize, at: usize) -> Option<usize> {
        let value = self.set(set).fixed.get(at)?.value;
        match value {
            Value::Set(inner) => Some(inner),
            Value::Done(AttrValue::Expr(Expr {
                kind: ExprKind::Attrs(attrs),
                span,
            })) => {
                let inner = self.thaw(attrs, *span);
                self.set(set).fixed.get_mut(at)?.value = Value::Set(inner);
                Some(inner)
            }
            Value::Done(_) => None,
        }
    }

    /// Adds `path = value;`, the path at `span`.
    pub(super) fn define(
        &mut self,
        mut set: usize,
        path: &'a [AttrName<'a>],
        span: Span,
        value: &'a Expr<'a>,
    ) -> Result<()> {
        let whole = span.to(value.span);
        for (at, name) in path.iter().enumerate() {
            let rest = path.get(at + 1..).unwrap_or_default();
            let so_far = path.get(..=at).unwrap_or_default();
            match name.kind {
                AttrNameKind::Dynamic(name) => {
                    let value = self.wrap(rest, span, value);
                    self.set(set)
                        .dynamic
                        .push(DynamicAttr { name, span, value });
                    return Ok(());
                }
                AttrNameKind::Fixed(name) if rest.is_empty() => {
                    return self.add(set, so_far, name, span, AttrValue::Expr(value));
                }
                AttrNameKind::Fixed(name) => {
                    set = self.inner_set(set, so_far, name, span, whole)?;
                }
            }
        }
        Ok(())
    }

    /// The set that the attribute at the end of `path` is; a new one if there is no attribute yet.
    fn inner_set(
        &mut self,
        set: usize,
        path: &[AttrName<'a>],
        name: Symbol,
        span: Span,
        whole: Span,
    ) -> Result<usize> {
        if let Some(found) = self.set(set).find(name) {
            return self
                .open_attr(set, found)
                .ok_or_else(|| self.defined_before(set, found, path, span));
        }
        let inner = self.new_set(whole, false);
        self.set(set).push(Entry {
            name,
            span,
            value: Value::Set(inner),
        });
        Ok(inner)
    }

    /// A value inside the sets of a path that nothing else can add to.
    fn wrap(&mut self, path: &'a [AttrName<'a>], span: Span, value: &'a Expr<'a>) -> &'a Expr<'a> {
        let arena = self.arena;
        path.iter().rev().fold(value, |value, name| {
            let mut attrs = Attrs {
                recursive: false,
                fixed: &[],
                dynamic: &[],
                sources: &[],
            };
            match name.kind {
                AttrNameKind::Fixed(name) => {
                    let value = AttrValue::Expr(value);
                    attrs.fixed = arena.alloc_slice_copy(&[Attr { name, span, value }]);
                }
                AttrNameKind::Dynamic(name) => {
                    attrs.dynamic = arena.alloc_slice_copy(&[DynamicAttr { name, span, value }]);
                }
            }
            self.alloc(ExprKind::Attrs(arena.alloc(attrs)), span.to(value.span))
        })
    }

    /// Adds an attribute; two sets of the same name are merged. `path` is its path in messages.
    fn add(
        &mut self,
        set: usize,
        path: &[AttrName<'a>],
        name: Symbol,
        span: Span,
        value: AttrValue<'a>,
    ) -> Result<()> {
        let Some(found) = self.set(set).find(name) else {
            self.set(set).push(Entry {
                name,
                span,
                value: Value::Done(value),
            });
            return Ok(());
        };
        if let AttrValue::Expr(expr) = value
            && let ExprKind::Attrs(attrs) = expr.kind
            && let Some(inner) = self.open_attr(set, found)
        {
            return with_stack(|| self.merge(inner, path, attrs));
        }
        Err(self.defined_before(set, found, path, span))
    }

    fn merge(&mut self, set: usize, path: &[AttrName<'a>], attrs: &'a Attrs<'a>) -> Result<()> {
        let sources = u32::try_from(self.set(set).sources.len()).unwrap_or(u32::MAX);
        for attr in attrs.fixed {
            let value = match attr.value {
                AttrValue::InheritedFrom(source) => AttrValue::InheritedFrom(sources + source),
                value => value,
            };
            let mut path = path.to_vec();
            path.push(AttrName {
                kind: AttrNameKind::Fixed(attr.name),
                span: attr.span,
            });
            self.add(set, &path, attr.name, attr.span, value)?;
        }
        let builder = self.set(set);
        builder.dynamic.extend_from_slice(attrs.dynamic);
        builder.sources.extend_from_slice(attrs.sources);
        Ok(())
    }

    /// Adds the expression of an `inherit (e)` and says which number it has.
    pub(super) fn add_source(&mut self, set: usize, source: &'a Expr<'a>) -> u32 {
        let sources = &mut self.set(set).sources;
        sources.push(source);
        u32::try_from(sources.len() - 1).unwrap_or(u32::MAX)
    }

    /// Adds an inherited attribute.
    pub(super) fn inherit_name(
        &mut self,
        set: usize,
        name: Symbol,
        span: Span,
        value: AttrValue<'a>,
    ) -> Result<()> {
        let path = AttrName {
            kind: AttrNameKind::Fixed(name),
            span,
        };
        self.add(set, &[path], name, span, value)
    }

    fn defined_before(
        &mut self,
        set: usize,
        first: usize,
        path: &[AttrName<'_>],
        span: Span,
    ) -> Failure {
        let names: Vec<String> = path
            .iter()
            .map(|name| match name.kind {
                AttrNameKind::Fixed(name) => self.symbols.name(name).as_bstr().to_string(),
                AttrNameKind::Dynamic(name) => self.excerpt(name.span),
            })
            .collect();
        let failure = Failure::new(
            format!("attribute '{}' is already defined", names.join(".")),
            span,
        );
        match self.set(set).fixed.get(first) {
            Some(entry) => failure.label(entry.span, "it is defined here first"),
            None => failure,
        }
    }
}
