//! Words of a line for a shell.

use crate::fleet::ObjectRef;

/// POSIX shell quoting.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Where kubectl finds the objects of a TidbCluster.
pub(in crate::runbook) fn place(of: &ObjectRef) -> String {
    format!("--context {} -n {}", quote(&of.context), quote(&of.namespace))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_quoting() {
        for (text, quoted) in [("a-b", "a-b"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(quote(text), quoted);
        }
    }
}
