//! What several operators share in the clusters themselves: leases and their fence, run records, approvals.

pub mod approval;
pub mod find_run_records;
pub mod lease;
pub mod orphaned_leases;
pub mod run_record_configmaps;
