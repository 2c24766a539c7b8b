//! How a plan or a run comes back to whoever called it. The one table: what it is, its exit code, and what the help says.

/// How it came back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exit {
    #[default]
    Done,
    Internal,
    /// A plan has changes to make.
    Changes,
    AtGate,
    Refused,
    Paused,
    AnotherRun,
    Foreign,
    Undone,
    /// Every step is done, but what was to be verified does not hold.
    NotGood,
}

impl Exit {
    /// Every end of a run, in the order of the codes.
    pub const OF_RUNS: [Exit; 9] = [
        Exit::Done,
        Exit::Internal,
        Exit::AtGate,
        Exit::Refused,
        Exit::Paused,
        Exit::AnotherRun,
        Exit::Foreign,
        Exit::Undone,
        Exit::NotGood,
    ];

    /// The end of a run with this exit code.
    pub fn of_run(code: u8) -> Option<Exit> {
        Exit::OF_RUNS.into_iter().find(|exit| exit.code() == code)
    }

    /// The exit code of the process.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Internal => 1,
            Exit::Changes => 2,
            Exit::AtGate => 3,
            Exit::Refused => 4,
            Exit::Paused => 5,
            Exit::AnotherRun => 6,
            Exit::Foreign => 7,
            Exit::Undone => 8,
            Exit::NotGood => 9,
        }
    }

    /// What the help says of it.
    pub const fn meaning(self) -> &'static str {
        match self {
            Exit::Done => "done, or nothing to do",
            Exit::Internal => "internal error",
            Exit::Changes => "changes to make",
            Exit::AtGate => "stopped at a gate: a confirmation or an approval is needed",
            Exit::Refused => "refused before any effect",
            Exit::Paused => "paused after effects; the run is open",
            Exit::AnotherRun => {
                "somebody else drives it, or another run that has sent something, or the same runbook on the same target, is open"
            }
            Exit::Foreign => "somebody else changed what the run was about to change",
            Exit::Undone => "undone",
            Exit::NotGood => "done, but what was to be verified does not hold",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_first_release() {
        let codes: Vec<u8> = Exit::OF_RUNS.iter().map(|exit| exit.code()).collect();
        assert_eq!(codes, [0, 1, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!(Exit::Changes.code(), 2);
    }
}
