//! (room: runbook)
