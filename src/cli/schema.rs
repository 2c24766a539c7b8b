//! `tidepilot schema NAME`: the JSON Schema of what a command prints. The schemas are files in `assets/schemas`; a test
//! holds real outputs to them. Not here: the schema of a runbook (`tidepilot runbook schema`).

use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::print;

#[derive(Args, Debug)]
pub struct SchemaArgs {
    /// Whose JSON
    #[arg(value_enum)]
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Of {
    Status,
    Check,
    /// `check --catalogue`
    Catalogue,
    Plan,
    Diagnose,
    /// `runs list`
    Runs,
    /// `runbook lint`
    Lint,
    Version,
    /// `check network-prerequisites`
    NetworkPrerequisites,
    /// What a command of `--notify` gets
    Notification,
    /// One record of `run -o json` and `runs show -o json`
    Run,
}

pub fn run(args: &SchemaArgs) -> ExitCode {
    print(match args.of {
        Of::Status => include_str!("../../assets/schemas/status.json"),
        Of::Check => include_str!("../../assets/schemas/check.json"),
        Of::Plan => include_str!("../../assets/schemas/plan.json"),
        Of::Diagnose => include_str!("../../assets/schemas/diagnose.json"),
        Of::Catalogue => include_str!("../../assets/schemas/catalogue.json"),
        Of::Runs => include_str!("../../assets/schemas/runs.json"),
        Of::Lint => include_str!("../../assets/schemas/lint.json"),
        Of::Version => include_str!("../../assets/schemas/version.json"),
        Of::Notification => include_str!("../../assets/schemas/notification.json"),
        Of::NetworkPrerequisites => include_str!("../../assets/schemas/network-prerequisites.json"),
        Of::Run => include_str!("../../assets/schemas/run.json"),
    });
    ExitCode::SUCCESS
}
