//! Two operators and every fault, for a night: `cargo bench --bench voyage -- --seeds 10000`.
//!
//! The voyage itself is a test (`tests/engine/voyage/mod.rs`), which sails the first 300 seeds.

#![allow(clippy::too_many_lines, reason = "a benchmark tells one story")]
#![expect(clippy::print_stdout, reason = "it says what it did")]
#![allow(dead_code, reason = "the tests use the rest")]

#[path = "../tests/engine/model/mod.rs"]
mod model;
#[path = "../tests/engine/voyage/mod.rs"]
mod voyage;

fn main() {
    let given: Vec<String> = std::env::args().collect();
    let seeds = given.iter().position(|word| word == "--seeds").and_then(|at| given.get(at + 1)?.parse().ok());
    let seeds: u64 = seeds.unwrap_or(1_000);
    let begun = std::time::Instant::now();
    let failed = voyage::sail(0..seeds);
    println!("{seeds} voyages in {:?}, {} of them failed", begun.elapsed(), failed.len());
    for failure in &failed {
        println!("{failure}");
    }
    assert!(failed.is_empty(), "{} seeds failed", failed.len());
}
