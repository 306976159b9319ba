//! Sets and bindings.

use std::cell::Cell;

use super::{Lowering, constants};
use crate::ast::{self, AttrValue};
use crate::attrs::{Attrs, Shape};
use crate::code::{AttrsCode, Code, Delayed, DynamicAttr, Select, SetScope};
use crate::error::Result;
use crate::known;
use crate::scope::Names;
use crate::source::{Place, Position};
use crate::symbol::Symbol;
use crate::value::{Slot, Value};

impl<'e> Lowering<'_, 'e> {
    pub(super) fn attrs(&mut self, attrs: &ast::Attrs<'_>, place: Place) -> Result<Code<'e>> {
        let (names, positions) = self.sorted_names(attrs);
        let shape = self.alloc(Shape::new(names, positions));
        let scope = match (attrs.recursive, attrs.sources) {
            (true, _) => SetScope::Recursive,
            (false, []) => SetScope::Outer,
            (false, _) => SetScope::Sources,
        };
        let result = self.set_values(attrs, names, scope);
        if scope != SetScope::Outer {
            self.scopes.leave();
        }
        let (values, dynamic) = result?;
        if scope == SetScope::Outer
            && dynamic.is_empty()
            && let Some(constants) = constants(values)
        {
            if constants.is_empty() {
                return Ok(self.constant(self.e.empty_attrs()));
            }
            let slots = constants.into_iter().map(Slot::new).collect();
            return Ok(self.constant(Value::Attrs(
                self.alloc(Attrs::new(shape, self.slice(slots))),
            )));
        }
        let overrides = shape.index_of(known::OVERRIDES).filter(|_| attrs.recursive);
        let overrides = overrides.and_then(|index| u32::try_from(index).ok());
        let set = AttrsCode {
            shape,
            values,
            scope,
            dynamic,
            overrides,
            place,
        };
        Ok(Code::Attrs(self.alloc(set)))
    }

    /// Values and dynamic attributes of a set, whose scope is left in place if it has one.
    fn set_values(
        &mut self,
        attrs: &ast::Attrs<'_>,
        names: &'e [Symbol],
        scope: SetScope,
    ) -> Result<(&'e [Delayed<'e>], &'e [DynamicAttr<'e>])> {
        let values = match scope {
            SetScope::Recursive => {
                let slots = names.len() + attrs.sources.len();
                self.scopes.enter(Names::Sorted(names, None), slots);
                self.bindings(attrs, names)?
            }
            SetScope::Outer => self.values(attrs, 0, 0, false)?,
            SetScope::Sources => {
                self.scopes.enter(Names::Hidden, attrs.sources.len());
                let mut values = self.values(attrs, 0, 0, false)?.to_vec();
                for source in attrs.sources {
                    values.push(self.delayed(source, None, true)?);
                }
                self.slice(values)
            }
        };
        let mut dynamic = Vec::with_capacity(attrs.dynamic.len());
        for attr in attrs.dynamic {
            let place = self.place(attr.span);
            let name = self.expr(attr.name, None)?;
            let value = self.delayed(attr.value, None, false)?;
            dynamic.push(DynamicAttr { name, value, place });
        }
        Ok((values, self.slice(dynamic)))
    }

    /// The fixed names of a set in the order of their symbols, with their positions.
    pub(super) fn sorted_names(&self, attrs: &ast::Attrs<'_>) -> (&'e [Symbol], &'e [Position]) {
        let fixed = sorted(attrs);
        let names = fixed.iter().map(|attr| attr.name).collect();
        let positions = fixed
            .iter()
            .map(|attr| self.place(attr.span).start)
            .collect();
        (self.slice(names), self.slice(positions))
    }

    /// Values of bindings that see each other, then their sources. Their scope is the innermost.
    pub(super) fn bindings(
        &mut self,
        attrs: &ast::Attrs<'_>,
        names: &'e [Symbol],
    ) -> Result<&'e [Delayed<'e>]> {
        let count = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let first_source = self.scopes.innermost_first().saturating_add(count);
        let mut values = self.values(attrs, first_source, 1, true)?.to_vec();
        for source in attrs.sources {
            values.push(self.delayed(source, None, true)?);
        }
        Ok(self.slice(values))
    }

    /// The fixed attributes' values in the order of the names. `inherited` is how many scopes
    /// further out `inherit x` looks.
    fn values(
        &mut self,
        attrs: &ast::Attrs<'_>,
        first_source: u32,
        inherited: usize,
        same_scope: bool,
    ) -> Result<&'e [Delayed<'e>]> {
        let mut values = Vec::with_capacity(attrs.fixed.len());
        for attr in sorted(attrs) {
            let place = self.place(attr.span);
            values.push(match attr.value {
                AttrValue::Expr(expr) => self.delayed(expr, Some(attr.name), same_scope)?,
                AttrValue::Inherited => {
                    let code = self.variable_from(attr.name, place, inherited)?;
                    self.delay(code, same_scope)
                }
                AttrValue::InheritedFrom(source) => {
                    let subject = Code::Local {
                        index: first_source.saturating_add(source),
                        position: place.start,
                    };
                    let select = Select {
                        subject,
                        name: attr.name,
                        place,
                        cache: Cell::new(None),
                    };
                    Delayed::Select(self.alloc(Code::Select(self.alloc(select))))
                }
            });
        }
        Ok(self.slice(values))
    }
}

fn sorted<'a, 'b>(attrs: &'b ast::Attrs<'a>) -> Vec<&'b ast::Attr<'a>> {
    let mut fixed: Vec<_> = attrs.fixed.iter().collect();
    fixed.sort_by_key(|attr| attr.name);
    fixed
}
