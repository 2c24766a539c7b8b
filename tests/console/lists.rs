//! Keys in a list: its order, its filter, what stands beside it.

use crate::fixture::{options, press, scene};
use crate::keys::*;

/// A list of columns, and the sorted one says in which way; a second time turns it round.
#[test]
fn every_list_is_ordered_by_a_column_that_is_chosen() {
    check("members", "s", "members [pick ID]", "");
    check("members", "ssss<esc>", "members", "");
    said("members", "ss<enter>", "sorted by HEALTH; o turns it round");
    said("certificates", "s<enter>s<enter>", "sorted by LEFT");
    // A letter leads to the column that begins with it, and again to the next one.
    said("pods", "sr<enter>", "sorted by R");
    said("pods", "sx", "x does nothing here");
    let order = |name: &str, keys: &str| {
        let mut app = scene(name, options());
        press(&mut app, keys);
        (
            app.screen().order.map(|order| (order.column, order.reversed)),
            app.rows().iter().map(|row| row.key.clone()).collect::<Vec<_>>(),
        )
    };
    assert_eq!(order("members", "s<enter>").0, Some((0, false)));
    assert_eq!(order("members", "s<enter>s<enter>").0, Some((0, true)));
    assert_eq!(order("members", "s<enter>o").0, Some((0, true)));
    assert_eq!(order("members", "s<enter>sG<enter>").0, Some((0, true)), "G means nothing in the list");
    assert_eq!(order("members", "s<enter>s<up><enter>").0, Some((0, true)));
    // The overview keeps components together, and the worst of each comes first.
    let (_, plain) = order("overview", "");
    let (_, worst) = order("overview", "sj<enter>");
    let place = |rows: &[String], key: &str| rows.iter().position(|row| row == key);
    assert!(place(&plain, "tikv-0") < place(&plain, "tikv-1"), "{plain:?}");
    assert!(place(&worst, "tikv-1") < place(&worst, "tikv-0"), "{worst:?}");
    assert!(place(&worst, "pd-1") < place(&worst, "tikv-1"), "{worst:?}");
    let shown = |keys: &str| crate::questions::shown("members", keys, (120, 36));
    assert!(shown("s<enter>").contains("ID▲") && shown("s<enter>o").contains("ID▼"), "{}", shown("s<enter>"));
    assert!(crate::questions::shown("overview", "sj<enter>", (120, 36)).contains("<the worst first>"));
    assert!(crate::questions::shown("overview", "?", (120, 36)).contains("sort by a column"));
}

#[test]
fn help_names_what_no_key_leads_to() {
    for (keys, wanted) in [("?", ":read-only"), ("?", "⟨…⟩"), ("?", ":changes"), ("?", "-l k=v")] {
        let shown = crate::questions::shown("members", keys, (120, 40));
        assert!(shown.contains(wanted), "{wanted}: {shown}");
    }
}

#[test]
fn labels_and_ages_filter() {
    check("overview", ":pods<enter>/-l app.kubernetes.io/component=tidb<enter><enter>", "pod east/db/basic-tidb-0", "");
    let count = |name: &str, keys: &str| {
        let mut app = scene(name, options());
        press(&mut app, keys);
        app.rows().len()
    };
    let (all, tidb) = (count("pods", ""), count("pods", "/-l app.kubernetes.io/component=tidb<enter>"));
    assert_eq!(count("pods", "/-l app.kubernetes.io/component!=tidb<enter>"), all - tidb);
    assert!(tidb > 0 && count("pods", "/age>1s<enter>") + count("pods", "/!age>1s<enter>") == all);
    assert_eq!((count("pods", "/age>1d<enter>"), count("pods", "/age>9d<enter>")), (all, 0));
}

/// Who wrote which spec, and when, from the object itself; of the last hour, and on the pages that are about it.
#[test]
fn who_changed_which_spec_is_a_view() {
    let shown = |name: &str, keys: &str| crate::questions::shown(name, keys, (150, 60));
    let all = shown("overview", ":changes<enter>");
    for wanted in ["14m", "kubectl-edit", "spec.tikv.replicas", "kubectl-create", "spec.pd.replicas"] {
        assert!(all.contains(wanted), "{wanted}: {all}");
    }
    let mut app = scene("changes", options());
    press(&mut app, "/!ago>1h<enter>");
    assert_eq!(app.rows().iter().map(|row| row.key.as_str()).collect::<Vec<_>>(), ["tc east/db/basic kubectl-edit 0"]);
    check("changes", "<enter>", "tc east/db/basic", "");
    let page = shown("tidbclusters", "<enter>");
    assert!(page.contains("who wrote it") && page.contains("kubectl-edit (owns spec.tikv.replicas)"), "{page}");
}

#[test]
fn the_cursor_stays_on_its_object() {
    let mut app = scene("members", options());
    press(&mut app, "jj");
    let before = app.screen().key.clone();
    press(&mut app, "/basic-pd-0<enter>");
    assert_eq!(app.screen().key, before);
    let rows = app.rows();
    assert_eq!(app.cursor(&rows), Some(1));
}
