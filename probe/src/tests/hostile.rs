//! Bytes that nobody has written in good faith.

use proptest::prelude::*;

use crate::{contents, exfat, fat, ntfs, partition, superblock, table};

/// Bytes with the magic numbers of every parser strewn in.
fn hostile() -> impl Strategy<Value = Vec<u8>> {
    const MAGICS: [(usize, &[u8]); 19] = [
        (0, b"XFSB"),
        (0, b"hsqs"),
        (0, b"LUKS\xba\xbe\0\x02"),
        (0, b"\xeb\x58\x90"),
        (3, b"EXFAT   "),
        (108, b"\x09\x03"),
        (3, b"NTFS    \0\x02\x01"),
        (48, b"\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\xf6"),
        (11, b"\x00\x02\x01\x01\x00\x02\x00\x00"),
        (510, b"\x55\xaa"),
        (450, b"\xee"),
        (512, b"EFI PART\0\0\x01\0\x5c\0\0\0"),
        (1080, b"\x53\xef"),
        (1024, b"\x10\x20\xf5\xf2"),
        (32768, b"\x01CD001"),
        (65600, b"_BHRfS_M"),
        (4096, b"\xfc\x4e\x2b\xa9\x01\0\0\0"),
        (512, b"LABELONE\x01\0\0\0\0\0\0\0"),
        (536, b"LVM2 001"),
    ];
    let bytes = proptest::collection::vec(any::<u8>(), 0..2048);
    let magics = proptest::collection::vec(0..MAGICS.len(), 0..6);
    (bytes, magics, 0..superblock::HEAD_BYTES).prop_map(|(mut bytes, magics, length)| {
        bytes.resize(length, 0);
        for (offset, magic) in magics.into_iter().filter_map(|index| MAGICS.get(index)) {
            if let Some(place) = bytes.get_mut(*offset..offset + magic.len()) {
                place.copy_from_slice(magic);
            }
        }
        bytes
    })
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(bytes in hostile(), size: u64, sector: u32) {
        contents(&mut bytes.as_slice(), size).unwrap();
        contents(&mut bytes.as_slice(), bytes.len() as u64).unwrap();
        table::read(&mut bytes.as_slice(), sector, size).unwrap();
        partition::read(&mut bytes.as_slice(), sector, size).unwrap();
        if let Some(boot) = fat::parse(&bytes) {
            fat::contents(boot, &mut bytes.as_slice()).unwrap();
        }
        fat::directory_label(&bytes);
        exfat::directory_label(&bytes);
        ntfs::volume_name(&mut bytes.clone());
    }

    #[test]
    fn headers_with_right_checksums_never_panic(mut block in proptest::collection::vec(any::<u8>(), 512)) {
        block[..8].copy_from_slice(b"EFI PART");
        block[12..16].copy_from_slice(&92_u32.to_le_bytes());
        block[24..32].copy_from_slice(&1_u64.to_le_bytes());
        block[16..20].fill(0);
        let crc = table::crc32(&block[..92]);
        block[16..20].copy_from_slice(&crc.to_le_bytes());
        if let Some(header) = table::Header::parse(&block, 1) {
            header.is_of(&block);
            assert!(header.split(&block).count() <= 4);
        }
    }
}
