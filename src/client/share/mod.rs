//! What several operators share in the clusters themselves: leases and their fence, run records, approvals.

pub mod approval;
pub mod found_runs;
pub mod lease;
pub mod leases;
pub mod open_run;
