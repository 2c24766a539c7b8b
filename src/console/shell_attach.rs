//! The terminal lent to a shell in a container: bytes pass as they are, both ways, until the shell ends.
//!
//! The console is not drawn meanwhile but lives on: what happens is folded in, so that a run is never held back by a shell.
//! `ctrl-]` leaves a shell that does not answer. Not here: opening one (`app::driver::shells`), the loop (`terminal`).

use std::io::{Write as _, stdin, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::driver::shells::{Attached, FromShell, ToShell};
use crate::app::message::Message;

/// Leaves at once, as in telnet and docker.
const LEAVE: u8 = 0x1d;
/// How often the reader looks whether it is still wanted: a key that is pressed after the shell belongs to the console.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Whatever mode a program in the pod left the terminal in: attributes, mouse, paste, keypad, character set.
const RESET: &[u8] =
    b"\x1b[0m\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b[?7h\x1b[?25h\x1b>\x1b(B\x0f\x1b[r";

/// How a lent terminal came back.
pub struct Back {
    /// What is said of it.
    pub sentence: String,
    /// The session is over as well.
    pub quit: bool,
}

/// Lends the terminal, which is raw and shows its main screen, until the shell ends. `fold` takes what happens meanwhile, and
/// says when the session is over.
pub async fn attend(
    attached: Attached,
    messages: &mut mpsc::Receiver<Message>,
    stop: impl Future<Output = ()>,
    mut fold: impl FnMut(Message) -> color_eyre::Result<bool>,
) -> color_eyre::Result<Back> {
    let Attached { of, mut shell } = attached;
    print(format!("\r\n{of}: `exit` or ctrl-d ends this shell, ctrl-] leaves it at once\r\n").as_bytes())?;
    let mut resized = signal(SignalKind::window_change())?;
    let mut keys = Keys::read();
    let size = || crossterm::terminal::size().map(|(columns, lines)| ToShell::Size(columns, lines));
    let _ = shell.to.try_send(size()?);
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    let mut open = true;
    let mut quit = false;
    tokio::pin!(stop);
    let how = loop {
        tokio::select! {
            biased;
            () = &mut stop => {
                quit = true;
                break "was left".to_owned();
            }
            typed = keys.pressed.recv(), if shell.to.capacity() > 1 => match typed {
                Some(bytes) if bytes.contains(&LEAVE) => break "was left with ctrl-]".to_owned(),
                Some(bytes) => drop(shell.to.try_send(ToShell::Bytes(bytes))),
                // The terminal is gone.
                None => {
                    quit = true;
                    break "was left".to_owned();
                }
            },
            said = shell.from.recv() => match said {
                Some(FromShell::Bytes(bytes)) => print(&bytes)?,
                Some(FromShell::Ended(how)) => break how,
                None => break "was cut off".to_owned(),
            },
            Some(()) = resized.recv() => drop(shell.to.try_send(size()?)),
            message = messages.recv(), if open => match message {
                Some(message) => quit |= fold(message)?,
                None => open = false,
            },
            _ = ticks.tick() => quit |= fold(Message::Tick)?,
        }
        if quit {
            break "was left".to_owned();
        }
    };
    drop(keys);
    print(RESET)?;
    print(b"\r\n")?;
    Ok(Back { sentence: format!("the shell in {of} {how}"), quit })
}

fn print(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = stdout();
    out.write_all(bytes)?;
    out.flush()
}

/// What is typed, byte by byte, read by a thread of its own that ends with this.
struct Keys {
    pressed: mpsc::Receiver<Vec<u8>>,
    over: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Keys {
    fn read() -> Self {
        let (sender, pressed) = mpsc::channel(64);
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            let from = stdin();
            let mut buffer = [0_u8; 4096];
            while !seen.load(Ordering::SeqCst) {
                let mut ready = [PollFd::new(&from, PollFlags::IN)];
                match poll(&mut ready, Some(&LOOK)) {
                    Ok(0) | Err(rustix::io::Errno::INTR) => continue,
                    Ok(_) => {}
                    Err(_) => return,
                }
                // Not through the buffer of `Stdin`: what it held would be lost to the console.
                match rustix::io::read(&from, &mut buffer) {
                    Ok(count @ 1..) => {
                        if sender.blocking_send(buffer[..count].to_vec()).is_err() {
                            return;
                        }
                    }
                    Err(rustix::io::Errno::INTR) => {}
                    Ok(0) | Err(_) => return,
                }
            }
        });
        Self { pressed, over, thread: Some(thread) }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        self.pressed.close();
        // It looks twenty times a second; what it read last was meant for the shell.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
