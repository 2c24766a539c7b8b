//! How many regions a store touches, and what PD counts of its whole Database: a section of a page.
//!
//! Not here: asking PD (`app::region_counts_refresh`), the list (`app::views::regions`).

use super::labelled_page::Sheet;
use super::theme::Role;
use crate::app::App;
use crate::app::region_counts_refresh::{is_away, level_of, meaning};
use crate::app::status_level::{Level, age};
use crate::app::views::grouped;
use crate::fleet::database::StoreRow;
use crate::fleet::region_health_counts::RegionCheck;
use crate::pluralize::{has, noun};

/// Of one store: regions with a peer there, then PD's counts with their age, and the word that leads to all of them.
pub fn section(app: &App, sheet: &mut Sheet, row: &StoreRow) {
    let store = &row.store;
    sheet.section("regions");
    let level = if is_away(row) { Level::Bad } else { Level::Good };
    let count = store.region_count;
    let (noun, has) = (noun(&count, "region"), has(count));
    let words = format!("{} {noun} {has} a peer on this store", grouped(count));
    sheet.level("here", level, &words);
    let mine = app.databases().iter().find(|all| all.stores.iter().any(|other| std::ptr::eq(other, row)));
    let Some(database) = mine else { return };
    if let Some(told) = app.majority_at_risk(database) {
        sheet.level("majority", Level::Bad, &told);
    }
    let Some(counts) = app.region_counts(database) else {
        return sheet.styled("in all", "PD has not been asked yet how many regions lack a peer: :regions", Role::Dim);
    };
    for check in RegionCheck::ALL {
        match counts.count(check) {
            Some(count) => {
                let old = counts.counts.get(&check).is_some_and(|(_, at)| *at < counts.asked);
                let level = if old { Level::Unknown } else { level_of(check, count) };
                let number = i64::try_from(count).map_or_else(|_| count.to_string(), grouped);
                sheet.level(check.word(), level, &format!("{number} {}", meaning(check)));
            }
            None => sheet.level(check.word(), Level::Unknown, "not told by PD"),
        }
    }
    let Some(oldest) = counts.oldest() else {
        sheet.line("asked", &format!("{} ago, in vain (:regions)", age(counts.asked, app.now)));
        return counts.gaps.iter().for_each(|why| sheet.level("why", Level::Unknown, why));
    };
    sheet.line("counted", &format!("by PD, {} ago (:regions)", age(oldest, app.now)));
    if !counts.complete() {
        sheet.level("since then", Level::Unknown, &format!("asked {} ago, in vain", age(counts.asked, app.now)));
        counts.gaps.iter().for_each(|why| sheet.level("why", Level::Unknown, why));
    }
}
