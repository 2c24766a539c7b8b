//! `demo --screenshots DIR --script KEYS`: pictures of the console, made by the program itself on its simulated fleet.

use std::path::Path;

use tokio::sync::mpsc;

use super::shared_options::Connect;
use crate::app::driver::{Driver, console_session::session};
use crate::app::{App, AppOptions};
use crate::console::key_script::{self, Step};
use crate::console::screenshots;
use crate::files::{self, Allowed};

/// Longest script that is read from a file.
const LONGEST: u64 = 64 * 1024;

/// Reads what is to be pressed: the script itself, or `@FILE`. `Err`: one sentence.
pub fn steps(given: &str) -> Result<Vec<Step>, String> {
    let text = match given.strip_prefix('@') {
        Some(file) => {
            files::read_text(Path::new(file), Allowed::PlainOrPipe, LONGEST).map_err(|error| error.to_string())?
        }
        None => given.to_owned(),
    };
    key_script::read(&text)
}

/// Plays it and writes a file for each picture; gives their names. `Err`: one sentence.
pub async fn take(
    driver: Driver,
    connect: &Connect,
    steps: Vec<Step>,
    size: (u16, u16),
    folder: &Path,
) -> Result<Vec<String>, String> {
    let unwritten =
        |why: std::io::Error| format!("{} cannot be written to: {}", folder.display(), files::io_words(&why));
    std::fs::create_dir_all(folder).map_err(unwritten)?;
    let (messages, inbox) = mpsc::channel(1024);
    let (effects, todo) = mpsc::channel(64);
    // Nobody has a terminal to lend.
    let (lent, _) = mpsc::channel(1);
    // The same picture whenever it is made: no clock.
    let app = App::new(AppOptions { simulated: true, ascii: connect.ascii, color: true, ..AppOptions::default() });
    let background = tokio::spawn(session(driver, messages, todo, lent));
    let played = screenshots::play(app, steps, size, inbox, effects).await;
    background.await.map_err(|error| format!("the session broke: {error}"))?;
    let mut names = Vec::new();
    for picture in played? {
        let name = format!("{}.svg", picture.name);
        std::fs::write(folder.join(&name), picture.svg).map_err(unwritten)?;
        names.push(name);
    }
    Ok(names)
}
