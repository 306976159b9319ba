//! Values as XML, as `builtins.toXML` and `--xml` give them.

use std::collections::HashSet;

use crate::attrs::Attrs;
use crate::code::Parameters;
use crate::error::Result;
use crate::evaluator::Evaluator;
use crate::known;
use crate::show::show_float;
use crate::source::Position;
use crate::string::{ContextBuilder, NixString};
use crate::symbol::Symbol;
use crate::value::{Closure, Value};

/// What is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Xml {
    /// Whether what is not computed yet is computed; it is `<unevaluated />` otherwise.
    pub force: bool,
    /// Whether places are shown.
    pub locations: bool,
}

impl<'e> Evaluator<'e> {
    /// The value as an XML document; what its strings depend on is added to `context`.
    ///
    /// # Errors
    /// Values nest too deeply; if `xml.force`, whatever that meets.
    pub fn print_xml(
        &mut self,
        value: Value<'e>,
        xml: Xml,
        context: &mut ContextBuilder<'e>,
    ) -> Result<Vec<u8>> {
        let mut printer = Printer {
            xml,
            context,
            derivations: HashSet::new(),
            depth: 1,
            out: b"<?xml version='1.0' encoding='utf-8'?>\n<expr>\n".to_vec(),
        };
        printer.value(self, value)?;
        printer.out.extend_from_slice(b"</expr>\n");
        Ok(printer.out)
    }
}

struct Printer<'c, 'e> {
    xml: Xml,
    context: &'c mut ContextBuilder<'e>,
    /// The derivations whose attributes were shown.
    derivations: HashSet<&'e [u8]>,
    depth: usize,
    out: Vec<u8>,
}

/// Name and value of an XML attribute.
type Attribute<'a> = (&'a str, &'a [u8]);

impl<'e> Printer<'_, 'e> {
    fn tag(&mut self, name: &str, attributes: &[Attribute<'_>], end: &str) {
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
        self.out.push(b'<');
        self.out.extend_from_slice(name.as_bytes());
        for (name, value) in attributes {
            self.out.push(b' ');
            self.out.extend_from_slice(name.as_bytes());
            self.out.extend_from_slice(b"=\"");
            self.escaped(value);
            self.out.push(b'"');
        }
        self.out.extend_from_slice(end.as_bytes());
    }

    fn escaped(&mut self, text: &[u8]) {
        for &byte in text {
            match byte {
                b'"' => self.out.extend_from_slice(b"&quot;"),
                b'<' => self.out.extend_from_slice(b"&lt;"),
                b'>' => self.out.extend_from_slice(b"&gt;"),
                b'&' => self.out.extend_from_slice(b"&amp;"),
                b'\n' => self.out.extend_from_slice(b"&#xA;"),
                _ => self.out.push(byte),
            }
        }
    }

    fn empty(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes, " />\n");
    }

    fn open(&mut self, name: &str, attributes: &[Attribute<'_>]) {
        self.tag(name, attributes, ">\n");
        self.depth += 1;
    }

    fn close(&mut self, name: &str) {
        self.depth -= 1;
        self.out.resize(self.out.len() + 2 * self.depth, b' ');
        self.out
            .extend_from_slice(format!("</{name}>\n").as_bytes());
    }

    fn value(&mut self, e: &mut Evaluator<'e>, value: Value<'e>) -> Result<()> {
        e.check_stack()?;
        e.check_memory(self.out.len())?;
        let value = if self.xml.force {
            e.force(value)?
        } else {
            value
        };
        match value {
            Value::Null => self.empty("null", &[]),
            Value::Bool(truth) => {
                self.empty(
                    "bool",
                    &[("value", if truth.into() { b"true" } else { b"false" })],
                );
            }
            Value::Int(number) => self.empty("int", &[("value", number.to_string().as_bytes())]),
            Value::Float(number) => {
                self.empty("float", &[("value", show_float(number.get()).as_bytes())]);
            }
            Value::String(string) => {
                self.context.add(string);
                self.empty("string", &[("value", string.bytes())]);
            }
            Value::Path(path) => self.empty("path", &[("value", path.bytes())]),
            Value::List(list) => {
                self.open("list", &[]);
                for item in list.iter() {
                    self.value(e, item)?;
                }
                self.close("list");
            }
            Value::Attrs(attrs) if self.is_derivation(e, attrs)? => self.derivation(e, attrs)?,
            Value::Attrs(attrs) => {
                self.open("attrs", &[]);
                self.attrs(e, attrs)?;
                self.close("attrs");
            }
            Value::Lambda(closure) => self.function(e, closure),
            Value::Builtin(_)
            | Value::Thunk(_)
            | Value::Suspended(..)
            | Value::Generated(..)
            | Value::Blackhole => self.empty("unevaluated", &[]),
        }
        Ok(())
    }

    /// A set whose `type` is not computed is no derivation, unless computing is allowed.
    fn is_derivation(&self, e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>) -> Result<bool> {
        match attrs.get(known::TYPE) {
            Some(Value::Thunk(_)) if !self.xml.force => Ok(false),
            _ => e.is_derivation(attrs),
        }
    }

    fn attrs(&mut self, e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>) -> Result<()> {
        for (name, value) in e.sorted(attrs) {
            let place = self.place(e, attrs.position(name).unwrap_or(Position::NONE));
            let mut attributes = place.attributes();
            attributes.push(("name", e.name(name)));
            attributes.sort_unstable();
            self.open("attr", &attributes);
            if let Err(error) = self.value(e, value) {
                return Err(e.attribute_frame(error, attrs, name));
            }
            self.close("attr");
        }
        Ok(())
    }

    fn derivation(&mut self, e: &mut Evaluator<'e>, attrs: &'e Attrs<'e>) -> Result<()> {
        let drv_path = self.path_of(e, attrs, known::DRV_PATH)?;
        let out_path = self.path_of(e, attrs, known::OUT_PATH)?;
        let mut attributes = Vec::new();
        attributes.extend(drv_path.map(|path| ("drvPath", path)));
        attributes.extend(out_path.map(|path| ("outPath", path)));
        self.open("derivation", &attributes);
        if drv_path.is_some_and(|path| !path.is_empty() && self.derivations.insert(path)) {
            self.attrs(e, attrs)?;
        } else {
            self.empty("repeated", &[]);
        }
        self.close("derivation");
        Ok(())
    }

    fn path_of(
        &self,
        e: &mut Evaluator<'e>,
        attrs: &'e Attrs<'e>,
        name: Symbol,
    ) -> Result<Option<&'e [u8]>> {
        let Some(value) = attrs.get(name) else {
            return Ok(None);
        };
        let value = if self.xml.force {
            e.force(value)?
        } else {
            value
        };
        Ok(match value {
            Value::String(string) => Some(NixString::bytes(string)),
            _ => None,
        })
    }

    fn function(&mut self, e: &Evaluator<'e>, closure: &Closure<'e>) {
        let lambda = closure.lambda;
        let place = self.place(e, lambda.place.start);
        self.open("function", &place.attributes());
        match lambda.parameters {
            Parameters::Plain(names) => {
                let name = names
                    .get(closure.applied.len())
                    .map_or(&b""[..], |name| e.name(*name));
                self.empty("varpat", &[("name", name)]);
            }
            Parameters::Formals(formals) => {
                let mut attributes: Vec<Attribute<'_>> = Vec::new();
                if formals.ellipsis {
                    attributes.push(("ellipsis", b"1"));
                }
                attributes.extend(formals.whole.map(|name| ("name", e.name(name))));
                self.open("attrspat", &attributes);
                let mut names: Vec<_> = formals
                    .list
                    .iter()
                    .map(|formal| e.name(formal.name))
                    .collect();
                names.sort_unstable();
                for name in names {
                    self.empty("attr", &[("name", name)]);
                }
                self.close("attrspat");
            }
        }
        self.close("function");
    }

    fn place(&self, e: &Evaluator<'e>, position: Position) -> Location {
        let mut location = Location::default();
        if !self.xml.locations {
            return location;
        }
        if let Some(found) = e.sources().locate(position) {
            location.line_column = Some((found.line.to_string(), found.column.to_string()));
            location.file = e.sources().file(position).map(<[u8]>::to_vec);
        }
        location
    }
}

/// A place as text.
#[derive(Default)]
struct Location {
    line_column: Option<(String, String)>,
    file: Option<Vec<u8>>,
}

impl Location {
    /// In the order of the names.
    fn attributes(&self) -> Vec<Attribute<'_>> {
        let mut attributes: Vec<Attribute<'_>> = Vec::new();
        if let Some((line, column)) = &self.line_column {
            attributes.push(("column", column.as_bytes()));
            attributes.push(("line", line.as_bytes()));
        }
        attributes.extend(self.file.as_deref().map(|file| ("path", file)));
        attributes
    }
}
