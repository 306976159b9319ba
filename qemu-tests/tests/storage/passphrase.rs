//! A passphrase, typed on a console of the machine. It has two, and asks on both.

use std::time::Duration;

use anyhow::{bail, ensure};
use cairn_qemu_tests::Machine;
use cairn_system::boot_mark;
use serde_json::json;

use super::up;

/// It has letters that lie elsewhere on a German keyboard.
pub const PASSPHRASE: &str = "Correct horse, 3 lazy staples";
/// What does not open anything; the last is what somebody types who has not read the question.
const WRONG: [&str; 3] = ["not this one", "correct horse, 3 lazy staples", ""];
const REFUSED: &str = "wrong passphrase";

/// Answers on the serial console, at first three times with what is wrong.
pub fn unlock(machine: &Machine, question: &str) -> anyhow::Result<()> {
    let console = machine.console();
    for wrong in WRONG {
        console.expect(question)?;
        console.send_line(wrong)?;
        console.expect(REFUSED)?;
    }
    console.expect(question)?;
    // With a slip of the finger.
    let (begin, end) = PASSPHRASE.split_at(PASSPHRASE.len() / 2);
    console.send(format!("{begin}4\x7f{end}\r").as_bytes())?;
    up(machine)?;
    nothing_was_shown(machine)
}

/// Answers at the machine's own keyboard, which is a German one, while somebody has begun to type on the
/// serial console.
pub fn unlock_at_the_keyboard(machine: &Machine, question: &str) -> anyhow::Result<()> {
    /// A busy host may be too slow for a key, and nothing that is typed is shown.
    const TRIES: usize = 3;
    let console = machine.console();
    for _ in 0..TRIES {
        console.expect(question)?;
        console.send(b"not this")?;
        for key in PASSPHRASE.chars() {
            press(machine, &on_a_german_keyboard(key))?;
        }
        press(machine, &["ret".to_owned()])?;
        let (answer, _) = console.expect_any(&[boot_mark::BOOT_DONE, REFUSED], Duration::MAX)?;
        if answer == 0 {
            up(machine)?;
            return nothing_was_shown(machine);
        }
    }
    bail!("the passphrase is refused, typed {TRIES} times on the keyboard")
}

fn nothing_was_shown(machine: &Machine) -> anyhow::Result<()> {
    let said = machine.console().tail(10_000);
    let shown = ["staples", "horse", "not this"];
    ensure!(
        !shown.iter().any(|word| said.contains(word)),
        "a passphrase is on the console:\n{said}"
    );
    Ok(())
}

/// The keys for a character, by their names on an American keyboard.
fn on_a_german_keyboard(character: char) -> Vec<String> {
    let key = |lower: char| match lower {
        'y' => "z".to_owned(),
        'z' => "y".to_owned(),
        ' ' => "spc".to_owned(),
        ',' => "comma".to_owned(),
        other => other.to_string(),
    };
    if character.is_uppercase() {
        vec!["shift".to_owned(), key(character.to_ascii_lowercase())]
    } else {
        vec![key(character)]
    }
}

fn press(machine: &Machine, keys: &[String]) -> anyhow::Result<()> {
    let keys: Vec<_> = keys
        .iter()
        .map(|name| json!({ "type": "qcode", "data": name }))
        .collect();
    let order = json!({ "keys": keys, "hold-time": 20 });
    machine.qmp().execute("send-key", &order).map(drop)
}
