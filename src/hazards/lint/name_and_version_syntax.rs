//! What single texts are: names that DNS cannot carry, versions that are none, and `max-replicas` of a configuration.
//!
//! Tables over strings; which field they are asked about is [`crate::hazards::lint::tidbcluster_spec`]'s. Not here: what a placeholder looks
//! like ([`super::placeholders`]).

use serde_json::Value;

/// Why a text can be no DNS domain of a Kubernetes cluster.
pub fn domain_fault(domain: &str) -> Option<&'static str> {
    let shape = if domain.contains("://") {
        Some("is a URL, and the domain is only a name")
    } else if domain.contains(char::is_whitespace) {
        Some("has a blank in it")
    } else if domain.contains('/') || domain.contains(':') {
        Some("has a port or a path in it, and the domain is only a name")
    } else if domain.starts_with('.') || domain.ends_with('.') {
        Some("has a dot at its end or beginning; it is written without")
    } else if domain == "svc" || domain.starts_with("svc.") || domain.contains(".svc.") || domain.ends_with(".svc") {
        Some("has svc in it, which the operator puts before it by itself: the names would read .svc.svc.")
    } else if domain.chars().any(|c| c.is_ascii_uppercase()) {
        Some("has upper case letters; the names in certificates, in PD and in Kubernetes are lower case")
    } else {
        None
    };
    shape.or_else(|| name_fault(domain, 253)).or_else(|| {
        let numbers = domain.split('.').all(|label| label.chars().all(|c| c.is_ascii_digit()));
        numbers.then_some("is an address, and the domain is a name")
    })
}

/// Why a text can be no name of an object or namespace.
pub fn name_fault(name: &str, longest: usize) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.len() > longest {
        return Some("is longer than a DNS name can be");
    }
    for label in name.split('.') {
        if label.is_empty() {
            return Some("has an empty part between two dots");
        }
        if label.len() > 63 {
            return Some("has a part of more than 63 letters");
        }
        if !label.chars().all(allowed) {
            return Some("has letters that DNS names do not have (a to z, 0 to 9, - and . are allowed)");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some("has a part that begins or ends with a dash");
        }
    }
    None
}

/// What is wrong with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFault {
    /// No image can have such a tag.
    NoTag,
    /// A tag, but none that says which version it is.
    NoVersion,
}

pub fn version_fault(version: &str) -> Option<VersionFault> {
    let tag = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let first = version.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if !first || version.len() > 128 || !version.chars().all(tag) {
        return Some(VersionFault::NoTag);
    }
    // `v7.5.3`, `7.5.3-pre`, and what builds of one's own put before it: `release-7.5.3`.
    let digits = version.split(|c: char| !c.is_ascii_digit() && c != '.').any(|part| {
        let numbers: Vec<&str> = part.split('.').filter(|number| !number.is_empty()).collect();
        numbers.len() >= 3
    });
    (!digits).then_some(VersionFault::NoVersion)
}

/// `replication.max-replicas` of PD's configuration, written as an object or as TOML.
pub fn max_replicas(config: &Value) -> Option<i64> {
    const SECTION: &str = "replication";
    const KEY: &str = "max-replicas";
    let number = |value: &Value| value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    let Some(toml) = config.as_str() else {
        return config
            .get(SECTION)
            .and_then(|section| section.get(KEY))
            .or_else(|| config.get("replication.max-replicas"))
            .and_then(number);
    };
    let mut section = String::new();
    let digits = |text: &str| {
        let text = text.trim_start().trim_start_matches('=').trim_start().trim_start_matches(['"', '\'']);
        let number: String =
            text.chars().take_while(|c| c.is_ascii_digit() || *c == '_').filter(|c| *c != '_').collect();
        number.parse::<i64>().ok()
    };
    for line in toml.lines() {
        let line = line.split('#').next().unwrap_or_default().trim();
        if let Some(name) = line.strip_prefix('[') {
            section = name.trim_end_matches(']').trim().trim_matches(['"', '\'']).to_owned();
            continue;
        }
        let Some((key, value)) = line.split_once('=') else { continue };
        let key = key.trim().replace(['"', '\'', ' '], "");
        let whole = if section.is_empty() { key } else { format!("{section}.{key}") };
        if whole == format!("{SECTION}.{KEY}") {
            return digits(value);
        }
        // `replication = { max-replicas = 1 }`
        if whole == SECTION
            && let Some(at) = value.find(KEY)
        {
            return digits(value[at + KEY.len()..].trim_start_matches(['"', '\'']));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn domains() {
        for good in ["cluster.local", "eu.example", "k8s", "a-1.b2.internal", "svcs.example", "eu.svc-net.example"] {
            assert_eq!(domain_fault(good), None, "{good}");
        }
        for bad in [
            "http://eu.example",
            "https://x",
            "eu.example:53",
            "eu.example/",
            ".eu.example",
            "eu.example.",
            "Eu.Example",
            "eu example",
            " eu.example",
            "svc.eu.example",
            "svc",
            "pd.db.svc.eu.example",
            "db.svc",
            "eu_example",
            "eu..example",
            "-eu.example",
            "eu-.example",
            "10.0.0.1",
            "*.eu.example",
            "eu,example",
            "münchen.example",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example",
        ] {
            assert!(domain_fault(bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn versions() {
        for good in [
            "v7.5.3",
            "7.5.3",
            "v8.5.0-pre",
            "v5.4.0-20220101",
            "v6.1.0-alpha-42-gabcdef",
            "release-7.5.3",
            "v7.5.3-arm64",
        ] {
            assert_eq!(version_fault(good), None, "{good}");
        }
        for bad in ["v7 .5.3", "v7.5.3 ", "", "v7.5.3\n", "v7,5,3", ":v7.5.3", "-v7", "pingcap/tidb:v7.5.3"] {
            assert_eq!(version_fault(bad), Some(VersionFault::NoTag), "{bad}");
        }
        for bad in ["latest", "nightly", "v7", "v7.5", "master", "7"] {
            assert_eq!(version_fault(bad), Some(VersionFault::NoVersion), "{bad}");
        }
    }

    #[test]
    fn copies() {
        for (config, expected) in [
            (json!({"replication": {"max-replicas": 1}}), Some(1)),
            (json!({"replication": {"max-replicas": "2"}}), Some(2)),
            (json!({"replication": {"location-labels": []}}), None),
            (json!("[replication]\n  max-replicas = 1\n"), Some(1)),
            (
                json!("[log]\nlevel = \"info\"\n[replication]\nlocation-labels = [\"a\"]\nmax-replicas=5 # five"),
                Some(5),
            ),
            (json!("replication.max-replicas = 2"), Some(2)),
            (json!("\"replication\".\"max-replicas\" = 2"), Some(2)),
            (json!("replication = { max-replicas = 1, strictly-match-label = true }"), Some(1)),
            (json!("# [replication]\n# max-replicas = 1"), None),
            (json!("[schedule]\nmax-replicas = 1"), None),
            (json!({}), None),
        ] {
            assert_eq!(max_replicas(&config), expected, "{config}");
        }
    }
}
