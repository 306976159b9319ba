//! Values as text: in the language's own syntax, as JSON, as XML.

mod json;
mod nix;
mod xml;

pub use json::{Paths, json_float, json_string};
pub use nix::Style;
pub use xml::Xml;
