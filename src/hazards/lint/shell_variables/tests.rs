//! What sets a variable, and how a shell would replace it.

use super::*;
use crate::hazards::lint::shell_quotes::is_open;

fn set(line: &str) -> Vec<String> {
    let mut all = Variables::default();
    all.read(line);
    all.values.into_iter().map(|(name, value)| format!("{name}={}", value.unwrap_or("?".into()))).collect()
}

#[test]
fn what_sets_a_variable() {
    for (line, expected) in [
        ("a=1", &["a=1"][..]),
        ("a=\"x y\"   # a comment with b=2", &["a=x y"]),
        ("a=1; b=2", &["a=1", "b=2"]),
        ("a=1 && b='2 3'", &["a=1", "b=2 3"]),
        ("export a=1 b=2", &["a=1", "b=2"]),
        ("export a", &["a=?"]),
        ("local -r a=1 b", &["a=1", "b=?"]),
        ("declare -A a", &["a=?"]),
        ("readonly a=1", &["a=1"]),
        ("a=$(kubectl get secret x -o jsonpath='{.data.y}' | base64 -d)", &["a=?"]),
        ("a=`date +%s`; b=x", &["a=?", "b=x"]),
        ("a=x b=${a}-y", &["a=x", "b=x-y"]),
        ("a=${1:-east}", &["a=?"]),
        ("a=$1", &["a=?"]),
        ("for a in east west; do b=1; done", &["a=?", "b=1"]),
        ("while read -r a b; do", &["a=?", "b=?"]),
        ("read -p \"which domain? \" a", &["a=?"]),
        ("if ! read a; then exit 1; fi", &["a=?"]),
        ("mapfile -t a < <(kubectl get tc)", &["a=?"]),
        ("printf -v a '%s' x", &["a=?"]),
        ("getopts 'n:d:' a", &["a=?"]),
        ("a=1 kubectl get tc", &["a=1"]),
        ("env a=1 kubectl get tc", &["a=1"]),
        ("function f { local a=1; }", &["a=1"]),
        ("f() { local a=1", &["a=1"]),
        ("case $1 in -n) a=$2;; esac", &["a=?"]),
        ("if a=$(kubectl get tc); then", &["a=?"]),
        ("while IFS= read -r a; do", &["IFS=", "a=?"]),
        ("IFS=, read -ra a <<< \"$x\"", &["IFS=,", "a=?"]),
        ("for ((a=0; a<3; a++)); do", &["a=0"]),
        ("a+=x", &["a=x"]),
        ("a=(east west)", &["a="]),
        ("let \"a=1+1\"", &["a=?"]),
        ("echo a=1", &[]),
        ("# a=1", &[]),
        ("kubectl label tc x a=1", &[]),
        ("curl 'http://x/?a=1&b=2'", &[]),
        ("a=x >&2; b=y 2>&1", &["a=x", "b=y"]),
    ] {
        assert_eq!(set(line), expected, "{line}");
    }
}

#[test]
fn what_is_expected_from_outside_or_may_be_anything() {
    for line in [
        ": ${a:=y}",
        "x=\"${a:?give it}\"",
        "echo ${a-none}",
        "[ -z \"$a\" ] && exit 1",
        "if [[ -n ${a} ]]; then",
        "source ./env",
        ". ./env; b=1",
        "eval \"$(tool env)\"",
        "export $(grep -v '^#' .env | xargs)",
    ] {
        assert!(Variables::of(&[line.to_owned()]).is_set("a"), "{line}");
    }
    assert!(!Variables::of(&["b=1; echo $a".to_owned()]).is_set("a"));
    assert!(Variables::default().is_set("HOME"));
}

#[test]
fn variables_are_replaced_as_a_shell_would() {
    let lines = ["a=x; a_b=y", "c=$(date)"].map(str::to_owned);
    let mut all = Variables::of(&lines);
    lines.iter().for_each(|line| all.read(line));
    for (text, expected) in [
        ("${a}-$a_b", "x-y"),
        ("${b}.$b", "."),
        ("$ ${ $1 $@", "$ ${ $1 $@"),
        ("日本 ${a}", "日本 x"),
        ("${a", "${a"),
        ("${c}", "$c"),
        ("\\${b}", "\\${b}"),
        ("${b:-z}", "${b:-z}"),
        ("${var.site}", "${var.site}"),
    ] {
        assert_eq!(all.replace(text).0, expected, "{text}");
    }
}

#[test]
fn quotes_that_stay_open() {
    for (text, open) in [("-p '{", true), ("-p '{}'", false), ("\"it's\"", false), ("a \\' b", false), ("\"a", true)] {
        assert_eq!(is_open(text), open, "{text}");
    }
}
