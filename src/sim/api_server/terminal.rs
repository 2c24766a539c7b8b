//! exec with a terminal: a line at a time with echo, and a shell that knows little more than to start the few programs.
//!
//! Enough for `kubectl exec -it POD -- sh` and for the console's `S`. Which programs there are is in `sim::exec`.

use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::router::Call;
use super::streams::{CHUNK, WebSocket, exit_status, finish, frame};

/// Longest line that is taken.
const LONGEST: usize = 4096;

struct Terminal<'a> {
    socket: WebSocket,
    call: &'a Call,
    container: Option<&'a str>,
    line: String,
    size: (u64, u64),
}

/// Serves until the program ends or the client leaves.
pub(super) async fn serve(socket: WebSocket, call: &Call, container: Option<&str>, argv: &[String]) {
    let mut terminal = Terminal { socket, call, container, line: String::new(), size: (80, 24) };
    // A client that left needs no answer.
    if let Ok(code) = terminal.run(argv).await {
        let status = exit_status(code).to_string();
        let _ = terminal.socket.send(frame(3, status.as_bytes())).await;
        finish(terminal.socket).await;
    }
}

impl Terminal<'_> {
    async fn run(&mut self, argv: &[String]) -> Result<i32, Error> {
        let shell =
            argv.first().is_some_and(|program| matches!(program.rsplit('/').next(), Some("sh" | "bash" | "ash")));
        if !shell {
            return self.start(argv).await;
        }
        // Whether the image has a shell at all.
        let there = self.start(&["sh".to_owned()]).await?;
        if there != 0 {
            return Ok(there);
        }
        self.prompt().await?;
        while let Some(message) = self.socket.next().await {
            let bytes = match message? {
                Message::Binary(bytes) => bytes,
                Message::Close(_) => return Err(Error::ConnectionClosed),
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            match bytes.split_first() {
                Some((0, typed)) => {
                    for byte in typed {
                        if let Some(code) = self.typed(*byte).await? {
                            return Ok(code);
                        }
                    }
                }
                Some((4, size)) => {
                    let size: Value = serde_json::from_slice(size).unwrap_or_default();
                    let of = |name: &str| size[name].as_u64().unwrap_or(0);
                    self.size = (of("Width"), of("Height"));
                }
                // v5: the client has no more to type.
                Some((255, _)) => return Ok(0),
                _ => {}
            }
        }
        Err(Error::ConnectionClosed)
    }

    /// One key; `Some`: the shell has ended with this code.
    async fn typed(&mut self, byte: u8) -> Result<Option<i32>, Error> {
        match byte {
            b'\r' | b'\n' => {
                self.say("\n").await?;
                let line = std::mem::take(&mut self.line);
                if let Some(code) = self.command(&line).await? {
                    return Ok(Some(code));
                }
                self.prompt().await?;
            }
            0x04 if self.line.is_empty() => return Ok(Some(0)),
            0x03 => {
                self.line.clear();
                self.say("^C\n").await?;
                self.prompt().await?;
            }
            0x7f | 0x08 => {
                let gone = self.line.pop();
                self.say(if gone.is_some() { "\u{8} \u{8}" } else { "" }).await?;
            }
            b' '..=b'~' if self.line.len() < LONGEST => {
                self.line.push(char::from(byte));
                self.say(&char::from(byte).to_string()).await?;
            }
            _ => {}
        }
        Ok(None)
    }

    async fn command(&mut self, line: &str) -> Result<Option<i32>, Error> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [] => {}
            ["exit"] => return Ok(Some(0)),
            ["exit", code, ..] => return Ok(Some(code.parse().unwrap_or(2))),
            ["echo", rest @ ..] => self.say(&format!("{}\n", rest.join(" "))).await?,
            ["hostname"] => self.say(&format!("{}\n", self.call.name())).await?,
            ["stty", "size"] => self.say(&format!("{} {}\n", self.size.1, self.size.0)).await?,
            _ => drop(self.start(&words).await?),
        }
        Ok(None)
    }

    /// Runs one program to its end, and gives its exit code.
    async fn start(&mut self, argv: &[String]) -> Result<i32, Error> {
        let call = self.call;
        let output = call.server.config.pods.exec(call.namespace(), call.name(), self.container, argv).await;
        self.say(&String::from_utf8_lossy(&output.stdout)).await?;
        self.say(&String::from_utf8_lossy(&output.stderr)).await?;
        Ok(output.exit_code)
    }

    async fn prompt(&mut self) -> Result<(), Error> {
        self.say("/ # ").await
    }

    /// A terminal wants the carriage back as well.
    async fn say(&mut self, text: &str) -> Result<(), Error> {
        for chunk in text.replace('\n', "\r\n").as_bytes().chunks(CHUNK) {
            self.socket.send(frame(1, chunk)).await?;
        }
        Ok(())
    }
}
