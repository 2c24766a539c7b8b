//! What an error of TLS says, in words that an SRE would search for: no library's names, no seconds since 1970.
//!
//! Over [`crate::client::wire::tunnel`] (PD) and [`crate::client::wire::request_error`] (API servers). Not here: judging a certificate that lies in a Secret
//! (`fleet::tls`).

use std::error::Error as StdError;
use std::io;

use jiff::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::{AlertDescription, CertificateError, Error};

use crate::client::now;
use crate::fleet::tls::ago;

/// The error of TLS somewhere in a chain of causes.
pub(in crate::client) fn inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a Error> {
    let mut next = Some(error);
    while let Some(current) = next {
        if let Some(tls) = current.downcast_ref::<Error>() {
            return Some(tls);
        }
        // What an io::Error wraps is not its source, and may be another io::Error.
        let wrapped = current.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        if let Some(tls) = wrapped.and_then(|wrapped| inside(wrapped)) {
            return Some(tls);
        }
        next = current.source();
    }
    None
}

/// Whether the name in the server's certificate is all that is wrong.
pub(in crate::client) fn another_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. })
    )
}

/// Whether the server's certificate is what is wrong.
pub(in crate::client) fn not_accepted(error: &Error) -> bool {
    matches!(error, Error::InvalidCertificate(_))
}

/// The rest of a sentence that begins with who was spoken to. `trust`: where the CA that is trusted stands.
pub(in crate::client) fn words(error: &Error, trust: &str) -> String {
    match error {
        Error::InvalidCertificate(why) => format!("its certificate {}", certificate(why, trust)),
        Error::AlertReceived(alert) => alerted(*alert),
        Error::InvalidMessage(_) => "what it answers is not TLS: does it serve plain HTTP?".to_owned(),
        Error::PeerIncompatible(_) | Error::PeerMisbehaved(_) => {
            "its TLS is of a version or kind that is not spoken here (1.2 and 1.3 are)".to_owned()
        }
        other => other.to_string(),
    }
}

fn certificate(why: &CertificateError, trust: &str) -> String {
    let at = |time: &UnixTime| {
        i64::try_from(time.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok()).unwrap_or_default()
    };
    match why {
        CertificateError::Expired => "has expired".to_owned(),
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired at {} ({})", at(not_after), ago(at(not_after), now()))
        }
        CertificateError::NotValidYet => "is not valid yet".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => format!("is valid only from {} on", at(not_before)),
        CertificateError::UnknownIssuer => format!("is signed by a CA that is not in {trust}"),
        CertificateError::BadSignature => {
            format!("is signed by another CA of the same name than the one in {trust} (the key ids differ)")
        }
        CertificateError::NotValidForName => "lacks the name".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let has: Vec<&str> = presented.iter().map(|name| bare(name)).collect();
            let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
            format!("lacks the name {}; it has {has}", expected.to_str())
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "may not be used by a server (server auth)".to_owned()
        }
        CertificateError::BadEncoding => "cannot be read".to_owned(),
        CertificateError::Revoked => "is revoked".to_owned(),
        other => format!("is not accepted: {other}"),
    }
}

/// `DnsName("x")`, as the verifier lists it, without its shell.
fn bare(name: &str) -> &str {
    name.split('"').nth(1).or_else(|| Some(name.split_once('(')?.1.trim_end_matches(')'))).unwrap_or(name)
}

/// What the other side says to the certificate that was shown to it, or to the lack of one.
fn alerted(alert: AlertDescription) -> String {
    let refused = |why: &str| format!("it refuses the certificate that was shown to it: {why}");
    match alert {
        AlertDescription::CertificateExpired => refused("it has expired"),
        AlertDescription::UnknownCA => refused("it is signed by a CA that is not trusted there"),
        AlertDescription::BadCertificate => {
            refused("its use is not client auth, its common name is not let in, or its signature does not fit")
        }
        AlertDescription::CertificateRevoked => refused("it is revoked"),
        AlertDescription::CertificateUnknown | AlertDescription::UnsupportedCertificate => {
            refused("no reason is given")
        }
        AlertDescription::AccessDenied => refused("it is not let in"),
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => {
            "it asks for a certificate, and none was shown to it".to_owned()
        }
        AlertDescription::HandshakeFailure => "it ended the handshake: it may ask for a certificate".to_owned(),
        AlertDescription::ProtocolVersion => {
            "it speaks no version of TLS that is spoken here (1.2 and 1.3 are)".to_owned()
        }
        AlertDescription::UnrecognisedName => "it serves no such name".to_owned(),
        other => format!("it ended the handshake (TLS alert {})", u8::from(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_words_of_a_library() {
        let time = |second| UnixTime::since_unix_epoch(std::time::Duration::from_secs(second));
        let lacks = CertificateError::NotValidForNameContext {
            expected: "x-pd.db.svc".try_into().expect("a name"),
            presented: vec!["DnsName(\"x-pd\")".into(), "IpAddress(127.0.0.1)".into()],
        };
        let cases: [(Error, &str); 8] = [
            (
                Error::InvalidCertificate(CertificateError::ExpiredContext {
                    time: time(1_795_924_224),
                    not_after: time(1_795_837_802),
                }),
                "its certificate expired at 2026-11-28T03:50:02Z (",
            ),
            (
                Error::InvalidCertificate(CertificateError::NotValidYetContext {
                    time: time(0),
                    not_before: time(1_795_837_802),
                }),
                "valid only from 2026-11-28",
            ),
            (
                Error::InvalidCertificate(CertificateError::BadSignature),
                "another CA of the same name than the one in ca.crt",
            ),
            (Error::InvalidCertificate(CertificateError::UnknownIssuer), "a CA that is not in ca.crt"),
            (Error::InvalidCertificate(lacks), "lacks the name x-pd.db.svc; it has x-pd, 127.0.0.1"),
            (
                Error::AlertReceived(AlertDescription::CertificateExpired),
                "it refuses the certificate that was shown to it: it has expired",
            ),
            (Error::AlertReceived(AlertDescription::UnknownCA), "a CA that is not trusted there"),
            (Error::AlertReceived(AlertDescription::CertificateRequired), "none was shown"),
        ];
        for (error, expected) in cases {
            let wrapped = io::Error::new(io::ErrorKind::InvalidData, error);
            let said = words(inside(&wrapped).expect("it is in there"), "ca.crt");
            assert!(said.contains(expected), "{said}");
            for raw in ["UNIX", "DnsName", "IpAddress(", "Context", "seconds", "1795"] {
                assert!(!said.contains(raw), "{said}");
            }
        }
        assert!(inside(&io::Error::from(io::ErrorKind::UnexpectedEof)).is_none());
        let name = Error::InvalidCertificate(CertificateError::NotValidForName);
        assert!(another_name(&name) && !another_name(&Error::DecryptError));
    }

    #[test]
    fn an_error_of_tls_is_found_however_deep_it_is_wrapped() {
        let tls = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let once = io::Error::new(io::ErrorKind::InvalidData, tls());
        let twice = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, tls()));
        for error in [once, twice] {
            assert_eq!(inside(&error), Some(&tls()));
        }
        assert_eq!(inside(&io::Error::other("x")), None);
    }
}
