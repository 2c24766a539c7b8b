//! What is certain of a Corefile, and what stays open.

use super::*;
use crate::fleet::dns::Served;

/// What is said of `eu.example`, and the domains that are certain.
fn check(corefile: &str, domains: &[&str], eu: &str) {
    let dns = read(corefile);
    assert_eq!(dns.domains, domains, "{corefile}\n{dns:?}");
    assert_eq!(dns.serves("eu.example").word(), eu, "{corefile}\n{dns:?}");
    assert_eq!(dns.serves("eu.example"), dns.serves("EU.example."), "letters and the last dot do not count");
}

#[test]
fn every_zone_of_every_line_counts() {
    check(
        ".:53 {\n  errors\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n pods insecure\n }\n}",
        &["cluster.local"],
        "no",
    );
    check(
        ".:53 {\n kubernetes east.local eu.example in-addr.arpa ip6.arpa {\n pods insecure\n }\n}",
        &["east.local", "eu.example"],
        "yes",
    );
    check(". {\n kubernetes in-addr.arpa Cluster1.com. EU.example. {\n }\n}", &["cluster1.com", "eu.example"], "yes");
    check(
        ".:53 {\n kubernetes east.local 10.0.0.0/24\n}\neu.example:53 {\n kubernetes eu.example\n}",
        &["east.local", "eu.example"],
        "yes",
    );
    check(
        "eu.example east.local in-addr.arpa {\n kubernetes {\n pods insecure\n }\n}",
        &["eu.example", "east.local"],
        "yes",
    );
    check("dns://eu.example:53 tls://east.local {\n kubernetes\n}", &["eu.example", "east.local"], "yes");
    check("eu.example,\neast.local:53, 10.0.0.0/24\n{\n kubernetes { \n }\n}", &["eu.example", "east.local"], "yes");
    check(
        "(k8s) {\n kubernetes east.local eu.example\n}\n.:53 {\n import k8s\n}",
        &["east.local", "eu.example"],
        "yes",
    );
    check("# kubernetes eu.example\n.:53 {\n kubernetes east.local # eu.example\n}", &["east.local"], "no");
    check(".:53 {\n kubernetes \"eu.example\" east.local\n}", &["eu.example", "east.local"], "yes");
    // Braces are words, on whichever line.
    check(
        ". { kubernetes east.local { pods insecure } }\neu.example { kubernetes { } }",
        &["east.local", "eu.example"],
        "yes",
    );
    check(
        ".:53 {\r\n\tkubernetes east.local {\r\n\tpods insecure }\r\n\tcache 30 }\r\neu.example:53\r\n{\r\n\tkubernetes\r\n}",
        &["east.local", "eu.example"],
        "yes",
    );
    // A file of one block needs no braces.
    check(".:53\nerrors\nkubernetes east.local eu.example\n", &["east.local", "eu.example"], "yes");
}

#[test]
fn what_may_answer_in_another_way_leaves_it_open() {
    let root = |line: &str| {
        format!(".:53 {{\n errors\n kubernetes east.local in-addr.arpa\n {line}\n forward . /etc/resolv.conf\n}}\n")
    };
    for line in [
        "rewrite stop {\n name suffix .eu.example .east.local answer auto\n }",
        "rewrite name suffix .eu.example. .east.local. answer auto",
        "rewrite name suffix .example .east.local",
        "rewrite name regex (.*)\\.eu\\.example {1}.east.local",
        "rewrite continue name substring eu east",
        "template IN A eu.example {\n answer \"{{ .Name }} 60 IN A 10.0.0.1\"\n }",
        "template IN ANY {\n rcode NXDOMAIN\n }",
        "import custom/*.override",
        "import /etc/coredns/custom/*.override",
        "forward eu.example 10.0.0.53",
        "file /etc/coredns/db.eu eu.example",
        "auto eu.example {\n directory /etc/zones\n }",
        "etcd eu.example",
        "alternate original NXDOMAIN . 10.0.0.53",
        "kubernetai eu.example",
        "k8s_external eu.example",
    ] {
        check(&root(line), &["east.local"], "unknown");
    }
    for line in [
        "rewrite name suffix .asia.example .east.local",
        "rewrite type ANY HINFO",
        "rewrite name foo.example.com foo.default.svc.east.local",
        "rewrite stop name exact foo.example.com foo.default.svc.east.local",
        "forward asia.example 10.0.0.53",
        "file /etc/coredns/db.asia asia.example",
        "template IN A asia.example",
        "hosts {\n 10.0.0.1 host.minikube.internal\n fallthrough\n }",
        "autopath @kubernetes",
        "# import custom",
    ] {
        check(&root(line), &["east.local"], "no");
    }
    check(&format!("{}eu.example:53 {{\n forward . 10.0.0.53\n}}", root("")), &["east.local"], "unknown");
    check(&format!("{}import ../custom/*.server", root("")), &["east.local"], "unknown");
    check(&format!("{}{{$MORE}}:53 {{\n kubernetes\n}}", root("")), &["east.local"], "unknown");
    check(".:53 {\n kubernetes {$CLUSTER_DOMAIN} east.local\n}", &["east.local"], "unknown");
    // Another namespace's names that lie in another cluster say nothing of the domain.
    check(&format!("{}db.svc.east.local:53 {{\n forward . 10.0.0.53\n}}", root("")), &["east.local"], "no");
    // The other cluster's API.
    check(
        ".:53 {\n kubernetes east.local\n}\neu.example {\n kubernetes {\n kubeconfig /etc/other\n }\n}",
        &["east.local"],
        "unknown",
    );
    // A longer key takes the queries away.
    check(
        ".:53 {\n kubernetes east.local eu.example\n}\neu.example {\n forward . 10.0.0.53\n}",
        &["east.local"],
        "unknown",
    );
}

#[test]
fn what_pods_do_not_ask_is_not_certain() {
    // `view`: who asks decides. Another port: the Service of DNS leads to one.
    let root = |port: &str, line: &str| format!(".{port} {{\n kubernetes east.local\n {line}\n}}\n");
    check(&root(":53", "view internal {\n expr true\n }"), &[], "unknown");
    check(&format!("{}eu.example:5353 {{\n kubernetes\n}}", root(":53", "")), &["east.local"], "unknown");
    check(&format!("{}eu.example:5353 {{\n kubernetes\n}}", root("", "")), &["east.local"], "unknown");
    check(&format!("{}eu.example:5353 {{\n kubernetes\n}}", root(":5353", "")), &["east.local", "eu.example"], "yes");
    check(&root(":5353", ""), &["east.local"], "no");
    check("eu.example:5353 east.local:5353 {\n kubernetes\n}", &["eu.example", "east.local"], "yes");
    // Any zone at all.
    check(".:53 {\n kubernetes\n}", &[], "unknown");
    assert!(matches!(read(".:53 {\n kubernetes\n}").serves("x"), Served::Unknown(why) if why.contains("`kubernetes`")));
}

#[test]
fn nothing_read_is_nothing_known() {
    for text in [
        "",
        "kubernetes {",
        "# kubernetes x\n",
        ".:53 {\n forward . /etc/resolv.conf\n}",
        "}}}{{{",
        ".:53 {\n kubernetes {",
    ] {
        assert!(!matches!(read(text).serves("eu.example"), Served::Yes | Served::No), "{text}: {:?}", read(text));
    }
}
