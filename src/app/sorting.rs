//! By which column a list is ordered, chosen from a list of columns or by a click on a heading, and turned round; and how its rows
//! are put in that order.
//!
//! The overview is no table: its instances stay below their component, in their order or with the worst first. Not here: when
//! the rows in front are put in order ([`super::visible_rows`]), the sign in the heading (`console::table`).

use super::port_forwards::{Pick, Picked};
use super::status_level::Level;
use super::views::{Item, Row};
use super::{App, Dialog, View};

/// By which column a view is ordered, and whether the other way round than that column begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    pub column: usize,
    pub reversed: bool,
}

/// What the overview is ordered by, within each component.
const OF_INSTANCES: [&str; 2] = ["INSTANCE", "STATE"];

impl App {
    /// The columns of the view in front by which it can be ordered, each with its place.
    pub(super) fn sortable(&self) -> Vec<(usize, &'static str)> {
        let titles: Vec<&'static str> = match self.view() {
            View::Overview => OF_INSTANCES.to_vec(),
            view => view.spec().columns.iter().map(|column| column.title).collect(),
        };
        titles.into_iter().enumerate().filter(|(_, title)| !title.is_empty()).collect()
    }

    /// Asks for the column. The one that it is ordered by is in focus: enter turns it round.
    pub(super) fn choose_order(&mut self) {
        let (columns, now) = (self.sortable(), self.screen().order);
        let at = columns.iter().position(|(at, _)| now.is_some_and(|order| order.column == *at)).unwrap_or(0);
        let about = |at: usize| match now.filter(|order| order.column == at) {
            Some(_) => "sorted by it; enter turns it round",
            None => "",
        };
        let pick = |(at, title): (usize, &str)| Pick {
            label: title.to_owned(),
            about: about(at).to_owned(),
            then: Picked::Order(Some(at)),
        };
        let mut items: Vec<Pick> = columns.into_iter().map(pick).collect();
        if now.is_some() {
            let label = "as the view has it".to_owned();
            items.push(Pick { label, about: String::new(), then: Picked::Order(None) });
        }
        self.dialog = Some(Dialog::Pick { title: "sort by which column?".into(), at, items });
    }

    /// Orders by a column; by the same one again turns it round.
    pub(super) fn order_by(&mut self, column: Option<usize>) {
        let columns = self.sortable();
        let title = column.and_then(|at| columns.iter().find(|(known, _)| *known == at)).map(|(_, title)| *title);
        let screen = self.screen_mut();
        screen.order = column.filter(|_| title.is_some()).map(|column| Order {
            column,
            reversed: screen.order.is_some_and(|order| order.column == column && !order.reversed),
        });
        match title {
            Some(title) => self.say(Level::Done, format!("sorted by {title}; o turns it round")),
            None => self.say(Level::Done, "in the order of the view"),
        }
    }

    pub(super) fn reverse_sort(&mut self) {
        match &mut self.screen_mut().order {
            Some(order) => order.reversed = !order.reversed,
            None => self.say(Level::Unknown, "nothing is sorted yet: s sorts by a column"),
        }
    }

    /// How the overview is ordered, where a person asked for it; a table says it in its heading.
    pub fn order_of_instances(&self) -> Option<&'static str> {
        let order = self.screen().order.filter(|_| *self.view() == View::Overview)?;
        Some(match (order.column, order.reversed) {
            (0, false) => "instances in their order",
            (0, true) => "instances from the last",
            (_, false) => "the worst first",
            (_, true) => "the best first",
        })
    }
}

/// Whether the greatest stands on top: numbers begin with it, words with A.
pub fn descends(rows: &[Row], order: Order) -> bool {
    let numbers = rows.iter().any(|row| row.cells.get(order.column).is_some_and(|cell| cell.number.is_some()));
    numbers != order.reversed
}

/// Instances stay below their component: in their order (column 0), or the worst first.
pub(super) fn sort_instances(rows: &mut [Row], order: Order) {
    let component = |row: &Row| match &row.item {
        Item::Instance(instance) => Some(instance.component),
        _ => None,
    };
    for part in rows.chunk_by_mut(|one, other| component(one) == component(other)) {
        if order.column > 0 {
            part.sort_by_key(|row| std::cmp::Reverse(row.level));
        }
        if order.reversed {
            part.reverse();
        }
    }
}

/// Numbers begin with the greatest, words with A. Rows that are equal keep their order.
pub(super) fn sort(rows: &mut [Row], order: Order) {
    let cell = |row: &Row| {
        let cell = row.cells.get(order.column);
        (cell.and_then(|cell| cell.number), cell.map(|cell| cell.text().to_lowercase()).unwrap_or_default())
    };
    rows.sort_by(|one, other| {
        let ((number, text), (other_number, other_text)) = (cell(one), cell(other));
        let so = other_number.cmp(&number).then_with(|| text.cmp(&other_text));
        if order.reversed { so.reverse() } else { so }
    });
}
