//! How a runbook is written: the YAML document, the expressions in it and what they may cost, inputs, the lint, the
//! JSON Schema. Not here: what expressions see ([`super::facts`]), what steps do ([`super::actions`]).

pub mod asked;
pub mod checks;
pub mod cost;
pub mod definition;
pub mod expr;
pub mod fields;
pub mod holes;
pub mod input;
pub mod inputs;
pub mod keys;
pub mod lint;
mod names;
mod reading;
pub(crate) mod sample;
pub mod schema;

pub(super) mod template_fit;
pub mod text;
