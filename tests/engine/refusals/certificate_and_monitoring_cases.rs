//! The other half of the table of [`super::cases`]: certificates, and monitoring.

use serde_json::json;
use tidepilot::fleet::certificate_facts::{FACTS_KEY, SecretFacts};
use tidepilot::fleet::object_kind::{Lookup, ObjectKind};

use super::case::{
    CA, CERT_MANAGER, CERT_MANAGER_AND_COPY, CERTIFICATES, Case, DEPLOY, JOIN, JOINED, MONITOR, OPENING, RENEW, case,
    given,
};
use super::worlds::World;

pub const CERTIFICATE_AND_MONITORING_CASES: &[Case] = &[
    // TLS.
    given(&[DEPLOY], "certificates-there", "prod-west-pd-cluster-secret", &[("tls", "true")]),
    given(&[DEPLOY, JOIN], "server-certificate-there", "prod-west-tidb-server-secret", &[("tlsClient", "true")]),
    case(&[JOINED], "certificates-there", "prod-west-pd-cluster-secret", |w| {
        w.sees(ObjectKind::Secret, "west/prod/prod-west-pd-cluster-secret", Lookup::Absent);
    }),
    case(OPENING, "certificates-cover-the-names", "prod-west-pd-cluster-secret", |w| {
        w.sees(ObjectKind::Secret, "west/prod/prod-west-pd-cluster-secret", Lookup::Absent);
    }),
    case(&[JOINED], "one-authority", "prod-east", |w| {
        w.secret("west/prod/prod-west-cluster-client-secret", |facts| facts["signedBy"] = json!("another"));
    }),
    case(&[CERTIFICATES], "ca-there", "prod-east-ca-secret", |w| {
        w.sees(ObjectKind::Secret, "east/prod/prod-east-ca-secret", Lookup::Absent);
    }),
    given(&[CERTIFICATES], "components-known", "No component", &[("components", ",")]),
    given(&[CA, CERTIFICATES, RENEW], "folder-for-cfssl", "no folder", &[("method", "cfssl")]),
    case(&[CERTIFICATES, RENEW], "ca-has-another-name", "organization=PingCAP-certificates", |w| {
        w.secret("east/prod/prod-east-ca-secret", |facts| {
            facts["certificate"]["subject"] = json!("O=pingcap, CN=TiDB")
        });
    })
    .with(&[("method", "cfssl"), ("folder", "./x")]),
    case(&[CA, CERTIFICATES], "cert-manager-there", "v1beta1", |w| {
        w.cluster("west").more.cert_manager = Some(vec!["v1beta1".into()]);
    })
    .with(CERT_MANAGER),
    case(&[CA], "other-cert-manager-there", "v1alpha3", |w| {
        w.cluster("north").more.cert_manager = Some(vec!["v1alpha3".into()]);
    })
    .with(CERT_MANAGER_AND_COPY),
    case(&[CA], "other-namespace-there", "namespace prod in north", |w| w.no_namespace("north"))
        .with(&[("copyTo", "north/prod/prod-north")]),
    case(&["issue-ca/again", CERTIFICATES], "certificates-last", "prod-east-ca-secret", World::ages_later),
    // Renewing.
    given(&[RENEW], "domain-as-in-spec", "east.local", &[("clusterDomain", "new.local")]),
    given(&[RENEW], "common-name-as-now", "lets in only TiDB", &[("commonName", "other")]),
    case(&[RENEW], "common-name-as-now", "east/prod/prod-east (PD) lets in only TiDB", |w| {
        let config = json!({"security": {"cert-allowed-cn": ["TiDB"]}});
        w.tc().spec.pd.as_mut().expect("PD").config = serde_json::from_value(config).expect("an object");
    })
    .with(&[("commonName", "other")]),
    case(&[RENEW], "tls-is-on", "prod-east", World::without_tls),
    case(&[RENEW], "whole-database-seen", "north", World::lost),
    case(&[RENEW], "certificates-seen", "prod-east-pd-cluster-secret", |w| {
        w.sees(ObjectKind::Secret, "east/prod/prod-east-pd-cluster-secret", Lookup::Unseen("forbidden".into()));
    }),
    case(&[RENEW], "not-kept-by-cert-manager", "prod-east-pd-cluster-secret", |w| {
        w.kept("east/prod/prod-east-pd-cluster-secret");
    }),
    case(&[RENEW], "ca-there", "prod/prod-east-ca-secret in east", |w| {
        w.sees(ObjectKind::Secret, "east/prod/prod-east-ca-secret", Lookup::Absent);
    }),
    case(&[RENEW], "ca-can-sign", "prod-east-ca-secret (CA): its certificate expired", |w| {
        w.secret("east/prod/prod-east-ca-secret", |facts| {
            facts["certificate"]["notAfter"] = json!("2020-01-01T00:00:00Z");
        });
    }),
    case(&[RENEW], "ca-is-trusted", "west/prod/prod-west: prod-west-pd-cluster-secret", |w| {
        w.secret("east/prod/prod-east-ca-secret", |facts| facts["certificate"]["publicKey"] = json!("another"));
    }),
    case(&[RENEW], "mysql-with-its-own-ca", "prod-east-ca-secret", |w| {
        let secret = json!({FACTS_KEY: SecretFacts::default()});
        w.sees(ObjectKind::Secret, "east/prod/prod-east-tidb-server-secret", Lookup::Present(secret));
    }),
    case(&[RENEW], "ca-lasts", "prod-east-ca-secret", World::ages_later),
    // Monitoring.
    given(&[MONITOR], "label-is-not-hidden", "tidb_cluster", &[("label", "tidb_cluster")]),
    given(&[MONITOR], "label-can-be-a-name", "kube-cluster", &[("label", "kube-cluster")]),
    given(&[MONITOR], "dashboards-know-several-clusters", "v5.4.0", &[("initializerVersion", "v5.4.0")]),
    given(
        &[MONITOR],
        "something-to-monitor",
        "nothing to monitor",
        &[("leaveOut", "east/prod/prod-east,west/prod/prod-west")],
    ),
    case(&[MONITOR], "query-finds-the-others", "prod-west", |w| w.other().spec.cluster_domain = None),
    given(&[MONITOR], "history-is-kept", "storage", &[("storage", "")]),
    given(&[MONITOR], "dashboards-choose-by-this-label", "place", &[("label", "place"), ("grafanaSecret", "grafana")]),
    given(&[MONITOR], "pushed-somewhere", "found nothing", &[("method", "remote-write")]),
    given(
        &[MONITOR],
        "pushed-somewhere",
        "found one with an @",
        &[("method", "remote-write"), ("remoteWriteUrl", "http://me:secret@receiver/")],
    ),
    given(&[MONITOR], "retention-is-a-duration", "15d; sh", &[("retention", "15d; sh")]),
    given(&[MONITOR], "inputs-of-this-method", "federation", &[("method", "federation"), ("objectStorageSecret", "s")]),
    given(&[MONITOR], "inputs-of-this-method", "thanos-query", &[("remoteWriteUrl", "http://receiver")]),
    given(
        &[MONITOR],
        "grafana-has-a-source",
        "'http://q\",x'",
        &[
            ("method", "remote-write"),
            ("remoteWriteUrl", "http://receiver"),
            ("globalGrafanaSecret", "grafana"),
            ("queryUrl", "http://q\",x"),
        ],
    ),
    given(
        &[MONITOR],
        "push-secret-there",
        "west/prod/push",
        &[("method", "remote-write"), ("remoteWriteUrl", "http://receiver"), ("remoteWriteSecret", "push")],
    ),
    case(&[MONITOR], "push-secret-seen", "west/prod/push", |w| w.unread_secret("west/prod/push")).with(&[
        ("method", "remote-write"),
        ("remoteWriteUrl", "http://receiver"),
        ("remoteWriteSecret", "push"),
    ]),
    case(&[MONITOR], "bucket-secret-seen", "east/prod/bucket", |w| w.unread_secret("east/prod/bucket"))
        .with(&[("objectStorageSecret", "bucket")]),
    case(&[MONITOR], "grafana-secret-seen", "west/prod/grafana", |w| w.unread_secret("west/prod/grafana"))
        .with(&[("grafanaSecret", "grafana")]),
    case(&[MONITOR], "global-grafana-secret-seen", "east/prod/grafana", |w| w.unread_secret("east/prod/grafana"))
        .with(&[("globalGrafanaSecret", "grafana")]),
    given(&[MONITOR], "bucket-secret-there", "east/prod/bucket", &[("objectStorageSecret", "bucket")]),
    given(&[MONITOR], "grafana-secret-there", "west/prod/grafana", &[("grafanaSecret", "grafana")]),
    given(&[MONITOR], "global-grafana-secret-there", "east/prod/grafana", &[("globalGrafanaSecret", "grafana")]),
    given(&[MONITOR], "federation-keeps-little", "no volume", &[("method", "federation")]),
];
