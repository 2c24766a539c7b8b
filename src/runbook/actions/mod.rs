//! What a step can do: one file per action.

#[cfg(test)]
mod golden;
