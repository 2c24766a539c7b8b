//! The house itself: which room imports which, how long a file is, and the words of its texts. No world, no process.

#![allow(clippy::too_many_lines, reason = "a test tells one story")]

mod circles;
mod pages;
mod source;
mod tidy;
mod words;
