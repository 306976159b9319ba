//! Bytes to tokens.
//!
//! Stateless: a token depends on the bytes from its start alone, and the parser says where strings
//! and paths go on. Of the patterns that match at a place, the longest wins, so that `a/b` is a
//! path, `x:y` a URI and `1.5.5` two numbers: the language is defined that way.

use std::cell::Cell;

use bstr::ByteSlice;

use crate::Span;

/// What a token is; its text is what its span covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Token {
    If,
    Then,
    Else,
    Assert,
    With,
    Let,
    In,
    Rec,
    Inherit,
    Or,
    Identifier,
    Int,
    Float,
    /// The start of a path, up to the first interpolation or its end.
    Path,
    /// The start of a path that begins with `~/`.
    HomePath,
    /// `<a/b>`, brackets included.
    SearchPath,
    Uri,
    /// `"`, which opens a string.
    Quote,
    /// `''`, which opens an indented string, without the blanks and the line break after it.
    IndentedQuote,
    DollarBrace,
    Ellipsis,
    Equal,
    NotEqual,
    LessOrEqual,
    GreaterOrEqual,
    And,
    OrOr,
    Implies,
    Update,
    Concatenate,
    PipeFrom,
    PipeInto,
    Less,
    Greater,
    Not,
    Plus,
    Minus,
    Star,
    Slash,
    Question,
    Dot,
    At,
    Colon,
    Semicolon,
    Comma,
    Assign,
    BraceOpen,
    BraceClose,
    BracketOpen,
    BracketClose,
    ParenOpen,
    ParenClose,
    /// A character that starts no token.
    Unknown,
    /// `/*` without its `*/`.
    OpenComment,
    End,
}

impl Token {
    /// The keyword or sign as it is written; nothing for those that have a text of their own.
    pub(crate) fn sign(self) -> Option<&'static str> {
        Some(match self {
            Self::If => "if",
            Self::Then => "then",
            Self::Else => "else",
            Self::Assert => "assert",
            Self::With => "with",
            Self::Let => "let",
            Self::In => "in",
            Self::Rec => "rec",
            Self::Inherit => "inherit",
            Self::Or => "or",
            Self::Quote => "\"",
            Self::IndentedQuote => "''",
            Self::DollarBrace => "${",
            Self::Ellipsis => "...",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::LessOrEqual => "<=",
            Self::GreaterOrEqual => ">=",
            Self::And => "&&",
            Self::OrOr => "||",
            Self::Implies => "->",
            Self::Update => "//",
            Self::Concatenate => "++",
            Self::PipeFrom => "<|",
            Self::PipeInto => "|>",
            Self::Less => "<",
            Self::Greater => ">",
            Self::Not => "!",
            Self::Plus => "+",
            Self::Minus => "-",
            Self::Star => "*",
            Self::Slash => "/",
            Self::Question => "?",
            Self::Dot => ".",
            Self::At => "@",
            Self::Colon => ":",
            Self::Semicolon => ";",
            Self::Comma => ",",
            Self::Assign => "=",
            Self::BraceOpen => "{",
            Self::BraceClose => "}",
            Self::BracketOpen => "[",
            Self::BracketClose => "]",
            Self::ParenOpen => "(",
            Self::ParenClose => ")",
            Self::Identifier
            | Self::Int
            | Self::Float
            | Self::Path
            | Self::HomePath
            | Self::SearchPath
            | Self::Uri
            | Self::Unknown
            | Self::OpenComment
            | Self::End => return None,
        })
    }
}

/// A token and its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lexeme {
    pub(crate) token: Token,
    pub(crate) span: Span,
}

/// Blank space or a comment between tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trivia {
    Blank,
    /// `# …`, without its line break.
    LineComment,
    /// `/* … */`
    BlockComment,
}

/// A piece of a string's inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Text as it is written. In a string with its escapes; in an indented string without any.
    Text,
    /// In an indented string: an escape, or a sign that stands for itself.
    Escape,
    /// `${`
    Interpolation,
    /// The closing quote.
    Close,
    /// The source ends here.
    End,
}

/// A source text of less than 4 GiB.
#[derive(Debug)]
pub(crate) struct Lexer<'s> {
    source: &'s [u8],
    /// Before this offset, a run of path characters is known to begin no path.
    no_path_before: Cell<usize>,
    /// Before this offset, a run of a URI scheme's characters is known to begin no URI.
    no_uri_before: Cell<usize>,
}

impl<'s> Lexer<'s> {
    pub(crate) fn new(source: &'s [u8]) -> Self {
        Self {
            source,
            no_path_before: Cell::new(0),
            no_uri_before: Cell::new(0),
        }
    }

    pub(crate) fn source(&self) -> &'s [u8] {
        self.source
    }

    pub(crate) fn text(&self, span: Span) -> &'s [u8] {
        self.source
            .get(span.start as usize..span.end as usize)
            .unwrap_or_default()
    }

    fn at(&self, offset: usize) -> Option<u8> {
        self.source.get(offset).copied()
    }

    fn rest(&self, offset: usize) -> &'s [u8] {
        self.source.get(offset..).unwrap_or_default()
    }

    /// How many bytes from `offset` on are of a class.
    fn run(&self, offset: usize, class: u8) -> usize {
        self.rest(offset)
            .iter()
            .take_while(|&&byte| is(byte, class))
            .count()
    }

    /// The blank space or comment at `offset`, and where it ends.
    pub(crate) fn trivia(&self, offset: usize) -> Option<(Trivia, usize)> {
        match self.at(offset)? {
            b' ' | b'\t' | b'\r' | b'\n' => Some((Trivia::Blank, offset + self.run(offset, BLANK))),
            b'#' => {
                let rest = self.rest(offset);
                let length = rest.iter().position(|&byte| matches!(byte, b'\r' | b'\n'));
                Some((Trivia::LineComment, offset + length.unwrap_or(rest.len())))
            }
            b'/' if self.at(offset + 1) == Some(b'*') => {
                let inside = self.rest(offset + 2);
                let length = inside.find("*/")?;
                Some((Trivia::BlockComment, offset + 2 + length + 2))
            }
            _ => None,
        }
    }

    /// The first offset from `offset` on at which a token starts, or the source's end.
    pub(crate) fn skip(&self, mut offset: usize) -> usize {
        while let Some((_, end)) = self.trivia(offset) {
            offset = end;
        }
        offset
    }

    /// The first byte of the next token from `offset` on.
    pub(crate) fn peek(&self, offset: u32) -> Option<u8> {
        self.at(self.skip(offset as usize))
    }

    /// The next token from `offset` on.
    pub(crate) fn token(&self, offset: u32) -> Lexeme {
        let start = self.skip(offset as usize);
        let (token, length) = self.token_here(start);
        Lexeme {
            token,
            span: span(start, start + length),
        }
    }

    fn token_here(&self, start: usize) -> (Token, usize) {
        let Some(first) = self.at(start) else {
            return (Token::End, 0);
        };
        if is(first, PATH | SLASH)
            && let Some(found) = self.path(start)
        {
            return found;
        }
        if is(first, LETTER) {
            return self.word(start);
        }
        if is(first, DIGIT) || (first == b'.' && self.at(start + 1).is_some_and(|b| is(b, DIGIT))) {
            return self.number(start);
        }
        self.sign(start, first)
    }

    /// A path; nothing if there is none at this place.
    fn path(&self, start: usize) -> Option<(Token, usize)> {
        if start < self.no_path_before.get() {
            return None;
        }
        let name = self.run(start, PATH);
        let length = self.segments(start + name);
        let interpolation = || self.rest(start + name + 1).starts_with(b"${");
        if length > 1 || (length == 1 && interpolation()) {
            return Some((Token::Path, name + length));
        }
        self.no_path_before.set(start + name);
        None
    }

    /// The length of `/a/b` or `/a/b/` at `start`; 1 for a `/` that nothing follows.
    fn segments(&self, start: usize) -> usize {
        let mut end = start;
        while self.at(end) == Some(b'/') {
            let name = self.run(end + 1, PATH);
            end += 1 + name;
            if name == 0 {
                break;
            }
        }
        end - start
    }

    /// What goes on with a path after its start or after an interpolation: the length of the text.
    pub(crate) fn path_text(&self, offset: u32) -> Span {
        let start = offset as usize;
        let name = self.run(start, PATH);
        span(start, start + name + self.segments(start + name))
    }

    /// Whether `${` stands here.
    pub(crate) fn interpolation_at(&self, offset: u32) -> bool {
        self.rest(offset as usize).starts_with(b"${")
    }

    /// A keyword, an identifier or a URI.
    fn word(&self, start: usize) -> (Token, usize) {
        let length = self.run(start, IDENTIFIER);
        if let Some(uri) = self.uri(start)
            && uri > length
        {
            return (Token::Uri, uri);
        }
        let word = self.rest(start).get(..length).unwrap_or_default();
        let token = match word {
            b"if" => Token::If,
            b"then" => Token::Then,
            b"else" => Token::Else,
            b"assert" => Token::Assert,
            b"with" => Token::With,
            b"let" => Token::Let,
            b"in" => Token::In,
            b"rec" => Token::Rec,
            b"inherit" => Token::Inherit,
            b"or" => Token::Or,
            _ => Token::Identifier,
        };
        (token, length)
    }

    fn uri(&self, start: usize) -> Option<usize> {
        if start < self.no_uri_before.get() || self.at(start) == Some(b'_') {
            return None;
        }
        let scheme = self.run(start, SCHEME);
        if self.at(start + scheme) == Some(b':') {
            let rest = self.run(start + scheme + 1, URI);
            if rest > 0 {
                return Some(scheme + 1 + rest);
            }
        }
        self.no_uri_before.set(start + scheme);
        None
    }

    /// `12`, `1.5`, `1.`, `.5`, `1.5e-3`; but `0.` and `01.5` are no floats.
    fn number(&self, start: usize) -> (Token, usize) {
        let whole = self.run(start, DIGIT);
        if self.at(start + whole) != Some(b'.') {
            return (Token::Int, whole);
        }
        let fraction = self.run(start + whole + 1, DIGIT);
        let first = self.at(start);
        let is_float = match whole {
            0 => true,
            1 if first == Some(b'0') => fraction > 0,
            _ => first != Some(b'0'),
        };
        if !is_float {
            return (Token::Int, whole);
        }
        let length = whole + 1 + fraction;
        (Token::Float, length + self.exponent(start + length))
    }

    fn exponent(&self, start: usize) -> usize {
        if !matches!(self.at(start), Some(b'e' | b'E')) {
            return 0;
        }
        let sign = usize::from(matches!(self.at(start + 1), Some(b'+' | b'-')));
        match self.run(start + 1 + sign, DIGIT) {
            0 => 0,
            digits => 1 + sign + digits,
        }
    }

    fn sign(&self, start: usize, first: u8) -> (Token, usize) {
        let second = self.at(start + 1);
        let double = |byte: u8, two: Token, one: Token| {
            if second == Some(byte) {
                (two, 2)
            } else {
                (one, 1)
            }
        };
        match first {
            b'{' => (Token::BraceOpen, 1),
            b'}' => (Token::BraceClose, 1),
            b'[' => (Token::BracketOpen, 1),
            b']' => (Token::BracketClose, 1),
            b'(' => (Token::ParenOpen, 1),
            b')' => (Token::ParenClose, 1),
            b';' => (Token::Semicolon, 1),
            b',' => (Token::Comma, 1),
            b':' => (Token::Colon, 1),
            b'@' => (Token::At, 1),
            b'?' => (Token::Question, 1),
            b'*' => (Token::Star, 1),
            b'"' => (Token::Quote, 1),
            b'.' if self.rest(start).starts_with(b"...") => (Token::Ellipsis, 3),
            b'.' => (Token::Dot, 1),
            b'=' => double(b'=', Token::Equal, Token::Assign),
            b'!' => double(b'=', Token::NotEqual, Token::Not),
            b'>' => double(b'=', Token::GreaterOrEqual, Token::Greater),
            b'+' => double(b'+', Token::Concatenate, Token::Plus),
            b'-' => double(b'>', Token::Implies, Token::Minus),
            b'&' => double(b'&', Token::And, Token::Unknown),
            b'$' => double(b'{', Token::DollarBrace, Token::Unknown),
            b'\'' => double(b'\'', Token::IndentedQuote, Token::Unknown),
            b'/' if second == Some(b'*') => (Token::OpenComment, 2),
            b'/' => double(b'/', Token::Update, Token::Slash),
            b'|' if second == Some(b'>') => (Token::PipeInto, 2),
            b'|' => double(b'|', Token::OrOr, Token::Unknown),
            b'<' => self.less(start),
            b'~' => self.home_path(start),
            _ => (Token::Unknown, self.character(start)),
        }
    }

    fn less(&self, start: usize) -> (Token, usize) {
        match self.at(start + 1) {
            Some(b'=') => return (Token::LessOrEqual, 2),
            Some(b'|') => return (Token::PipeFrom, 2),
            _ => {}
        }
        let first = self.run(start + 1, PATH);
        let inside = first + self.segments(start + 1 + first);
        let last = self.at(start + inside);
        if first > 0 && last != Some(b'/') && self.at(start + 1 + inside) == Some(b'>') {
            (Token::SearchPath, inside + 2)
        } else {
            (Token::Less, 1)
        }
    }

    fn home_path(&self, start: usize) -> (Token, usize) {
        let length = self.segments(start + 1);
        if length > 1 || (length == 1 && self.rest(start + 2).starts_with(b"${")) {
            (Token::HomePath, 1 + length)
        } else {
            (Token::Unknown, 1)
        }
    }

    /// The length of the character at `start`, a byte if it is not UTF-8.
    fn character(&self, start: usize) -> usize {
        match bstr::decode_utf8(self.rest(start)) {
            (Some(character), _) => character.len_utf8(),
            (None, _) => 1,
        }
    }

    /// The next piece inside of a `"` string.
    pub(crate) fn string_piece(&self, offset: u32) -> (Piece, Span) {
        let start = offset as usize;
        match (self.at(start), self.at(start + 1)) {
            (None, _) => return (Piece::End, span(start, start)),
            (Some(b'"'), _) => return (Piece::Close, span(start, start + 1)),
            (Some(b'$'), Some(b'{')) => return (Piece::Interpolation, span(start, start + 2)),
            _ => {}
        }
        let mut end = start;
        loop {
            match (self.at(end), self.at(end + 1)) {
                (None | Some(b'"'), _) | (Some(b'$'), Some(b'{')) => break,
                // A dollar takes the character after it along: `$$` is two dollars.
                (Some(b'\\'), Some(_)) => end += 2,
                (Some(b'$'), Some(next)) if !matches!(next, b'"' | b'\\') => end += 2,
                _ => end += 1,
            }
        }
        (Piece::Text, span(start, end))
    }

    /// Where the inside of an indented string begins whose quotes end at `offset`: blanks up to the
    /// end of the first line do not belong to it.
    pub(crate) fn indented_start(&self, offset: u32) -> u32 {
        let start = offset as usize;
        let blanks = self.rest(start).iter().take_while(|&&b| b == b' ').count();
        if self.at(start + blanks) == Some(b'\n') {
            span(start, start + blanks + 1).end
        } else {
            offset
        }
    }

    /// The next piece inside of a `''` string.
    pub(crate) fn indented_piece(&self, offset: u32) -> (Piece, Span) {
        let start = offset as usize;
        let found = |piece, length| (piece, span(start, start + length));
        let mut end = start;
        loop {
            match (self.at(end), self.at(end + 1)) {
                // A dollar or a quote takes the character after it along: `$$` is two dollars.
                (Some(b'$'), Some(next)) if !matches!(next, b'{' | b'\'') => end += 2,
                (Some(b'\''), Some(next)) if !matches!(next, b'\'' | b'$') => end += 2,
                (None | Some(b'$' | b'\''), _) => break,
                _ => end += 1,
            }
        }
        if end > start {
            return found(Piece::Text, end - start);
        }
        match (self.at(start), self.at(start + 1), self.at(start + 2)) {
            (None, ..) => found(Piece::End, 0),
            (Some(b'$'), Some(b'{'), _) => found(Piece::Interpolation, 2),
            (Some(b'\''), Some(b'\''), Some(b'$' | b'\'')) => found(Piece::Escape, 3),
            (Some(b'\''), Some(b'\''), Some(b'\\')) if self.at(start + 3).is_some() => {
                found(Piece::Escape, 4)
            }
            (Some(b'\''), Some(b'\''), _) => found(Piece::Close, 2),
            _ => found(Piece::Escape, 1),
        }
    }
}

/// The span of these offsets in a text of less than 4 GiB.
pub(crate) fn span(start: usize, end: usize) -> Span {
    let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
    Span::new(offset(start), offset(end))
}

const LETTER: u8 = 1;
const DIGIT: u8 = 2;
const IDENTIFIER: u8 = 4;
const PATH: u8 = 8;
const SCHEME: u8 = 16;
const URI: u8 = 32;
const BLANK: u8 = 64;
const SLASH: u8 = 128;

/// The classes of each byte.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < classes.len() {
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        let byte = at as u8;
        classes[at] = classes_of(byte);
        at += 1;
    }
    classes
};

const fn classes_of(byte: u8) -> u8 {
    let letter = IDENTIFIER | PATH | SCHEME | URI;
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' => LETTER | letter,
        b'_' => LETTER | IDENTIFIER | PATH | URI,
        b'0'..=b'9' => DIGIT | letter,
        b'-' => letter,
        b'+' | b'.' => PATH | SCHEME | URI,
        b'\'' => IDENTIFIER | URI,
        b'/' => SLASH | URI,
        b'%' | b'?' | b':' | b'@' | b'&' | b'=' | b'$' | b',' | b'!' | b'~' | b'*' => URI,
        b' ' | b'\t' | b'\r' | b'\n' => BLANK,
        _ => 0,
    }
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES.get(byte as usize).is_some_and(|of| of & class != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens of a text without strings, each with its text.
    fn tokens(text: &str) -> Vec<(Token, &str)> {
        let lexer = Lexer::new(text.as_bytes());
        let mut found = Vec::new();
        let mut offset = 0;
        loop {
            let Lexeme { token, span } = lexer.token(offset);
            if token == Token::End {
                return found;
            }
            found.push((token, &text[span.start as usize..span.end as usize]));
            offset = span.end;
        }
    }

    #[test]
    fn the_longest_match_wins() {
        use Token::*;
        let cases: &[(&str, &[(Token, &str)])] = &[
            ("a/b", &[(Path, "a/b")]),
            (
                "a / b",
                &[(Identifier, "a"), (Slash, "/"), (Identifier, "b")],
            ),
            ("1/2", &[(Path, "1/2")]),
            ("a /b", &[(Identifier, "a"), (Path, "/b")]),
            ("-a/b", &[(Path, "-a/b")]),
            (
                "a//b",
                &[(Identifier, "a"), (Update, "//"), (Identifier, "b")],
            ),
            ("a/b//c", &[(Path, "a/b/"), (Path, "/c")]),
            ("x:y", &[(Uri, "x:y")]),
            (
                "x: y",
                &[(Identifier, "x"), (Colon, ":"), (Identifier, "y")],
            ),
            ("x:{", &[(Identifier, "x"), (Colon, ":"), (BraceOpen, "{")]),
            (
                "_x:y",
                &[(Identifier, "_x"), (Colon, ":"), (Identifier, "y")],
            ),
            ("http://a?b=c", &[(Uri, "http://a?b=c")]),
            ("x:y/z", &[(Uri, "x:y/z")]),
            (
                "a.b.c",
                &[
                    (Identifier, "a"),
                    (Dot, "."),
                    (Identifier, "b"),
                    (Dot, "."),
                    (Identifier, "c"),
                ],
            ),
            ("a.b/c", &[(Path, "a.b/c")]),
            (
                "a.b c/d",
                &[
                    (Identifier, "a"),
                    (Dot, "."),
                    (Identifier, "b"),
                    (Path, "c/d"),
                ],
            ),
            ("1.", &[(Float, "1.")]),
            (".5", &[(Float, ".5")]),
            ("0.", &[(Int, "0"), (Dot, ".")]),
            ("01.5", &[(Int, "01"), (Float, ".5")]),
            ("1.5.5", &[(Float, "1.5"), (Float, ".5")]),
            ("1..2", &[(Float, "1."), (Float, ".2")]),
            ("1.e5", &[(Float, "1.e5")]),
            ("1e5", &[(Int, "1"), (Identifier, "e5")]),
            ("1.5e", &[(Float, "1.5"), (Identifier, "e")]),
            ("1.5e-3", &[(Float, "1.5e-3")]),
            ("<a/b>", &[(SearchPath, "<a/b>")]),
            (
                "<a/>",
                &[(Less, "<"), (Identifier, "a"), (Slash, "/"), (Greater, ">")],
            ),
            (
                "a<b>c",
                &[(Identifier, "a"), (SearchPath, "<b>"), (Identifier, "c")],
            ),
            (
                "a<=b",
                &[(Identifier, "a"), (LessOrEqual, "<="), (Identifier, "b")],
            ),
            ("~/a", &[(HomePath, "~/a")]),
            ("...", &[(Ellipsis, "...")]),
            ("a'-b", &[(Identifier, "a'-b")]),
            ("iff in", &[(Identifier, "iff"), (In, "in")]),
            (
                "/**/ a /* * / **/ b",
                &[(Identifier, "a"), (Identifier, "b")],
            ),
            ("/*", &[(OpenComment, "/*")]),
            (
                "a->b",
                &[(Identifier, "a-"), (Greater, ">"), (Identifier, "b")],
            ),
            (
                "a ->b++c",
                &[
                    (Identifier, "a"),
                    (Implies, "->"),
                    (Identifier, "b"),
                    (Concatenate, "++"),
                    (Identifier, "c"),
                ],
            ),
            ("é", &[(Unknown, "é")]),
        ];
        for (text, expected) in cases {
            assert_eq!(tokens(text), *expected, "{text}");
        }
    }

    #[test]
    fn long_chains_of_names_are_not_read_again_for_each() {
        let text = "a.".repeat(1_000_000);
        assert_eq!(tokens(&text).len(), 2_000_000);
    }
}
