//! The terminal while the console holds it: raw, its alternate screen, its mouse; given back as it was, whatever ends the session.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use color_eyre::eyre::WrapErr;
use crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use crossterm::terminal::{EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, terminal};
use tokio::sync::mpsc;

pub(super) fn enter() -> std::io::Result<()> {
    // Colours are mapped away by the theme; crossterm's own NO_COLOR handling would reset reverse video.
    crossterm::style::force_color_output(true);
    HELD.store(true, Ordering::SeqCst);
    terminal::enable_raw_mode()?;
    execute!(stdout(), EnterAlternateScreen, cursor::Hide)?;
    if MOUSE.load(Ordering::SeqCst) {
        execute!(stdout(), EnableMouseCapture)?;
    }
    Ok(())
}

/// Whether the terminal is ours. Leaving the alternate screen twice would move the cursor back over what was printed
/// in between.
pub(super) static HELD: AtomicBool = AtomicBool::new(false);

/// Whether the terminal is asked to tell of the mouse.
pub(super) static MOUSE: AtomicBool = AtomicBool::new(false);

/// Every part is tried, whatever happened to the others: nobody is left to be told.
pub(super) fn leave() {
    if !HELD.swap(false, Ordering::SeqCst) {
        return;
    }
    if MOUSE.load(Ordering::SeqCst) {
        let _ = execute!(stdout(), DisableMouseCapture);
    }
    let _ = execute!(stdout(), EndSynchronizedUpdate, LeaveAlternateScreen, cursor::Show);
    let _ = terminal::disable_raw_mode();
    let _ = stdout().flush();
}

/// Shows the main screen, still raw: for a shell that is lent the terminal.
pub(super) fn lend() -> std::io::Result<()> {
    if MOUSE.load(Ordering::SeqCst) {
        execute!(stdout(), DisableMouseCapture)?;
    }
    execute!(stdout(), LeaveAlternateScreen, cursor::Show)
}

type Hook = dyn Fn(&std::panic::PanicHookInfo<'_>) + Send + Sync;

/// Holds the terminal; gives it back when dropped, and before a panic of the main thread is reported.
pub(super) struct Guard {
    earlier: Arc<Hook>,
}

impl Guard {
    pub(super) fn enter(faults: mpsc::Sender<String>) -> color_eyre::Result<Self> {
        let earlier: Arc<Hook> = Arc::from(std::panic::take_hook());
        let report = Arc::clone(&earlier);
        let main = std::thread::current().id();
        std::panic::set_hook(Box::new(move |info| {
            if std::thread::current().id() == main {
                leave();
                report(info);
                return;
            }
            // The app lives on: a report on its screen would only spoil it.
            let what = info.payload_as_str().unwrap_or("no message");
            let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
            let _ = faults.try_send(format!("a background task panicked: {what}{place}"));
        }));
        let guard = Self { earlier };
        enter().wrap_err("the terminal cannot be prepared")?;
        Ok(guard)
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave();
        if !std::thread::panicking() {
            let earlier = Arc::clone(&self.earlier);
            std::panic::set_hook(Box::new(move |info| earlier(info)));
        }
    }
}
