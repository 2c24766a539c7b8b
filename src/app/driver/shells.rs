//! Opens a shell for the console, which lends it the terminal.

use tokio::sync::mpsc;

use super::Driver;
use crate::app::message::Message;
use crate::app::status_level::Level;
use crate::client::HandPermit;
use crate::client::wire::shell::{Shell, open};
use crate::fleet::ObjectRef;

pub use crate::client::wire::shell::{FromShell, ToShell};

/// An open shell on its way to the terminal.
pub struct Attached {
    /// Whose shell it is: `east/db/basic-tidb-0, container tidb`.
    pub of: String,
    pub shell: Shell,
}

/// Opens one and hands it on; why there is none is told instead.
pub(super) async fn attach(
    driver: &Driver,
    of: &ObjectRef,
    container: &str,
    shells: &mpsc::Sender<Attached>,
    messages: &mpsc::Sender<Message>,
) {
    let opened = match HandPermit::for_context(&driver.links, &of.context) {
        Ok(permit) => open(&driver.links, &permit, of, container).await,
        Err(why) => Err(why),
    };
    // A console that is gone needs neither.
    match opened {
        Ok(shell) => drop(shells.send(Attached { of: format!("{of}, container {container}"), shell }).await),
        Err(why) => drop(messages.send(Message::Shell(Level::Bad, why)).await),
    }
}
