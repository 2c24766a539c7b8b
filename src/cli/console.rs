//! `tidepilot` without a command: the console over every context.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::notify::notifier;
use super::shared_options::Connect;
use super::{USAGE, fail};
use crate::app::driver::{Driver, console_session::session};
use crate::app::message::Message;
use crate::app::status_level::Level;
use crate::app::{App, AppOptions};
use crate::client::notify::{Notifier, Say};
use crate::client::{Links, journal};
use crate::console::event_loop;
use crate::runbook::run::view::Shown;

pub async fn run(connect: &Connect) -> color_eyre::Result<ExitCode> {
    let connect = &Connect { on_screen: true, ..connect.clone() };
    match connect.links().and_then(|links| Ok((links.clone(), connect.driver(links)?))) {
        Ok((links, driver)) => open(links, driver, connect, false).await,
        Err(sentence) => Ok(fail(&sentence, USAGE)),
    }
}

/// Opens the console over these connections; returns when the person leaves.
pub async fn open(links: Links, driver: Driver, connect: &Connect, simulated: bool) -> color_eyre::Result<ExitCode> {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .filter_map(|name| std::env::var(name).ok())
        .find(|value| !value.is_empty())
        .is_none_or(|locale| locale.to_ascii_lowercase().replace('-', "").contains("utf8"));
    let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
    let app = App::new(AppOptions {
        read_only: links.iter().all(|link| link.read_only()),
        simulated,
        ascii: connect.ascii || !utf8 || dumb,
        color: !set("NO_COLOR") && !dumb,
        mouse: connect.mouse(),
        clock: connect.clock(),
    });
    let (messages, inbox) = mpsc::channel(1024);
    let (effects, todo) = mpsc::channel(64);
    let (lent, shells) = mpsc::channel(1);
    // Whoever sits at the console may wait for a second person; leaving stops the run at their gate.
    let driver = driver.patience(Duration::from_secs(3600));
    // Nobody is to be told of what happens on a simulated fleet.
    let notifier = match simulated {
        true => Notifier::default(),
        false => match notifier(&[], told_on_screen(&messages)) {
            Ok(notifier) => notifier,
            Err(sentence) => return Ok(fail(&sentence, USAGE)),
        },
    };
    let driver = driver.notifying(notifier.clone());
    let folder = driver.runs_folder().to_owned();
    let background = tokio::spawn(session(driver, messages, todo, lent));
    let ended = event_loop::run(app, inbox, effects, shells).await;
    // Also when the terminal is gone: a run is to be paused and its lease given back.
    background.await?;
    notifier.end().await;
    if let Some(line) = ended?.and_then(|run| left_open(&folder, &run)) {
        // The terminal may be gone.
        let _ = writeln!(std::io::stderr(), "{line}");
    }
    Ok(ExitCode::SUCCESS)
}

/// What whoever leaves has to know of the run that this console had, as its journal has it now.
fn left_open(folder: &Path, run: &str) -> Option<String> {
    let records = journal::read(folder, run).ok()?;
    let open = Shown::of(&records).ok()?.view().outcome.is_none();
    open.then(|| format!("run {run} is open: tidepilot runs resume {run}"))
}

/// What could not be delivered is said on the screen; once that is gone, to nobody.
fn told_on_screen(messages: &mpsc::Sender<Message>) -> Say {
    let messages = messages.downgrade();
    Arc::new(move |line: &str| {
        if let Some(messages) = messages.upgrade() {
            // A screen that is behind has more urgent things to show.
            let _ = messages.try_send(Message::Said(Level::Working, line.to_owned()));
        }
    })
}
