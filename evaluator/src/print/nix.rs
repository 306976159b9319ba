//! Values in the language's syntax, as `nix-instantiate --eval` and as `nix repl` show them.

use std::collections::HashSet;

use crate::attrs::Attrs;
use crate::error::Result;
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
        printer.value(self, value, 0)?;
        Ok(printer.out)
    }
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

    fn value<'e>(&mut self, e: &mut Evaluator<'e>, value: Value<'e>, depth: usize) -> Result<()> {
        e.check_stack()?;
        let value = if self.style.force {
            e.force(value)?
        } else {
            value
        };
        match value {
            Value::Null => self.text("null"),
            Value::Bool(truth) => self.text(if truth { "true" } else { "false" }),
            Value::Int(number) => self.text(&number.to_string()),
            Value::Float(number) => self.text(&show_float(number)),
            Value::String(string) => show_string(&mut self.out, string.bytes()),
            Value::Path(path) => self.out.extend_from_slice(path.bytes()),
            Value::List(list) => self.list(e, list, depth)?,
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

    /// Whether something was shown before; then only that is said.
    fn repeated<T>(&mut self, shown: &T) -> bool {
        let new = self.seen.insert(std::ptr::from_ref(shown).addr());
        if !new {
            self.text("«repeated»");
        }
        !new
    }

    fn list<'e>(&mut self, e: &mut Evaluator<'e>, list: &'e List<'e>, depth: usize) -> Result<()> {
        if !list.is_empty() && self.repeated(list) {
            return Ok(());
        }
        self.elements(e, list, depth)
    }

    fn elements<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        list: &'e List<'e>,
        depth: usize,
    ) -> Result<()> {
        if depth >= self.style.depth {
            self.text("[ ... ]");
            return Ok(());
        }
        let lines = self.own_lines(e, list.len(), list.get(0))?;
        self.text("[");
        self.indent += 2;
        for slot in list.slots() {
            self.space(lines);
            self.element(e, slot, depth + 1)?;
        }
        self.indent -= 2;
        self.space(lines);
        self.text("]");
        Ok(())
    }

    /// An element of a list. Nix keeps the elements of a short list in the value itself, so that
    /// for it the same short list in two places is two: it shows a list in itself once more.
    fn element<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        slot: &'e Slot<'e>,
        depth: usize,
    ) -> Result<()> {
        let value = slot.value();
        let value = if self.style.force {
            e.force(value)?
        } else {
            value
        };
        match value {
            Value::List(list) if matches!(list.len(), 1 | 2) => {
                if self.repeated(slot) {
                    return Ok(());
                }
                self.elements(e, list, depth)
            }
            value => self.value(e, value, depth),
        }
    }

    fn attrs<'e>(
        &mut self,
        e: &mut Evaluator<'e>,
        attrs: &'e Attrs<'e>,
        depth: usize,
    ) -> Result<()> {
        if (self.guillemets() || !attrs.is_empty()) && self.repeated(attrs) {
            return Ok(());
        }
        if self.style.force && self.guillemets() && e.is_derivation(attrs)? {
            return self.derivation(e, attrs);
        }
        if depth >= self.style.depth {
            self.text("{ ... }");
            return Ok(());
        }
        let sorted = e.sorted(attrs);
        let first = e.sorted(attrs).next().map(|(_, value)| value);
        let lines = self.own_lines(e, sorted.len(), first)?;
        self.text("{");
        self.indent += 2;
        for (name, value) in sorted {
            self.space(lines);
            show_name(&mut self.out, e.name(name));
            self.text(" = ");
            self.value(e, value, depth + 1)?;
            self.text(";");
        }
        self.indent -= 2;
        self.space(lines);
        self.text("}");
        Ok(())
    }

    /// Whether the elements of a list or set stand on lines of their own: if there are several, or
    /// the only one has elements itself.
    fn own_lines<'e>(
        &self,
        e: &mut Evaluator<'e>,
        count: usize,
        first: Option<Value<'e>>,
    ) -> Result<bool> {
        Ok(self.style.lines
            && match (count, first) {
                (1, Some(only)) => matches!(e.force(only)?, Value::List(_) | Value::Attrs(_)),
                (count, _) => count > 1,
            })
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
