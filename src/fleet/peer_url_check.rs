//! The check of a peerURL which etcd v3 does not make.
//!
//! The v3 gateway commits any string, and then every *other* member panics, at once and at each restart
//! (`domain.md` §3.3, `facts-etcd.md`); v2 refuses some of it. This stands before both and is stricter than either.
//! Not here: which member has another peerURL than it should (`fleet::database::peer_url_drift`), whether the name resolves and answers — that takes a probe from inside a pod.

use super::pd::{EtcdMember, MemberId};

/// Why a peerURL must not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPeerUrl {
    #[error("the list of peerURLs is empty; etcd v3 would commit it and the other members would crash")]
    Empty,
    #[error("{found:?} holds a placeholder that was never replaced")]
    Placeholder { found: String },
    #[error("expected {expected}://HOST:PORT (the scheme follows tlsCluster.enabled), found {found:?}")]
    Scheme { expected: &'static str, found: String },
    #[error("expected a host name in lower-case letters, digits, '-' and '.', found {found:?}")]
    Host { found: String },
    #[error("expected a port from 1 to 65535 after the host, found {found:?}")]
    Port { found: String },
    #[error("expected nothing after the port (no path, query, fragment, not even '/'), found {found:?}")]
    Tail { found: String },
    #[error("expected {expected:?} for this pod, found {found:?}")]
    Unexpected { expected: String, found: String },
    #[error("member {owner} already has {url:?}; two members cannot share a peerURL")]
    Taken { owner: MemberId, url: String },
}

/// Checks the form: `scheme://host:port` and nothing else.
pub fn check_form(url: &str, tls: bool) -> Result<(), BadPeerUrl> {
    let found = || url.to_owned();
    if url.contains(['$', '{', '}', '<', '>']) {
        return Err(BadPeerUrl::Placeholder { found: found() });
    }
    let expected = if tls { "https" } else { "http" };
    let rest = url
        .strip_prefix(expected)
        .and_then(|rest| rest.strip_prefix("://"))
        .ok_or(BadPeerUrl::Scheme { expected, found: found() })?;
    if rest.contains(['/', '?', '#']) {
        return Err(BadPeerUrl::Tail { found: found() });
    }
    let (host, port) = rest.split_once(':').ok_or(BadPeerUrl::Port { found: found() })?;
    let label_is_fine = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if host.is_empty() || host.len() > 253 || !host.split('.').all(label_is_fine) {
        return Err(BadPeerUrl::Host { found: found() });
    }
    let digits = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse::<u32>() {
        Ok(1..=65535) if digits => Ok(()),
        _ => Err(BadPeerUrl::Port { found: found() }),
    }
}

/// The plain form of a peerURL: scheme and host in lower case, no blanks around, no dot at the end of the host. Go's `url.Parse`
/// and DNS take the others for the same (`domain.md` §3.2), so they are the same peerURL, though none that is sent.
pub fn normal(url: &str) -> String {
    let Some((scheme, rest)) = url.trim().split_once("://") else { return url.to_owned() };
    let (host, port) = rest.rsplit_once(':').map_or((rest, None), |(host, port)| (host, Some(port)));
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let host = host.strip_suffix('.').unwrap_or(host);
    format!("{}://{}{port}", scheme.to_ascii_lowercase(), host.to_ascii_lowercase())
}

/// Checks a peerURL that etcd already has: whatever leads to `scheme://host:port` is one that members can use, an IPv6 address
/// in brackets too. Whether it is the right one is another question.
pub fn check_held(url: &str, tls: bool) -> Result<(), BadPeerUrl> {
    let plain = normal(url);
    let address = plain.split_once("://[").and_then(|(scheme, rest)| Some((scheme, rest.split_once(']')?)));
    let plain = match address {
        Some((scheme, (ip, rest))) if ip.parse::<core::net::Ipv6Addr>().is_ok() => format!("{scheme}://ip{rest}"),
        Some(_) | None => plain,
    };
    check_form(&plain, tls)
}

/// Whether it is a peerURL that a member can live with, whatever its scheme should be.
pub fn readable(url: &str) -> bool {
    check_held(url, false).is_ok() || check_held(url, true).is_ok()
}

/// Checks a whole update: one URL, well-formed, the expected one for this pod, and nobody else's.
pub fn check_update(
    id: MemberId,
    urls: &[String],
    expected: &str,
    tls: bool,
    members: &[EtcdMember],
) -> Result<(), BadPeerUrl> {
    if urls.is_empty() {
        return Err(BadPeerUrl::Empty);
    }
    for url in urls {
        check_form(url, tls)?;
        if url != expected {
            return Err(BadPeerUrl::Unexpected { expected: expected.to_owned(), found: url.clone() });
        }
        let owner = members.iter().find(|m| m.id != id && m.peer_urls.iter().any(|u| u.eq_ignore_ascii_case(url)));
        if let Some(owner) = owner {
            return Err(BadPeerUrl::Taken { owner: owner.id, url: url.clone() });
        }
    }
    Ok(())
}

/// Checks an update that puts a recorded value back. It need not be the URL expected of the pod today (that is what
/// is being undone), so everything else is as strict: well-formed, and nobody else's. That it is the recorded value
/// is the caller's to prove.
pub fn check_restore(id: MemberId, urls: &[String], tls: bool, members: &[EtcdMember]) -> Result<(), BadPeerUrl> {
    if urls.is_empty() {
        return Err(BadPeerUrl::Empty);
    }
    urls.iter().try_for_each(|url| check_update(id, std::slice::from_ref(url), url, tls, members))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_that_crashes_etcd_is_refused() {
        // The list of facts-etcd.md: committed by v3, then `panic: failed NewURLs` on the other members.
        let bad = [
            "",
            "not a url",
            "host:2380",
            "http://noport",
            "http://h:1/p",
            "http://h:2380/",
            "ftp://h:1",
            "http://h:http",
            "http://h:2380?x=1",
            "http://h:2380#f",
            "http://u@h:2380",
            " http://h:2380",
            "http://h:2380 ",
            "http://:2380",
            "http://h:",
            "https://h:2380",
            "http://h:99999",
            "http://h:0",
            "http://h:+80",
            "unix://h:2380",
            "http://a b:2380",
            "${member_peer_url}",
            "http://H:2380",
            "http://h..x:2380",
            "http://-h:2380",
            "http://a:1:2",
            "http://[::1]:2380",
        ];
        for url in bad {
            assert!(check_form(url, false).is_err(), "{url:?} was let through");
        }
        assert_eq!(check_form("http://basic-pd-0.basic-pd-peer.db.svc.a.com:2380", false), Ok(()));
        assert_eq!(check_form("https://h:65535", true), Ok(()));
        assert!(check_form("http://h:2380", true).is_err());
    }

    #[test]
    fn what_etcd_reads_as_the_same_is_the_same() {
        let plain = "http://x-pd-0.x-pd-peer.ns.svc.west.local:2380";
        for url in [
            "http://X-PD-0.x-pd-peer.ns.svc.west.local:2380",
            "http://x-pd-0.x-pd-peer.ns.svc.WEST.LOCAL:2380",
            "http://x-pd-0.x-pd-peer.ns.svc.west.local.:2380",
            "HTTP://x-pd-0.x-pd-peer.ns.svc.west.local:2380",
            " http://x-pd-0.x-pd-peer.ns.svc.west.local:2380 ",
        ] {
            assert_eq!(normal(url), plain, "{url:?}");
            assert_eq!(check_held(url, false), Ok(()), "{url:?}");
            assert!(check_held(url, true).is_err() && check_form(url, false).is_err(), "{url:?} is not sent");
        }
        assert_eq!(check_held("http://[fd00::1]:2380", false), Ok(()));
        for url in [
            "",
            "host:2380",
            "http://noport",
            "http://h:2380/",
            "http://[fd00:2380",
            "http://[]:2380",
            "http://[x]:2380",
            "http://[::1]",
        ] {
            assert!(check_held(url, false).is_err(), "{url:?}");
        }
    }

    #[test]
    fn an_update_is_the_expected_url_and_nobody_elses() {
        let member = |id, url: &str| EtcdMember {
            id: MemberId(id),
            name: "x".into(),
            peer_urls: vec![url.into()],
            client_urls: vec![],
        };
        let members = [member(1, "http://a:2380"), member(2, "http://B:2380")];
        let check = |id, urls: &[&str], expected| {
            let urls: Vec<String> = urls.iter().map(|u| (*u).to_owned()).collect();
            check_update(MemberId(id), &urls, expected, false, &members)
        };
        assert_eq!(check(1, &["http://c:2380"], "http://c:2380"), Ok(()));
        assert_eq!(check(1, &[], "http://c:2380"), Err(BadPeerUrl::Empty));
        assert!(matches!(check(1, &["http://c:2380"], "http://d:2380"), Err(BadPeerUrl::Unexpected { .. })));
        assert!(matches!(check(1, &["http://b:2380"], "http://b:2380"), Err(BadPeerUrl::Taken { .. })));
        assert_eq!(check(1, &["http://a:2380"], "http://a:2380"), Ok(()), "its own URL again is no conflict");
        let restore = |urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|u| (*u).to_owned()).collect();
            check_restore(MemberId(1), &urls, false, &members)
        };
        assert_eq!(restore(&["http://old:2380", "http://older:2380"]), Ok(()));
        assert_eq!(restore(&[]), Err(BadPeerUrl::Empty));
        assert!(matches!(restore(&["http://old:2380", "http://b:2380"]), Err(BadPeerUrl::Taken { .. })));
        assert!(matches!(restore(&["http://old:2380/"]), Err(BadPeerUrl::Tail { .. })));
    }
}
