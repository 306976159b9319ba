//! Messages as programs write them to `/dev/log`.
//!
//! ```text
//! <38>Nov 30 08:20:12 sshd[811]: text                                  syslog(3), RFC 3164
//! <38>Nov 30 08:20:12 host sshd[811]: text                             the same, from elsewhere
//! <38>1 2026-11-30T08:20:12.003Z host sshd 811 ID [a@1 b="c"] text     RFC 5424
//! ```
//!
//! The times are what the sender says, in one of them without a year or a zone: what counts is when a message came.
//! Of the structured data, elements of a vendor's (with `@`) stay in the text; the registered ones say how good the
//! sender's clock is, and which software it has.

use cairn_system::log_line::{LINE_BYTES, Priority};

/// Lines that one message may have.
const MOST_LINES: usize = 256;

/// Stands where the rest of a message is left out.
const CUT: &str = "[the rest is left out]";

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// One message.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// How serious it is.
    pub priority: Priority,
    /// What its sender calls itself.
    pub identifier: Option<&'a str>,
    /// Its number, as it says.
    pub pid: Option<u32>,
    /// What stands before the text: structured data.
    data: String,
    text: &'a str,
}

impl<'a> Message<'a> {
    /// Reads any text: what has none of the forms is a message as a whole. `host` is this machine's name.
    pub fn parse(text: &'a str, host: &str) -> Self {
        let (priority, rest) = match Priority::split(text.as_bytes()) {
            // The number is ASCII.
            Some((priority, rest)) => (priority, text.get(text.len() - rest.len()..)),
            None => (Priority::PLAIN, None),
        };
        let rest = rest.unwrap_or(text);
        Self::structured(priority, rest).unwrap_or_else(|| Self::plain(priority, rest, host))
    }

    /// RFC 5424 §6.
    fn structured(priority: Priority, text: &'a str) -> Option<Self> {
        let mut rest = text.strip_prefix("1 ")?;
        let mut field = || {
            let (field, behind) = rest.split_once(' ')?;
            rest = behind;
            Some(Some(field).filter(|field| *field != "-"))
        };
        let time = field()?;
        if !time.is_none_or(is_time) {
            return None;
        }
        let (_host, identifier, pid, _id) = (field()?, field()?, field()?, field()?);
        let (data, behind) = structured_data(rest)?;
        let text = match behind {
            "" => "",
            behind => behind.strip_prefix(' ')?,
        };
        Some(Self {
            priority,
            identifier: identifier.filter(|name| !name.is_empty()),
            pid: pid.and_then(|pid| pid.parse().ok()),
            data,
            text: text.strip_prefix('\u{feff}').unwrap_or(text),
        })
    }

    /// RFC 3164 §4, and what `syslog(3)` makes of it: without a host.
    fn plain(priority: Priority, text: &'a str, host: &str) -> Self {
        let mut text = text;
        if let Some(behind) = behind_time(text) {
            let short = host.split('.').next().unwrap_or(host);
            text = match behind.split_once(' ') {
                Some((word, rest)) if !word.is_empty() && (word == host || word == short) => rest,
                _ => behind,
            };
        }
        let tagged = text.split_once(':').filter(|(tag, behind)| {
            !tag.is_empty()
                && !tag.contains(char::is_whitespace)
                && (behind.is_empty() || behind.starts_with(char::is_whitespace))
        });
        let Some((tag, behind)) = tagged else {
            return Self {
                priority,
                identifier: None,
                pid: None,
                data: String::new(),
                text,
            };
        };
        let numbered = (tag.strip_suffix(']'))
            .and_then(|tag| tag.split_once('['))
            .and_then(|(name, pid)| Some((name, pid.parse().ok()?)));
        let (identifier, pid) = numbered.map_or((tag, None), |(name, pid)| (name, Some(pid)));
        Self {
            priority,
            identifier: Some(identifier).filter(|name| !name.is_empty()),
            pid,
            data: String::new(),
            text: behind.strip_prefix(' ').unwrap_or(behind),
        }
    }

    /// Lines for a log, each behind its priority and `head`; none of them can be taken for another message's.
    pub fn lines(&self, head: &str, is_whole: bool) -> String {
        let head = format!("<{}>{head}", self.priority.number());
        let room = LINE_BYTES.saturating_sub(head.len()).max(1);
        let text = match self.data.as_str() {
            "" => self.text.to_owned(),
            data => format!("{data} {}", self.text),
        };
        let mut pieces = Vec::new();
        let lines = text
            .split(['\n', '\0'])
            .map(|line| line.trim_end_matches('\r'));
        for line in lines.filter(|line| !line.is_empty()) {
            let mut piece = String::new();
            for letter in line.chars() {
                let before = piece.len();
                push_printable(&mut piece, letter);
                if piece.len() > room {
                    let begun = piece.split_off(before);
                    pieces.push(std::mem::replace(&mut piece, begun));
                }
            }
            pieces.push(piece);
            if pieces.len() > MOST_LINES {
                break;
            }
        }
        if pieces.len() > MOST_LINES || !is_whole {
            pieces.truncate(MOST_LINES);
            pieces.push(CUT.to_owned());
        } else if pieces.is_empty() {
            pieces.push(String::new());
        }
        let mut lines = String::new();
        for piece in pieces {
            lines.extend([head.as_str(), &piece, "\n"]);
        }
        lines
    }
}

/// What would move a terminal's cursor, or worse, is written as people write it: `^[`.
fn push_printable(out: &mut String, letter: char) {
    match letter {
        '\t' => out.push('\t'),
        '\0'..='\x1f' | '\x7f' => {
            let shown = char::from(u8::try_from(letter).unwrap_or(0) ^ 0x40);
            out.extend(['^', shown]);
        }
        letter if letter.is_control() => {
            out.extend(["\\x", &format!("{:02x}", u32::from(letter))]);
        }
        letter => out.push(letter),
    }
}

/// What is behind a time with its space: `Nov 30 08:20:12 `, or as RFC 3339 has it.
fn behind_time(text: &str) -> Option<&str> {
    let old = text.get(..16).filter(|time| {
        let month = time.get(..3).unwrap_or_default();
        let form = time.bytes().skip(3).map(|byte| match byte {
            b'0'..=b'9' => b'0',
            other => other,
        });
        let form: Vec<u8> = form.collect();
        MONTHS.contains(&month) && matches!(form.as_slice(), b" 00 00:00:00 " | b"  0 00:00:00 ")
    });
    if old.is_some() {
        return text.get(16..);
    }
    let (word, rest) = text.split_once(' ')?;
    is_time(word).then_some(rest)
}

/// Whether it begins as a time of RFC 3339 does, `2026-11-30T08:20:12`.
fn is_time(word: &str) -> bool {
    let form = word.bytes().take(19).map(|byte| match byte {
        b'0'..=b'9' => b'0',
        other => other,
    });
    form.eq(*b"0000-00-00T00:00:00")
}

/// The elements that are kept of what stands at the beginning of `text`, and what is behind it.
fn structured_data(text: &str) -> Option<(String, &str)> {
    if let Some(rest) = text.strip_prefix('-') {
        return Some((String::new(), rest));
    }
    let mut kept = String::new();
    let mut rest = text;
    while rest.starts_with('[') {
        let (element, behind) = rest.split_at_checked(element_bytes(rest)?)?;
        let name = element.trim_start_matches('[').split([' ', ']']).next()?;
        if name.contains('@') {
            kept.push_str(element);
        }
        rest = behind;
    }
    (rest.len() < text.len()).then_some((kept, rest))
}

/// Bytes of the element `[name key="value"]` at the beginning: a quoted value may have any sign, behind a `\`.
fn element_bytes(text: &str) -> Option<usize> {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b']' if !is_quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use proptest::prelude::*;

    fn check(messages: &[&str], expected: &Expect) {
        let read = messages.iter().map(|text| {
            let message = Message::parse(text, "here.example");
            let who = message.identifier.unwrap_or("?");
            let pid = message.pid.map_or(String::new(), |pid| format!("[{pid}]"));
            message.lines(&format!("{who}{pid}: "), true)
        });
        expected.assert_eq(&read.collect::<String>());
    }

    #[test]
    fn rfc_3164() {
        check(
            &[
                "<38>Nov 30 08:20:12 sshd[811]: Accepted key: yes",
                "<13>Nov  3 08:20:12 here root: by logger --rfc3164",
                "<13>Nov  3 08:20:12 here.example root: another form",
                "<13>Nov  3 08:20:12 elsewhere root: no host of ours",
                "<30>2026-11-30T08:20:12.003+01:00 cron[7]: newer",
                "<30>cron: no time",
                "<30>Nov 30 08:20:12 no tag: here",
                "<30>Nov 31 8:20:12 no time: here",
                "<30>http://x is no tag",
                "<30>dnsmasq-dhcp[12]:",
                "<30>[12]: nobody",
                "<30>odd[pid]: x",
                "no priority",
                "<192>too high a priority",
                "<>x",
                "",
                "<15>",
            ],
            &expect![[r#"
                <38>sshd[811]: Accepted key: yes
                <13>root: by logger --rfc3164
                <13>root: another form
                <13>?: elsewhere root: no host of ours
                <30>cron[7]: newer
                <30>cron: no time
                <30>?: no tag: here
                <30>?: Nov 31 8:20:12 no time: here
                <30>?: http://x is no tag
                <30>dnsmasq-dhcp[12]: 
                <30>?[12]: nobody
                <30>odd[pid]: x
                <13>?: no priority
                <13>?: <192>too high a priority
                <13>?: <>x
                <13>?: 
                <15>?: 
            "#]],
        );
    }

    #[test]
    fn rfc_5424() {
        check(
            &[
                "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \u{feff}'su root' failed",
                "<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time.",
                r#"<165>1 - - evntslog 7 ID47 [exampleSDID@32473 iut="3" a="\"]\\"][timeQuality tzKnown="1"] text"#,
                r#"<165>1 2003-10-11T22:14:15.003Z host evntslog - ID47 [a@1 x="1"][b@1]"#,
                "<13>1 - - - - - - ",
                "<13>1 - - - - - -",
                "<13>1 - - - x - - not a number",
                r#"<13>1 - - a - - [open x="1] never closed"#,
                "<13>1 - - a - - no data",
                "<13>1 soon host a - - - no time",
                "<13>1 - - a",
                "<13>2 - - a - - - another version",
                "<13>1 man went to mow: x",
            ],
            &expect![[r#"
                <34>su: 'su root' failed
                <165>myproc[8710]: %% It's time.
                <165>evntslog[7]: [exampleSDID@32473 iut="3" a="\"]\\"] text
                <165>evntslog: [a@1 x="1"][b@1] 
                <13>?: 
                <13>?: 
                <13>?: not a number
                <13>?: 1 - - a - - [open x="1] never closed
                <13>?: 1 - - a - - no data
                <13>?: 1 soon host a - - - no time
                <13>?: 1 - - a
                <13>?: 2 - - a - - - another version
                <13>?: 1 man went to mow: x
            "#]],
        );
    }

    #[test]
    fn what_is_hostile_stays_in_its_lines() {
        check(
            &["<13>a: one\n<0>sshd sshd[1]: forged\r\n\n\0two\x1b[2J\x7f\t\u{9b}"],
            &expect![[r#"
                <13>a: one
                <13>a: <0>sshd sshd[1]: forged
                <13>a: two^[[2J^?	\x9b
            "#]],
        );
        let long = "ö".repeat(LINE_BYTES);
        let text = format!("<13>a: {long}");
        let lines = Message::parse(&text, "x").lines("a: ", true);
        assert_eq!(lines.lines().count(), 3);
        let parts = lines
            .lines()
            .map(|line| line.strip_prefix("<13>a: ").unwrap());
        assert_eq!(parts.collect::<String>(), long);
        let text = format!("<13>a: {}", "x\n".repeat(1000));
        let lines = Message::parse(&text, "x").lines("a: ", true);
        assert_eq!(lines.lines().count(), MOST_LINES + 1);
        assert!(lines.ends_with("<13>a: [the rest is left out]\n"));
    }

    proptest! {
        #[test]
        fn any_text_becomes_lines_of_its_own(
            text in "(<[0-9]{0,3}>)?(1 )?[ -~\n\0ö\\[\\]\"\\\\:@-]{0,200}",
            is_whole: bool,
        ) {
            let lines = Message::parse(&text, "host").lines("s i[1]: ", is_whole);
            prop_assert!(lines.ends_with('\n'));
            for line in lines.lines() {
                let (_, rest) = Priority::split(line.as_bytes()).unwrap();
                prop_assert!(rest.starts_with(b"s i[1]: "));
                prop_assert!(line.len() <= LINE_BYTES);
            }
        }
    }
}
