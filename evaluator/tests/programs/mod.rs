//! Random programs that are well-formed, and almost always well-typed.
//!
//! A program is made from a sequence of choices, so that a shorter sequence makes a simpler one:
//! that is how failing ones are made small.

/// What an expression is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Float,
    Bool,
    String,
    Ints,
    Strings,
    /// A set of integers.
    Set,
    /// A function from integer to integer.
    Function,
    /// Anything that JSON has.
    Data,
}

const NAMED: [Type; 6] = [
    Type::Int,
    Type::Bool,
    Type::String,
    Type::Ints,
    Type::Set,
    Type::Function,
];

/// The program that a sequence of choices makes.
pub fn program(choices: &[u8]) -> String {
    let mut maker = Maker {
        choices,
        scope: Vec::new(),
        names: 0,
    };
    maker.of(Type::Data, 7)
}

struct Maker<'c> {
    choices: &'c [u8],
    scope: Vec<(String, Type)>,
    names: usize,
}

impl Maker<'_> {
    /// A number below `limit`; 0 when there are no choices left.
    fn choose(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.choices.split_first() else {
            return 0;
        };
        self.choices = rest;
        usize::from(*first) % limit
    }

    fn pick<'t>(&mut self, texts: &[&'t str]) -> &'t str {
        let at = self.choose(texts.len());
        texts[at]
    }

    fn fresh(&mut self, kind: Type) -> String {
        // Names come again, so that scopes shadow each other.
        self.names += 1;
        let name = format!("{}{}", self.pick(&["x", "y", "z"]), self.names % 4);
        self.scope.push((name.clone(), kind));
        name
    }

    fn variable(&mut self, kind: Type) -> Option<String> {
        let mut seen = Vec::new();
        let mut visible = Vec::new();
        for (name, of) in self.scope.iter().rev() {
            if !seen.contains(&name) {
                seen.push(name);
                if *of == kind {
                    visible.push(name.clone());
                }
            }
        }
        if visible.is_empty() {
            return None;
        }
        let at = self.choose(visible.len());
        Some(visible.swap_remove(at))
    }

    /// An expression in parentheses.
    fn of(&mut self, kind: Type, depth: usize) -> String {
        // Sometimes another type than is asked for: both must fail alike, or coerce alike.
        let kind = if depth > 0 && depth < 4 && self.choose(60) == 59 {
            [Type::Int, Type::String, Type::Data, Type::Set][self.choose(4)]
        } else {
            kind
        };
        if depth == 0 || self.choices.is_empty() {
            return self.leaf(kind);
        }
        if self.choose(5) == 4
            && let Some(name) = self.variable(kind)
        {
            return name;
        }
        let depth = depth - 1;
        let text = match self.choose(9) {
            0 => self.scoped(kind, depth),
            1 => self.general(kind, depth),
            _ => match kind {
                Type::Int => self.int(depth),
                Type::Float => self.float(depth),
                Type::Bool => self.bool(depth),
                Type::String if self.choose(6) == 5 => self.with_context(depth),
                Type::String => self.string(depth),
                Type::Ints => self.ints(depth),
                Type::Strings => self.strings(depth),
                Type::Set => self.set(depth),
                Type::Function => self.function(depth),
                Type::Data => self.data(depth),
            },
        };
        format!("({text})")
    }

    fn leaf(&mut self, kind: Type) -> String {
        if self.choose(2) == 1
            && let Some(name) = self.variable(kind)
        {
            return name;
        }
        match kind {
            Type::Int => self
                .pick(&["0", "1", "2", "7", "(-3)", "100", "4096"])
                .to_owned(),
            Type::Float => self
                .pick(&["0.5", "1.25", "(-2.0)", "1e3", "100.125"])
                .replace("1e3", "1000.0"),
            Type::Bool => self.pick(&["true", "false"]).to_owned(),
            Type::String => self
                .pick(&[
                    "\"\"",
                    "\"a\"",
                    "\"b-1.2\"",
                    "\"x y\"",
                    "\"A/b/c.d\"",
                    "\"1.10pre2\"",
                    "\"$\\${}\"",
                    "\"\\n\\t\\\"\\\\\"",
                    "''\n  in\n    dented ''${x}\n''",
                    "\"ä\u{20ac}\"",
                    "\"foo-2.3\"",
                    "\"aXbXc\"",
                ])
                .to_owned(),
            Type::Ints => self
                .pick(&["[ ]", "[ 3 1 2 ]", "[ 0 ]", "[ 5 5 (-1) ]"])
                .to_owned(),
            Type::Strings => self
                .pick(&["[ ]", "[ \"b\" \"a\" ]", "[ \"a\" \"\" ]"])
                .to_owned(),
            Type::Set => self
                .pick(&[
                    "{ }",
                    "{ a = 1; }",
                    "{ b = 2; a = 3; \"c d\" = 4; }",
                    "rec { a = 1; b = a + 1; }",
                ])
                .to_owned(),
            Type::Function => self
                .pick(&["(n: n)", "(n: n + 1)", "(n: 0 - n)", "(builtins.add 2)"])
                .to_owned(),
            Type::Data => self
                .pick(&["null", "true", "1", "\"d\"", "[ ]", "{ }"])
                .to_owned(),
        }
    }

    /// Ways to bind names around an expression.
    fn scoped(&mut self, kind: Type, depth: usize) -> String {
        let outside = self.scope.len();
        let named = NAMED[self.choose(NAMED.len())];
        let value = self.of(named, depth);
        let name = self.fresh(named);
        let text = match self.choose(7) {
            0 => {
                let body = self.of(kind, depth);
                format!("let {name} = {value}; in {body}")
            }
            1 => {
                let body = self.of(kind, depth);
                format!("({name}: {body}) {value}")
            }
            2 => {
                let body = self.of(kind, depth);
                format!("({{ {name}, other ? {name} }}: {body}) {{ {name} = {value}; }}")
            }
            3 => {
                let body = self.of(kind, depth);
                format!("({{ {name} ? {value}, ... }}@all: {body}) {{ q = 1; }}")
            }
            4 => {
                let body = self.of(kind, depth);
                format!("let all = {{ {name} = {value}; }}; inherit (all) {name}; in {body}")
            }
            5 => {
                let body = self.of(kind, depth);
                format!("(rec {{ {name} = {value}; body = {body}; }}).body")
            }
            _ => {
                // A name of `with` is seen only where nothing around binds it.
                let lexical = self.scope[..outside]
                    .iter()
                    .any(|(bound, _)| *bound == name);
                if lexical {
                    self.scope.truncate(outside);
                }
                let body = self.of(kind, depth);
                format!("with {{ {name} = {value}; }}; {body}")
            }
        };
        self.scope.truncate(outside);
        text
    }

    /// Ways that every type has.
    fn general(&mut self, kind: Type, depth: usize) -> String {
        match self.choose(10) {
            0 | 1 => {
                let (condition, a, b) = (
                    self.of(Type::Bool, depth),
                    self.of(kind, depth),
                    self.of(kind, depth),
                );
                format!("if {condition} then {a} else {b}")
            }
            2 => {
                let (value, default) = (self.of(kind, depth), self.of(kind, depth));
                let path = self.pick(&["p", "p.q", "r", "\"p\"", "${\"p\"}"]);
                format!("{{ p = {value}; }}.{path} or {default}")
            }
            3 => {
                let (first, value) = (self.of(Type::Data, depth), self.of(kind, depth));
                let strict = self.pick(&["builtins.seq", "builtins.deepSeq", "(a: b: b)"]);
                format!("{strict} {first} {value}")
            }
            4 => {
                let (condition, value) = (self.of(Type::Bool, depth), self.of(kind, depth));
                format!(
                    "let t = builtins.tryEval (assert {condition}; {value}); in if t.success then {value} else {value}"
                )
            }
            5 => {
                let (value, other) = (self.of(kind, depth), self.of(kind, depth));
                format!(
                    "let t = builtins.tryEval (builtins.deepSeq {value} (throw \"t\")); in if t.success then {other} else {value}"
                )
            }
            6 => {
                let list = format!("[ {} {} ]", self.of(kind, depth), self.of(kind, depth));
                let at = self.pick(&[
                    "builtins.head",
                    "(l: builtins.elemAt l 1)",
                    "(l: builtins.head (builtins.tail l))",
                ]);
                format!("{at} {list}")
            }
            7 => {
                let value = self.of(kind, depth);
                format!("{{ __functor = self: x: self.v; v = {value}; }} 1")
            }
            8 => {
                let value = self.of(kind, depth);
                format!("(x@{{ v, ... }}: x.v) {{ v = {value}; w = throw \"lazy\"; }}")
            }
            _ => {
                let value = self.of(kind, depth);
                format!("builtins.getAttr \"g\" {{ g = {value}; }}")
            }
        }
    }

    fn int(&mut self, depth: usize) -> String {
        let (i, j) = (Type::Int, Type::Int);
        match self.choose(16) {
            0..=2 => {
                let sign = self.pick(&["+", "-", "*", "/"]);
                format!("{} {sign} {}", self.of(i, depth), self.of(j, depth))
            }
            3 => format!("builtins.length {}", self.of(Type::Ints, depth)),
            4 => format!("builtins.stringLength {}", self.of(Type::String, depth)),
            5 => {
                let name = self.pick(&["a", "b", "\"c d\""]);
                format!(
                    "{}.{name} or {}",
                    self.of(Type::Set, depth),
                    self.of(i, depth)
                )
            }
            6 => {
                let outside = self.scope.len();
                let (start, list) = (self.of(i, depth), self.of(Type::Ints, depth));
                let (a, b) = (self.fresh(i), self.fresh(i));
                let body = self.of(i, depth);
                self.scope.truncate(outside);
                if a == b {
                    return format!("builtins.foldl' builtins.add {start} {list}");
                }
                format!("builtins.foldl' ({a}: {b}: {body}) {start} {list}")
            }
            7 => {
                let name = self.pick(&["bitAnd", "bitOr", "bitXor", "sub", "mul", "add", "div"]);
                format!(
                    "builtins.{name} {} {}",
                    self.of(i, depth),
                    self.of(j, depth)
                )
            }
            8 => format!(
                "builtins.compareVersions {} {}",
                self.of(Type::String, depth),
                self.of(Type::String, depth)
            ),
            9 => {
                let name = self.pick(&["floor", "ceil"]);
                format!("builtins.{name} {}", self.of(Type::Float, depth))
            }
            10 | 11 => format!("{} {}", self.of(Type::Function, depth), self.of(i, depth)),
            12 => format!(
                "builtins.elemAt {} {}",
                self.of(Type::Ints, depth),
                self.of(i, depth)
            ),
            13 => format!("- {}", self.of(i, depth)),
            14 => format!(
                "builtins.length (builtins.attrNames {})",
                self.of(Type::Set, depth)
            ),
            _ => format!("__sub {} {}", self.of(i, depth), self.of(j, depth)),
        }
    }

    fn float(&mut self, depth: usize) -> String {
        let sign = self.pick(&["+", "-", "*", "/"]);
        let kind = [Type::Float, Type::Int][self.choose(2)];
        format!(
            "{} {sign} {}",
            self.of(Type::Float, depth),
            self.of(kind, depth)
        )
    }

    fn bool(&mut self, depth: usize) -> String {
        match self.choose(14) {
            0 | 1 => {
                let kind = [
                    Type::Int,
                    Type::Float,
                    Type::String,
                    Type::Ints,
                    Type::Strings,
                ][self.choose(5)];
                let sign = self.pick(&["<", "<=", ">", ">="]);
                format!("{} {sign} {}", self.of(kind, depth), self.of(kind, depth))
            }
            2 | 3 => {
                let kind = [
                    Type::Int,
                    Type::String,
                    Type::Ints,
                    Type::Set,
                    Type::Data,
                    Type::Bool,
                    Type::Float,
                ][self.choose(7)];
                let sign = self.pick(&["==", "!="]);
                format!("{} {sign} {}", self.of(kind, depth), self.of(kind, depth))
            }
            4 | 5 => {
                let sign = self.pick(&["&&", "||", "->"]);
                format!(
                    "{} {sign} {}",
                    self.of(Type::Bool, depth),
                    self.of(Type::Bool, depth)
                )
            }
            6 => format!("! {}", self.of(Type::Bool, depth)),
            7 => {
                let path = self.pick(&["a", "b.c", "\"c d\"", "${\"a\"}"]);
                format!("{} ? {path}", self.of(Type::Set, depth))
            }
            8 => format!(
                "builtins.elem {} {}",
                self.of(Type::Int, depth),
                self.of(Type::Ints, depth)
            ),
            9 => {
                let outside = self.scope.len();
                let name = self.pick(&["all", "any"]);
                let list = self.of(Type::Ints, depth);
                let x = self.fresh(Type::Int);
                let body = self.of(Type::Bool, depth);
                self.scope.truncate(outside);
                format!("builtins.{name} ({x}: {body}) {list}")
            }
            10 => {
                let name = self.pick(&[
                    "isInt",
                    "isFloat",
                    "isBool",
                    "isString",
                    "isList",
                    "isAttrs",
                    "isNull",
                    "isFunction",
                    "isPath",
                ]);
                format!("builtins.{name} {}", self.of(Type::Data, depth))
            }
            11 => format!(
                "builtins.hasAttr {} {}",
                self.of(Type::String, depth),
                self.of(Type::Set, depth)
            ),
            12 => {
                let pattern = self.pattern();
                format!(
                    "builtins.match {pattern} {} != null",
                    self.of(Type::String, depth)
                )
            }
            _ => format!(
                "builtins.lessThan {} {}",
                self.of(Type::Int, depth),
                self.of(Type::Float, depth)
            ),
        }
    }

    fn pattern(&mut self) -> &'static str {
        self.pick(&[
            "\"a*\"",
            "\"(.*)\"",
            "\"([a-z]+)-([0-9.]+)\"",
            "\"(a|ab)(c|bcd)(d*)\"",
            "\"[[:space:]]*(.*[^ ])?\"",
            "\"x?(y| )+\"",
            "\"[^/]*/(.*)\"",
            "\"(a?)*b\"",
            "\"[[:alpha:]]+|[[:digit:]]+\"",
            "\"(X|b)\"",
            "\".\"",
            "\"\"",
            "\"a{1,2}\"",
            "\"(-|\\\\.)\"",
        ])
    }

    fn string(&mut self, depth: usize) -> String {
        match self.choose(24) {
            0 => format!(
                "{} + {}",
                self.of(Type::String, depth),
                self.of(Type::String, depth)
            ),
            1 => format!(
                "\"a${{{}}}b${{{}}}\"",
                self.of(Type::String, depth),
                self.of(Type::String, depth)
            ),
            2 => format!("''\n  x ${{{}}}\n    y\n''", self.of(Type::String, depth)),
            3 => format!(
                "builtins.substring {} {} {}",
                self.of(Type::Int, depth),
                self.of(Type::Int, depth),
                self.of(Type::String, depth)
            ),
            4 => format!(
                "builtins.concatStringsSep {} {}",
                self.of(Type::String, depth),
                self.of(Type::Strings, depth)
            ),
            5 => format!(
                "builtins.replaceStrings {} [ {} {} ] {}",
                self.pick(&[
                    "[ \"a\" \"b\" ]",
                    "[ \"\" \"x\" ]",
                    "[ \"aX\" \"a\" ]",
                    "[ \"1\" \"\" ]"
                ]),
                self.of(Type::String, depth),
                self.of(Type::String, depth),
                self.of(Type::String, depth)
            ),
            6 | 7 => {
                let kind = [
                    Type::Int,
                    Type::Bool,
                    Type::Ints,
                    Type::Strings,
                    Type::Float,
                    Type::String,
                ][self.choose(6)];
                format!("toString {}", self.of(kind, depth))
            }
            8..=10 => format!("builtins.toJSON {}", self.of(Type::Data, depth)),
            11 => format!("builtins.toXML {}", self.of(Type::Data, depth)),
            12 => {
                let algorithm = self.pick(&["md5", "sha1", "sha256", "sha512"]);
                format!(
                    "builtins.hashString \"{algorithm}\" {}",
                    self.of(Type::String, depth)
                )
            }
            13 => format!("builtins.typeOf {}", self.of(Type::Data, depth)),
            14 => {
                let name = self.pick(&["baseNameOf", "dirOf"]);
                format!("{name} {}", self.of(Type::String, depth))
            }
            15 => format!(
                "toString {{ __toString = self: {}; }}",
                self.of(Type::String, depth)
            ),
            16 => format!("\"${{{{ outPath = {}; }}}}\"", self.of(Type::String, depth)),
            17 => {
                let part = self.pick(&["name", "version"]);
                format!(
                    "(builtins.parseDrvName {}).{part}",
                    self.of(Type::String, depth)
                )
            }
            18 => format!(
                "builtins.head ({} ++ [ \"h\" ])",
                self.of(Type::Strings, depth)
            ),
            19 => format!(
                "toString (./. + \"/${{{}}}\")",
                self.of(Type::String, depth)
            ),
            20 => format!(
                "toString [ {} {} ]",
                self.of(Type::Data, depth),
                self.of(Type::Ints, depth)
            ),
            21 => format!(
                "builtins.concatStringsSep \",\" (map toString {})",
                self.of(Type::Ints, depth)
            ),
            22 => format!(
                "builtins.unsafeDiscardStringContext {}",
                self.of(Type::String, depth)
            ),
            _ => format!(
                "builtins.addErrorContext \"c\" {}",
                self.of(Type::String, depth)
            ),
        }
    }

    /// Strings that refer to derivations and files of the store, and what is made of them.
    fn with_context(&mut self, depth: usize) -> String {
        let forms = if depth == 0 { 4 } else { 10 };
        match self.choose(forms) {
            0..=3 => {
                let part = self.pick(&["", ".drvPath", ".outPath", ".out", ".name", ".all"]);
                let derivation = self.derivation(depth);
                match part {
                    ".all" => format!("toString {derivation}.all"),
                    _ => format!("\"${{{derivation}{part}}}\""),
                }
            }
            4 => format!("builtins.toFile \"f\" {}", self.of(Type::String, depth)),
            5 => {
                let of = self.pick(&["getContext", "hasContext"]);
                let string = self.with_context(depth.saturating_sub(1));
                format!("builtins.toJSON (builtins.{of} ({string}))")
            }
            6 => {
                let name = self.pick(&[
                    "unsafeDiscardStringContext",
                    "unsafeDiscardOutputDependency",
                ]);
                format!(
                    "builtins.{name} ({})",
                    self.with_context(depth.saturating_sub(1))
                )
            }
            7 => format!("placeholder {}", self.of(Type::String, depth)),
            8 => format!(
                "builtins.appendContext {} (builtins.getContext ({}))",
                self.of(Type::String, depth),
                self.with_context(depth.saturating_sub(1))
            ),
            _ => {
                let (a, b) = (
                    self.with_context(depth.saturating_sub(1)),
                    self.with_context(depth.saturating_sub(1)),
                );
                let how = self.pick(&[
                    "builtins.substring 0 60 (a + b)",
                    "builtins.replaceStrings [ \"/\" ] [ b ] a",
                    "builtins.concatStringsSep a [ b b ]",
                    "builtins.concatStringsSep a [ ]",
                    "builtins.toJSON { inherit a; b = [ b ]; }",
                    "builtins.head (builtins.split \"x\" a)",
                    "baseNameOf a",
                    "toString [ a b ]",
                ]);
                format!(
                    "let a = ({a}); b = ({b}); s = ({how}); in s + builtins.toJSON (builtins.getContext s)"
                )
            }
        }
    }

    fn derivation(&mut self, depth: usize) -> String {
        let mut attrs = String::new();
        for name in ["x", "y", "args", "passAsFile"] {
            attrs += &match (name, self.choose(6)) {
                (_, 0) => String::new(),
                ("args", _) => format!("args = {}; ", self.of(Type::Strings, depth)),
                ("passAsFile", _) => "passAsFile = [ \"x\" ]; ".to_owned(),
                (_, 1) => format!("{name} = {}; ", self.of(Type::Int, depth)),
                (_, 2) => format!("{name} = {}; ", self.of(Type::Bool, depth)),
                (_, 3) => format!("{name} = {}; ", self.of(Type::Ints, depth)),
                (_, 4) => format!("{name} = null; "),
                (_, _) => format!(
                    "{name} = {}; ",
                    format_args!("({})", self.with_context(depth.saturating_sub(1)))
                ),
            };
        }
        attrs += self.pick(&[
            "",
            "",
            "outputs = [ \"out\" \"dev\" ]; ",
            "outputs = [ \"dev\" \"out\" ]; ",
            "outputHash = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"; outputHashAlgo = \"sha256\"; ",
            "outputHash = \"sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\"; outputHashMode = \"recursive\"; ",
            "__structuredAttrs = true; ",
            "__ignoreNulls = true; ",
            "preferLocalBuild = true; ",
        ]);
        let name = self.pick(&["n", "a-1.0", "x.y_z"]);
        format!(
            "(derivation {{ name = \"{name}\"; system = \"x86_64-linux\"; builder = \"/bin/sh\"; {attrs}}})"
        )
    }

    fn ints(&mut self, depth: usize) -> String {
        match self.choose(17) {
            0 | 1 => {
                let length = self.choose(4);
                let items: Vec<String> = (0..length).map(|_| self.of(Type::Int, depth)).collect();
                format!("[ {} ]", items.join(" "))
            }
            2 | 3 => format!(
                "{} ++ {}",
                self.of(Type::Ints, depth),
                self.of(Type::Ints, depth)
            ),
            4 | 5 => format!(
                "map {} {}",
                self.of(Type::Function, depth),
                self.of(Type::Ints, depth)
            ),
            6 => {
                let outside = self.scope.len();
                let list = self.of(Type::Ints, depth);
                let x = self.fresh(Type::Int);
                let body = self.of(Type::Bool, depth);
                self.scope.truncate(outside);
                let how = self.pick(&[
                    "builtins.filter f l",
                    "(builtins.partition f l).right",
                    "(builtins.partition f l).wrong",
                ]);
                format!("let f = {x}: {body}; l = {list}; in {how}")
            }
            7 => format!(
                "builtins.genList {} {}",
                self.of(Type::Function, depth),
                self.pick(&["0", "3", "5"])
            ),
            8 => format!(
                "builtins.sort builtins.lessThan {}",
                self.of(Type::Ints, depth)
            ),
            9 => format!("builtins.sort (a: b: b < a) {}", self.of(Type::Ints, depth)),
            10 => {
                let f = self.of(Type::Function, depth);
                format!(
                    "builtins.concatMap (v: [ v ({f} v) ]) {}",
                    self.of(Type::Ints, depth)
                )
            }
            11 => format!(
                "builtins.concatLists [ {} {} ]",
                self.of(Type::Ints, depth),
                self.of(Type::Ints, depth)
            ),
            12 => format!("builtins.attrValues {}", self.of(Type::Set, depth)),
            13 => format!(
                "builtins.catAttrs \"a\" [ {} {} ]",
                self.of(Type::Set, depth),
                self.of(Type::Set, depth)
            ),
            14 => format!("builtins.tail ([ 9 ] ++ {})", self.of(Type::Ints, depth)),
            15 => format!(
                "map (e: e.key) (builtins.genericClosure {{ startSet = map (key: {{ inherit key; }}) {}; operator = e: if e.key < 9 && e.key > 0 then [ {{ key = e.key * 2; }} {{ key = e.key - 1; }} ] else [ ]; }})",
                self.of(Type::Ints, depth)
            ),
            _ => format!(
                "builtins.fromJSON (builtins.toJSON {})",
                self.of(Type::Ints, depth)
            ),
        }
    }

    fn strings(&mut self, depth: usize) -> String {
        match self.choose(9) {
            0 => format!(
                "[ {} {} ]",
                self.of(Type::String, depth),
                self.of(Type::String, depth)
            ),
            1 => format!("builtins.attrNames {}", self.of(Type::Set, depth)),
            2 => {
                let pattern = self.pattern();
                format!(
                    "builtins.filter builtins.isString (builtins.split {pattern} {})",
                    self.of(Type::String, depth)
                )
            }
            3 => format!("builtins.splitVersion {}", self.of(Type::String, depth)),
            4 => format!("map toString {}", self.of(Type::Ints, depth)),
            5 => format!(
                "{} ++ {}",
                self.of(Type::Strings, depth),
                self.of(Type::Strings, depth)
            ),
            6 => format!(
                "builtins.sort builtins.lessThan {}",
                self.of(Type::Strings, depth)
            ),
            7 => format!(
                "map (s: s + {}) {}",
                self.of(Type::String, depth),
                self.of(Type::Strings, depth)
            ),
            _ => format!(
                "builtins.attrValues (builtins.mapAttrs (n: v: n + toString v) {})",
                self.of(Type::Set, depth)
            ),
        }
    }

    fn set(&mut self, depth: usize) -> String {
        match self.choose(18) {
            0 | 1 => {
                let (a, b) = (self.of(Type::Int, depth), self.of(Type::Int, depth));
                let (first, second) = (
                    self.pick(&["a", "b", "\"x-y\""]),
                    self.pick(&["c", "d", "${\"e\"}", "${null}"]),
                );
                format!("{{ {first} = {a}; {second} = {b}; }}")
            }
            2..=4 => format!(
                "{} // {}",
                self.of(Type::Set, depth),
                self.of(Type::Set, depth)
            ),
            5 => {
                let outside = self.scope.len();
                let set = self.of(Type::Set, depth);
                let (name, value) = (self.fresh(Type::String), self.fresh(Type::Int));
                if name == value {
                    self.scope.truncate(outside);
                    return format!("builtins.mapAttrs (n: v: v) {set}");
                }
                let body = self.of(Type::Int, depth);
                self.scope.truncate(outside);
                format!("builtins.mapAttrs ({name}: {value}: {body}) {set}")
            }
            6 => format!(
                "builtins.listToAttrs (map (s: {{ name = s; value = {}; }}) {})",
                self.of(Type::Int, depth),
                self.of(Type::Strings, depth)
            ),
            7 => format!(
                "builtins.intersectAttrs {} {}",
                self.of(Type::Set, depth),
                self.of(Type::Set, depth)
            ),
            8 => format!(
                "removeAttrs {} {}",
                self.of(Type::Set, depth),
                self.pick(&["[ \"a\" ]", "[ \"nope\" \"c d\" ]", "[ ]"])
            ),
            9 => format!(
                "builtins.zipAttrsWith (n: vs: builtins.foldl' builtins.add 0 vs) [ {} {} ]",
                self.of(Type::Set, depth),
                self.of(Type::Set, depth)
            ),
            10 => format!(
                "builtins.mapAttrs (n: builtins.length) (builtins.groupBy (i: if i > 1 then \"big\" else \"small\") {})",
                self.of(Type::Ints, depth)
            ),
            11 => format!(
                "{{ ${{{}}} = {}; }}",
                self.of(Type::String, depth),
                self.of(Type::Int, depth)
            ),
            12 => format!(
                "let a = {}; inherit (s) b; s = {{ b = a; }}; in {{ inherit a b; }}",
                self.of(Type::Int, depth)
            ),
            13 => format!(
                "rec {{ a = {}; b = a; inherit (r) c; r = {{ c = b; }}; }}.r",
                self.of(Type::Int, depth)
            ),
            14 => format!(
                "builtins.foldl' (a: b: a // b) {{ }} [ {} {} ]",
                self.of(Type::Set, depth),
                self.of(Type::Set, depth)
            ),
            15 => format!(
                "builtins.fromJSON (builtins.toJSON {})",
                self.of(Type::Set, depth)
            ),
            16 => format!("{{ n.a = {}; n.b = 2; }}.n", self.of(Type::Int, depth)),
            _ => format!(
                "with {}; {{ v = a; }}",
                format_args!("({{ a = 0; }} // {})", self.of(Type::Set, depth))
            ),
        }
    }

    fn function(&mut self, depth: usize) -> String {
        let outside = self.scope.len();
        let text = match self.choose(6) {
            0..=2 => {
                let x = self.fresh(Type::Int);
                let body = self.of(Type::Int, depth);
                format!("{x}: {body}")
            }
            3 => format!(
                "let f = {}; g = {}; in x: f (g x)",
                self.of(Type::Function, depth),
                self.of(Type::Function, depth)
            ),
            4 => {
                let name = self.pick(&["add", "mul", "sub", "bitXor"]);
                format!("builtins.{name} {}", self.of(Type::Int, depth))
            }
            _ => format!(
                "{{ __functor = self: x: x + self.n; n = {}; }}",
                self.of(Type::Int, depth)
            ),
        };
        self.scope.truncate(outside);
        text
    }

    fn data(&mut self, depth: usize) -> String {
        let simple = [
            Type::Int,
            Type::Bool,
            Type::String,
            Type::Ints,
            Type::Strings,
            Type::Set,
        ];
        match self.choose(17) {
            0..=5 => {
                let kind = simple[self.choose(simple.len())];
                self.of(kind, depth)
            }
            // JSON of 2.8 has six digits.
            16 => format!("toString {}", self.of(Type::Float, depth)),
            6 | 7 => format!(
                "[ {} {} ]",
                self.of(Type::Data, depth),
                self.of(Type::Data, depth)
            ),
            8 | 9 => {
                let (a, b) = (self.of(Type::Data, depth), self.of(Type::Data, depth));
                format!("{{ p = {a}; q = {b}; }}")
            }
            10 => {
                let pattern = self.pattern();
                let name = self.pick(&["match", "split"]);
                format!("builtins.{name} {pattern} {}", self.of(Type::String, depth))
            }
            11 => format!("builtins.parseDrvName {}", self.of(Type::String, depth)),
            12 => format!("builtins.tryEval {}", self.of(Type::Bool, depth)),
            13 => format!(
                "builtins.functionArgs ({{ a, b ? {}, ... }}: a)",
                self.of(Type::Int, depth)
            ),
            14 => format!(
                "builtins.partition (i: i > 1) {}",
                self.of(Type::Ints, depth)
            ),
            _ => format!("builtins.groupBy toString {}", self.of(Type::Ints, depth)),
        }
    }
}
