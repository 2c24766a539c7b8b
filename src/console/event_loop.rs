//! The loop around [`super::draw`]: keys, messages and ticks in, frames and effects out; and the terminal given back
//! as it was, whatever ends the session.
//!
//! The first frame is drawn before anything is awaited. Draws happen only when something may have changed, at most
//! sixty a second over a while, each as one synchronized update ([`super::synchronized_backend`]); keys that are there already
//! share one ([`super::input_events`]). Not here: what a key does (`app`), acting on the world (`app::driver`).

use std::collections::VecDeque;
use std::io::{IsTerminal, Stdout, stdin, stdout};
use std::mem::ManuallyDrop;
use std::sync::atomic::Ordering;
use std::time::Duration;

use color_eyre::eyre::{WrapErr, eyre};
use crossterm::event::{Event, EventStream};
use ratatui::Terminal;
use ratatui::layout::Rect;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::app::App;
use crate::app::driver::shells::Attached;
use crate::app::message::{Effect, Message};
use crate::app::status_level::Level;

use super::click_targets::Spots;
use super::clipboard::{self, Said};
use super::export_markdown;
use super::input_events::{Draw, Events, fold, now};
use super::raw_mode::{Guard, MOUSE, enter, leave, lend};
use super::shell_attach;
use super::synchronized_backend::SynchronizedBackend;

/// Shortest time between two frames, where drawing is quick; a slow terminal has as long a rest again as it took.
const FRAME: Duration = Duration::from_millis(8);
/// The same where frames follow each other: sixty a second are as many as anybody sees.
const STEADY_FRAME: Duration = Duration::from_millis(16);
/// The same behind a frame that changed nothing on the screen: nobody sees it, so that it holds nothing up.
const UNSEEN_FRAME: Duration = Duration::from_millis(4);
/// Quiet for so long, and the next frame comes at once again.
const QUIET: Duration = Duration::from_millis(100);
/// Longest rest, however slow the terminal.
const SLOW_FRAME: Duration = Duration::from_millis(50);
/// Messages folded in before the screen gets its turn.
const BATCH: usize = 256;
/// Effects kept for a driver that is busy.
const BACKLOG: usize = 64;

type Screen = Terminal<SynchronizedBackend<Stdout>>;

/// Runs the console until a person quits, a signal asks for the end, or the terminal is gone.
///
/// `Effect::Copy` is carried out here; every other effect goes to `effects`, `Effect::Quit` as the last. To be awaited
/// on the main thread: a panic there restores the terminal, one elsewhere becomes a [`Message::Fault`]. Returns the id of
/// the run that was driven or shown last.
#[expect(clippy::too_many_lines, reason = "one loop: all that it waits for changes the same screen")]
pub async fn run(
    mut app: App,
    mut messages: mpsc::Receiver<Message>,
    effects: mpsc::Sender<Effect>,
    mut shells: mpsc::Receiver<Attached>,
) -> color_eyre::Result<Option<String>> {
    fit_terminal()?;
    let (faults, mut fault) = mpsc::channel(16);
    MOUSE.store(app.options.mouse, Ordering::SeqCst);
    let _guard = Guard::enter(faults)?;
    let screen = Terminal::new(SynchronizedBackend::new(stdout())).wrap_err("the terminal's size cannot be read")?;
    // Never dropped: it would show the cursor once more and, where the terminal is gone, panic over saying that it cannot.
    // The guard gives the terminal back.
    let mut screen = ManuallyDrop::new(screen);
    let size = screen.size()?;
    app.resize(size.width, size.height);
    app.update(Message::Tick, now());
    let (mut spots, _) = present(&mut screen, &mut app, false)?;

    let mut keys = Some(Events::new(EventStream::new()));
    let mut signals = Signals::new()?;
    let mut ticks = interval(Duration::from_secs(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut drawn = Instant::now();
    // The last frame that changed anything.
    let mut changed = drawn;
    let mut rest = FRAME;
    let mut dirty = false;
    let mut open = true;
    let mut backlog = Backlog::new();
    // The next frame repaints every cell.
    let mut anew = false;
    let (copied, mut said) = mpsc::channel(4);
    loop {
        let mut todo = Vec::new();
        let mut at_once = false;
        let mut lent = None;
        tokio::select! {
            biased;
            stop = signals.next() => match stop {
                Asked::End => {
                    if app.run.as_ref().is_some_and(|run| run.driving) {
                        todo.push(Effect::PauseRun);
                    }
                    todo.push(Effect::Quit);
                }
                Asked::Stop => {
                    suspend(&mut screen)?;
                    dirty = true;
                }
            },
            event = pressed(&mut keys) => if let Some(keys) = &mut keys {
                let carry = |todo, app: &mut App| carry_out(todo, &mut backlog, app, &effects, &copied);
                // For as long as a frame takes: half of the time is left for drawing.
                let folded = fold(event, keys, &mut app, &spots, rest, carry).await?;
                if folded.over {
                    return Ok(shown_last(&app));
                }
                at_once = folded.draw.is_some();
                anew |= folded.draw == Some(Draw::Anew);
            },
            sentence = fault.recv() => if let Some(sentence) = sentence {
                todo = app.update(Message::Fault(sentence), now());
            },
            about = said.recv() => if let Some((level, sentence)) = about {
                app.say(level, sentence);
                dirty = true;
            },
            Some(shell) = shells.recv() => lent = Some(shell),
            message = messages.recv(), if open => match message {
                Some(message) => {
                    todo = app.update(message, now());
                    for _ in 0..BATCH {
                        let Ok(message) = messages.try_recv() else { break };
                        todo.extend(app.update(message, now()));
                    }
                }
                None => {
                    open = false;
                    todo = app.update(Message::Fault("the background part has ended; what is shown is old".into()), now());
                }
            },
            _ = ticks.tick() => todo = app.update(Message::Tick, now()),
            () = sleep_until(drawn + rest), if dirty => at_once = true,
        }
        if let Some(shell) = lent {
            // Its reader must be gone before the shell's own begins: two would share the keys.
            drop(keys.take());
            lend()?;
            let fold = |message| {
                let todo = app.update(message, now());
                carry_out(todo, &mut backlog, &mut app, &effects, &copied)
            };
            let back = shell_attach::attend(shell, &mut messages, signals.end(), fold).await?;
            enter()?;
            keys = Some(Events::new(EventStream::new()));
            anew = true;
            dirty = true;
            let size = screen.size()?;
            app.resize(size.width, size.height);
            app.update(Message::Shell(Level::Done, back.sentence), now());
            if back.quit {
                todo.push(Effect::Quit);
            }
        }
        if carry_out(todo, &mut backlog, &mut app, &effects, &copied)? {
            return Ok(shown_last(&app));
        }
        dirty |= app.take_dirty();
        if dirty && (at_once || drawn.elapsed() >= rest) {
            let begun = Instant::now();
            let wrote;
            (spots, wrote) = present(&mut screen, &mut app, anew)?;
            drawn = Instant::now();
            let took = drawn.duration_since(begun);
            rest = match wrote {
                true if begun.duration_since(changed) > QUIET => took.clamp(FRAME, SLOW_FRAME),
                true => took.clamp(STEADY_FRAME, SLOW_FRAME),
                // What is not on the screen may change as often as it likes, for a quarter of a processor at most.
                false => (took * 3).clamp(UNSEEN_FRAME, SLOW_FRAME),
            };
            if wrote {
                changed = drawn;
            }
            dirty = false;
            anew = false;
        }
    }
}

/// The run that was driven or shown last.
fn shown_last(app: &App) -> Option<String> {
    app.run.as_ref().map(|run| run.id().to_owned())
}

/// Whether there is a terminal that can place a cursor.
fn fit_terminal() -> color_eyre::Result<()> {
    if !stdout().is_terminal() || !stdin().is_terminal() {
        return Err(eyre!(
            "the console needs a terminal, and standard input or output is none; `tidepilot status` prints without one"
        ));
    }
    if std::env::var("TERM").is_ok_and(|term| term == "dumb") {
        return Err(eyre!(
            "the console needs a terminal that can place the cursor, and TERM is \"dumb\"; `tidepilot status` prints lines"
        ));
    }
    Ok(())
}

/// The next event of the terminal; never while it is lent.
async fn pressed(keys: &mut Option<Events>) -> Option<std::io::Result<Event>> {
    match keys {
        Some(keys) => keys.next().await,
        None => std::future::pending().await,
    }
}

/// Effects that a busy driver has not taken yet, in order: an answer must not get lost, and must not overtake.
type Backlog = VecDeque<Effect>;

/// Sends effects on; `true` when the session is over. The screen never waits for a busy driver.
fn carry_out(
    todo: Vec<Effect>,
    backlog: &mut Backlog,
    app: &mut App,
    effects: &mpsc::Sender<Effect>,
    copied: &mpsc::Sender<Said>,
) -> color_eyre::Result<bool> {
    let mut over = false;
    for effect in todo {
        match effect {
            Effect::Copy(text) => copy(text, app, copied)?,
            other => {
                let other = match other {
                    Effect::Save => export_markdown::of(app),
                    other => other,
                };
                over |= other == Effect::Quit;
                if backlog.len() < BACKLOG || over {
                    backlog.push_back(other);
                } else {
                    app.say(Level::Bad, "the background part is busy: that was not done");
                }
            }
        }
    }
    while let Some(effect) = backlog.pop_front() {
        match effects.try_send(effect) {
            Ok(()) => {}
            Err(TrySendError::Full(effect)) => {
                backlog.push_front(effect);
                break;
            }
            Err(TrySendError::Closed(_)) => {
                backlog.clear();
                app.say(Level::Bad, "the background part has ended: that was not done; quit with :q");
            }
        }
    }
    Ok(over)
}

/// Carries a copy out and says what became of it: at once, or when tmux has answered.
fn copy(text: String, app: &mut App, copied: &mpsc::Sender<Said>) -> color_eyre::Result<()> {
    if text.len() > clipboard::LONGEST {
        app.say(
            Level::Bad,
            format!("nothing was copied: {} bytes are too many for a terminal's clipboard", text.len()),
        );
    } else if std::env::var_os("TMUX").is_some_and(|socket| !socket.is_empty()) {
        let copied = copied.clone();
        tokio::spawn(async move {
            let said = clipboard::to_tmux(text).await;
            // The session is over: nobody is left to be told.
            let _ = copied.send(said).await;
        });
    } else {
        let (level, sentence) = clipboard::to_terminal(&mut stdout(), text)?;
        app.say(level, sentence);
    }
    Ok(())
}

/// Draws a frame; what lies where in it, and whether it changed anything.
fn present(screen: &mut Screen, app: &mut App, anew: bool) -> color_eyre::Result<(Spots, bool)> {
    let size = screen.size()?;
    super::settle(app, Rect::new(0, 0, size.width, size.height));
    if anew {
        screen.backend_mut().forget();
        // Not `clear`: that asks the terminal for its cursor, and the answer would come as keys.
        screen.resize(Rect::new(0, 0, size.width, size.height))?;
    }
    let mut spots = Spots::default();
    let drawn = screen.draw(|frame| super::draw_noting(app, frame, &mut spots)).map(|_| spots);
    let wrote = screen.backend_mut().end_frame()?;
    Ok((drawn.wrap_err("the terminal cannot be written to")?, wrote))
}

enum Asked {
    End,
    Stop,
}

struct Signals {
    terminate: Signal,
    hangup: Signal,
    interrupt: Signal,
    quit: Signal,
    stop: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            stop: signal(SignalKind::from_raw(SIGTSTP))?,
        })
    }

    /// When the session is to end; a stop of this process is not for a lent terminal.
    async fn end(&mut self) {
        while let Asked::Stop = self.next().await {}
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.hangup.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.quit.recv() => Asked::End,
            _ = self.stop.recv() => Asked::Stop,
        }
    }
}

/// Its number differs between systems.
const SIGTSTP: i32 = if cfg!(any(target_os = "macos", target_os = "ios", target_os = "freebsd")) { 18 } else { 20 };

/// Gives the terminal back, stops this process as the signal wanted, and takes the terminal again afterwards.
/// (Ctrl-Z is a key here, raw mode does not raise the signal; `kill -TSTP` and job control of a parent do.)
fn suspend(screen: &mut Screen) -> color_eyre::Result<()> {
    leave();
    // Without unsafe code a process can stop itself only by asking another one.
    let _ = std::process::Command::new("kill").args(["-STOP", &std::process::id().to_string()]).status();
    enter()?;
    screen.backend_mut().forget();
    let size = screen.size()?;
    screen.resize(Rect::new(0, 0, size.width, size.height))?;
    Ok(())
}
