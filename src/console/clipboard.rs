//! What `c` copies, and what really became of it: nobody is told "copied" who finds another text when he pastes.
//!
//! Inside tmux the text goes into tmux's own buffer, since in its default setting tmux drops what a program asks of the
//! clipboard; elsewhere the terminal is asked (OSC 52), which does not say whether it did it. No shell is run, and tmux has
//! two seconds. Not here: which text it is (`app::command_dispatch`).

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use crossterm::clipboard::CopyToClipboard;
use crossterm::execute;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::app::status_level::Level;

/// Longest text handed on: terminals drop longer OSC 52 sequences.
pub const LONGEST: usize = 70_000;
/// How long tmux may take.
const TMUX_LONGEST: Duration = Duration::from_secs(2);

/// What is said of a copy.
pub type Said = (Level, String);

/// Asks the terminal.
pub fn to_terminal(out: &mut impl Write, text: String) -> std::io::Result<Said> {
    let what = named(&text);
    execute!(out, CopyToClipboard::to_clipboard_from(text))?;
    Ok((Level::Done, format!("{what}: sent to the terminal's clipboard (OSC 52); whether it took it, it does not say")))
}

/// Puts it into tmux's buffer, which it hands on to the terminal where it is set so (`-w`, from tmux 3.2 on).
pub async fn to_tmux(text: String) -> Said {
    let what = named(&text);
    let handed = match load(&["load-buffer", "-w", "-"], &text).await {
        Ok(()) => Ok(()),
        Err(_) => load(&["load-buffer", "-"], &text).await,
    };
    match handed {
        Ok(()) => (Level::Done, format!("{what}: in tmux's buffer; its prefix and ] paste it")),
        Err(why) => (Level::Bad, format!("nothing was copied: tmux did not take it ({why})")),
    }
}

async fn load(arguments: &[&str], text: &str) -> Result<(), String> {
    // No number of the operating system's.
    let cannot = |error: std::io::Error| error.kind().to_string();
    let mut command = Command::new("tmux");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(cannot)?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let all = async {
        let give = async {
            if let Some(mut stdin) = stdin {
                // A tmux that has ended already says why.
                let _ = stdin.write_all(text.as_bytes()).await;
                let _ = stdin.shutdown().await;
            }
        };
        let mut said = Vec::new();
        let take = async {
            if let Some(stderr) = stderr {
                let _ = stderr.take(4096).read_to_end(&mut said).await;
            }
        };
        tokio::join!(give, take);
        (child.wait().await, said)
    };
    match tokio::time::timeout(TMUX_LONGEST, all).await {
        Err(_) => Err(format!("no answer within {} s", TMUX_LONGEST.as_secs())),
        Ok((Err(error), _)) => Err(cannot(error)),
        Ok((Ok(status), _)) if status.success() => Ok(()),
        Ok((Ok(status), said)) => {
            let said = String::from_utf8_lossy(&said);
            Err(said.lines().next().map_or_else(|| status.to_string(), str::to_owned))
        }
    }
}

/// One line by itself, of more only how many.
fn named(text: &str) -> String {
    match text.lines().count() {
        0 | 1 => text.trim_end().chars().take(60).collect(),
        lines => format!("{lines} lines"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_asked_and_no_more_is_said() {
        let mut out = Vec::new();
        let (_, said) = to_terminal(&mut out, "basic-pd-0".into()).expect("written");
        assert_eq!(String::from_utf8_lossy(&out), "\u{1b}]52;c;YmFzaWMtcGQtMA==\u{1b}\\");
        assert!(said.starts_with("basic-pd-0: sent to the terminal's clipboard") && !said.contains("copied"), "{said}");
        assert_eq!(named("a\nb\n"), "2 lines");
    }

    #[tokio::test]
    async fn a_program_that_refuses_is_quoted() {
        let said = load(&["no-such-command-of-tmux"], "x").await;
        assert!(said.is_err(), "{said:?}");
    }
}
