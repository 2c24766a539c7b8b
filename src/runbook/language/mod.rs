//! How a runbook is written: the YAML document, the expressions in it and what they may cost, inputs, the lint, the
//! JSON Schema. Not here: what expressions see ([`super::facts`]), what steps do ([`super::actions`]).

pub mod cel_expr;
pub mod document;
mod document_validation;
pub mod documented_confirmations;
pub mod expression_cost;
mod free_variables;
pub(in crate::runbook) mod function_error;
pub mod given_inputs;
pub mod input_types;
pub mod key_descriptions;
pub mod lint;
pub(crate) mod sample_fleet_data;
pub mod schema;
pub mod shared_checks;
pub mod template_holes;
pub mod unknown_fact_fields;

pub mod localized_text;
pub(super) mod template_fit;
