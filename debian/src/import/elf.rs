//! The ELF patcher.

/// Why an ELF file cannot be relocated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ElfError {
    /// It was patched before; a second patch would break it.
    #[error("it was relocated before; import the original package")]
    AlreadyPatched,
}
