//! What a power cut leaves: a disk's writes are recorded, and it is looked at as it would be after
//! each of them.

pub mod cut;
pub mod disk;
pub mod ext4;
pub mod journal;
pub mod judge;
pub mod memo;
pub mod oracle;
pub mod recording;
pub mod working_copy;
pub mod write_log;

mod random;
