//! A session of the console without a terminal: a script presses the keys, and frames become pictures.
//!
//! Not here: what the script says ([`super::key_script`]), how a frame is written ([`super::svg`]).

use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::key_script::Step;
use super::svg::svg;
use crate::app::App;
use crate::app::message::{Effect, Message};

/// Longest wait for a text, where the script says nothing else.
const PATIENCE: Duration = Duration::from_secs(60);
/// The screen counts as at rest when nothing has come for so long, and is taken as it is after so long.
const REST: Duration = Duration::from_millis(400);
const RESTLESS: Duration = Duration::from_secs(3);
/// Between two keys, as a quick hand has it.
const BETWEEN: Duration = Duration::from_millis(40);

/// A picture by its name.
pub struct Picture {
    pub name: String,
    pub svg: String,
}

/// Plays a script and gives its pictures. `Err`: one sentence, with the screen as it was.
pub async fn play(
    app: App,
    steps: Vec<Step>,
    (width, height): (u16, u16),
    messages: mpsc::Receiver<Message>,
    effects: mpsc::Sender<Effect>,
) -> Result<Vec<Picture>, String> {
    let mut stage = Stage { app, area: Rect::new(0, 0, width, height), messages, effects, patience: PATIENCE };
    stage.app.resize(width, height);
    let mut pictures = Vec::new();
    for step in steps {
        match step {
            Step::Press(key) => {
                stage.fold(Message::Key(key)).await;
                stage.listen(BETWEEN, BETWEEN).await;
            }
            Step::Wait(text) => stage.wait(&text).await?,
            Step::Patience(seconds) => stage.patience = Duration::from_secs(seconds),
            Step::Rest(seconds) => stage.rest(Duration::from_secs(seconds)).await,
            Step::Shot(name) => {
                stage.listen(REST, RESTLESS).await;
                let title = format!("tidepilot's console: {}", name.replace('-', " "));
                pictures.push(Picture { svg: svg(&stage.frame(), &title), name });
            }
        }
    }
    let _ = stage.effects.send(Effect::Quit).await;
    Ok(pictures)
}

struct Stage {
    app: App,
    area: Rect,
    messages: mpsc::Receiver<Message>,
    effects: mpsc::Sender<Effect>,
    patience: Duration,
}

impl Stage {
    /// Folds a message in and hands on what is to be done.
    async fn fold(&mut self, message: Message) {
        for effect in self.app.update(message, now()) {
            // There is no terminal that copies or saves, and the end is the script's.
            if !matches!(effect, Effect::Copy(_) | Effect::Save | Effect::Quit) {
                let _ = self.effects.send(effect).await;
            }
        }
    }

    /// Folds in what comes, until nothing has come for `rest`, or `longest` is over.
    async fn listen(&mut self, rest: Duration, longest: Duration) {
        let end = Instant::now() + longest;
        while Instant::now() < end {
            let next = (Instant::now() + rest).min(end);
            match tokio::time::timeout_at(next, self.messages.recv()).await {
                Ok(Some(message)) => self.fold(message).await,
                Ok(None) | Err(_) => break,
            }
        }
        self.fold(Message::Tick).await;
    }

    /// Folds in what comes for so long.
    async fn rest(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.listen(BETWEEN * 5, BETWEEN * 5).await;
        }
    }

    async fn wait(&mut self, text: &str) -> Result<(), String> {
        let end = Instant::now() + self.patience;
        loop {
            let shown = words(&self.frame());
            if shown.contains(text) {
                return Ok(());
            }
            if Instant::now() >= end {
                return Err(format!(
                    "{text:?} was not on the screen within {} s; it shows:\n{shown}",
                    self.patience.as_secs()
                ));
            }
            self.listen(BETWEEN, BETWEEN * 5).await;
        }
    }

    fn frame(&mut self) -> Buffer {
        super::settle(&mut self.app, self.area);
        let Ok(mut terminal) = Terminal::new(TestBackend::new(self.area.width, self.area.height));
        let Ok(_) = terminal.draw(|frame| super::draw(&self.app, frame));
        terminal.backend().buffer().clone()
    }
}

/// The text of a frame, line by line.
fn words(frame: &Buffer) -> String {
    let mut out = String::new();
    for y in frame.area.top()..frame.area.bottom() {
        let line: String = (frame.area.left()..frame.area.right()).map(|x| frame[(x, y)].symbol()).collect();
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[expect(
    clippy::disallowed_methods,
    reason = "an edge: this loop stamps what it hands to the core, as the terminal's does"
)]
fn now() -> Timestamp {
    Timestamp::now()
}
