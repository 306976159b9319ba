//! Tokens to a syntax tree, by recursive descent; operators by their precedence.
//!
//! Accepts what Nix's grammar accepts. The depth of nesting has a limit, and the stack grows as
//! needed up to it, so that no text overflows it.

mod attrs;
mod bindings;
mod error;
mod function;
mod operand;
mod path;
mod text;

use bumpalo::Bump;

pub use self::error::{Label, ParseError};

use self::attrs::AttrsBuilder;
use self::error::Failure;
use crate::ast::{AttrName, Expr, ExprKind, Operator, Part};
use crate::lexer::{Lexeme, Lexer, Token, Trivia, span};
use crate::{Span, SymbolTable};

/// How deep expressions may be nested.
pub const MAX_NESTING: u32 = 10_000;

/// How many operators or selections may follow each other without a bracket.
const MAX_CHAIN: u32 = 100_000;

/// Stack that is left when more is made, and how much: enough for the frames of one level.
const STACK_LEFT: usize = 128 << 10;
const STACK_MORE: usize = 4 << 20;

/// What the meaning of a source text depends on beside its bytes.
#[derive(Debug, Clone, Copy)]
pub struct ParseOptions<'s> {
    /// The absolute path of the directory that relative paths start from.
    pub base: &'s [u8],
    /// What `~` stands for, if paths may begin with it.
    pub home: Option<&'s [u8]>,
    /// Whether `|>` and `<|` are operators.
    pub pipe_operators: bool,
}

impl Default for ParseOptions<'_> {
    /// Relative to the root, no home directory, no pipe operators.
    fn default() -> Self {
        Self {
            base: b"/",
            home: None,
            pipe_operators: false,
        }
    }
}

/// Parses a source text, which is one expression.
///
/// # Errors
///
/// The first thing that is wrong with the text.
pub fn parse<'a>(
    source: &[u8],
    options: &ParseOptions<'_>,
    symbols: &SymbolTable<'_>,
    arena: &'a Bump,
) -> Result<&'a Expr<'a>, ParseError> {
    if u32::try_from(source.len()).is_err() {
        let message = "a source text may not be larger than 4 GiB";
        return Err(Failure::new(message, Span::default()).into_error());
    }
    Parser::new(source, options, symbols, arena)
        .whole()
        .map_err(Failure::into_error)
}

/// The comments of a source text that parses, in their order.
///
/// # Errors
///
/// As [`parse`].
pub fn comments(source: &[u8], options: &ParseOptions<'_>) -> Result<Vec<Span>, ParseError> {
    let arena = Bump::new();
    let symbols = SymbolTable::new(&arena);
    let mut parser = Parser::new(source, options, &symbols, &arena);
    parser.comments = Some(Vec::new());
    parser.resume(0);
    parser.whole().map_err(Failure::into_error)?;
    Ok(parser.comments.unwrap_or_default())
}

type Result<T, E = Failure> = std::result::Result<T, E>;

struct Parser<'s, 'e, 'a> {
    lexer: Lexer<'s>,
    options: &'s ParseOptions<'s>,
    symbols: &'s SymbolTable<'e>,
    arena: &'a Bump,
    current: Lexeme,
    /// Where the token before the current one ends.
    previous_end: u32,
    depth: u32,
    /// Comments passed so far, if they are asked for.
    comments: Option<Vec<Span>>,
    /// The brackets around the current token.
    open: Vec<Lexeme>,
    /// The last `"` string that spans lines.
    multi_line_string: Option<Span>,
    /// The last argument of an application: where it and the token before it are.
    last_argument: Option<LastArgument>,
    // Of the nodes that are being read, innermost last.
    exprs: Vec<&'a Expr<'a>>,
    names: Vec<AttrName<'a>>,
    parts: Vec<Part<'a>>,
    sets: Vec<AttrsBuilder<'a>>,
}

#[derive(Clone, Copy)]
struct LastArgument {
    before: u32,
    span: Span,
}

impl<'s, 'e, 'a> Parser<'s, 'e, 'a> {
    fn new(
        source: &'s [u8],
        options: &'s ParseOptions<'s>,
        symbols: &'s SymbolTable<'e>,
        arena: &'a Bump,
    ) -> Self {
        let lexer = Lexer::new(source);
        let current = lexer.token(0);
        Self {
            lexer,
            options,
            symbols,
            arena,
            current,
            previous_end: 0,
            depth: 0,
            comments: None,
            open: Vec::new(),
            multi_line_string: None,
            last_argument: None,
            exprs: Vec::new(),
            names: Vec::new(),
            parts: Vec::new(),
            sets: Vec::new(),
        }
    }

    fn whole(&mut self) -> Result<&'a Expr<'a>> {
        let expr = self.expr()?;
        match self.current.token {
            Token::End => Ok(expr),
            Token::Semicolon => {
                let failure = self
                    .unexpected("the end of the text")
                    .hint("a text is one expression; definitions stand in { … } or let … in");
                let failure = self.suggest(failure, 0, "assert");
                Err(self.suggest(failure, 0, "with"))
            }
            _ => Err(self.unexpected("an operator or the end of the text")),
        }
    }

    // Tokens.

    fn advance(&mut self) -> Lexeme {
        let passed = self.current;
        self.resume(passed.span.end);
        passed
    }

    /// Goes on with the token after `offset`, which is the end of what was read.
    fn resume(&mut self, offset: u32) {
        self.previous_end = offset;
        self.current = self.lexer.token(offset);
        if self.comments.is_some() {
            self.keep_comments();
        }
    }

    /// Notes the comments before the current token.
    fn keep_comments(&mut self) {
        let mut offset = self.previous_end as usize;
        while let Some((trivia, end)) = self.lexer.trivia(offset) {
            if trivia != Trivia::Blank
                && let Some(comments) = &mut self.comments
            {
                comments.push(span(offset, end));
            }
            offset = end;
        }
    }

    fn is(&self, token: Token) -> bool {
        self.current.token == token
    }

    /// Passes a token if it is the current one.
    fn accept(&mut self, token: Token) -> bool {
        let found = self.is(token);
        if found {
            self.advance();
        }
        found
    }

    /// Passes a token that must be the current one; `expected` describes it to the reader.
    fn expect(&mut self, token: Token, expected: &str) -> Result<Lexeme> {
        if self.is(token) {
            Ok(self.advance())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn open_bracket(&mut self) -> Lexeme {
        self.open.push(self.current);
        self.advance()
    }

    fn close_bracket(&mut self, token: Token, expected: &str) -> Result<()> {
        self.expect(token, expected)?;
        self.open.pop();
        Ok(())
    }

    fn innermost(&self) -> Option<Token> {
        self.open.last().map(|open| open.token)
    }

    /// The first byte of the token after the current one.
    fn peek(&self) -> Option<u8> {
        self.lexer.peek(self.current.span.end)
    }

    fn has_line_break(&self, span: Span) -> bool {
        self.lexer
            .text(span)
            .iter()
            .any(|b| matches!(b, b'\n' | b'\r'))
    }

    /// Where the text ends but for blanks after it.
    fn trimmed_end(&self) -> u32 {
        let trimmed = self.lexer.source().trim_ascii_end().len();
        u32::try_from(trimmed).unwrap_or(u32::MAX)
    }

    // Nodes.

    fn alloc(&self, kind: ExprKind<'a>, span: Span) -> &'a Expr<'a> {
        self.arena.alloc(Expr { kind, span })
    }

    /// A node from `start` to the end of what was read.
    fn node(&self, kind: ExprKind<'a>, start: u32) -> &'a Expr<'a> {
        self.alloc(kind, Span::new(start, self.previous_end))
    }

    /// Takes the expressions that were put on their stack since it was `base` long.
    fn take_exprs(&mut self, base: usize) -> &'a [&'a Expr<'a>] {
        let taken = self.exprs.get(base..).unwrap_or_default();
        let taken = self.arena.alloc_slice_copy(taken);
        self.exprs.truncate(base);
        taken
    }

    /// Reads something one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.nested_by(1, read)
    }

    fn nested_by<T>(
        &mut self,
        levels: u32,
        read: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let outside = self.depth;
        self.depth = outside.saturating_add(levels);
        if self.depth > MAX_NESTING {
            return Err(self.too_deep(MAX_NESTING, "nested"));
        }
        let result = with_stack(|| read(self));
        self.depth = outside;
        result
    }

    fn too_deep(&self, limit: u32, how: &str) -> Failure {
        Failure::new(
            format!("expressions are {how} more than {limit} levels deep"),
            self.current.span,
        )
    }

    // Expressions.

    fn expr(&mut self) -> Result<&'a Expr<'a>> {
        self.nested(Self::expr_here)
    }

    fn expr_here(&mut self) -> Result<&'a Expr<'a>> {
        match self.current.token {
            Token::Identifier if matches!(self.peek(), Some(b':' | b'@')) => self.named_function(),
            Token::BraceOpen if self.formals_follow() => self.formals_function(),
            Token::Let if self.peek() != Some(b'{') => self.let_in(),
            Token::If => self.conditional(),
            Token::With => self.with(),
            Token::Assert => self.assertion(),
            _ => self.pipeline(),
        }
    }

    fn conditional(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.advance().span;
        let label = |failure: Failure| failure.label(start, "of this 'if'");
        let condition = self.expr()?;
        self.expect(Token::Then, "'then' after the condition")
            .map_err(|failure| self.suggest(label(failure), start.end, "then"))?;
        let branch = self.previous_end;
        let then = self.expr()?;
        self.expect(Token::Else, "'else'").map_err(|failure| {
            let failure = label(failure).hint("an 'if' always needs its 'else'");
            self.suggest(failure, branch, "else")
        })?;
        let otherwise = self.expr()?;
        let kind = ExprKind::If {
            condition,
            then,
            otherwise,
        };
        Ok(self.node(kind, start.start))
    }

    fn with(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.advance().span.start;
        let scope = self.expr()?;
        self.expect(Token::Semicolon, "';' after the set of this 'with'")?;
        let body = self.expr()?;
        Ok(self.node(ExprKind::With { scope, body }, start))
    }

    fn assertion(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.advance().span.start;
        let condition = self.expr()?;
        self.expect(Token::Semicolon, "';' after the condition of this 'assert'")?;
        let body = self.expr()?;
        Ok(self.node(ExprKind::Assert { condition, body }, start))
    }

    fn let_in(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.advance().span;
        let bindings =
            self.bindings(Token::In, false)
                .map_err(|failure| match self.current.token {
                    Token::End => failure.label(start, "this 'let' has no 'in'"),
                    _ => failure,
                })?;
        if let Some(dynamic) = bindings.dynamic.first() {
            return Err(Failure::new(
                "dynamic attributes are not allowed in let",
                dynamic.span,
            ));
        }
        self.advance();
        let body = self.expr()?;
        Ok(self.node(ExprKind::Let { bindings, body }, start.start))
    }

    /// `a |> f |> g` or `g <| f <| a`; or neither, as almost always.
    fn pipeline(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        let first = self.operation(0)?;
        match self.current.token {
            Token::PipeInto => self.pipe_into(first, start),
            Token::PipeFrom => self.pipe_from(first, start),
            _ => Ok(first),
        }
    }

    fn pipe_into(&mut self, first: &'a Expr<'a>, start: u32) -> Result<&'a Expr<'a>> {
        let mut piped = first;
        while self.is(Token::PipeInto) {
            self.require_pipes()?;
            self.advance();
            let function = self.operation(0)?;
            piped = self.call(function, piped, start);
        }
        if self.is(Token::PipeFrom) {
            return Err(self.mixed_pipes());
        }
        Ok(piped)
    }

    fn pipe_from(&mut self, first: &'a Expr<'a>, start: u32) -> Result<&'a Expr<'a>> {
        let base = self.exprs.len();
        self.exprs.push(first);
        while self.is(Token::PipeFrom) {
            self.require_pipes()?;
            self.advance();
            let next = self.operation(0)?;
            self.exprs.push(next);
        }
        if self.is(Token::PipeInto) {
            return Err(self.mixed_pipes());
        }
        let mut piped = self.exprs.pop().unwrap_or(first);
        while self.exprs.len() > base
            && let Some(function) = self.exprs.pop()
        {
            piped = self.call(function, piped, start);
        }
        Ok(piped)
    }

    fn require_pipes(&self) -> Result<()> {
        if self.options.pipe_operators {
            return Ok(());
        }
        Err(Failure::new(
            format!("{} is not enabled here", self.describe_current()),
            self.current.span,
        )
        .hint("enable the experimental feature pipe-operators"))
    }

    fn mixed_pipes(&self) -> Failure {
        Failure::new("'|>' and '<|' cannot be mixed", self.current.span)
            .hint("parentheses say which comes first")
    }

    fn call(&mut self, function: &'a Expr<'a>, argument: &'a Expr<'a>, start: u32) -> &'a Expr<'a> {
        let base = self.exprs.len();
        let function = self.start_call(function);
        self.exprs.push(argument);
        let arguments = self.take_exprs(base);
        let kind = ExprKind::Apply {
            function,
            arguments,
        };
        self.node(kind, start)
    }

    /// Puts a function's own arguments on the stack if it is an application: the innermost
    /// function, to be applied to them all at once.
    fn start_call(&mut self, function: &'a Expr<'a>) -> &'a Expr<'a> {
        match function.kind {
            ExprKind::Apply {
                function,
                arguments,
            } => {
                self.exprs.extend_from_slice(arguments);
                function
            }
            _ => function,
        }
    }

    /// Operands joined by operators that bind at least as tightly as `weakest`.
    fn operation(&mut self, weakest: u8) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        let mut left = self.prefix()?;
        // The level of the last operator if that cannot be repeated, and the operator.
        let mut lonely: Option<(u8, Lexeme)> = None;
        let mut length = 0;
        while let Some((level, infix)) = infix(self.current.token)
            && level >= weakest
        {
            if let Some((last, operator)) = lonely
                && last == level
            {
                return Err(self.repeated(operator));
            }
            length += 1;
            if length > MAX_CHAIN {
                return Err(self.too_deep(MAX_CHAIN, "chained"));
            }
            let operator = self.advance();
            lonely = (associativity(level) == Associativity::None).then_some((level, operator));
            let kind = match infix {
                Infix::HasAttr => ExprKind::HasAttr {
                    subject: left,
                    path: self.attr_path("an attribute name after '?'")?,
                },
                Infix::Binary(binary) => ExprKind::Binary {
                    operator: binary,
                    operator_span: operator.span,
                    left,
                    right: match associativity(level) {
                        Associativity::Right => self.nested(|parser| parser.operation(level))?,
                        _ => self.operation(level + 1)?,
                    },
                },
            };
            left = self.node(kind, start);
        }
        Ok(left)
    }

    fn repeated(&self, first: Lexeme) -> Failure {
        let sign = first.token.sign().unwrap_or_default();
        Failure::new(
            format!(
                "unexpected {}: it cannot follow the operand of '{sign}'",
                self.describe_current()
            ),
            self.current.span,
        )
        .label(first.span, "after this")
        .hint("parentheses say which comes first")
    }

    fn prefix(&mut self) -> Result<&'a Expr<'a>> {
        let start = self.current.span.start;
        match self.current.token {
            Token::Not => {
                self.advance();
                let operand = self.nested(|parser| parser.operation(NOT + 1))?;
                Ok(self.node(ExprKind::Not(operand), start))
            }
            Token::Minus => {
                self.advance();
                let operand = self.nested(|parser| parser.operation(NEGATE))?;
                Ok(self.node(ExprKind::Negate(operand), start))
            }
            _ => self.application(),
        }
    }
}

/// Runs something that may need as much stack as one level of nesting takes.
pub(crate) fn with_stack<T>(run: impl FnOnce() -> T) -> T {
    stacker::maybe_grow(STACK_LEFT, STACK_MORE, run)
}

#[derive(Debug, Clone, Copy)]
enum Infix {
    Binary(Operator),
    HasAttr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Associativity {
    Left,
    Right,
    None,
}

/// The levels of `!` and unary `-`; a higher level binds more tightly.
const NOT: u8 = 7;
const NEGATE: u8 = 12;

/// The level of an infix operator and what it makes.
fn infix(token: Token) -> Option<(u8, Infix)> {
    let (level, operator) = match token {
        Token::Implies => (1, Operator::Implies),
        Token::OrOr => (2, Operator::Or),
        Token::And => (3, Operator::And),
        Token::Equal => (4, Operator::Equal),
        Token::NotEqual => (4, Operator::NotEqual),
        Token::Less => (5, Operator::Less),
        Token::LessOrEqual => (5, Operator::LessOrEqual),
        Token::Greater => (5, Operator::Greater),
        Token::GreaterOrEqual => (5, Operator::GreaterOrEqual),
        Token::Update => (6, Operator::Update),
        Token::Plus => (8, Operator::Add),
        Token::Minus => (8, Operator::Subtract),
        Token::Star => (9, Operator::Multiply),
        Token::Slash => (9, Operator::Divide),
        Token::Concatenate => (10, Operator::Concatenate),
        Token::Question => return Some((11, Infix::HasAttr)),
        _ => return None,
    };
    Some((level, Infix::Binary(operator)))
}

fn associativity(level: u8) -> Associativity {
    match level {
        1 | 6 | 10 => Associativity::Right,
        4 | 5 => Associativity::None,
        _ => Associativity::Left,
    }
}
