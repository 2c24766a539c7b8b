//! The check of peer URLs that etcd's v2 handler makes (and its v3 handler does not).
//!
//! Messages and gaps are etcd's own, measured (facts-etcd.md): a port that is no number is refused, port 99999 is not. The
//! product's stricter check is elsewhere and shares nothing with this.

/// The whole list, in the order in which etcd would complain.
pub fn check_list(urls: &[String]) -> Result<(), String> {
    if urls.is_empty() {
        return Err("no valid URLs given".to_owned());
    }
    urls.iter().try_for_each(|url| check(url.trim()))
}

/// The host of a URL that passed the check.
pub fn host(url: &str) -> Option<&str> {
    let authority = url.trim().split_once("://")?.1;
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.rsplit_once('@').map_or(host, |(_, host)| host)).filter(|host| !host.is_empty())
}

fn check(url: &str) -> Result<(), String> {
    let refused = |reason: String| Err(format!("parse {url:?}: {reason}"));
    let foreign = || Err(format!("URL scheme must be http, https, unix, or unixs: {url}"));
    let Some((scheme, rest)) = url.split_once(':') else { return foreign() };
    if url.starts_with(|first: char| first.is_ascii_digit()) {
        return refused("first path segment in URL cannot contain colon".to_owned());
    }
    let Some(rest) = rest.strip_prefix("//") else { return foreign() };
    let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
    let rest = rest.split_once('?').map_or(rest, |(before, _)| before);
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let address = authority.rsplit_once('@').map_or(authority, |(_, address)| address);
    if let Some(blank) =
        address.chars().find(|letter| matches!(letter, ' ' | '{' | '}' | '<' | '>' | '"' | '\\' | '^' | '`'))
    {
        return refused(format!("invalid character {:?} in host name", blank.to_string()));
    }
    let port = address.rfind(':').filter(|colon| address.rfind(']').is_none_or(|bracket| bracket < *colon));
    if let Some(colon) = port
        && !address[colon + 1..].chars().all(|digit| digit.is_ascii_digit())
    {
        return refused(format!("invalid port {:?} after host", &address[colon..]));
    }
    // Go's url.Parse lowers the scheme.
    if !matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "unix" | "unixs") {
        return foreign();
    }
    if port.is_none() {
        return Err(format!("URL address does not have the form \"host:port\": {url}"));
    }
    if !path.is_empty() {
        return Err(format!("URL must not contain a path: {url}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_those_of_etcd() {
        let check = |url: &str, expected: &str| {
            let answer = check_list(&[url.to_owned()]).err().unwrap_or_default();
            if expected.is_empty() {
                assert_eq!(answer, "", "{url:?}");
            } else {
                assert!(answer.contains(expected), "{url:?}: {answer}");
            }
        };
        check("", "URL scheme must be");
        check("not a url", "URL scheme must be");
        check("host:2380", "URL scheme must be");
        check("ftp://a:2380", "URL scheme must be");
        check("${member_peer_url}", "URL scheme must be");
        check("http://host", "does not have the form \"host:port\"");
        check("http://h:2380/", "must not contain a path");
        check("http://h:2380/path", "must not contain a path");
        check("http://a:2380x", "parse \"http://a:2380x\": invalid port \":2380x\" after host");
        check("http://h:http", "invalid port");
        check("http://a b:2380", "invalid character");
        check("http://a:2380", "");
        check("https://a:2380", "");
        check("HTTP://A:2380", "");
        check("http://[::1]:2380", "");
        check("http://a:99999", "");
        check("unix://a:2380", "");
        check("http://:2380", "");
        check("http://h:", "");
        check(" http://h:2380 ", "");
        check("http://u@h:2380", "");
        assert!(check_list(&[]).expect_err("an empty list").contains("no valid URLs given"));
    }

    #[test]
    fn hosts() {
        assert_eq!(host("http://a.b:2380"), Some("a.b"));
        assert_eq!(host("http://u@a.b:2380"), Some("a.b"));
        assert_eq!(host("nothing"), None);
    }
}
