//! Blocks compressed by zstd, or kept as they are if that does not make them smaller.

use std::io;

use zstd::bulk::Compressor;

/// A compressor with its memory, which is used again for each block.
pub(super) struct Zstd(Compressor<'static>);

impl Zstd {
    pub fn new(level: i32) -> io::Result<Self> {
        Compressor::new(level).map(Self)
    }

    /// Appends `block` to `packed`, and says whether it is compressed there.
    pub fn append(&mut self, block: &[u8], packed: &mut Vec<u8>) -> io::Result<bool> {
        let start = packed.len();
        // The compressor writes from a buffer's start on: it gets the rest of the vector as one.
        let mut rest = io::Cursor::new(packed);
        rest.set_position(start as u64);
        rest.get_mut()
            .reserve(zstd::zstd_safe::compress_bound(block.len()));
        let length = self.0.compress_to_buffer(block, &mut rest)?;
        let packed = rest.into_inner();
        if length < block.len() {
            return Ok(true);
        }
        packed.truncate(start);
        packed.extend_from_slice(block);
        Ok(false)
    }
}
