//! How wide the columns of a table are: each takes what it needs; where that is too much, what matters least goes or is cut, before a
//! state, a number or a name is.
//!
//! Arithmetic on widths alone. Not here: what cells say (`app::views`), their drawing ([`super::table`]).

use super::text::width;
use crate::app::views::Column;

/// Between two columns.
pub const GAP: usize = 2;

/// Columns from this rank on go before one of less rank is cut.
const OPTIONAL: u8 = 2;

/// What each column takes where nothing is cut, 0 for those that are not shown; with a place for the arrow beside the heading.
pub fn natural(columns: &[Column], cells: &[usize], all: bool) -> Vec<usize> {
    let each = columns.iter().zip(cells);
    each.map(|(one, cell)| if one.wide && !all { 0 } else { (width(one.title) + 1).max(*cell) }).collect()
}

pub fn used(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|w| **w > 0).count();
    widths.iter().sum::<usize>() + GAP * shown.saturating_sub(1)
}

/// Lets the column of least weight go, of those of this rank or above, until the others have what they need. `false`: they have not.
fn let_go(
    widths: &mut [usize],
    columns: &[Column],
    rank: u8,
    room: usize,
    need: impl Fn(&[usize]) -> Vec<usize>,
) -> bool {
    while used(&need(widths)) > room {
        let shown = || (0..widths.len()).filter(|at| widths[*at] > 0);
        let last = shown().filter(|at| columns[*at].rank >= rank).max_by_key(|at| columns[*at].rank);
        match last {
            Some(last) if shown().count() > 1 => widths[last] = 0,
            _ => return false,
        }
    }
    true
}

/// Widths of the columns that are shown, 0 for those that are not: first who stays, then how wide. What matters less goes before
/// a state, a number or a name is cut.
pub fn fit(columns: &[Column], cells: &[usize], room: usize, all: bool) -> Vec<usize> {
    let mut widths = natural(columns, cells, all);
    // The place of the arrow beside a heading is the first to go.
    let tight = |at: usize| width(columns[at].title).max(cells[at]);
    let least = |widths: &[usize], of: fn(&Column) -> usize| -> Vec<usize> {
        let each = widths.iter().zip(columns).enumerate();
        each.map(|(at, (have, column))| if *have == 0 { 0 } else { tight(at).min(of(column)) }).collect()
    };
    let legible = |widths: &[usize]| least(widths, Column::legible);
    let at_all = |widths: &[usize]| least(widths, |column| column.min);
    let least = if let_go(&mut widths, columns, OPTIONAL, room, legible) {
        legible(&widths)
    } else {
        let_go(&mut widths, columns, 0, room, at_all);
        at_all(&widths)
    };
    while used(&widths) > room {
        // A sentence can be wrapped: it gives way before anything is cut; then what matters least.
        let gives = |at: &usize| widths[*at] > least[*at].max(1);
        let next =
            (0..widths.len()).filter(gives).max_by_key(|at| (columns[*at].wraps, columns[*at].rank, widths[*at]));
        match next {
            Some(at) => widths[at] -= 1,
            None => {
                // One column is left and even its least is too wide.
                widths.iter_mut().filter(|w| **w > 0).for_each(|w| *w = room);
                break;
            }
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::views::{column, middle, number, state};

    const COLUMNS: [Column; 5] = [
        middle("POD", 18, 0),
        state("STATUS", 16, 0),
        number("AGE", 4, 3),
        middle("IMAGE", 12, 7),
        column("REVISION", 8, 8),
    ];

    fn widths(cells: [usize; 5], room: usize) -> Vec<usize> {
        fit(&COLUMNS, &cells, room, false)
    }

    #[test]
    fn what_matters_least_gives_way_first() {
        let cells = [14, 18, 4, 30, 16];
        // Whole, with a place for the arrow beside AGE.
        assert_eq!(widths(cells, 90), [14, 18, 4, 30, 16]);
        // The revision is cut before the image, the image before all others; then they go in the same order.
        assert_eq!(widths(cells, 85), [14, 18, 4, 30, 11]);
        assert_eq!(widths(cells, 70), [14, 18, 4, 18, 8]);
        assert_eq!(widths(cells, 60), [14, 18, 4, 18, 0]);
        assert_eq!(widths(cells, 52), [14, 18, 4, 0, 0]);
        assert_eq!(widths(cells, 38), [14, 18, 0, 0, 0]);
    }

    #[test]
    fn a_state_is_not_cut_while_something_else_may_go() {
        for room in 36..200 {
            let widths = widths([14, 18, 4, 30, 16], room);
            assert_eq!(widths[1], 18, "{room}: {widths:?}");
            assert!(used(&widths) <= room, "{room}: {widths:?}");
        }
        // A number is whole, or not there.
        for room in 1..200 {
            let age = widths([30, 34, 9, 30, 16], room)[2];
            assert!(age == 0 || age >= 9, "{room}: {age}");
        }
        for room in 1..36 {
            assert!(used(&widths([14, 18, 4, 30, 16], room)) <= room, "{room}");
        }
    }
}
