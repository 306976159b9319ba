//! Values in the language's syntax, as `nix-instantiate --eval` and as `nix repl` show them.

use std::collections::HashSet;

use crate::attrs::Attrs;
use crate::code::Code;
use crate::error::{Result, Traced as _};
use crate::evaluator::Evaluator;
use crate::known;
use crate::show::{show_float, show_name, show_string};
use crate::string::NixString;
use crate::value::{Closure, List, Slot, Value};

/// How values are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    dialect: Dialect,
    /// Whether what is not computed yet is computed.
    force: bool,
    /// Whether lists and sets of more than one element stand on lines of their own.
    lines: bool,
    /// Below how many lists and sets nothing is shown.
    depth: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// `<CODE>`, `<LAMBDA>`: `nix-instantiate --eval`.
    Plain,
    /// `«thunk»`, `«lambda f @ file:1:2»`: messages and the interactive commands.
    Guillemets,
}

impl Style {
    /// As `nix-instantiate --eval` shows values.
    pub const PLAIN: Self = Self {
        dialect: Dialect::Plain,
        force: false,
        lines: false,
        depth: usize::MAX,
    };
    /// As `nix-instantiate --eval --strict` shows values.
    pub const STRICT: Self = Self {
        force: true,
        ..Self::PLAIN
    };
    /// As `trace` shows values: in one line, nothing is computed.
    pub const SHALLOW: Self = Self {
        dialect: Dialect::Guillemets,
        ..Self::PLAIN
    };
    /// As `nix eval` and `:p` of the repl show values: everything is computed, derivations are
    /// named, and long values take several lines.
    pub const WHOLE: Self = Self {
        force: true,
        lines: true,
        depth: usize::MAX,
        dialect: Dialect::Guillemets,
    };
    /// As the repl shows values: the outermost list or set, and of what it contains only `{ ... }`.
    pub const OUTERMOST: Self = Self {
        depth: 1,
        ..Self::WHOLE
    };
}

impl<'e> Evaluator<'e> {
    /// The value as text.
    ///
    /// # Errors
    /// Values nest too deeply; if the style forces, whatever that meets.
    pub fn print(&mut self, value: Value<'e>, style: Style) -> Result<Vec<u8>> {
        let mut printer = Printer {
            style,
            seen: HashSet::new(),
            indent: 0,
            out: Vec::new(),
        };
        printer.value(self, value, None, 0)?;
        Ok(printer.out)
    }
}

/// Where a value lies.
#[derive(Clone, Copy)]
struct Place {
    address: usize,
    /// Whether it is computed for this place, rather than taken from a variable.
    computed: bool,
}

struct Printer {
    style: Style,
    /// Addresses of lists and sets that were shown.
    seen: HashSet<usize>,
    indent: usize,
    out: Vec<u8>,
}

impl Printer {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn guillemets(&self) -> bool {
        self.style.dialect == Dialect::Guillemets
    }

    /// A value, and where it lies if it is in a list or set.
    fn value<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        value: Value<'e>,
        place: Option<Place>,
        depth: usize,
    ) -> Result<()> {
        e.check_stack()?;
        e.check_memory(self.out.len())?;
        let value = if self.style.force {
            e.force(value)?
        } else {
            value
        };
        match value {
            Value::Null => self.text("null"),
            Value::Bool(truth) => self.text(if truth.into() { "true" } else { "false" }),
            Value::Int(number) => self.text(&number.to_string()),
            Value::Float(number) => self.text(&show_float(number.get())),
            Value::String(string) => show_string(&mut self.out, string.bytes()),
            Value::Path(path) => self.out.extend_from_slice(path.bytes()),
            Value::List(list) => self.list(e, list, place, depth)?,
            Value::Attrs(attrs) => self.attrs(e, attrs, depth)?,
            Value::Lambda(closure) if self.guillemets() => self.lambda(e, closure),
            Value::Lambda(_) => self.text("<LAMBDA>"),
            Value::Builtin(call) => {
                let partial = !call.arguments.is_empty();
                let text = match self.style.dialect {
                    Dialect::Plain if partial => "<PRIMOP-APP>".to_owned(),
                    Dialect::Plain => "<PRIMOP>".to_owned(),
                    Dialect::Guillemets => format!(
                        "«{}primop {}»",
                        if partial { "partially applied " } else { "" },
                        call.builtin.name
                    ),
                };
                self.text(&text);
            }
            Value::Thunk(slot) if matches!(slot.state(), Value::Blackhole) => {
                self.text("«potential infinite recursion»");
            }
            Value::Thunk(_) | Value::Suspended(..) | Value::Generated(..) | Value::Blackhole => {
                self.text(if self.guillemets() {
                    "«thunk»"
                } else {
                    "<CODE>"
                });
            }
        }
        Ok(())
    }

    /// What lies in a slot of a list or set.
    fn element<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        slot: &'e Slot<'e>,
        depth: usize,
    ) -> Result<()> {
        let mut origin = slot;
        for _ in 0..VARIABLES {
            origin = variable(origin).unwrap_or(origin);
        }
        let place = Place {
            address: std::ptr::from_ref(origin).addr(),
            computed: std::ptr::eq(origin, slot) && gives_a_copy(origin),
        };
        self.value(e, slot.value(), Some(place), depth)
    }

    /// Says that something was shown before, if it was.
    fn repeated(&mut self, before: bool) -> bool {
        if before {
            self.text("«repeated»");
        }
        before
    }

    /// Whether a list was shown before.
    ///
    /// Nix keeps a list of one or two elements where the value lies that holds it: what an
    /// expression computes for an element is a copy, which is not the same as its original.
    fn list_repeated(&mut self, list: &List<'_>, place: Option<Place>) -> bool {
        let address = std::ptr::from_ref(list).addr();
        let before = match (list.len(), place) {
            (0, _) | (1..=2, None) => false,
            (1..=2, Some(place)) => {
                let place_seen = !self.seen.insert(place.address);
                let list_seen = !place.computed && !self.seen.insert(address);
                place_seen || list_seen
            }
            _ => !self.seen.insert(address),
        };
        self.repeated(before)
    }

    fn list<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        list: &'e List<'e>,
        place: Option<Place>,
        depth: usize,
    ) -> Result<()> {
        if self.list_repeated(list, place) {
            return Ok(());
        }
        if depth >= self.style.depth {
            self.text("[ ... ]");
            return Ok(());
        }
        let lines = self.own_lines(e, list.len(), || list.get(0))?;
        self.text("[");
        self.indent += 2;
        for (index, slot) in list.slots().iter().enumerate() {
            self.space(lines);
            self.element(e, slot, depth + 1).while_(
                || format!("while evaluating element {index} of a list"),
                crate::source::Place::NONE,
            )?;
        }
        self.indent -= 2;
        self.space(lines);
        self.text("]");
        Ok(())
    }

    fn attrs<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        attrs: &'e Attrs<'e>,
        depth: usize,
    ) -> Result<()> {
        let address = std::ptr::from_ref(attrs).addr();
        let counts = self.guillemets() || !attrs.is_empty();
        let before = counts && !self.seen.insert(address);
        if self.repeated(before) {
            return Ok(());
        }
        if self.style.force && self.guillemets() && e.is_derivation(attrs)? {
            return self.derivation(e, attrs);
        }
        if depth >= self.style.depth {
            self.text("{ ... }");
            return Ok(());
        }
        let flat = attrs.flat(e.arena());
        let order = flat.shape().by_name(e.symbols(), e.arena());
        let slot = |index: &u32| flat.slots().get(*index as usize);
        let first = || order.first().and_then(slot).map(Slot::value);
        let lines = self.own_lines(e, order.len(), first)?;
        self.text("{");
        self.indent += 2;
        for index in order {
            let name = flat.shape().names().get(*index as usize);
            let (Some(name), Some(slot)) = (name.copied(), slot(index)) else {
                continue;
            };
            self.space(lines);
            show_name(&mut self.out, e.name(name));
            self.text(" = ");
            if let Err(error) = self.element(e, slot, depth + 1) {
                return Err(e.attribute_frame(error, attrs, name));
            }
            self.text(";");
        }
        self.indent -= 2;
        self.space(lines);
        self.text("}");
        Ok(())
    }

    /// Whether the elements of a list or set stand on lines of their own: if there are several, or
    /// the only one has elements itself.
    ///
    /// Looking at a slot changes what [`Printer::element`] sees, so only lines make it look.
    fn own_lines<'e>(
        &self,
        e: &mut Evaluator<'e>,
        count: usize,
        first: impl FnOnce() -> Option<Value<'e>>,
    ) -> Result<bool> {
        if !self.style.lines || count != 1 {
            return Ok(self.style.lines && count > 1);
        }
        let only = e.force(first().unwrap_or(Value::Null))?;
        Ok(matches!(only, Value::List(_) | Value::Attrs(_)))
    }

    fn space(&mut self, line: bool) {
        if line {
            self.out.push(b'\n');
            self.out.resize(self.out.len() + self.indent, b' ');
        } else {
            self.out.push(b' ');
        }
    }

    fn derivation<'e>(&mut self, e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>) -> Result<()> {
        self.text("«derivation");
        if let Some(path) = attrs.get(known::DRV_PATH) {
            let path: &NixString<'e> = e.expect_string(path, "the drvPath of a derivation")?;
            self.text(" ");
            self.out.extend_from_slice(path.bytes());
        }
        self.text("»");
        Ok(())
    }

    fn lambda(&mut self, e: &Evaluator<'_>, closure: &Closure<'_>) {
        self.text("«lambda");
        if let Some(name) = closure.lambda.name {
            self.text(" ");
            self.out.extend_from_slice(e.name(name));
        }
        let place = format!(" @ {}»", e.describe_place(closure.lambda.place));
        self.text(&place);
    }
}

/// How many variables are followed that are defined as one another.
const VARIABLES: usize = 16;

/// Whether the computation of a slot may give a list that lies elsewhere.
fn gives_a_copy(slot: &Slot<'_>) -> bool {
    match slot.state() {
        Value::Suspended(suspension) => !matches!(suspension.code, Code::List(_)),
        Value::Generated(_) => true,
        _ => false,
    }
}

/// The slot of the variable whose value a slot is to have.
fn variable<'e>(slot: &'e Slot<'e>) -> Option<&'e Slot<'e>> {
    match slot.state() {
        Value::Thunk(other) => Some(other),
        Value::Suspended(suspension) => match *suspension.code {
            Code::Local { index, .. } => suspension.environment.slot(0, index),
            Code::Variable { depth, index, .. } => suspension.environment.slot(depth, index),
            _ => None,
        },
        _ => None,
    }
}
