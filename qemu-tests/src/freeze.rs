//! Stops a processor for good, with interrupts off, as a kernel that hangs does: from outside, since no
//! kernel of Debian has a way to do that to itself.
//!
//! QEMU's stub for debuggers is opened for a moment. It stops the machine; the processor gets an
//! instruction that jumps to itself and flags without the one that lets interrupts in, and the machine
//! goes on with its clocks. What is left is a watchdog of hardware, which resets it.
//!
//! Source: the GDB manual's "Remote Serial Protocol"; packets are `$text#sum`, answered by `+`.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::{Context, bail, ensure};
use serde_json::json;

use crate::machine::Machine;

/// In the registers of an x86-64 processor, where `rip` and `eflags` are, in bytes: 16 registers of 8
/// bytes are before them.
const RIP: usize = 16 * 8;
const EFLAGS: usize = RIP + 8;

/// The flag that lets interrupts in: bit 9.
const INTERRUPTS: u8 = 1 << 1;

/// `jmp .`
const JUMP_TO_ITSELF: &str = "ebfe";

/// Freezes the one processor of `machine`.
///
/// # Errors
/// It has more than one, or QEMU has no stub for debuggers, or answers with an error.
pub fn freeze(machine: &Machine) -> anyhow::Result<()> {
    let folder = tempfile::Builder::new()
        .prefix("cairn-vm-")
        .tempdir()
        .context("cannot create a temporary folder")?;
    let socket = folder.path().join("gdb");
    let monitor = |command: String| {
        machine
            .qmp()
            .execute("human-monitor-command", &json!({ "command-line": command }))
    };
    monitor(format!(
        "gdbserver unix:{},server=on,wait=off",
        socket.display()
    ))?;
    let stream = UnixStream::connect(&socket)
        .with_context(|| format!("cannot connect to {}", socket.display()))?;
    let mut stub = Stub { stream };
    let mut registers = bytes(&stub.ask("g")?)?;
    let rip = registers
        .get(RIP..EFLAGS)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u64::from_le_bytes)
        .context("the debugger's stub knows no register rip")?;
    let flags = registers
        .get_mut(EFLAGS + 1)
        .context("the debugger's stub knows no flags")?;
    *flags &= !INTERRUPTS;
    let answers = [
        stub.ask(&format!("G{}", text(&registers)))?,
        stub.ask(&format!("M{rip:x},2:{JUMP_TO_ITSELF}"))?,
        stub.ask("D")?,
    ];
    ensure!(answers.iter().all(|answer| answer == "OK"), "{answers:?}");
    monitor("gdbserver none".to_owned()).map(drop)
}

struct Stub {
    stream: UnixStream,
}

impl Stub {
    fn ask(&mut self, request: &str) -> anyhow::Result<String> {
        let sum = request.bytes().fold(0_u8, u8::wrapping_add);
        self.stream
            .write_all(format!("${request}#{sum:02x}").as_bytes())
            .context("cannot ask the debugger's stub")?;
        loop {
            let answer = self.packet()?;
            // That the machine has stopped is said when it has: nobody asked.
            if !answer.starts_with(['T', 'S']) {
                return Ok(answer);
            }
        }
    }

    fn packet(&mut self) -> anyhow::Result<String> {
        // There is `+` for a request before.
        while self.byte()? != b'$' {}
        let mut answer = Vec::new();
        loop {
            match self.byte()? {
                b'#' => break,
                byte => answer.push(byte),
            }
        }
        let _sum = [self.byte()?, self.byte()?];
        self.stream
            .write_all(b"+")
            .context("cannot answer the debugger's stub")?;
        let answer = String::from_utf8(answer).context("the debugger's stub wrote no text")?;
        if answer.starts_with('E') && answer.len() == 3 {
            bail!("the debugger's stub refuses: {answer}");
        }
        Ok(answer)
    }

    fn byte(&mut self) -> anyhow::Result<u8> {
        let mut byte = [0];
        self.stream
            .read_exact(&mut byte)
            .context("cannot read from the debugger's stub")?;
        let [byte] = byte;
        Ok(byte)
    }
}

fn text(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

fn bytes(text: &str) -> anyhow::Result<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = str::from_utf8(pair)?;
            // A register that cannot be read.
            if pair == "xx" {
                return Ok(0);
            }
            Ok(u8::from_str_radix(pair, 16)?)
        })
        .collect::<anyhow::Result<_>>()
        .with_context(|| format!("the debugger's stub wrote no registers: {text:.40}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_are_hexadecimal() {
        assert_eq!(bytes("00ff7fxx").unwrap(), [0, 255, 127, 0]);
        assert_eq!(text(&[0, 255, 127]), "00ff7f");
        assert!(bytes("E0").is_ok() && bytes("0g").is_err());
    }
}
