//! `tidepilot status`: one look (or one after the other with `--watch`), one exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::shared_options::Connect;
use super::signals::{Signals, asked};
use super::{USAGE, fail, print};
use crate::client::{self, Links};
use crate::report;
use crate::report::status::{Status, Verdict};

#[derive(Args, Debug)]
pub struct StatusArgs {
    /// Form of the output
    #[arg(short, long, value_enum, default_value_t = Output::Table)]
    output: Output,
    /// Look again every few seconds; Ctrl-C ends it. JSON: one line for each change
    #[arg(long)]
    watch: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    Table,
    Wide,
    Json,
    Yaml,
}

/// Seconds between two looks of `--watch`.
const EVERY_S: u64 = 5;

pub async fn run(args: &StatusArgs, connect: &Connect) -> color_eyre::Result<ExitCode> {
    let links = match connect.links() {
        Ok(links) => links,
        Err(sentence) => return Ok(fail(&sentence, USAGE)),
    };
    let mut last = None;
    let mut signals = None;
    let mut code = ExitCode::SUCCESS;
    loop {
        let observed_at = client::now();
        let status = tokio::select! {
            status = look(args, connect, &links) => status,
            _ = asked(&mut signals) => return Ok(code),
        };
        let verdict = status.verdict;
        code = ExitCode::from(verdict.exit_code());
        let text = match args.output {
            Output::Table => status.text(false),
            Output::Wide => status.text(true),
            Output::Json if args.watch => {
                let seen = serde_json::to_value(&status)?;
                let line = serde_json::to_string(&report::document(&seen, observed_at)?)? + "\n";
                // What is as it was is no news.
                match last.replace(seen.clone()).is_some_and(|before| before == seen) {
                    true => String::new(),
                    false => line,
                }
            }
            Output::Json => serde_json::to_string_pretty(&report::document(&status, observed_at)?)? + "\n",
            Output::Yaml => format!("---\n{}", serde_saphyr::to_string(&report::document(&status, observed_at)?)?),
        };
        print(&text);
        if !args.watch {
            return Ok(code);
        }
        if signals.is_none() {
            signals = Some(Signals::register()?);
        }
        if matches!(args.output, Output::Table | Output::Wide) {
            print(match verdict {
                Verdict::Well => "-- all well --\n\n",
                Verdict::Wrong => "-- something is wrong --\n\n",
                Verdict::Unseen => "-- something could not be seen --\n\n",
            });
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(EVERY_S)) => {}
            _ = asked(&mut signals) => return Ok(code),
        }
    }
}

async fn look(args: &StatusArgs, connect: &Connect, links: &Links) -> Status {
    let fleet = client::assemble(links.look(None).await);
    let work = connect.open_work(links, &fleet).await;
    let mut open = work.open();
    if matches!(args.output, Output::Table | Output::Wide) {
        connect.repeat_of_runs(&mut open);
    }
    Status::of(&fleet).with_runs(open, work.unseen)
}
