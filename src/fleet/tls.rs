//! Which certificates a TidbCluster with TLS needs, and what is wrong with those it has (`domain.md` §4.2, hazards 20–24).
//!
//! The list ([`required_certificates`]) is made from a TidbCluster, or from what one is asked for before it exists; what is wrong with one
//! Secret, and with those of a Database, is judged in [`certificate_checks`], over what [`certificate_fault_kinds`] names. Pure. Not here: reading
//! Secrets (`client`), making certificates (`client::certificates::signing`), the certificates of API servers.

pub mod ca_trust;
mod certificate_checks;
mod certificate_fault_kinds;
mod openssl_strictness;
mod required_certificates;

pub use self::certificate_checks::{
    KEYS, SOON, ago, authority_trouble, authority_troubles, out_of_time, troubles, troubles_at, troubles_of,
};
pub use self::certificate_fault_kinds::{CertificateFault, CertificateFaultKind, TroubleOf};
pub use self::required_certificates::{
    Asked, Purpose, Wanted, authority_secret, between, every_secret, operator_asks, wanted, wanted_of,
};
