//! What is wrong with rules, and what counts all the same.

use std::fmt::Write as _;

use expect_test::{Expect, expect};

use crate::rules::{Rules, Severity};

fn check(text: &str, expect: &Expect) {
    let (rules, problems) = Rules::parse(&[("/etc/udev/rules.d/50-x.rules", text)]);
    let mut said = format!("{} rules\n", rules.len());
    for problem in problems {
        writeln!(
            said,
            "{}",
            problem.to_string().replace("/etc/udev/rules.d/", "")
        )
        .unwrap();
    }
    expect.assert_eq(&said);
}

#[test]
fn each_bad_line() {
    check(
        r#"
        KERNLE=="x", MODE="0660"
        KERNEL=="x, MODE="0660"
        KERNEL=x, MODE="0660"
        KERNEL="x", MODE="0660"
        KERNEL{a}=="x", MODE="0660"
        ATTR=="x", MODE="0660"
        ATTR{a=="x", MODE="0660"
        ATTR{}=="x", MODE="0660"
        KERNEL, MODE="0660"
        KERNEL=="x"; MODE="0660"
        MODE="0888"
        MODE="rw"
        MODE-="0660"
        OWNER=""
        RUN+=""
        RUN{shell}+="/bin/x"
        RUN{builtin}+="uacess"
        IMPORT="x", MODE="0660"
        IMPORT{nothing}="x"
        IMPORT{program}-="x"
        CONST{x}=="y", MODE="0660"
        ENV{DEVNAME}="x"
        ENV{x}-="x"
        TEST{9}=="x", MODE="0660"
        TEST="x", MODE="0660"
        KERNEL==e"\q", MODE="0660"
        KERNEL==e"\x00", MODE="0660"
        KERNEL==ee"x", MODE="0660"
        ENV{x}=i"x"
        OPTIONS+="link_priority=high"
        OPTIONS+="static_node=../x"
        PROGRAM="", MODE="0660"
        GOTO="a", GOTO="b"
        GOTO=="a"
        LABEL=""
        KERNEL=="good", MODE="0660"
        "#,
        &expect![[r#"
            1 rules
            50-x.rules:2: this rule is left out: there is no key 'KERNLE'; udev(7) lists them, in capitals
            50-x.rules:3: this rule is left out: 0660 is not followed by ==, !=, =, +=, -= or :=; is a quote missing before it?
            50-x.rules:4: this rule is left out: KERNEL= is not followed by a value in double quotes
            50-x.rules:5: this rule is left out: KERNEL cannot be used with '='; it takes == !=
            50-x.rules:6: this rule is left out: KERNEL takes no {a}; remove it
            50-x.rules:7: this rule is left out: ATTR needs a name in braces, as in ATTR{name}
            50-x.rules:8: this rule is left out: '{' after ATTR is not closed; write ATTR{name}
            50-x.rules:9: this rule is left out: ATTR needs a name in braces, as in ATTR{name}
            50-x.rules:10: this rule is left out: KERNEL is not followed by ==, !=, =, +=, -= or :=; is a quote missing before it?
            50-x.rules:11: this rule is left out: a key was expected at '; MODE="0660"'; rules are made of KEY=="value" and the like, with commas between
            50-x.rules:12: this rule is left out: '0888' is no value for MODE: it is to be an octal number up to 7777, as 0660
            50-x.rules:13: this rule is left out: 'rw' is no value for MODE: it is to be an octal number up to 7777, as 0660
            50-x.rules:14: this rule is left out: MODE cannot be used with '-='; it takes = :=
            50-x.rules:15: this rule is left out: OWNER needs a value that is not empty
            50-x.rules:16: this rule is left out: RUN needs a value that is not empty
            50-x.rules:17: this rule is left out: RUN knows no {shell}; there are {program} and {builtin}
            50-x.rules:18: this rule is left out: there is no builtin 'uacess'; there are blkid, btrfs, disk_id, dm_cookie, input_id, net_id, path_id, usb_id, dissect_image, factory_reset, hwdb, keyboard, kmod, net_driver, net_setup_link, uaccess
            50-x.rules:19: this rule is left out: IMPORT needs a name in braces, as in IMPORT{name}
            50-x.rules:20: this rule is left out: IMPORT knows no {nothing}; there are {program}, {builtin}, {file}, {db}, {cmdline} and {parent}
            50-x.rules:21: this rule is left out: IMPORT cannot be used with '-='; it takes == != = += :=
            50-x.rules:22: this rule is left out: CONST knows no {x}; there are {arch}, {virt} and {cvm}
            50-x.rules:23: this rule is left out: the property DEVNAME is the kernel's and cannot be set; choose another name
            50-x.rules:24: this rule is left out: ENV cannot be used with '-='; it takes == != = +=
            50-x.rules:25: this rule is left out: '9' is no value for TEST: it is to be an octal number in braces, as TEST{0111}
            50-x.rules:26: this rule is left out: TEST cannot be used with '='; it takes == !=
            50-x.rules:27: this rule is left out: '\q' in the value of KERNEL is no escape sequence; write \\ for a backslash in e""
            50-x.rules:28: this rule is left out: '\x' in the value of KERNEL is no escape sequence; write \\ for a backslash in e""
            50-x.rules:29: this rule is left out: KERNEL== is not followed by a value in double quotes
            50-x.rules:30: this rule is left out: i"" means something for == and != only, not for ENV=; remove the i
            50-x.rules:31: this rule is left out: 'link_priority=high' is no value for OPTIONS: it is to be link_priority= and a whole number
            50-x.rules:32: this rule is left out: 'static_node=../x' is no value for OPTIONS: it is to be static_node= and a path below /dev
            50-x.rules:33: this rule is left out: PROGRAM needs a value that is not empty
            50-x.rules:34: this rule is left out: it has GOTO twice; a rule has one
            50-x.rules:35: this rule is left out: GOTO cannot be used with '=='; it takes =
            50-x.rules:36: this rule is left out: LABEL needs a value that is not empty
        "#]],
    );
}

#[test]
fn what_counts_with_a_notice() {
    check(
        r#"
        OWNER+="root", GROUP+="root", ATTR{x}+="y", ENV{a}:="b", TAG:="x"
        SECLABEL{selinux}="x", MODE="0660"
        OPTIONS+="last_rule", OPTIONS="log_level=debug", MODE="0660"
        GOTO="nowhere", MODE="0660"
        ENV{x}="100% $nothing", ENV{y}="%s{} $result{0}"
        RUN+="/bin/sh -c 'open"
        KERNEL=="x" MODE="0660",,
        "#,
        &expect![[r#"
            7 rules
            50-x.rules:2: '+=' means the same as '=' for OWNER; write '='
            50-x.rules:2: '+=' means the same as '=' for GROUP; write '='
            50-x.rules:2: '+=' means the same as '=' for ATTR; write '='
            50-x.rules:2: ':=' means the same as '=' for ENV; write '='
            50-x.rules:2: ':=' means the same as '=' for TAG; write '='
            50-x.rules:3: SECLABEL has no effect: there are no security modules; remove it
            50-x.rules:4: there is no option 'last_rule'; it is ignored
            50-x.rules:4: log_level has no effect: the level of all events' messages is the same; remove it
            50-x.rules:5: GOTO="nowhere" has no LABEL="nowhere" below it in this file; it is ignored
            50-x.rules:6: '% $nothing' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            50-x.rules:6: '$nothing' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            50-x.rules:6: '%s{} $result' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            50-x.rules:6: '$result{0}' in the value of ENV is no substitution and stays as it is; write $$ or %% for the character
            50-x.rules:7: the command of RUN has a quote that is not closed; it counts to the end
        "#]],
    );
}

#[test]
fn lines() {
    check(
        "KERNEL==\"a\", \\\n  # between\n  MODE=\"0660\"\n# MODE=\"x\"\n\n\nMODE=\"x\" \\\n\nMODE=\"y\"\r\n  MODE = \"0600\" \\",
        &expect![[r#"
            1 rules
            50-x.rules:7: this rule is left out: 'x' is no value for MODE: it is to be an octal number up to 7777, as 0660
            50-x.rules:9: this rule is left out: 'y' is no value for MODE: it is to be an octal number up to 7777, as 0660
            50-x.rules:10: this rule is left out: the file ends where a backslash says that the rule goes on; remove the backslash
        "#]],
    );
    check(
        &format!("ENV{{x}}=\"{}\"\nENV{{y}}=\"\0\"", "x".repeat(17_000)),
        &expect![[r#"
            0 rules
            50-x.rules:1: this rule is left out: it is longer than 16384 bytes; write several rules
            50-x.rules:2: this rule is left out: it has a zero byte; is this a text?
        "#]],
    );
    check(
        "",
        &expect![[r#"
        0 rules
    "#]],
    );
    check(
        "# only\n   \n\t\n",
        &expect![[r#"
        0 rules
    "#]],
    );
}

#[test]
fn severities() {
    let (_, problems) = Rules::parse(&[("a", "X=\"1\""), ("b", "OPTIONS=\"x\"")]);
    let severities: Vec<_> = problems.iter().map(|problem| problem.severity).collect();
    assert_eq!(severities, [Severity::Fatal, Severity::Notice]);
}

#[test]
fn labels_are_of_one_file() {
    let files = [("a", "GOTO=\"x\", MODE=\"1\""), ("b", "LABEL=\"x\"")];
    let (_, problems) = Rules::parse(&files);
    assert_eq!(problems.len(), 1);
}

#[test]
fn nodes_before_their_devices() {
    let (rules, problems) = Rules::parse(&[(
        "50-default.rules",
        r#"
        KERNEL=="kvm", GROUP="kvm", MODE="0666", OPTIONS+="static_node=kvm"
        SUBSYSTEM=="sound", GROUP="audio", OPTIONS+="static_node=snd/seq", OPTIONS+="static_node=snd/timer"
        KERNEL=="uinput", TAG+="uaccess", OPTIONS+="static_node=uinput"
        KERNEL=="x", MODE="0600"
        "#,
    )]);
    assert_eq!(problems, []);
    expect![[r#"
        [
            StaticNode {
                name: "kvm",
                owner: None,
                group: Some(
                    "kvm",
                ),
                mode: Some(
                    438,
                ),
                tags: [],
                place: "50-default.rules:2",
            },
            StaticNode {
                name: "snd/seq",
                owner: None,
                group: Some(
                    "audio",
                ),
                mode: Some(
                    432,
                ),
                tags: [],
                place: "50-default.rules:3",
            },
            StaticNode {
                name: "snd/timer",
                owner: None,
                group: Some(
                    "audio",
                ),
                mode: Some(
                    432,
                ),
                tags: [],
                place: "50-default.rules:3",
            },
            StaticNode {
                name: "uinput",
                owner: None,
                group: None,
                mode: None,
                tags: [
                    "uaccess",
                ],
                place: "50-default.rules:4",
            },
        ]
    "#]]
    .assert_debug_eq(&rules.static_nodes());
}
