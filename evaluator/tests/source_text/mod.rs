//! Generated source texts.

use proptest::prelude::*;

/// An expression written in two ways.
#[derive(Debug, Clone)]
pub struct Written {
    /// With the parentheses that precedence asks for, odd blanks and comments.
    pub sparse: String,
    /// With parentheses around every part.
    pub full: String,
    /// How tightly its outermost operator binds.
    level: u8,
}

const LOWEST: u8 = 0;
const APPLICATION: u8 = 13;
const SELECTION: u8 = 14;
const SIMPLE: u8 = 15;

/// Any expression.
pub fn expression() -> impl Strategy<Value = Written> {
    leaf().prop_recursive(6, 60, 4, |inner| {
        prop_oneof![
            3 => (inner.clone(), operator(), inner.clone(), blank()).prop_map(infix),
            1 => (prop::sample::select(vec![("!", 7_u8), ("-", 12)]), inner.clone(), blank()).prop_map(prefix),
            2 => (inner.clone(), inner.clone(), blank()).prop_map(apply),
            1 => (inner.clone(), path(inner.clone()), prop::option::of(inner.clone()), blank()).prop_map(select),
            1 => (inner.clone(), path(inner.clone()), blank()).prop_map(has_attr),
            1 => (prop::collection::vec(inner.clone(), 0..4), blank()).prop_map(list),
            2 => (any::<bool>(), bindings(inner.clone()), blank()).prop_map(attrs),
            1 => (bindings(inner.clone()), inner.clone(), blank()).prop_map(let_in),
            1 => (inner.clone(), inner.clone(), prop::sample::select(vec!["with", "assert"]), blank()).prop_map(before),
            1 => (inner.clone(), inner.clone(), inner.clone(), blank()).prop_map(conditional),
            1 => (name(), inner.clone(), blank()).prop_map(function),
            1 => (formals(inner.clone()), inner.clone(), blank()).prop_map(formals_function),
            1 => (prop::collection::vec((text(), inner.clone()), 1..3), text()).prop_map(interpolation),
        ]
    })
}

fn blank() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        " ",
        "\n",
        "\t",
        "\r\n",
        " /* c */ ",
        " # c\n",
        " /** d **/ ",
    ])
}

pub fn name() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["a", "b", "c'", "_d", "e-f", "iff", "orr", "true"])
        .prop_map(str::to_owned)
}

fn simple(text: impl Into<String>) -> Written {
    let text = text.into();
    Written {
        full: text.clone(),
        sparse: text,
        level: SIMPLE,
    }
}

fn leaf() -> impl Strategy<Value = Written> {
    let number = prop::sample::select(vec![
        "0",
        "1",
        "007",
        "9223372036854775807",
        "1.5",
        "1.",
        ".5",
        "1.5e3",
        "12.e-2",
    ]);
    let path = prop::sample::select(vec![
        "./a",
        "../b.c/d",
        "/e/../f",
        "~/g",
        "<h/i>",
        "x:y",
        "http://a.b/c?d=e",
        "./${\"x\"}",
        "/j/k${\"x\"}/l-m.n",
    ]);
    prop_oneof![
        4 => name().prop_map(simple),
        2 => number.prop_map(simple),
        1 => path.prop_map(simple),
        1 => text().prop_map(|text| simple(format!("\"{text}\""))),
        1 => indented().prop_map(|text| simple(format!("''{text}''"))),
    ]
}

/// The inside of a string.
fn text() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a", " ", "\\n", "\\\"", "\\\\", "\\$", "$$", "$a", "'", "''", "\n", "\\t", "#", "/*",
        "\u{e9}", "\\${",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..4).prop_map(|pieces| pieces.concat())
}

/// The inside of an indented string.
fn indented() -> impl Strategy<Value = String> {
    let pieces = vec![
        "a", " ", "  ", "\n", "\n ", "\n  ", "\n   ", "''$", "'''", "$$", "''\\n", "''\\ ", "\"",
        "\t", "$ ", "${\"x\"}", "' ",
    ];
    prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat())
}

fn operator() -> impl Strategy<Value = (&'static str, u8, Side)> {
    use Side::{Left, Neither, Right};
    prop::sample::select(vec![
        ("->", 1, Right),
        ("||", 2, Left),
        ("&&", 3, Left),
        ("==", 4, Neither),
        ("!=", 4, Neither),
        ("<", 5, Neither),
        ("<=", 5, Neither),
        (">", 5, Neither),
        (">=", 5, Neither),
        ("//", 6, Right),
        ("+", 8, Left),
        ("-", 8, Left),
        ("*", 9, Left),
        ("/", 9, Left),
        ("++", 10, Right),
    ])
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Side {
    Left,
    Right,
    Neither,
}

/// A part as it is written where a level is asked for, and with parentheses anyway.
fn part(part: &Written, least: u8) -> (String, String) {
    let sparse = if part.level >= least {
        part.sparse.clone()
    } else {
        format!("({})", part.sparse)
    };
    (sparse, format!("({})", part.full))
}

fn infix(
    (left, (sign, level, side), right, blank): (Written, (&'static str, u8, Side), Written, &str),
) -> Written {
    let (left, left_full) = part(&left, level + u8::from(side != Side::Left));
    let (right, right_full) = part(&right, level + u8::from(side != Side::Right));
    Written {
        sparse: format!("{left}{blank}{sign}{blank}{right}"),
        full: format!("{left_full} {sign} {right_full}"),
        level,
    }
}

fn prefix(((sign, level), operand, blank): ((&str, u8), Written, &str)) -> Written {
    let (sparse, full) = part(&operand, level);
    Written {
        sparse: format!("{sign}{blank}{sparse}"),
        full: format!("{sign} {full}"),
        level,
    }
}

fn apply((function, argument, blank): (Written, Written, &str)) -> Written {
    let (function, function_full) = part(&function, APPLICATION);
    let (argument, argument_full) = part(&argument, SELECTION);
    Written {
        sparse: format!("{function}{blank}{argument}"),
        full: format!("{function_full} {argument_full}"),
        level: APPLICATION,
    }
}

/// Attribute paths, which are the same in both ways of writing but for what they interpolate.
fn path(inner: impl Strategy<Value = Written> + Clone) -> impl Strategy<Value = (String, String)> {
    let component = prop_oneof![
        4 => name().prop_map(|name| (name.clone(), name)),
        1 => Just(("or".to_owned(), "or".to_owned())),
        1 => text().prop_map(|text| (format!("\"{text}\""), format!("\"{text}\""))),
        1 => inner.prop_map(|inner| (format!("${{{}}}", inner.sparse), format!("${{({})}}", inner.full))),
    ];
    prop::collection::vec(component, 1..4).prop_map(|components| {
        let (sparse, full): (Vec<_>, Vec<_>) = components.into_iter().unzip();
        (sparse.join("."), full.join(" . "))
    })
}

fn select(
    (subject, (path, path_full), default, blank): (
        Written,
        (String, String),
        Option<Written>,
        &str,
    ),
) -> Written {
    let (subject, subject_full) = part(&subject, SIMPLE);
    let mut written = Written {
        sparse: format!("{subject}{blank}.{path}"),
        full: format!("{subject_full}.{path_full}"),
        level: SELECTION,
    };
    if let Some(default) = default {
        let (default, default_full) = part(&default, SELECTION);
        written.sparse += &format!("{blank}or{blank}{default}");
        written.full += &format!(" or {default_full}");
    }
    written
}

fn has_attr((subject, (path, path_full), blank): (Written, (String, String), &str)) -> Written {
    let (subject, subject_full) = part(&subject, 11);
    Written {
        sparse: format!("{subject}{blank}?{blank}{path}"),
        full: format!("{subject_full} ? {path_full}"),
        level: 11,
    }
}

fn list((elements, blank): (Vec<Written>, &str)) -> Written {
    let (sparse, full): (Vec<_>, Vec<_>) = elements.iter().map(|e| part(e, SELECTION)).unzip();
    Written {
        sparse: format!("[{blank}{}{blank}]", sparse.join(blank)),
        full: format!("[ {} ]", full.join(" ")),
        level: SIMPLE,
    }
}

/// Definitions of names that differ.
fn bindings(
    inner: impl Strategy<Value = Written> + Clone,
) -> impl Strategy<Value = Vec<(String, Written)>> {
    let suffix = prop::sample::select(vec!["", ".x", ".x.y", ".\"z w\""]);
    prop::collection::vec((suffix, inner), 0..4).prop_map(|values| {
        let named = values.into_iter().enumerate();
        named
            .map(|(n, (suffix, value))| (format!("n{n}{suffix}"), value))
            .collect()
    })
}

fn definitions(bindings: &[(String, Written)], blank: &str) -> (String, String) {
    let mut sparse = String::new();
    let mut full = String::new();
    for (path, value) in bindings {
        sparse += &format!("{blank}{path}{blank}={blank}{};", value.sparse);
        full += &format!(" {path} = ({});", value.full);
    }
    (sparse, full)
}

fn attrs((recursive, bindings, blank): (bool, Vec<(String, Written)>, &str)) -> Written {
    let (sparse, full) = definitions(&bindings, blank);
    let rec = if recursive { "rec" } else { "" };
    Written {
        sparse: format!("{rec}{{{sparse}{blank}}}"),
        full: format!("{rec} {{ {full} }}"),
        level: SIMPLE,
    }
}

fn let_in((bindings, body, blank): (Vec<(String, Written)>, Written, &str)) -> Written {
    let (sparse, full) = definitions(&bindings, blank);
    Written {
        sparse: format!("let{sparse}{blank}in{blank}{}", body.sparse),
        full: format!("let {full} in ({})", body.full),
        level: LOWEST,
    }
}

fn before((first, body, keyword, blank): (Written, Written, &str, &str)) -> Written {
    Written {
        sparse: format!("{keyword}{blank}{};{blank}{}", first.sparse, body.sparse),
        full: format!("{keyword} ({}); ({})", first.full, body.full),
        level: LOWEST,
    }
}

fn conditional((condition, then, otherwise, blank): (Written, Written, Written, &str)) -> Written {
    Written {
        sparse: format!(
            "if{blank}{}{blank}then{blank}{}{blank}else{blank}{}",
            condition.sparse, then.sparse, otherwise.sparse
        ),
        full: format!(
            "if ({}) then ({}) else ({})",
            condition.full, then.full, otherwise.full
        ),
        level: LOWEST,
    }
}

fn function((name, body, blank): (String, Written, &str)) -> Written {
    Written {
        sparse: format!("{name}:{blank}{}", body.sparse),
        full: format!("{name} : ({})", body.full),
        level: LOWEST,
    }
}

type FormalsText = (Vec<Option<Written>>, bool, Option<(bool, String)>);

fn formals(inner: impl Strategy<Value = Written> + Clone) -> impl Strategy<Value = FormalsText> {
    (
        prop::collection::vec(prop::option::of(inner), 0..4),
        any::<bool>(),
        prop::option::of((any::<bool>(), name())),
    )
}

fn formals_function(
    ((formals, ellipsis, whole), body, blank): (FormalsText, Written, &str),
) -> Written {
    let mut sparse = Vec::new();
    let mut full = Vec::new();
    for (n, default) in formals.iter().enumerate() {
        let (mut one, mut one_full) = (format!("m{n}"), format!("m{n}"));
        if let Some(default) = default {
            one += &format!("?{blank}{}", default.sparse);
            one_full += &format!(" ? ({})", default.full);
        }
        sparse.push(one);
        full.push(one_full);
    }
    if ellipsis {
        sparse.push("...".to_owned());
        full.push("...".to_owned());
    }
    let (before, after) = match &whole {
        Some((true, name)) => (format!("{name}@"), String::new()),
        Some((false, name)) => (String::new(), format!("@{name}")),
        None => Default::default(),
    };
    Written {
        sparse: format!(
            "{before}{{{blank}{}{blank}}}{after}:{blank}{}",
            sparse.join(" ,"),
            body.sparse
        ),
        full: format!(
            "{before} {{ {} }} {after} : ({})",
            full.join(" , "),
            body.full
        ),
        level: LOWEST,
    }
}

fn interpolation((parts, end): (Vec<(String, Written)>, String)) -> Written {
    let mut sparse = String::new();
    let mut full = String::new();
    for (text, inner) in parts {
        sparse += &format!("{text}${{{}}}", inner.sparse);
        full += &format!("{text}${{ ({}) }}", inner.full);
    }
    Written {
        sparse: format!("\"{sparse}{end}\""),
        full: format!("\"{full}{end}\""),
        level: SIMPLE,
    }
}

/// Short sequences of tokens, some of which are expressions.
pub fn tokens() -> impl Strategy<Value = String> {
    let operand = prop::sample::select(vec![
        "a",
        "1",
        "1.5",
        ".5",
        "0.",
        "\"s\"",
        "''t''",
        "./p",
        "a/b",
        "/c/${d}",
        "<e>",
        "x:y",
        "{ }",
        "[ ]",
        "(a)",
        "rec { }",
        "{ a = 1; }",
        "{ a }: a",
        "a: a",
        "let b = 1; in b",
        "let { body = 1; }",
        "if a then b else c",
        "or",
        "a.or",
        "~/x",
        "${a}",
        "{ inherit a; }",
        "{ inherit (a) b; }",
        "{ a.b = 1; a.c = 2; }",
        "{ a = { }; a.b = 1; }",
        "{ a = 1; a = 2; }",
        "{ \"a\" = 1; a.b = 1; }",
        "{ a, a }: 1",
        "a@{ a }: 1",
        "{ ... }: 1",
        "{ a, ..., b }: 1",
        "{ , }: 1",
        "{ a, }: 1",
        "__curPos",
        "assert a; b",
        "with a; b",
        "9223372036854775808",
        "''\n  a\n b''",
        "\"${\"a\"}\"",
        "{ ${a} = 1; }",
        "{ \"${a}\".b = 1; }",
    ]);
    let sign = prop::sample::select(vec![
        "+", "-", "*", "/", "++", "//", "->", "||", "&&", "==", "!=", "<", "<=", ">", ">=", "?",
        ".", "or", "!", ":", ",", ";", "@", "=", "a", "?a", ".a", ".${a}", "? \"a\"", " ", "",
    ]);
    let blank = prop::sample::select(vec!["", " ", "\n"]);
    let step =
        (blank, prop_oneof![operand, sign.clone(), sign]).prop_map(|(a, b)| format!("{a}{b}"));
    prop::collection::vec(step, 1..7).prop_map(|steps| steps.concat())
}
