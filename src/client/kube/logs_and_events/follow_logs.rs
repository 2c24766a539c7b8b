//! Following one container's log: dated lines as they come, from where the last stream ended, with a pause between
//! two tries.
//!
//! Bounded: so many lines at the beginning, so many bytes of a line, so many lines in one message; a face that does not
//! take them holds the stream up. Not here: which logs, and for how long ([`super`]).

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::right_for;
use crate::client::wire::link::Link;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::{encode, now};
use crate::fleet::logs_and_events::{LogLine, LogOf, News, Reading};

/// Lines that are asked for at first.
const TAIL: usize = 500;
/// Longest line; what is behind it is left out.
const LONGEST_LINE: usize = 16 * 1024;
/// Lines in one message.
const BATCH: usize = 256;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// Nobody listens any more.
struct Closed;

pub(super) async fn follow(link: Arc<Link>, index: usize, of: LogOf, previous: bool, sender: mpsc::Sender<News>) {
    let mut reader = Reader { link, index, of, previous, sender, last: None };
    let mut wait = Duration::from_secs(1);
    loop {
        let begun = tokio::time::Instant::now();
        let state = match reader.read().await {
            Ok(Ok(())) if previous => Reading::Over,
            Ok(Ok(())) => Reading::Waiting("the container has ended; asking again".to_owned()),
            Ok(Err(trouble)) => state(trouble, previous),
            Err(Closed) => return,
        };
        let over = matches!(state, Reading::Over | Reading::Refused(_));
        if reader.say(state).await.is_err() || over {
            return;
        }
        // A stream that lasted was no fault.
        wait = if begun.elapsed() > Duration::from_secs(20) { Duration::from_secs(1) } else { wait };
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

fn state(trouble: RequestError, previous: bool) -> Reading {
    match trouble.kind {
        RequestErrorKind::Forbidden => Reading::Refused(right_for(trouble, "get", "pods/log")),
        // What ended does not come back.
        RequestErrorKind::Answered | RequestErrorKind::Missing if previous => Reading::Refused(trouble.sentence),
        _ => Reading::Waiting(trouble.sentence),
    }
}

struct Reader {
    link: Arc<Link>,
    index: usize,
    of: LogOf,
    previous: bool,
    sender: mpsc::Sender<News>,
    /// The time of the last line, and how many lines had that time.
    last: Option<(Timestamp, usize)>,
}

impl Reader {
    fn path(&self) -> String {
        let pod = &self.of.pod;
        let mut path = format!("/api/v1/namespaces/{}/pods/{}/log?timestamps=true", pod.namespace, pod.name);
        if let Some(container) = &self.of.container {
            path = format!("{path}&container={}", encode(container));
        }
        path += if self.previous { "&previous=true" } else { "&follow=true" };
        match self.last {
            None => format!("{path}&tailLines={TAIL}"),
            // The server counts in whole seconds: what was read already is left out here.
            Some((at, _)) => format!("{path}&sinceTime={}", encode(&at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())),
        }
    }

    async fn say(&self, state: Reading) -> Result<(), Closed> {
        self.sender.send(News::Log { of: self.index, state }).await.map_err(|_| Closed)
    }

    /// Reads one stream to its end.
    async fn read(&mut self) -> Result<Result<(), RequestError>, Closed> {
        let response = match self.link.stream(&self.path()).await {
            Ok(response) => response,
            Err(trouble) => return Ok(Err(trouble)),
        };
        self.say(Reading::Following).await?;
        let mut body = response.into_body().into_data_stream();
        let resume = self.last;
        let mut skip = resume.map_or(0, |(_, count)| count);
        let mut splitter = Splitter::default();
        while let Some(chunk) = body.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(error) => {
                    return Ok(Err(RequestError::cut(format!("the log of {} broke off: {error}", self.of.pod))));
                }
            };
            let mut lines = Vec::new();
            for line in splitter.feed(&chunk) {
                let Some(line) = dated(&line, self.last.map(|(at, _)| at)) else { continue };
                if let Some((at, _)) = resume {
                    if line.at < at {
                        continue;
                    }
                    if line.at == at && skip > 0 {
                        skip -= 1;
                        continue;
                    }
                }
                self.last = match self.last {
                    Some((at, count)) if at == line.at => Some((at, count + 1)),
                    _ => Some((line.at, 1)),
                };
                lines.push(line);
                if lines.len() == BATCH {
                    self.give(std::mem::take(&mut lines)).await?;
                }
            }
            self.give(lines).await?;
        }
        Ok(Ok(()))
    }

    async fn give(&self, lines: Vec<LogLine>) -> Result<(), Closed> {
        if lines.is_empty() {
            return Ok(());
        }
        self.sender.send(News::Lines { of: self.index, lines }).await.map_err(|_| Closed)
    }
}

/// Bytes in, whole lines out; what is too long is cut, and what is no UTF-8 is marked.
#[derive(Default)]
struct Splitter {
    rest: Vec<u8>,
    cut: bool,
}

impl Splitter {
    fn feed(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (text, whole) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            let room = LONGEST_LINE.saturating_sub(self.rest.len()).min(text.len());
            self.rest.extend_from_slice(&text[..room]);
            self.cut |= room < text.len();
            if whole {
                let mut line = String::from_utf8_lossy(&std::mem::take(&mut self.rest)).into_owned();
                if std::mem::take(&mut self.cut) {
                    line.push('…');
                }
                lines.push(line);
            }
        }
        lines
    }
}

/// Takes the runtime's time from a line; one that has none belongs to the line before it.
fn dated(line: &str, last: Option<Timestamp>) -> Option<LogLine> {
    let parsed = line.split_once(' ').and_then(|(time, text)| Some((time.parse::<Timestamp>().ok()?, text)));
    match parsed {
        Some((at, text)) => Some(LogLine { at, text: text.to_owned() }),
        None if line.is_empty() => None,
        None => Some(LogLine { at: last.unwrap_or_else(now), text: line.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_bounded_and_text() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.feed(b"one\ntw"), ["one"]);
        assert_eq!(splitter.feed(b"o\n\n"), ["two", ""]);
        assert!(splitter.feed(&vec![b'x'; LONGEST_LINE + 5]).is_empty());
        let long = splitter.feed(b"yy\n\xffz\n");
        assert_eq!(long[0].chars().count(), LONGEST_LINE + 1);
        assert_eq!(long[1], "\u{fffd}z");
    }

    #[test]
    fn a_line_without_a_time_belongs_to_the_one_before() {
        let at: Timestamp = "2026-01-01T00:00:00.5Z".parse().expect("a time");
        let line = dated("2026-01-01T00:00:00.5Z [x] y", None).expect("a line");
        assert_eq!((line.at, line.text.as_str()), (at, "[x] y"));
        assert_eq!(dated("  at frame 3", Some(at)).map(|line| line.at), Some(at));
        assert_eq!(dated("", Some(at)), None);
    }
}
