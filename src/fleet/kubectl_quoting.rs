//! What lines for a shell are made of: each kubectl line begins here, quoted. Names of contexts are whatever a kubeconfig says.
//!
//! Not here: which lines there are; the lines that go on with a run (`cli::printed_command_options`).

use super::ObjectRef;

/// POSIX shell quoting.
pub fn quote(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// Where kubectl finds the objects of a TidbCluster: `--context C -n N`.
pub fn place(of: &ObjectRef) -> String {
    format!("--context {} -n {}", quote(&of.context), quote(&of.namespace))
}

/// An object as an input of a runbook: `C/N/NAME`.
pub fn target(of: &ObjectRef) -> String {
    quote(&of.to_string())
}

/// The beginning of a line about an object's namespace: `kubectl --context C -n N`.
pub fn kubectl(of: &ObjectRef) -> String {
    format!("kubectl {}", place(of))
}

/// The same of a whole KubeCluster: `kubectl --context C`.
pub fn kubectl_in(context: &str) -> String {
    format!("kubectl --context {}", quote(context))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shell_quoting() {
        for (text, quoted) in [("a-b", "a-b"), ("", "''"), ("a b", "'a b'"), ("it's", "'it'\\''s'"), ("$x", "'$x'")] {
            assert_eq!(quote(text), quoted);
        }
        let odd = ObjectRef::new("a; rm -rf ~", "n", "x");
        assert_eq!(kubectl(&odd), "kubectl --context 'a; rm -rf ~' -n n");
        assert_eq!(kubectl_in("$(id)"), "kubectl --context '$(id)'");
    }
}
