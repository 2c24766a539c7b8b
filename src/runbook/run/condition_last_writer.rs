//! Who set what an expression reads, for a condition that does not hold any more.
//!
//! Pure. Not here: reading `managedFields` ([`crate::fleet::managed_fields`]).

use crate::fleet::ObjectRef;
use crate::fleet::database::parts_of;
use crate::fleet::managed_fields::last_writer_of_fields;
use crate::runbook::facts::Query;
use crate::runbook::plan::fact_evaluation::Facts;

/// Who set what an expression reads: fields of a TidbCluster that it names through a fact, and `paused` of all of them.
pub(in crate::runbook) fn of_check(facts: &Facts<'_>, source: &str, target: &ObjectRef) -> Option<String> {
    let of_query = |query: Query| facts.runbook.facts.iter().filter(move |(_, fact)| fact.query == query);
    for (name, fact) in of_query(Query::TidbCluster) {
        let fields = read_fields(source, name);
        let Some(tc) =
            facts.of(fact).ok().and_then(|of| of.all().into_iter().find_map(|of| facts.seen.fleet.tidb_cluster(&of)))
        else {
            continue;
        };
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        if !fields.is_empty()
            && let Some(who) = last_writer_of_fields(tc, &fields)
        {
            return Some(who);
        }
    }
    if !source.contains(".paused") {
        return None;
    }
    let all = parts_of(&facts.seen.fleet, target);
    let paused = all.iter().filter_map(|of| facts.seen.fleet.tidb_cluster(of)).filter(|tc| tc.paused());
    paused.filter_map(|tc| last_writer_of_fields(tc, &["spec.paused"])).next()
}

/// `spec.paused` of `tc.spec.paused`.
fn read_fields(source: &str, fact: &str) -> Vec<String> {
    let start = format!("{fact}.spec.");
    let ident = |rest: &str| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    source.match_indices(&start).map(|(at, _)| format!("spec.{}", ident(&source[at + start.len()..]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_out_of_an_expression() {
        assert_eq!(read_fields("!has(tc.spec.paused) || !tc.spec.paused", "tc"), ["spec.paused", "spec.paused"]);
        assert_eq!(read_fields("pd.size < 3", "tc"), Vec::<String>::new());
    }
}
