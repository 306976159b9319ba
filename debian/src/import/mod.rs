//! Packages to store paths: unpack archives, relocate what they hold.
