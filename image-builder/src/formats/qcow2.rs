//! qcow2, version 3: clusters of 64 KiB, each with data stored once and in order.
//!
//! ```text
//! header | data | L2 tables | L1 table | refcount blocks | refcount table
//! ```
//! The tables follow the data, of which is known how much there is once it is written. Numbers are
//! big-endian.
//!
//! Source: docs/interop/qcow2.txt of QEMU.

use crate::region::Region;

use super::raw::Raw;
use super::{Failure, length_of, u32_of};

const CLUSTER_BITS: u32 = 16;
const CLUSTER: u64 = 1 << CLUSTER_BITS;
/// Entries of 8 bytes in a cluster.
const ENTRIES: u64 = CLUSTER / 8;
/// Counts of 2 bytes in a cluster.
const COUNTS: u64 = CLUSTER / 2;
/// Of an entry: its cluster is in no snapshot, and may be written to.
const OWN: u64 = 1 << 63;
const HEADER_LENGTH: u32 = 104;

/// Where each part begins, in clusters; the header is the first one.
#[derive(Debug)]
struct Layout {
    l2: u64,
    l1: u64,
    refcount_blocks: u64,
    refcount_table: u64,
    end: u64,
}

/// The cluster at which data begins.
const DATA: u64 = 1;

impl Layout {
    fn new(data: u64, l2_tables: u64, l1_entries: u64) -> Self {
        let l2 = DATA + data;
        let l1 = l2 + l2_tables;
        let refcount_blocks = l1 + l1_entries.div_ceil(ENTRIES);
        // Counts of the clusters that hold counts, and so on, until all are counted.
        let (mut blocks, mut table) = (1, 1);
        while blocks * COUNTS < refcount_blocks + blocks + table || table * ENTRIES < blocks {
            blocks = (refcount_blocks + blocks + table).div_ceil(COUNTS);
            table = blocks.div_ceil(ENTRIES);
        }
        let refcount_table = refcount_blocks + blocks;
        Self {
            l2,
            l1,
            refcount_blocks,
            refcount_table,
            end: refcount_table + table,
        }
    }
}

/// Writes the image, and gives back its length.
pub(super) fn write(raw: &Raw, region: &Region<'_>) -> Result<u64, Failure> {
    let clusters = raw.copy_units(region, CLUSTER, DATA * CLUSTER)?;
    let l1_entries = raw.size.div_ceil(CLUSTER * ENTRIES).max(1);
    let mut tables: Vec<u64> = clusters.iter().map(|cluster| cluster / ENTRIES).collect();
    tables.dedup();
    let layout = Layout::new(clusters.len() as u64, tables.len() as u64, l1_entries);
    let put = |bytes: &[u8], cluster: u64| {
        region
            .write_at(bytes, cluster * CLUSTER)
            .map_err(Failure::Write)
    };

    let mut l2 = vec![0; length_of(tables.len() as u64 * ENTRIES)?];
    let mut table = 0;
    for (cluster, place) in clusters.iter().zip(DATA..) {
        while tables
            .get(table)
            .is_some_and(|number| *number < cluster / ENTRIES)
        {
            table += 1;
        }
        let slot = table as u64 * ENTRIES + cluster % ENTRIES;
        if let Some(entry) = l2.get_mut(length_of(slot)?) {
            *entry = (place * CLUSTER) | OWN;
        }
    }
    put(&entries(l2.into_iter()), layout.l2)?;
    let mut l1 = vec![0; length_of(l1_entries)?];
    for (table, place) in tables.iter().zip(layout.l2..) {
        if let Some(entry) = l1.get_mut(length_of(*table)?) {
            *entry = (place * CLUSTER) | OWN;
        }
    }
    put(&entries(l1.into_iter()), layout.l1)?;
    let counts = vec![[0, 1]; length_of(layout.end)?].concat();
    put(&counts, layout.refcount_blocks)?;
    let blocks = layout.refcount_blocks..layout.refcount_table;
    put(
        &entries(blocks.map(|block| block * CLUSTER)),
        layout.refcount_table,
    )?;
    put(&header(raw.size, &layout, u32_of(l1_entries)?)?, 0)?;
    Ok(layout.end * CLUSTER)
}

fn header(size: u64, layout: &Layout, l1_entries: u32) -> Result<Vec<u8>, Failure> {
    let mut bytes = b"QFI\xfb".to_vec();
    let u32 = |bytes: &mut Vec<u8>, value: u32| bytes.extend_from_slice(&value.to_be_bytes());
    let u64 = |bytes: &mut Vec<u8>, value: u64| bytes.extend_from_slice(&value.to_be_bytes());
    u32(&mut bytes, 3);
    // No backing file.
    u64(&mut bytes, 0);
    u32(&mut bytes, 0);
    u32(&mut bytes, CLUSTER_BITS);
    u64(&mut bytes, size);
    // No encryption.
    u32(&mut bytes, 0);
    u32(&mut bytes, l1_entries);
    u64(&mut bytes, layout.l1 * CLUSTER);
    u64(&mut bytes, layout.refcount_table * CLUSTER);
    u32(&mut bytes, u32_of(layout.end - layout.refcount_table)?);
    // No snapshots, and no features.
    u32(&mut bytes, 0);
    for _ in 0..4 {
        u64(&mut bytes, 0);
    }
    // Counts of 1 << 4 bits.
    u32(&mut bytes, 4);
    u32(&mut bytes, HEADER_LENGTH);
    // No header extensions.
    u64(&mut bytes, 0);
    Ok(bytes)
}

fn entries(values: impl Iterator<Item = u64>) -> Vec<u8> {
    values.flat_map(u64::to_be_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cluster_is_counted() {
        for data in [0, 1, 32_000, 32_760, 32_764, 32_768, 300_000, 300_000_000] {
            let layout = Layout::new(data, data / ENTRIES + 1, data / ENTRIES + 1);
            let blocks = layout.refcount_table - layout.refcount_blocks;
            let table = layout.end - layout.refcount_table;
            assert!(blocks * COUNTS >= layout.end, "{layout:?}");
            assert!(table * ENTRIES >= blocks, "{layout:?}");
        }
    }
}
