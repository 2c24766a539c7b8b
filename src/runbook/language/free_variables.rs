//! Which names an expression takes from outside, read from its parsed form.
//!
//! `list.all(x, x.ok)` names `list`: what a macro binds is known inside it and nowhere else.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedExpr};

/// The free names of an expression.
pub(super) fn free(expression: &IdedExpr) -> BTreeSet<String> {
    let mut walk = Walk { bound: Vec::new(), free: BTreeSet::new() };
    walk.visit(expression);
    walk.free
}

struct Walk<'a> {
    /// Innermost last.
    bound: Vec<&'a str>,
    free: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, of: &'a IdedExpr) {
        match &of.expr {
            Expr::Unspecified | Expr::Literal(_) => {}
            Expr::Ident(name) => {
                if !self.bound.contains(&name.as_str()) {
                    self.free.insert(name.clone());
                }
            }
            Expr::Select(select) => self.visit(&select.operand),
            Expr::List(list) => list.elements.iter().for_each(|item| self.visit(item)),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.entry(&entry.expr)),
            Expr::Call(call) => {
                call.target.iter().map(|target| &**target).chain(&call.args).for_each(|of| self.visit(of))
            }
            Expr::Comprehension(of) => {
                self.visit(&of.iter_range);
                self.visit(&of.accu_init);
                let before = self.bound.len();
                self.bound.push(&of.accu_var);
                self.visit(&of.result);
                self.bound.extend([of.iter_var.as_str()].into_iter().chain(of.iter_var2.as_deref()));
                self.visit(&of.loop_cond);
                self.visit(&of.loop_step);
                self.bound.truncate(before);
            }
        }
    }

    fn entry(&mut self, entry: &'a EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.visit(&field.value),
            EntryExpr::MapEntry(entry) => {
                self.visit(&entry.key);
                self.visit(&entry.value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::runbook::language::cel_expr;

    #[test]
    fn names_that_macros_bind_are_their_own() {
        let cases: [(&str, &[&str]); 9] = [
            ("list.all(x, x.ok) && tc.spec.acrossK8s", &["list", "tc"]),
            ("list.all( x , x.ok )", &["list"]),
            ("list.map(x,\n x.n + y)", &["list", "y"]),
            ("list.filter(x, x.ok).size() > x", &["list", "x"]),
            ("x.all(x, x > 0)", &["x"]),
            ("list.exists(x, other.exists(y, y == x))", &["list", "other"]),
            ("has(tc.spec.paused) ? {'a': b} : {c: 1}", &["b", "c", "tc"]),
            ("quote(a) + 'x.all(n, n)'", &["a"]),
            ("list.exists_one(x, x == 1)", &["list"]),
        ];
        for (source, expected) in cases {
            let found = cel_expr::names(source).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(found.iter().map(String::as_str).collect::<Vec<_>>(), expected, "{source}");
        }
    }
}
