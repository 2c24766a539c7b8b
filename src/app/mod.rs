//! The core: messages in, effects out, and the driver which carries the effects out.

pub mod driver;
pub mod message;
