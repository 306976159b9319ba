//! Syntax trees as text, in the form in which `nix-instantiate --parse` prints them: one line,
//! fully parenthesised, attributes sorted by name.
//!
//! The text means the same, but need not parse to the same tree: strings with interpolation are
//! shown as sums, operators of arithmetic and order as calls.

use crate::ast::{
    Attr, AttrName, AttrNameKind, AttrValue, Attrs, Expr, ExprKind, Formals, Lambda, Operator, Part,
};
use crate::parser::with_stack;
use crate::{Symbol, SymbolTable};

/// The expression as `nix-instantiate --parse` prints it, without a line break at its end.
#[must_use]
pub fn show(expr: &Expr<'_>, symbols: &SymbolTable<'_>) -> Vec<u8> {
    print(expr, symbols, Literals::AsTheyAre)
}

/// Like [`show`], but with neighbouring literal parts of strings as one: how an indented string is
/// divided into lines and escapes does not show, only what it says.
#[must_use]
pub fn show_merged(expr: &Expr<'_>, symbols: &SymbolTable<'_>) -> Vec<u8> {
    print(expr, symbols, Literals::Merged)
}

fn print(expr: &Expr<'_>, symbols: &SymbolTable<'_>, literals: Literals) -> Vec<u8> {
    let mut printer = Printer {
        symbols,
        literals,
        out: Vec::new(),
    };
    printer.expr(expr);
    printer.out
}

/// A float with six significant digits, as C's `%g` prints it.
#[must_use]
pub fn show_float(value: f64) -> String {
    if !value.is_finite() {
        let name = if value.is_nan() { "nan" } else { "inf" };
        let sign = if value.is_sign_negative() { "-" } else { "" };
        return format!("{sign}{name}");
    }
    let scientific = format!("{value:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    match usize::try_from(5 - exponent) {
        Ok(decimals) if exponent >= -4 => trim_zeros(&format!("{value:.decimals$}")).to_owned(),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", trim_zeros(mantissa), exponent.abs())
        }
    }
}

fn trim_zeros(digits: &str) -> &str {
    if digits.contains('.') {
        digits.trim_end_matches('0').trim_end_matches('.')
    } else {
        digits
    }
}

/// Appends a name as it stands in an attribute path or as a definition: quoted if it is no
/// identifier or a keyword.
pub fn show_name(out: &mut Vec<u8>, name: &[u8]) {
    let is_identifier = match name {
        [first, rest @ ..] => {
            (first.is_ascii_alphabetic() || *first == b'_')
                && rest
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'\'' | b'-'))
        }
        [] => false,
    };
    let is_keyword = matches!(
        name,
        b"if" | b"then" | b"else" | b"assert" | b"with" | b"let" | b"in" | b"rec" | b"inherit"
    );
    if is_identifier && !is_keyword {
        out.extend_from_slice(name);
    } else {
        show_string(out, name);
    }
}

/// Appends a string literal.
pub fn show_string(out: &mut Vec<u8>, text: &[u8]) {
    out.push(b'"');
    let mut bytes = text.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.peek() == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

#[derive(Clone, Copy, PartialEq)]
enum Literals {
    AsTheyAre,
    Merged,
}

struct Printer<'s, 'e> {
    symbols: &'s SymbolTable<'e>,
    literals: Literals,
    out: Vec<u8>,
}

impl Printer<'_, '_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn name(&mut self, name: Symbol) {
        show_name(&mut self.out, self.symbols.name(name));
    }

    fn expr(&mut self, expr: &Expr<'_>) {
        with_stack(|| self.expr_here(expr));
    }

    #[expect(clippy::too_many_lines, reason = "one arm for each kind of expression")]
    fn expr_here(&mut self, expr: &Expr<'_>) {
        match expr.kind {
            ExprKind::Int(value) => self.text(&value.to_string()),
            ExprKind::Float(value) => self.text(&show_float(value)),
            ExprKind::String(text) => show_string(&mut self.out, text),
            ExprKind::Interpolation(parts) => match self.merged(parts) {
                Some(text) => show_string(&mut self.out, &text),
                None => self.sum(None, parts),
            },
            ExprKind::Path(path) => self.out.extend_from_slice(path),
            ExprKind::PathInterpolation { start, parts } => self.sum(Some(start), parts),
            ExprKind::Variable(name) => self.name(name),
            ExprKind::CurrentPosition => self.text("__curPos"),
            ExprKind::List(elements) => {
                self.text("[ ");
                for element in elements {
                    self.text("(");
                    self.expr(element);
                    self.text(") ");
                }
                self.text("]");
            }
            ExprKind::Attrs(attrs) => self.attrs(attrs),
            ExprKind::Let { bindings, body } => {
                self.text("(let ");
                self.bindings(bindings);
                self.text("in ");
                self.expr(body);
                self.text(")");
            }
            ExprKind::With { scope, body } => self.around(&[
                Piece::Text("(with "),
                Piece::Expr(scope),
                Piece::Text("; "),
                Piece::Expr(body),
                Piece::Text(")"),
            ]),
            ExprKind::Assert { condition, body } => self.around(&[
                Piece::Text("assert "),
                Piece::Expr(condition),
                Piece::Text("; "),
                Piece::Expr(body),
            ]),
            ExprKind::If {
                condition,
                then,
                otherwise,
            } => self.around(&[
                Piece::Text("(if "),
                Piece::Expr(condition),
                Piece::Text(" then "),
                Piece::Expr(then),
                Piece::Text(" else "),
                Piece::Expr(otherwise),
                Piece::Text(")"),
            ]),
            ExprKind::Lambda(lambda) => self.lambda(lambda),
            ExprKind::Apply {
                function,
                arguments,
            } => {
                self.open_call(function);
                for argument in arguments {
                    self.text(" ");
                    self.expr(argument);
                }
                self.text(")");
            }
            ExprKind::Select {
                subject,
                path,
                default,
            } => {
                self.around(&[Piece::Text("("), Piece::Expr(subject), Piece::Text(").")]);
                self.path(path);
                if let Some(default) = default {
                    self.around(&[Piece::Text(" or ("), Piece::Expr(default), Piece::Text(")")]);
                }
            }
            ExprKind::HasAttr { subject, path } => {
                self.around(&[Piece::Text("(("), Piece::Expr(subject), Piece::Text(") ? ")]);
                self.path(path);
                self.text(")");
            }
            ExprKind::Not(operand) => {
                self.around(&[Piece::Text("(! "), Piece::Expr(operand), Piece::Text(")")]);
            }
            ExprKind::SearchPath(_)
            | ExprKind::Negate(_)
            | ExprKind::Binary {
                operator:
                    Operator::Subtract
                    | Operator::Multiply
                    | Operator::Divide
                    | Operator::Less
                    | Operator::Greater,
                ..
            } => {
                self.open_call(expr);
                self.text(")");
            }
            ExprKind::Binary {
                operator,
                left,
                right,
                ..
            } => self.binary(operator, left, right),
        }
    }

    /// The start of a call up to its arguments: what is a call itself goes on with more of them.
    fn open_call(&mut self, function: &Expr<'_>) {
        match function.kind {
            ExprKind::SearchPath(path) => {
                self.text("(__findFile __nixPath ");
                show_string(&mut self.out, path);
            }
            ExprKind::Negate(operand) => {
                self.around(&[Piece::Text("(__sub 0 "), Piece::Expr(operand)]);
            }
            ExprKind::Binary {
                operator,
                left,
                right,
                ..
            } => {
                let (name, first, second) = match operator {
                    Operator::Subtract => ("(__sub ", left, right),
                    Operator::Multiply => ("(__mul ", left, right),
                    Operator::Divide => ("(__div ", left, right),
                    Operator::Less => ("(__lessThan ", left, right),
                    Operator::Greater => ("(__lessThan ", right, left),
                    _ => {
                        self.text("(");
                        self.expr(function);
                        return;
                    }
                };
                self.around(&[
                    Piece::Text(name),
                    Piece::Expr(first),
                    Piece::Text(" "),
                    Piece::Expr(second),
                ]);
            }
            _ => self.around(&[Piece::Text("("), Piece::Expr(function)]),
        }
    }

    fn binary(&mut self, operator: Operator, left: &Expr<'_>, right: &Expr<'_>) {
        let (open, first, between, second, close) = match operator {
            Operator::LessOrEqual => ("(! (__lessThan ", right, " ", left, "))"),
            Operator::GreaterOrEqual => ("(! (__lessThan ", left, " ", right, "))"),
            _ => ("(", left, sign(operator), right, ")"),
        };
        self.around(&[
            Piece::Text(open),
            Piece::Expr(first),
            Piece::Text(between),
            Piece::Expr(second),
            Piece::Text(close),
        ]);
    }

    fn around(&mut self, pieces: &[Piece<'_>]) {
        for piece in pieces {
            match piece {
                Piece::Text(text) => self.text(text),
                Piece::Expr(expr) => self.expr(expr),
            }
        }
    }

    /// The text of parts that are all literals, if literals are to be merged.
    fn merged(&self, parts: &[Part<'_>]) -> Option<Vec<u8>> {
        if self.literals == Literals::AsTheyAre {
            return None;
        }
        let literals = parts.iter().map(|part| match part {
            Part::Literal(text) => Some(*text),
            Part::Expr(_) => None,
        });
        Some(literals.collect::<Option<Vec<_>>>()?.concat())
    }

    fn sum(&mut self, start: Option<&[u8]>, mut parts: &[Part<'_>]) {
        self.text("(");
        if let Some(start) = start {
            self.out.extend_from_slice(start);
        }
        let mut first = start.is_none();
        while let [part, rest @ ..] = parts {
            if !first {
                self.text(" + ");
            }
            first = false;
            parts = rest;
            match part {
                Part::Expr(expr) => self.expr(expr),
                Part::Literal(text) if self.literals == Literals::AsTheyAre => {
                    show_string(&mut self.out, text);
                }
                Part::Literal(text) => {
                    let mut text = text.to_vec();
                    while let [Part::Literal(more), rest @ ..] = parts {
                        text.extend_from_slice(more);
                        parts = rest;
                    }
                    show_string(&mut self.out, &text);
                }
            }
        }
        self.text(")");
    }

    fn path(&mut self, path: &[AttrName<'_>]) {
        for (at, name) in path.iter().enumerate() {
            if at > 0 {
                self.text(".");
            }
            match name.kind {
                AttrNameKind::Fixed(name) => self.name(name),
                AttrNameKind::Dynamic(name) => self.dynamic_name(name),
            }
        }
    }

    fn dynamic_name(&mut self, name: &Expr<'_>) {
        self.around(&[Piece::Text("\"${"), Piece::Expr(name), Piece::Text("}\"")]);
    }

    fn attrs(&mut self, attrs: &Attrs<'_>) {
        self.text(if attrs.recursive { "rec { " } else { "{ " });
        self.bindings(attrs);
        self.text("}");
    }

    fn bindings(&mut self, attrs: &Attrs<'_>) {
        let mut sorted: Vec<&Attr<'_>> = attrs.fixed.iter().collect();
        sorted.sort_by_key(|attr| self.symbols.name(attr.name));
        self.inherited(None, &sorted);
        for (number, source) in attrs.sources.iter().enumerate() {
            self.inherited(Some((number, source)), &sorted);
        }
        for attr in sorted {
            if let AttrValue::Expr(value) = attr.value {
                self.name(attr.name);
                self.around(&[Piece::Text(" = "), Piece::Expr(value), Piece::Text("; ")]);
            }
        }
        for attr in attrs.dynamic {
            self.dynamic_name(attr.name);
            self.around(&[
                Piece::Text(" = "),
                Piece::Expr(attr.value),
                Piece::Text("; "),
            ]);
        }
    }

    /// `inherit …;` with the names that come from the same source.
    fn inherited(&mut self, source: Option<(usize, &Expr<'_>)>, attrs: &[&Attr<'_>]) {
        let mut names = attrs
            .iter()
            .filter(|attr| match (attr.value, source) {
                (AttrValue::Inherited, None) => true,
                (AttrValue::InheritedFrom(from), Some((number, _))) => from as usize == number,
                _ => false,
            })
            .peekable();
        if names.peek().is_none() {
            return;
        }
        self.text("inherit");
        if let Some((_, source)) = source {
            self.around(&[Piece::Text(" ("), Piece::Expr(source), Piece::Text(")")]);
        }
        for attr in names {
            self.text(" ");
            self.name(attr.name);
        }
        self.text("; ");
    }

    fn lambda(&mut self, lambda: &Lambda<'_>) {
        self.text("(");
        if let Some(formals) = &lambda.formals {
            self.formals(formals);
            if lambda.argument.is_some() {
                self.text(" @ ");
            }
        }
        if let Some(argument) = lambda.argument {
            self.name(argument.symbol);
        }
        self.around(&[
            Piece::Text(": "),
            Piece::Expr(lambda.body),
            Piece::Text(")"),
        ]);
    }

    fn formals(&mut self, formals: &Formals<'_>) {
        let mut sorted: Vec<_> = formals.list.iter().collect();
        sorted.sort_by_key(|formal| self.symbols.name(formal.name.symbol));
        self.text("{ ");
        let mut separator = "";
        for formal in sorted {
            self.text(separator);
            separator = ", ";
            self.name(formal.name.symbol);
            if let Some(default) = formal.default {
                self.around(&[Piece::Text(" ? "), Piece::Expr(default)]);
            }
        }
        if formals.ellipsis {
            self.text(separator);
            self.text("...");
        }
        self.text(" }");
    }
}

#[derive(Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    Expr(&'a Expr<'a>),
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Implies => " -> ",
        Operator::Or => " || ",
        Operator::And => " && ",
        Operator::Equal => " == ",
        Operator::NotEqual => " != ",
        Operator::Update => " // ",
        Operator::Add => " + ",
        Operator::Concatenate => " ++ ",
        // Shown as calls.
        Operator::Less
        | Operator::LessOrEqual
        | Operator::Greater
        | Operator::GreaterOrEqual
        | Operator::Subtract
        | Operator::Multiply
        | Operator::Divide => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_six_digits() {
        for (value, expected) in [
            (1.5, "1.5"),
            (100_000_000.5, "1e+08"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (123_456.7, "123457"),
            (1_234_567.0, "1.23457e+06"),
            (999_999.9, "1e+06"),
            (0.1 + 0.2, "0.3"),
            (-0.0, "-0"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(show_float(value), expected, "{value}");
        }
    }
}
