//! The operator's command, and the one place that composes the steps.

#![forbid(unsafe_code)]
