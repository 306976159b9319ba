//! What is wrong with a source text: one message, its place, and what helps to put it right.

use bstr::{BStr, ByteSlice};

use super::Parser;
use crate::Span;
use crate::lexer::{Lexeme, Token};
use crate::suggest::nearest;

/// Why a text is no expression: the first thing that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// What is wrong, in one line.
    pub message: String,
    /// Where.
    pub span: Span,
    /// Other places that have to do with it.
    pub labels: Vec<Label>,
    /// What the writer can do.
    pub hint: Option<String>,
}

impl ParseError {
    /// Whether the text may only lack its end: a prompt asks for another line.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.message.starts_with("unexpected end of the text")
            || self.message.ends_with("is never closed")
    }
}

/// A place and what there is to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// The remark.
    pub text: String,
}

/// An error on its way up; boxed, because results are many and errors are few.
#[derive(Debug)]
pub(super) struct Failure(Box<Draft>);

#[derive(Debug)]
struct Draft {
    error: ParseError,
    /// Whether its hint is surely the right one: where the error was found, nothing is added.
    settled: bool,
}

impl Failure {
    pub(super) fn new(message: impl Into<String>, span: Span) -> Self {
        Self(Box::new(Draft {
            error: ParseError {
                message: message.into(),
                span,
                labels: Vec::new(),
                hint: None,
            },
            settled: false,
        }))
    }

    pub(super) fn label(mut self, span: Span, text: impl Into<String>) -> Self {
        self.0.error.labels.push(Label {
            span,
            text: text.into(),
        });
        self
    }

    /// Adds a hint in place of one by who knows less of the place.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if !self.0.settled {
            self.0.error.hint = Some(hint.into());
        }
        self
    }

    fn settled(mut self) -> Self {
        self.0.settled = true;
        self
    }

    pub(super) fn into_error(self) -> ParseError {
        self.0.error
    }
}

/// The remark on a `"` string that may have swallowed what follows the one that was meant.
pub(super) const SPANS_LINES: &str =
    "this string spans several lines: is its closing quote missing?";

impl Parser<'_, '_, '_> {
    /// The current token is none that may stand here.
    pub(super) fn unexpected(&self, expected: &str) -> Failure {
        let span = self.current.span;
        let failure = match self.current.token {
            Token::End => Failure::new(
                format!("unexpected end of the text, expected {expected}"),
                Span::at(self.trimmed_end()),
            ),
            Token::OpenComment => {
                return Failure::new("this comment is never closed", span)
                    .hint("a comment that starts with /* ends with */")
                    .settled();
            }
            Token::Unknown => return self.unknown_character(expected).settled(),
            _ => Failure::new(
                format!(
                    "unexpected {}, expected {expected}",
                    self.describe_current()
                ),
                span,
            ),
        };
        self.with_hint(self.with_open_bracket(failure))
    }

    /// The current token, as an error message names it.
    pub(super) fn describe_current(&self) -> String {
        let Some(sign) = self.current.token.sign() else {
            let text = self.excerpt(self.current.span);
            return match self.current.token {
                Token::Int | Token::Float => format!("number {text}"),
                Token::Path | Token::HomePath | Token::SearchPath => format!("path {text}"),
                Token::Uri => format!("URI {text}"),
                Token::End => "end of the text".to_owned(),
                _ => format!("'{text}'"),
            };
        };
        match self.current.token {
            Token::Quote | Token::IndentedQuote => "string".to_owned(),
            _ => format!("'{sign}'"),
        }
    }

    /// A piece of the source, cut to a length that fits in a message.
    pub(super) fn excerpt(&self, span: Span) -> String {
        const LONGEST: usize = 40;
        let text: &BStr = self.lexer.text(span).as_bstr();
        let mut shown: String = text.chars().take(LONGEST).collect();
        if text.chars().nth(LONGEST).is_some() {
            shown.push('…');
        }
        shown
    }

    /// Asks whether a name between `from` and the current token is a misspelt keyword.
    pub(super) fn suggest(&self, failure: Failure, from: u32, keyword: &'static str) -> Failure {
        let mut found = None;
        let mut offset = from;
        while offset < self.current.span.start {
            let Lexeme { token, span } = self.lexer.token(offset);
            let text = self.lexer.text(span);
            if token == Token::Identifier
                && !nearest(text, std::iter::once(keyword.as_bytes())).is_empty()
            {
                found = Some(span);
            }
            offset = span.end.max(offset + 1);
        }
        match found {
            Some(span) => failure.label(span, format!("did you mean '{keyword}'?")),
            None => failure,
        }
    }

    /// Names the bracket that is still open where the text ends or another kind is closed.
    fn with_open_bracket(&self, failure: Failure) -> Failure {
        let Some(open) = self.open.last() else {
            return failure;
        };
        let cannot_be_inside = match self.current.token {
            Token::End => true,
            Token::ParenClose => open.token != Token::ParenOpen,
            Token::BracketClose => open.token != Token::BracketOpen,
            Token::BraceClose => matches!(open.token, Token::ParenOpen | Token::BracketOpen),
            Token::Semicolon | Token::Assign | Token::Inherit | Token::In => {
                open.token != Token::BraceOpen
            }
            _ => false,
        };
        if cannot_be_inside {
            let sign = open.token.sign().unwrap_or_default();
            failure.label(open.span, format!("this '{sign}' is not closed"))
        } else {
            failure
        }
    }

    /// What people mean who write the current token where it does not belong.
    fn with_hint(&self, failure: Failure) -> Failure {
        let failure = match self.multi_line_string {
            Some(string) if self.follows_on_line(string) => failure.label(string, SPANS_LINES),
            _ => failure,
        };
        let hint = match self.current.token {
            Token::Comma if self.innermost() == Some(Token::BracketOpen) => {
                "the elements of a list are separated by blanks"
            }
            Token::Comma => {
                "definitions end with ';'; a comma stands only between the arguments of a function"
            }
            Token::Colon => {
                "a function among the arguments or operands of another expression needs parentheses"
            }
            Token::If | Token::Let | Token::With | Token::Assert => {
                "as an argument or operand it needs parentheses"
            }
            Token::Or => "'or' gives a default for a selection: set.name or default",
            Token::Assign => "a definition stands in { … } or let … in, and ends with ';'",
            _ => return failure,
        };
        failure.hint(hint)
    }

    /// Whether the current token stands on the line on which `before` ends.
    fn follows_on_line(&self, before: Span) -> bool {
        before.end <= self.current.span.start
            && !self.has_line_break(Span::new(before.end, self.current.span.start))
    }

    fn unknown_character(&self, expected: &str) -> Failure {
        let span = self.current.span;
        let text = self.lexer.text(span);
        let next = self.lexer.source().get(span.end as usize).copied();
        let failure = |message: String| Failure::new(message, span);
        let unexpected = |what: &str| failure(format!("unexpected {what}, expected {expected}"));
        let Some(character) = text.to_str().ok().and_then(|text| text.chars().next()) else {
            let byte = text.first().copied().unwrap_or_default();
            return failure(format!("unexpected byte 0x{byte:02x}, which is not UTF-8"));
        };
        match character {
            '\0' => unexpected("NUL byte"),
            '&' => unexpected("'&'").hint("the logical and is '&&'"),
            '|' => unexpected("'|'").hint("the logical or is '||'"),
            '$' => unexpected("'$'").hint("variables are written without a dollar; ${…} stands inside strings, paths and attribute names"),
            '%' => unexpected("'%'").hint("there is no operator for remainders"),
            '~' if next == Some(b'/') => failure("path '~/' needs a name after the slash".to_owned()),
            '\'' => unexpected("\"'\"").hint("strings stand in \"double quotes\" or ''two single quotes''"),
            '\u{201c}' | '\u{201d}' | '\u{201e}' | '\u{2018}' | '\u{2019}' => {
                unexpected(&format!("'{character}'")).hint("this is a typographic quote: strings stand in \"straight quotes\"")
            }
            '\u{feff}' => unexpected("byte order mark").hint("save the file as UTF-8 without one"),
            '\u{a0}' => unexpected("no-break space").hint("it looks like a blank, but is none"),
            _ if character.is_control() || character.is_whitespace() => {
                unexpected(&format!("character U+{:04X}", u32::from(character)))
            }
            _ if character.is_ascii() => unexpected(&format!("'{character}'")),
            _ => unexpected(&format!("character '{character}'"))
                .hint("names consist of ASCII letters, digits, '_', '-' and \"'\""),
        }
    }
}
