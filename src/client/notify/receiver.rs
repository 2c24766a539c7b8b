//! Who is told: what `--notify` names, read strictly. Its text may hold a password or a token (in a webhook's path too), so
//! nothing here prints more of it than the host.

use reqwest::Url;

/// Path of Alertmanager's API v2.
const ALERTS: &str = "/api/v2/alerts";

/// Whom `--notify` names.
#[derive(Clone, PartialEq, Eq)]
pub enum Receiver {
    /// Takes alerts: a state with a begin and an end.
    Alertmanager(Url),
    /// Takes `{"text": …}`, as Slack, Mattermost and others do.
    Chat(Url),
    /// Takes JSON as standard input.
    Command(String),
}

/// A text may be a secret as a whole.
impl std::fmt::Debug for Receiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.shown())
    }
}

impl Receiver {
    /// Reads what `--notify` or `notify:` says. `Err`: one sentence, without the text itself.
    pub fn read(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.is_empty() {
            return Err("--notify is empty; it takes a URL or a command".to_owned());
        }
        let Some((scheme, _)) = text.split_once("://").filter(|(scheme, _)| is_scheme(scheme)) else {
            return Ok(Receiver::Command(text.to_owned()));
        };
        let (alertmanager, plain) = match scheme {
            "http" | "https" => (false, text),
            "alertmanager+http" | "alertmanager+https" => (true, text.trim_start_matches("alertmanager+")),
            other => {
                return Err(format!(
                    "--notify does not know the scheme {other}; there are http, https, alertmanager+http and alertmanager+https"
                ));
            }
        };
        // What is wrong with it would be told with a piece of it.
        let mut url: Url =
            plain.parse().map_err(|_| format!("--notify: what stands behind {scheme}:// is not a URL"))?;
        let path = url.path().trim_end_matches('/').to_owned();
        match (alertmanager, path.ends_with(ALERTS)) {
            (true, false) => {
                url.set_path(&format!("{path}{ALERTS}"));
                Ok(Receiver::Alertmanager(url))
            }
            (_, true) => Ok(Receiver::Alertmanager(url)),
            (false, false) => Ok(Receiver::Chat(url)),
        }
    }

    /// For a line that people and logs see: never more than where it goes.
    pub fn shown(&self) -> String {
        match self {
            Receiver::Alertmanager(url) => format!("Alertmanager at {}", host(url)),
            Receiver::Chat(url) => format!("the webhook at {}", host(url)),
            Receiver::Command(_) => "the command of --notify".to_owned(),
        }
    }

    /// Whether it keeps the state of an alert, and so has to hear of it again and of its end.
    pub fn keeps_state(&self) -> bool {
        matches!(self, Receiver::Alertmanager(_))
    }
}

fn is_scheme(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
}

fn host(url: &Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or("?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_is_known_by_its_form() {
        let kind = |text: &str| match Receiver::read(text).expect("read") {
            Receiver::Alertmanager(url) => format!("alertmanager {url}"),
            Receiver::Chat(url) => format!("chat {url}"),
            Receiver::Command(text) => format!("command {text}"),
        };
        let cases = [
            ("alertmanager+http://am:9093", "alertmanager http://am:9093/api/v2/alerts"),
            ("alertmanager+https://am/prefix/", "alertmanager https://am/prefix/api/v2/alerts"),
            ("https://am/api/v2/alerts", "alertmanager https://am/api/v2/alerts"),
            ("https://hooks.example.com/T0/B0", "chat https://hooks.example.com/T0/B0"),
            ("mail -s tidepilot oncall@example.com", "command mail -s tidepilot oncall@example.com"),
            ("curl -d @- http://example.com", "command curl -d @- http://example.com"),
        ];
        for (text, wanted) in cases {
            assert_eq!(kind(text), wanted, "{text}");
        }
    }

    #[test]
    fn nothing_that_is_said_of_it_holds_a_secret() {
        for text in ["https://me:s3cret@hooks.example.com:8443/s3cret?token=s3cret", "notify.sh --token s3cret"] {
            let receiver = Receiver::read(text).expect("read");
            let said = format!("{} {receiver:?}", receiver.shown());
            assert!(!said.contains("s3cret") && !said.contains("me:"), "{said}");
        }
        for text in ["ftp://me:s3cret@host/", "http://me:s3cret@:x/", ""] {
            let why = Receiver::read(text).expect_err("refused");
            assert!(!why.contains("s3cret"), "{why}");
        }
    }
}
