use std::fmt::Write as _;

use expect_test::{Expect, expect};

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
