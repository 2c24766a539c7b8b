//! Texts made to cost: what they would become has no end, and the lint ends all the same, in time and in memory.
//!
//! Clocks are forbidden in this room, so a test that would not end says so by never ending; `benches/hostile.rs` measures.

use super::*;
use crate::hazards::lint::limits::OBJECTS;

fn judged(text: String) -> Checked {
    lint(&[Text { file: "f.sh".into(), text }])
}

/// `kubectl apply` of an object with this in it.
fn applied(before: &str, value: &str) -> String {
    format!("{before}kubectl apply -f - <<EOF\napiVersion: v1\nkind: ConfigMap\ndata:\n  x: \"{value}\"\nEOF\n")
}

#[test]
fn doubling_variables_are_followed_only_so_far() {
    let doubled: String = (1..60).map(|n| format!("a{n}=$a{0}$a{0}\n", n - 1)).collect();
    let on_one_line: String = (1..60).map(|n| format!("a{n}=$a{0}$a{0} ", n - 1)).collect();
    let through_export: String = (1..60).map(|n| format!("export a{n}=\"${{a{0}}}${{a{0}}}\"\n", n - 1)).collect();
    // Each is short, and there are many of them.
    let beside: String = (0..20_000).map(|n| format!("b{n}=$a12\n")).collect();
    let wide = "${a12}".repeat(100_000);
    let documents: String = (0..20_000).map(|_| "cat <<E | kubectl apply -n $a12 -f -\nkind: $a12\nE\n").collect();
    for (what, text) in [
        ("lines", applied(&format!("a0=x\n{doubled}"), "${a59}")),
        ("one line", applied(&format!("a0=x {on_one_line}\n"), "${a59}")),
        ("export", applied(&format!("a0=x\n{through_export}"), "${a59}")),
        ("many copies", applied(&format!("a0=x\n{doubled}{beside}"), "${b1}")),
        ("many uses", applied(&format!("a0=x\n{doubled}"), &wide)),
        ("many documents", format!("a0=x\n{doubled}{documents}")),
    ] {
        let checked = judged(text);
        assert!(
            checked.unseen.iter().any(|said| said.contains("more text than is followed")),
            "{what}: {:?}",
            checked.unseen
        );
    }
    // What people write is followed as before, and nothing is said.
    let checked = judged(applied("a=x\nb=$a$a\nc=$b$b\n", "${c}"));
    assert!(!checked.unseen.iter().any(|said| said.contains("followed")), "{:?}", checked.unseen);
}

#[test]
fn what_is_nested_without_end_is_not_followed_without_end() {
    for opens in ["$(", "$(kubectl ", "${", "\"$(", "`$(", "x=$(kubectl get \"$(", "a=\"$("] {
        let text = opens.repeat(20_000);
        judged(format!("kubectl get {text}\n"));
        judged(format!("#!/bin/sh\nx={text}\n"));
        judged(format!("#!/bin/sh\n{}", format!("x={opens}\n").repeat(5_000)));
    }
    // Each of these was looked at once for every way to reach it.
    let nested = "$(kubectl get ".repeat(60) + &")".repeat(60);
    let checked = judged(format!("kubectl get {nested}\nkubectl patch tc x -p 1\n"));
    assert!(!checked.findings.is_empty(), "{checked:?}");
}

#[test]
fn many_of_a_kind_on_a_line_or_without_an_end() {
    for text in [
        "kubectl get tc;".repeat(100_000),
        format!("#!/bin/sh\n{}", "cat <<a\n".repeat(100_000)),
        format!("#!/bin/sh\n{}", (0..100_000).map(|n| format!("cat <<a{n}\n")).collect::<String>()),
        format!("#!/bin/sh\n{}", "a=\"\n".repeat(200_000)),
        format!("#!/bin/sh\n{}", "a=$b ".repeat(200_000)),
        applied("b=1\n", &(0..100_000).map(|n| format!("${{a{n}}} $b ")).collect::<String>()),
        format!("#!/bin/sh\ncat <<E | kubectl apply -f -\nkind: {}\nE\n", "${".repeat(500_000)),
    ] {
        judged(text);
    }
}

#[test]
fn too_much_is_said_not_judged_in_silence() {
    let shell = judged(format!("#!/bin/sh\n{}", "kubectl get tc\n".repeat(200_000)));
    assert!(shell.unseen[0].contains("bytes of shell text, and at most"), "{:?}", shell.unseen);
    let one = |n| {
        format!(
            "apiVersion: pingcap.com/v1alpha1\nkind: TidbCluster\nmetadata: {{name: a{n}, namespace: n}}\nspec: {{cluster: {{name: a{}}}}}\n---\n",
            n + 1
        )
    };
    let many = judged((0..1_007).map(one).collect());
    assert!(many.unseen.iter().any(|said| said.starts_with("7 more TidbClusters are not judged")), "{:?}", many.unseen);
    let flow = format!("kind: TidbClusterList\nitems: [{}]\n", "{kind: X},".repeat(OBJECTS + 5));
    let flow = judged(flow);
    assert!(flow.unseen.iter().any(|said| said.starts_with("5 more objects are not judged")), "{:?}", flow.unseen);
}
