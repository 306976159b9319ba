//! The instructions that the fences' programs are made of.
//!
//! `r0` is the result: 1 lets through, 0 does not. `r1` is what is asked about at the beginning, `r10` the
//! end of the memory that a program has.

use cairn_sys::bpf::Instruction;

/// `to = number`.
pub fn set(to: u8, number: i32) -> Instruction {
    instruction(0xb7, to, 0, 0, number)
}

/// `to = from`.
pub fn copy(to: u8, from: u8) -> Instruction {
    instruction(0xbf, to, from, 0, 0)
}

/// `to += number`.
pub fn add(to: u8, number: i32) -> Instruction {
    instruction(0x07, to, 0, 0, number)
}

/// `to &= mask`, of 32 bits.
pub fn and(to: u8, mask: u32) -> Instruction {
    instruction(0x54, to, 0, 0, mask.cast_signed())
}

/// `to >>= bits`, of 32 bits.
pub fn shift_right(to: u8, bits: i32) -> Instruction {
    instruction(0x74, to, 0, 0, bits)
}

/// `to =` the 32 bits that lie `offset` behind where `from` points.
pub fn load(to: u8, from: u8, offset: i16) -> Instruction {
    instruction(0x61, to, from, offset, 0)
}

/// The 32 bits of `to` are in the order of the network: now they are in the machine's.
pub fn from_network(to: u8) -> Instruction {
    instruction(0xdc, to, 0, 0, 32)
}

/// Calls the kernel's function of this number.
pub fn call(function: i32) -> Instruction {
    instruction(0x85, 0, 0, 0, function)
}

/// Skips `count` instructions if the 32 bits of `one` are `number`.
pub fn skip_if(one: u8, number: u32, count: i16) -> Instruction {
    instruction(0x16, one, 0, count, number.cast_signed())
}

/// Skips `count` instructions if they are not.
pub fn skip_unless(one: u8, number: u32, count: i16) -> Instruction {
    instruction(0x56, one, 0, count, number.cast_signed())
}

/// The end of a program: whether what is asked about is let through.
pub fn verdict(lets_through: bool) -> [Instruction; 2] {
    [
        set(0, i32::from(lets_through)),
        instruction(0x95, 0, 0, 0, 0),
    ]
}

/// A test of which each part ends the program with `lets_through` if all `parts` hold: a part is what
/// prepares it, and a register with what it must be.
pub fn rule(parts: &[(Vec<Instruction>, u8, u32)], lets_through: bool) -> Vec<Instruction> {
    let end = verdict(lets_through);
    let mut left: usize = end.len()
        + parts
            .iter()
            .map(|(before, ..)| before.len() + 1)
            .sum::<usize>();
    let mut program = Vec::with_capacity(left);
    for (before, register, number) in parts {
        program.extend(before);
        left -= before.len() + 1;
        let count = i16::try_from(left).unwrap_or(i16::MAX);
        program.push(skip_unless(*register, *number, count));
    }
    program.extend(end);
    program
}

fn instruction(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> Instruction {
    Instruction {
        code,
        registers: from << 4 | to,
        offset,
        immediate,
    }
}

/// A program as text, for tests: a line an instruction.
#[cfg(test)]
pub fn text(program: &[Instruction]) -> String {
    let lines = program.iter().enumerate().map(|(at, one)| {
        let (to, from) = (one.registers & 15, one.registers >> 4);
        let number = one.immediate;
        let target = at + 1 + usize::try_from(one.offset).unwrap_or(0);
        match one.code {
            0xb7 => format!("{at:2} r{to} = {number}"),
            0xbf => format!("{at:2} r{to} = r{from}"),
            0x07 => format!("{at:2} r{to} += {number}"),
            0x54 => format!("{at:2} w{to} &= {number:#x}"),
            0x74 => format!("{at:2} w{to} >>= {number}"),
            0x61 => format!("{at:2} w{to} = [r{from} + {}]", one.offset),
            0xdc => format!("{at:2} w{to} = be(w{to})"),
            0x85 => format!("{at:2} call {number}"),
            0x16 => format!("{at:2} if w{to} == {number:#x} goto {target}"),
            0x56 => format!("{at:2} if w{to} != {number:#x} goto {target}"),
            0x95 => format!("{at:2} exit"),
            code => format!("{at:2} {code:#x}?"),
        }
    });
    lines.map(|line| line + "\n").collect()
}

/// Runs a program as the kernel would: what it is asked about, as bytes in the machine's order, and what
/// `bpf_skb_load_bytes` finds. None if it does what it must not.
#[cfg(test)]
pub fn run(program: &[Instruction], context: &[u8], packet: &[u8]) -> Option<bool> {
    const FRAME: u64 = 0x1000;
    let mut registers = [0_u64; 11];
    registers[10] = FRAME;
    let mut frame = [0_u8; 16];
    let word = |bytes: &[u8], at: i64| {
        let at = usize::try_from(at).ok()?;
        let word = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_ne_bytes(word)))
    };
    let low = |value: u64| u32::try_from(value & 0xffff_ffff).unwrap();
    let mut at = 0;
    while let Some(one) = program.get(at) {
        let (to, from) = (
            usize::from(one.registers & 15),
            usize::from(one.registers >> 4),
        );
        let number = one.immediate;
        at += 1;
        let skipped = usize::try_from(one.offset).unwrap_or(0);
        match one.code {
            0xb7 => registers[to] = i64::from(number).cast_unsigned(),
            0xbf => registers[to] = registers[from],
            0x07 => registers[to] = registers[to].wrapping_add_signed(number.into()),
            0x54 => registers[to] = u64::from(low(registers[to]) & number.cast_unsigned()),
            0x74 => registers[to] = u64::from(low(registers[to]) >> number),
            0x61 if registers[from] == FRAME => {
                registers[to] = word(&frame, i64::from(one.offset) + 16)?;
            }
            0x61 => registers[to] = word(context, one.offset.into())?,
            0xdc => registers[to] = u64::from(low(registers[to]).to_be()),
            0x85 if number == 26 => {
                let (offset, length) = (registers[2], registers[4]);
                let (offset, length) =
                    (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
                let place = registers[3].checked_sub(FRAME - 16)?;
                let place = usize::try_from(place).ok()?;
                match packet.get(offset..offset + length) {
                    Some(bytes) => {
                        frame.get_mut(place..place + length)?.copy_from_slice(bytes);
                        registers[0] = 0;
                    }
                    None => registers[0] = (-14_i64).cast_unsigned(),
                }
            }
            0x16 if low(registers[to]) == number.cast_unsigned() => at += skipped,
            0x56 if low(registers[to]) != number.cast_unsigned() => at += skipped,
            0x16 | 0x56 => {}
            0x95 => return Some(registers[0] == 1),
            _ => return None,
        }
    }
    None
}
