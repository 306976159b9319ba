//! Activation: system description to /etc, users and /run/current-system.

#![forbid(unsafe_code)]
