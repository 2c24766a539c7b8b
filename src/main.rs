//! Arguments → library → exit code; nothing else.

fn main() -> std::process::ExitCode {
    tidepilot::cli::main()
}
