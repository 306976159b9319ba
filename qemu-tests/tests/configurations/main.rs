//! Configurations of the examples, from the file to what somebody outside of the machine sees.

#![cfg(test)]

mod medium;
mod minimal;
mod server;
mod sizes;
mod vm;
