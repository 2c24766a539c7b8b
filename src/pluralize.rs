//! Numbers with their nouns: `1 step`, `3 steps`. Every sentence that counts goes through here (`tests/house/words.rs` looks).
//!
//! Pure, and of no room: sentences are made everywhere. Not here: durations (`app::status_level`, `fleet::certificate_list`).

use std::fmt::Display;

/// `1 step`, `3 steps`, `2 copies`: the last word of `one` gets its plural.
pub fn counted<N: Display + PartialEq + From<u8>>(number: N, one: &str) -> String {
    format!("{number} {}", noun(&number, one))
}

/// The noun alone, for `2 of 3 steps`.
pub fn noun<N: PartialEq + From<u8>>(number: &N, one: &str) -> String {
    let ends = |vowel: char| one.ends_with(&[vowel, 'y'].iter().collect::<String>());
    match one.strip_suffix('y') {
        _ if *number == N::from(1) => one.to_owned(),
        Some(stem) if !"aeou".chars().any(ends) => format!("{stem}ies"),
        Some(_) | None => format!("{one}s"),
    }
}

/// `is` of one, `are` of others.
pub fn is<N: PartialEq + From<u8>>(number: N) -> &'static str {
    if number == N::from(1) { "is" } else { "are" }
}

/// `has` of one, `have` of others.
pub fn has<N: PartialEq + From<u8>>(number: N) -> &'static str {
    if number == N::from(1) { "has" } else { "have" }
}

/// A number that strangers send: their sum stops at the greatest.
pub trait Summed: Copy + Default {
    fn and(self, other: Self) -> Self;
}

impl Summed for i64 {
    fn and(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl Summed for u64 {
    fn and(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

/// The sum of numbers that came from outside.
pub fn total<N: Summed>(numbers: impl IntoIterator<Item = N>) -> N {
    numbers.into_iter().fold(N::default(), Summed::and)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_of_what_strangers_send_does_not_turn_round() {
        assert_eq!(total([u64::MAX, 1]), u64::MAX);
        assert_eq!(total([i64::MAX, i64::MAX, -1]), i64::MAX - 1);
        assert_eq!(total([i64::MIN, -1]), i64::MIN);
        assert_eq!(total(Vec::<i64>::new()), 0);
    }

    #[test]
    fn one_is_one() {
        let cases: [(usize, &str, &str); 6] = [
            (0, "step", "0 steps"),
            (1, "step", "1 step"),
            (2, "PD member", "2 PD members"),
            (1, "copy", "1 copy"),
            (3, "copy", "3 copies"),
            (2, "day", "2 days"),
        ];
        for (number, one, said) in cases {
            assert_eq!(counted(number, one), said);
        }
        assert_eq!((is(1_u64), is(0_u64), has(1_i64), has(2_i64)), ("is", "are", "has", "have"));
        assert_eq!(noun(&1, "way"), "way");
    }
}
