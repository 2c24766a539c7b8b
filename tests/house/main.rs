//! The house itself: which room imports which, how long a file is, and the words of its texts. No world, no process.

mod circles;
mod pages;
mod source;
mod tidy;
mod words;
