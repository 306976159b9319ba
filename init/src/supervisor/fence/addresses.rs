//! Whom a control group may exchange packets with, as a program.
//!
//! What is allowed is asked first, then what is denied; all else is let through. Of a packet that comes in
//! its source counts, of one that goes out its destination.
//!
//! ```text
//! struct __sk_buff, at 16: protocol, in the order of the network
//! IPv4 header: 12 source, 16 destination        IPv6 header: 8 source, 24 destination
//! ```

use std::net::IpAddr;

use cairn_sys::bpf::Instruction;
use cairn_system::{AddressFence, AddressRange};

use super::assembly::{
    add, and, call, copy, from_network, load, rule, set, skip_if, skip_unless, verdict,
};

const PACKET: u8 = 6;
const PROTOCOL: u8 = 7;
const WORD: u8 = 9;
const FRAME: u8 = 10;

/// `bpf_skb_load_bytes`.
const LOAD_BYTES: i32 = 26;

/// Where in its memory a program has the address.
const ADDRESS_AT: i16 = -16;

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;

/// The program for packets that come in, or go out; none if everything is let through.
pub fn program(fence: &AddressFence, incoming: bool) -> Option<Vec<Instruction>> {
    if fence.denied.is_empty() {
        return None;
    }
    let (source, destination) = ((12, 8), (16, 24));
    let (v4, v6) = if incoming { source } else { destination };
    let of_v4 = part(fetch(v4, 4), fence, |address| match address {
        IpAddr::V4(address) => Some(vec![address.to_bits()]),
        IpAddr::V6(_) => None,
    });
    let of_v6 = part(fetch(v6, 16), fence, |address| match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(words(address.to_bits())),
    });
    let mut program = vec![
        copy(PACKET, 1),
        load(PROTOCOL, PACKET, 16),
        skip_unless(PROTOCOL, network(IPV4), length(&of_v4)),
    ];
    program.extend(of_v4);
    program.push(skip_if(PROTOCOL, network(IPV6), 2));
    program.extend(verdict(true));
    program.extend(of_v6);
    Some(program)
}

/// What decides about packets whose address is fetched by `program`, by the ranges of which `words` has
/// some. Nothing comes behind a range that holds everything: the kernel refuses what is never reached.
fn part(
    mut program: Vec<Instruction>,
    fence: &AddressFence,
    words: impl Fn(IpAddr) -> Option<Vec<u32>>,
) -> Vec<Instruction> {
    for (ranges, lets_through) in [(&fence.allowed, true), (&fence.denied, false)] {
        for range in ranges {
            let Some(words) = words(range.address()) else {
                continue;
            };
            program.extend(rule(&compare(range, &words), lets_through));
            if range.prefix() == 0 {
                return program;
            }
        }
    }
    program.extend(verdict(true));
    program
}

/// Takes `length` bytes at `offset` of the packet; one that is too short is not let through.
fn fetch(offset: i32, length: i32) -> Vec<Instruction> {
    let mut fetch = vec![
        copy(1, PACKET),
        set(2, offset),
        copy(3, FRAME),
        add(3, ADDRESS_AT.into()),
        set(4, length),
        call(LOAD_BYTES),
        skip_if(0, 0, 2),
    ];
    fetch.extend(verdict(false));
    fetch
}

/// What must hold for the address to be in `range`, whose own is `words`.
fn compare(range: &AddressRange, words: &[u32]) -> Vec<(Vec<Instruction>, u8, u32)> {
    let mut parts = Vec::new();
    let mut bits = u32::from(range.prefix());
    let mut at = ADDRESS_AT;
    for word in words {
        let here = bits.min(32);
        if here == 0 {
            break;
        }
        let mask = u32::MAX << (32 - here);
        let mut before = vec![load(WORD, FRAME, at), from_network(WORD)];
        if here < 32 {
            before.push(and(WORD, mask));
        }
        parts.push((before, WORD, word & mask));
        bits -= here;
        at += 4;
    }
    parts
}

fn words(address: u128) -> Vec<u32> {
    [96, 64, 32, 0]
        .map(|shift| u32::try_from(address >> shift & u128::from(u32::MAX)).unwrap_or(0))
        .into()
}

fn network(protocol: u16) -> u32 {
    protocol.to_be().into()
}

fn length(program: &[Instruction]) -> i16 {
    i16::try_from(program.len()).unwrap_or(i16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::assembly::{run, text};
    use super::*;
    use expect_test::expect;
    use proptest::prelude::*;

    fn fence(allowed: &[&str], denied: &[&str]) -> AddressFence {
        let ranges = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        AddressFence {
            allowed: ranges(allowed),
            denied: ranges(denied),
        }
    }

    #[test]
    fn a_program_asks_what_is_allowed_first() {
        let fence = fence(&["127.0.0.0/8", "::1"], &["0.0.0.0/0", "2001:db8::/40"]);
        expect![[r#"
             0 r6 = r1
             1 w7 = [r6 + 16]
             2 if w7 != 0x8 goto 20
             3 r1 = r6
             4 r2 = 12
             5 r3 = r10
             6 r3 += -16
             7 r4 = 4
             8 call 26
             9 if w0 == 0x0 goto 12
            10 r0 = 0
            11 exit
            12 w9 = [r10 + -16]
            13 w9 = be(w9)
            14 w9 &= 0xff000000
            15 if w9 != 0x7f000000 goto 18
            16 r0 = 1
            17 exit
            18 r0 = 0
            19 exit
            20 if w7 == 0xdd86 goto 23
            21 r0 = 1
            22 exit
            23 r1 = r6
            24 r2 = 8
            25 r3 = r10
            26 r3 += -16
            27 r4 = 16
            28 call 26
            29 if w0 == 0x0 goto 32
            30 r0 = 0
            31 exit
            32 w9 = [r10 + -16]
            33 w9 = be(w9)
            34 if w9 != 0x0 goto 46
            35 w9 = [r10 + -12]
            36 w9 = be(w9)
            37 if w9 != 0x0 goto 46
            38 w9 = [r10 + -8]
            39 w9 = be(w9)
            40 if w9 != 0x0 goto 46
            41 w9 = [r10 + -4]
            42 w9 = be(w9)
            43 if w9 != 0x1 goto 46
            44 r0 = 1
            45 exit
            46 w9 = [r10 + -16]
            47 w9 = be(w9)
            48 if w9 != 0x20010db8 goto 55
            49 w9 = [r10 + -12]
            50 w9 = be(w9)
            51 w9 &= 0xff000000
            52 if w9 != 0x0 goto 55
            53 r0 = 0
            54 exit
            55 r0 = 1
            56 exit
        "#]]
        .assert_eq(&text(&program(&fence, true).unwrap()));
    }

    /// What the fence says of an address, as its definition has it.
    fn decides(fence: &AddressFence, address: IpAddr) -> bool {
        let holds = |range: &AddressRange| {
            let of = |address: IpAddr| format!("{address}/{}", range.prefix()).parse().ok();
            address.is_ipv4() == range.address().is_ipv4() && of(address) == Some(*range)
        };
        fence.allowed.iter().any(holds) || !fence.denied.iter().any(holds)
    }

    fn ranges() -> impl Strategy<Value = Vec<AddressRange>> {
        // Few bits, so that addresses are in them.
        let v4 = (0..4_u32, 0..=32_u8).prop_map(|(bits, prefix)| {
            format!(
                "{}/{prefix}",
                std::net::Ipv4Addr::from_bits(bits << 30 | bits)
            )
        });
        let v6 = (0..4_u128, 0..=128_u8).prop_map(|(bits, prefix)| {
            let bits = bits << 126 | bits << 64 | bits;
            format!("{}/{prefix}", std::net::Ipv6Addr::from_bits(bits))
        });
        let range = prop_oneof![v4, v6].prop_map(|text| text.parse().unwrap());
        prop::collection::vec(range, 0..4)
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        let v4 = (0..4_u32, 0..4_u32).prop_map(|(high, low)| IpAddr::V4((high << 30 | low).into()));
        let v6 = (0..4_u128, 0..4_u128, 0..4_u128)
            .prop_map(|(high, middle, low)| IpAddr::V6((high << 126 | middle << 64 | low).into()));
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn a_program_decides_as_the_fence_says(
            allowed in ranges(), denied in ranges(), address in addresses(), incoming: bool,
        ) {
            let fence = AddressFence { allowed, denied };
            let mut context = [0; 32];
            let mut packet = [0; 40];
            let protocol = match address {
                IpAddr::V4(address) => {
                    let at = if incoming { 12 } else { 16 };
                    packet[at..at + 4].copy_from_slice(&address.octets());
                    IPV4
                }
                IpAddr::V6(address) => {
                    let at = if incoming { 8 } else { 24 };
                    packet[at..at + 16].copy_from_slice(&address.octets());
                    IPV6
                }
            };
            context[16..20].copy_from_slice(&network(protocol).to_ne_bytes());
            if let Some(program) = program(&fence, incoming) {
                let decided = run(&program, &context, &packet);
                prop_assert_eq!(decided, Some(decides(&fence, address)));
                let cut_off = run(&program, &context, &packet[..4]);
                prop_assert_eq!(cut_off, Some(false));
            } else {
                prop_assert!(decides(&fence, address));
            }
        }
    }

    #[test]
    fn nothing_denied_is_no_fence() {
        assert_eq!(program(&fence(&["::1"], &[]), false), None);
    }
}
