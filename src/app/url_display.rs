//! URLs shown by their parts: what all of a view share gives way, what differs stays, what is missing stands in brackets
//! where it belongs.
//!
//! Not here: which peerURL is expected (`fleet::tidbcluster`), whether it may be sent (`fleet::peer_url_check`).

use super::status_level::Level;
use super::views::{Cell, Part, Tone};

/// Scheme, pod, peer service, namespace, `svc`, domain, port: each with the sign before or behind it, so that all of them
/// together are the URL again.
const JOINTS: usize = 7;

/// A URL cut at its joints; parts that it does not have are empty.
pub fn joints(url: &str) -> [String; JOINTS] {
    let mut parts: [String; JOINTS] = Default::default();
    let (scheme, rest) = match url.find("://") {
        Some(at) => url.split_at(at + 3),
        None => ("", url),
    };
    parts[0] = scheme.to_owned();
    let (host, port) = match rest.rfind(':').filter(|at| rest[at + 1..].chars().all(|c| c.is_ascii_digit())) {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    parts[6] = port.to_owned();
    let address = host.starts_with('[') || host.split('.').all(|label| label.parse::<u8>().is_ok());
    if address {
        parts[1] = host.to_owned();
        return parts;
    }
    // A part after the first carries the dot before it.
    for (at, label) in host.splitn(5, '.').enumerate() {
        parts[1 + at] = if at == 0 { label.to_owned() } else { format!(".{label}") };
    }
    parts
}

/// A URL beside its neighbours, against the one that it should be.
pub fn cell(url: &str, should: Option<&str>, neighbours: &[&str]) -> Cell {
    let all: Vec<[String; JOINTS]> = neighbours.iter().map(|url| joints(url)).collect();
    let have = joints(url);
    let wanted = should.map(joints);
    let mut parts = Vec::new();
    for at in 0..JOINTS {
        let part = &have[at];
        let wrong = wanted.as_ref().is_some_and(|wanted| wanted[at] != *part);
        let common = all.iter().all(|other| other[at] == *part);
        if !part.is_empty() {
            let tone = match (wrong, common) {
                (true, _) => Tone::Level(Level::Bad),
                (false, true) => Tone::Dim,
                (false, false) => Tone::Plain,
            };
            parts.push(Part::Text { text: part.clone(), tone, common: !wrong && (common || at == 2 || at == 3) });
        }
        if let Some(missing) = wanted.as_ref().filter(|wanted| wrong && !wanted[at].is_empty()) {
            parts.push(Part::Missing(missing[at].clone()));
        }
    }
    Cell { parts, ..Cell::default() }
}

/// The length of the shortest beginning by which these ids can still be told apart, at least four.
pub fn prefix<'a>(ids: impl Iterator<Item = &'a str>) -> usize {
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids.dedup();
    let alike = |pair: &[&str]| pair[0].chars().zip(pair[1].chars()).take_while(|(one, other)| one == other).count();
    ids.windows(2).map(|pair| alike(pair) + 1).max().unwrap_or(0).max(4)
}

/// The beginning of an id.
pub fn short(id: &str, length: usize) -> String {
    id.chars().take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts as `[…]` where lit, `<…>` where missing, `~…~` where common.
    fn shown(url: &str, should: Option<&str>, neighbours: &[&str]) -> String {
        let parts = cell(url, should, neighbours).parts.into_iter().map(|part| match part {
            Part::Text { text, tone: Tone::Level(_), .. } => format!("[{text}]"),
            Part::Text { text, tone: Tone::Dim, .. } => format!("~{text}~"),
            Part::Text { text, .. } => text,
            Part::Missing(text) => format!("<{text}>"),
            Part::Mark(_) => String::new(),
        });
        parts.collect()
    }

    #[test]
    fn a_url_is_the_sum_of_its_parts() {
        for url in [
            "http://basic-pd-0.basic-pd-peer.pingcap.svc:2380",
            "https://basic-pd-0.basic-pd-peer.pingcap.svc.cluster1.com:2380",
            "http://10.9.9.9:2380",
            "http://[fd00::1]:2380",
            "basic-pd-0",
            "",
            "http://a.b",
            "http://日本.svc:x",
        ] {
            assert_eq!(joints(url).concat(), url);
        }
    }

    #[test]
    fn what_is_missing_stands_where_it_belongs() {
        let one = "http://b-pd-1.b-pd-peer.ns.svc:2380";
        let should = "http://b-pd-1.b-pd-peer.ns.svc.cluster1.com:2380";
        let other = "http://b-pd-0.b-pd-peer.ns.svc.cluster1.com:2380";
        assert_eq!(
            shown(one, Some(should), &[one, other]),
            "~http://~b-pd-1~.b-pd-peer~~.ns~~.svc~<.cluster1.com>~:2380~"
        );
        assert_eq!(shown(other, None, &[one, other]), "~http://~b-pd-0~.b-pd-peer~~.ns~~.svc~.cluster1.com~:2380~");
        assert_eq!(
            shown("https://x.y.ns.svc:1", Some("http://x.y.ns.svc:1"), &[]),
            "[https://]<http://>~x~~.y~~.ns~~.svc~~:1~"
        );
    }

    #[test]
    fn ids_are_as_short_as_can_be() {
        assert_eq!(prefix(["8e1d55", "8e1d66", "41c0"].into_iter()), 5);
        assert_eq!(prefix(["8e1d", "41c0"].into_iter()), 4);
        assert_eq!(prefix(std::iter::empty()), 4);
    }
}
