//! `tidepilot` without a command: the console over every context.

use std::process::ExitCode;

use super::fail;
use super::options::Connect;

pub async fn run(_connect: &Connect) -> color_eyre::Result<ExitCode> {
    Ok(fail("the console is not merged yet", 1))
}
