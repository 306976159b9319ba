use std::collections::HashMap;
use std::fmt::Write as _;

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::program::{Instruction, Kind, Program};
use super::search::{Goal, Search};
use super::{Regex, Scratch};

fn text(subject: &str, range: Option<(usize, usize)>) -> String {
    range.map_or("null".to_owned(), |(start, end)| {
        format!("{:?}", &subject[start..end])
    })
}

fn match_text(pattern: &str, subject: &str) -> String {
    match Regex::new(pattern.as_bytes()) {
        Err(error) => format!("error: {error}"),
        Ok(regex) => match regex.full_match(subject.as_bytes(), &mut Scratch::default()) {
            Err(error) => format!("error: {error}"),
            Ok(None) => "null".to_owned(),
            Ok(Some(groups)) => groups
                .iter()
                .map(|group| text(subject, *group))
                .collect::<Vec<_>>()
                .join(" "),
        },
    }
}

fn split_text(pattern: &str, subject: &str) -> String {
    let regex = match Regex::new(pattern.as_bytes()) {
        Ok(regex) => regex,
        Err(error) => return format!("error: {error}"),
    };
    let mut scratch = Scratch::default();
    let mut matches = regex.matches(subject.as_bytes(), &mut scratch).unwrap();
    let mut out = String::new();
    let mut last = 0;
    while let Some((start, end)) = matches.advance().unwrap() {
        let groups: Vec<_> = matches.groups().map(|group| text(subject, group)).collect();
        write!(out, "{:?} [{}] ", &subject[last..start], groups.join(" ")).unwrap();
        last = end;
    }
    write!(out, "{:?}", &subject[last..]).unwrap();
    out
}

fn check(operation: fn(&str, &str) -> String, cases: &[(&str, &str)], expected: &Expect) {
    let mut out = String::new();
    for (pattern, subject) in cases {
        writeln!(
            out,
            "{pattern}  {subject:?}  {}",
            operation(pattern, subject)
        )
        .unwrap();
    }
    expected.assert_eq(&out);
}

#[test]
fn whole_subjects_match() {
    check(
        match_text,
        &[
            ("", ""),
            ("", "a"),
            ("abc", "abc"),
            ("ab", "abc"),
            ("a.c", "a\nc"),
            ("(.*)\\.nix", "a.nix.nix"),
            ("[[:space:]]*(.*[^[:space:]])[[:space:]]*", "  a b \n"),
            ("(a|ab)(c|bcd)(d*)", "abcd"),
            ("(a*)*", "aa"),
            ("(a*)+", "aa"),
            ("((a)|b)*", "ab"),
            ("(x)|(y)", "y"),
            ("a{2,3}", "aaa"),
            ("a{2}", "aaa"),
            ("a{2,}b", "aaaaab"),
            ("(a{0}b)?", ""),
            ("(ab|a)(bc)?", "abc"),
            ("()", ""),
            ("a|", ""),
            ("a**", "aaa"),
            ("^a$", "a"),
            ("a$b", "a"),
            ("[^-a]]", "b]"),
            ("[]a]+", "]a]"),
            ("[a-]+", "a-a"),
            ("[--0]+", "-./0"),
            ("[\\n]", "\\"),
            ("[[=a=]]", "A"),
            ("[[.hyphen.]]", "-"),
            ("[[:ALPHA:][:d:]]+", "a1"),
            ("a}", "a}"),
            ("]", "]"),
            ("([0-9]+)\\.([0-9]+)(-(.*))?", "12.3-rc1"),
        ],
        &expect![[r#"
              ""  
              "a"  null
            abc  "abc"  
            ab  "abc"  null
            a.c  "a\nc"  
            (.*)\.nix  "a.nix.nix"  "a.nix"
            [[:space:]]*(.*[^[:space:]])[[:space:]]*  "  a b \n"  "a b"
            (a|ab)(c|bcd)(d*)  "abcd"  "a" "bcd" ""
            (a*)*  "aa"  ""
            (a*)+  "aa"  ""
            ((a)|b)*  "ab"  "b" "a"
            (x)|(y)  "y"  null "y"
            a{2,3}  "aaa"  
            a{2}  "aaa"  null
            a{2,}b  "aaaaab"  
            (a{0}b)?  ""  null
            (ab|a)(bc)?  "abc"  "a" "bc"
            ()  ""  ""
            a|  ""  
            a**  "aaa"  
            ^a$  "a"  
            a$b  "a"  null
            [^-a]]  "b]"  
            []a]+  "]a]"  
            [a-]+  "a-a"  
            [--0]+  "-./0"  
            [\n]  "\\"  
            [[=a=]]  "A"  
            [[.hyphen.]]  "-"  
            [[:ALPHA:][:d:]]+  "a1"  
            a}  "a}"  
            ]  "]"  
            ([0-9]+)\.([0-9]+)(-(.*))?  "12.3-rc1"  "12" "3" "-rc1" "rc1"
        "#]],
    );
}

#[test]
fn splitting() {
    check(
        split_text,
        &[
            ("(a)b", "abc"),
            ("([ac])", "abc"),
            ("(a)|(c)", "abc"),
            ("([[:upper:]]+)", " FOO "),
            (",", "a,b,,c"),
            ("", "ab"),
            ("a?(ab)?", "ab"),
            ("^a", "aa"),
            ("a$", "aa"),
            ("x*", "axxb"),
            ("(a|ab|abc)", "abcab"),
            ("(ab|a)(bc)?", "abc"),
            ("[[:space:]]+", " a  b\n"),
            ("$", "ab"),
            ("^", "ab"),
        ],
        &expect![[r#"
            (a)b  "abc"  "" ["a"] "c"
            ([ac])  "abc"  "" ["a"] "b" ["c"] ""
            (a)|(c)  "abc"  "" ["a" null] "b" [null "c"] ""
            ([[:upper:]]+)  " FOO "  " " ["FOO"] " "
            ,  "a,b,,c"  "a" [] "b" [] "" [] "c"
              "ab"  "" [] "a" [] "b" [] ""
            a?(ab)?  "ab"  "" [null] "" [null] "b" [null] ""
            ^a  "aa"  "" [] "a"
            a$  "aa"  "a" [] ""
            x*  "axxb"  "" [] "a" [] "" [] "b" [] ""
            (a|ab|abc)  "abcab"  "" ["abc"] "" ["ab"] ""
            (ab|a)(bc)?  "abc"  "" ["a" "bc"] ""
            [[:space:]]+  " a  b\n"  "" [] "a" [] "b" [] ""
            $  "ab"  "ab" [] ""
            ^  "ab"  "" [] "ab"
        "#]],
    );
}

#[test]
fn invalid_expressions() {
    let patterns = [
        "*a",
        "+",
        "^*",
        "a|*b",
        "(",
        ")",
        "a)",
        "(a",
        "[",
        "[a",
        "[]",
        "[[:alpha:]",
        "[[:x:]]",
        "[[.x",
        "[[.xy.]]",
        "[b-a]",
        "[a-[:alpha:]]",
        "[[:alpha:]-z]",
        "[a-é]",
        "[a-b-c]",
        "a{",
        "a{2",
        "a{,2}",
        "a{2,1}",
        "{2}",
        "a{x}",
        "a{99999999999}",
        "(a{1000}){1000}",
        "\\",
        "\\]",
        "\\d",
        "\\/",
        "a\\",
        "(?i)a",
    ];
    let cases: Vec<_> = patterns.iter().map(|pattern| (*pattern, "")).collect();
    check(
        match_text,
        &cases,
        &expect![[r#"
            *a  ""  error: a repetition has nothing to repeat
            +  ""  error: a repetition has nothing to repeat
            ^*  ""  error: a repetition has nothing to repeat
            a|*b  ""  error: a repetition has nothing to repeat
            (  ""  error: a parenthesis has no partner
            )  ""  error: a parenthesis has no partner
            a)  ""  error: a parenthesis has no partner
            (a  ""  error: a parenthesis has no partner
            [  ""  error: a bracket expression is not closed
            [a  ""  error: a bracket expression is not closed
            []  ""  error: a bracket expression is not closed
            [[:alpha:]  ""  error: a bracket expression is not closed
            [[:x:]]  ""  error: unknown character class
            [[.x  ""  error: a named class in brackets is not closed
            [[.xy.]]  ""  error: unknown collating element
            [b-a]  ""  error: a range in brackets runs backwards
            [a-[:alpha:]]  ""  error: a range in brackets has no end
            [[:alpha:]-z]  ""  error: a range in brackets has no start
            [a-é]  ""  error: a range in brackets runs backwards
            [a-b-c]  ""  error: a range in brackets has no start
            a{  ""  error: an interval has no least number
            a{2  ""  error: an interval is not closed
            a{,2}  ""  error: an interval has no least number
            a{2,1}  ""  error: an interval runs backwards
            {2}  ""  error: a repetition has nothing to repeat
            a{x}  ""  error: an interval has no least number
            a{99999999999}  ""  error: the number of an interval is too large
            (a{1000}){1000}  ""  error: the expression is too large
            \  ""  error: a backslash ends the expression
            \]  ""  error: a backslash stands before an ordinary character
            \d  ""  error: a backslash stands before an ordinary character
            \/  ""  error: a backslash stands before an ordinary character
            a\  ""  error: a backslash ends the expression
            (?i)a  ""  error: a repetition has nothing to repeat
        "#]],
    );
}

#[test]
fn long_subjects_and_ambiguous_expressions_stay_quick() {
    let long = "a".repeat(100_000);
    assert_eq!(match_text("(a|b)*", &long), "\"a\"");
    assert_eq!(match_text("(a*)*b", &long[..3000]), "null");
    assert_eq!(match_text("(a|aa)+$b", &long), "null");
    assert_eq!(match_text("(a?){30}a{30}", &"a".repeat(30)), "\"\"");
    assert_eq!(match_text("(.*)(.*)(.*)(.*)(.*)x", &long), "null");
    assert_eq!(match_text("(((((a*)*)*)*)*)*b", "aaaaaaaaaa"), "null");
    assert_eq!(split_text("a+b", &long).len(), 100_002);
    assert_eq!(split_text("(a|aa|aaa)*b", &long).len(), 100_002);
    assert_eq!(
        split_text("(a?|b?)(a?|b?)(a?|b?)(a?|b?)(a?|b?)(a?|b?)(a?|b?)c", &long).len(),
        100_002
    );
}

/// There are more ways to have entered them than there is memory, on the one way that is looked at.
#[test]
fn nested_empty_repetitions_are_given_up() {
    let nested = |depth: u8| {
        (0..depth).fold("a*".to_owned(), |inner, level| {
            let letter = char::from(b'b' + level);
            format!("({inner}|{letter}*)*{letter}*")
        })
    };
    let outcomes = [2, 4, 8, 16, 24].map(|depth| {
        let found = match_text(&nested(depth), "!");
        format!("{depth}: {found}\n")
    });
    expect![[r#"
        2: null
        4: null
        8: null
        16: error: the expression nests too many empty repetitions
        24: error: the expression nests too many empty repetitions
    "#]]
    .assert_eq(&outcomes.concat());
}

#[test]
fn deep_nesting_overflows_no_stack() {
    let pattern = format!("{}a{}", "(".repeat(2_000), ")".repeat(2_000));
    assert!(match_text(&pattern, "a").starts_with("\"a\" \"a\""));
    let open = "(".repeat(1_000_000);
    assert_eq!(
        match_text(&open, "a"),
        "error: the parentheses nest too deeply"
    );
}

/// The rules without anything that makes them quick: plain backtracking.
struct Naive<'a> {
    program: &'a Program,
    subject: &'a [u8],
    goal: Goal,
    begin: u32,
    slots: Vec<u32>,
    best: Option<(u32, Vec<u32>)>,
    /// Where each loop was entered last, and how often there.
    entered: HashMap<u32, (u32, u32)>,
}

impl Naive<'_> {
    /// Whether the rest of the program matches from `place` on; notes the best match.
    fn explore(&mut self, at: u32, place: u32) -> bool {
        let byte = self.subject.get(place as usize).copied();
        match self.program.at(at) {
            Instruction::Byte(wanted) => byte == Some(wanted) && self.explore(at + 1, place + 1),
            Instruction::Set(set) => {
                byte.is_some_and(|byte| self.program.bytes(set).contains(byte))
                    && self.explore(at + 1, place + 1)
            }
            Instruction::Open(group) => self.with_slot(2 * group, at, place),
            Instruction::Close(group) => self.with_slot(2 * group + 1, at, place),
            Instruction::LineBegin => place == 0 && self.explore(at + 1, place),
            Instruction::LineEnd => byte.is_none() && self.explore(at + 1, place),
            Instruction::Jump(target) => self.explore(target, place),
            Instruction::Span { set, .. } => {
                byte.is_some_and(|byte| self.program.bytes(set).contains(byte))
                    && self.explore(at, place + 1)
                    || self.explore(at + 1, place)
            }
            Instruction::Choose(number) => {
                let choice = self.program.choices[number as usize];
                match choice.kind {
                    Kind::Longer => {
                        let first = self.explore(choice.first, place);
                        self.explore(choice.second, place) || first
                    }
                    Kind::Greedy => {
                        self.once_more(number, choice.first, place)
                            || self.explore(choice.second, place)
                    }
                }
            }
            Instruction::Accept => {
                let accepted = match self.goal {
                    Goal::Whole => byte.is_none(),
                    Goal::Prefix => true,
                    Goal::NotEmpty => place != self.begin,
                };
                if accepted && self.best.as_ref().is_none_or(|(end, _)| *end < place) {
                    self.best = Some((place, self.slots.clone()));
                }
                accepted
            }
        }
    }

    fn with_slot(&mut self, slot: u32, at: u32, place: u32) -> bool {
        let old = std::mem::replace(&mut self.slots[slot as usize], place);
        let matched = self.explore(at + 1, place);
        self.slots[slot as usize] = old;
        matched
    }

    fn once_more(&mut self, number: u32, body: u32, place: u32) -> bool {
        let before = self.entered.get(&number).copied().unwrap_or((u32::MAX, 0));
        let count = if before.0 == place { before.1 } else { 0 };
        if count == 2 {
            return false;
        }
        self.entered.insert(number, (place, count + 1));
        let matched = self.explore(body, place);
        self.entered.insert(number, before);
        matched
    }
}

fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        4 => Just("a".to_owned()),
        4 => Just("b".to_owned()),
        1 => Just(".".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[^a]".to_owned()),
        1 => Just(String::new()),
        1 => Just("^a".to_owned()),
        1 => Just("b$".to_owned()),
    ];
    leaf.prop_recursive(4, 12, 3, |inner| {
        let quantifier = prop::sample::select(&["*", "+", "?", "{2}", "{0,2}", "{1,}"][..]);
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| one + &other),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| format!("({one}|{other})")),
            (inner, quantifier).prop_map(|(one, quantifier)| format!("({one}){quantifier}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn searches_agree_with_plain_backtracking(
        expression in expressions(),
        subject in "[abc]{0,9}",
        begin in 0u32..4,
        goal in prop::sample::select(&[Goal::Whole, Goal::Prefix, Goal::NotEmpty][..]),
    ) {
        let begin = begin.min(u32::try_from(subject.len()).unwrap());
        let program = super::parse::parse(expression.as_bytes()).unwrap();
        let mut naive = Naive {
            program: &program,
            subject: subject.as_bytes(),
            goal,
            begin,
            slots: vec![u32::MAX; 2 * program.groups as usize],
            best: None,
            entered: HashMap::new(),
        };
        naive.explore(0, begin);
        let mut scratch = Scratch::default();
        let mut search = Search::new(&program, subject.as_bytes(), &mut scratch).unwrap();
        let end = search.run(goal, begin);
        prop_assume!(end.is_ok());
        prop_assert_eq!(end.unwrap(), naive.best.as_ref().map(|(end, _)| *end));
        if let Some((_, slots)) = &naive.best {
            for group in 0..program.groups {
                let (start, end) = (slots[2 * group as usize], slots[2 * group as usize + 1]);
                let expected = (end != u32::MAX).then_some((start as usize, end as usize));
                prop_assert_eq!(search.group(group), expected, "group {}", group);
            }
        }
    }

    /// What was remembered during one search does not lead the next astray.
    #[test]
    fn matches_are_those_of_searches_that_know_nothing(
        expression in expressions(),
        subject in "[abc]{0,12}",
    ) {
        let regex = Regex::new(expression.as_bytes()).unwrap();
        let mut scratch = Scratch::default();
        let mut matches = regex.matches(subject.as_bytes(), &mut scratch).unwrap();
        while let Ok(Some((start, end))) = matches.advance() {
            let groups: Vec<_> = matches.groups().collect();
            let mut other = Scratch::default();
            let mut search = Search::new(&regex.0, subject.as_bytes(), &mut other).unwrap();
            let from = u32::try_from(start).unwrap();
            let mut fresh = search.run(Goal::Prefix, from).unwrap();
            if fresh != u32::try_from(end).ok() {
                fresh = search.run(Goal::NotEmpty, from).unwrap();
            }
            prop_assert_eq!(fresh, u32::try_from(end).ok());
            let fresh_groups: Vec<_> = (0..regex.0.groups).map(|g| search.group(g)).collect();
            prop_assert_eq!(groups, fresh_groups);
        }
    }

    #[test]
    fn any_bytes_are_an_expression_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..16)) {
        let regex = Regex::new(&bytes);
        prop_assert!(regex.is_ok() || regex.is_err());
    }
}
