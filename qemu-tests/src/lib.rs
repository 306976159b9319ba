//! Boots images in QEMU: the driver, the demo, the benchmarks and the tests.

#![forbid(unsafe_code)]
