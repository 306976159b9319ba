//! A kernel that GRUB loads as it loads Linux: it writes its command line to the first serial port
//! and resets the machine.
//!
//! Source: Linux, `Documentation/arch/x86/boot.rst`: the header is at 0x1f1; the protected-mode
//! code follows the setup sectors, and is entered in 32-bit mode with `%esi` at the boot parameters,
//! which have the address of the command line at 0x228.

/// What each line of this kernel begins with.
pub const MARK: &str = "KERNEL ";

const SETUP: usize = 1024;

#[rustfmt::skip]
const CODE: [u8; 97] = [
    0xfc,                               // cld
    0x8b, 0xbe, 0x28, 0x02, 0, 0,       // mov 0x228(%esi), %edi      the command line
    0xe8, 10, 0, 0, 0,                  // call over the text, whose address is then on the stack
    b'\r', b'\n', b'K', b'E', b'R', b'N', b'E', b'L', b' ', 0,
    0x5e,                               // pop %esi
    0xe8, 0x2b, 0, 0, 0,                // call print
    0x89, 0xfe,                         // mov %edi, %esi
    0xe8, 0x24, 0, 0, 0,                // call print
    0xe8, 3, 0, 0, 0,                   // call over the text
    b'\r', b'\n', 0,
    0x5e,                               // pop %esi
    0xe8, 0x16, 0, 0, 0,                // call print
    0x66, 0xba, 0xfd, 0x03,             // mov $0x3fd, %dx            until all is sent:
    0xec, 0xa8, 0x40,                   // in %dx, %al; test $0x40, %al
    0x74, 0xf7,                         // jz
    0x66, 0xba, 0xf9, 0x0c,             // mov $0xcf9, %dx            reset
    0xb0, 0x02, 0xee,                   // mov $2, %al; out %al, %dx
    0xb0, 0x06, 0xee,                   // mov $6, %al; out %al, %dx
    0xf4, 0xeb, 0xfd,                   // hlt; jmp
    // print: the text at %esi
    0xac, 0x84, 0xc0,                   // lodsb; test %al, %al
    0x74, 0x14,                         // jz to the end
    0x88, 0xc4,                         // mov %al, %ah
    0x66, 0xba, 0xfd, 0x03,             // mov $0x3fd, %dx            until there is room:
    0xec, 0xa8, 0x20,                   // in %dx, %al; test $0x20, %al
    0x74, 0xf7,                         // jz
    0x66, 0xba, 0xf8, 0x03,             // mov $0x3f8, %dx
    0x88, 0xe0, 0xee,                   // mov %ah, %al; out %al, %dx
    0xeb, 0xe7,                         // jmp print
    0xc3,                               // ret
];

/// The kernel, with `padding` bytes behind it, so that it can be cut short.
pub fn kernel(padding: usize) -> Vec<u8> {
    let mut image = vec![0; SETUP];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0x1f1, &[1]); // one setup sector beside the first
    put(0x1fe, &[0x55, 0xaa]);
    put(0x200, &[0xeb, 0x66]); // where the header ends
    put(0x202, b"HdrS");
    put(0x206, &0x0206u16.to_le_bytes()); // the protocol's version
    put(0x211, &[1]); // loaded high
    put(0x214, &0x10_0000u32.to_le_bytes()); // entered there
    put(0x22c, &0x37ff_ffffu32.to_le_bytes()); // the initrd below
    put(0x238, &2047u32.to_le_bytes()); // the longest command line
    let code = [&CODE[..], &vec![0x90; padding]].concat();
    put(
        0x1f4,
        &u32::try_from(code.len().div_ceil(16))
            .unwrap()
            .to_le_bytes(),
    );
    image.extend(code);
    image
}
