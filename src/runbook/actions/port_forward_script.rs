//! A request to one PD pod as shell: what a person would type in the place of our own tunnel.
//!
//! kubectl chooses the local port and says which; a fixed one may be somebody else's (2379 is etcd's own on a control-plane
//! node). Before anything else is asked the PD cluster's id is compared, and an answer counts only while kubectl's process
//! lives: the port is its own for as long. Pure text. Used by the lines of a plan ([`crate::runbook::actions::api_request_parts`]) and by the script of
//! what is left ([`crate::runbook::run::remaining_script`]).

use crate::fleet::ObjectRef;
use crate::fleet::kubectl_quoting::{place, quote};

/// The shell function `pd CONTEXT NAMESPACE POD DATABASE METHOD PATH [BODY]`; needs no other. `certificates`: curl's flags
/// where PD speaks TLS.
pub(in crate::runbook) fn function(certificates: Option<&str>) -> String {
    let (scheme, certificates) = match certificates {
        Some(flags) => ("https", format!(" {flags}")),
        None => ("http", String::new()),
    };
    format!(
        r#"# pd CONTEXT NAMESPACE POD DATABASE METHOD PATH [BODY]: one request to one PD pod, if it is of that Database
pd() (
  out=$(mktemp)
  kubectl --context "$1" -n "$2" port-forward --address 127.0.0.1 "pod/$3" :2379 >"$out" 2>&1 &
  forward=$!
  trap 'kill "$forward" 2>/dev/null || true; wait "$forward" 2>/dev/null || true; rm -f "$out"' EXIT
  tries=0
  until port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$out"); test -n "$port"; do
    tries=$((tries + 1))
    if test "$tries" -ge 30 || ! kill -0 "$forward" 2>/dev/null; then
      echo "no port-forward to pod $3: $(cat "$out")" >&2
      exit 1
    fi
    sleep 1
  done
  ask() {{ curl -fsS -m 15{certificates} "$@" && kill -0 "$forward"; }}
  found=$(ask "{scheme}://127.0.0.1:$port/pd/api/v1/cluster" | tr -d ' \t\r\n' | sed -n 's/.*"id":\([0-9]*\).*/\1/p')
  if test -z "$found" || test "$found" != "$4"; then
    echo "pod $3 is of PD cluster ${{found:-(it did not say which)}}, expected $4; nothing was sent" >&2
    exit 1
  fi
  ask -X "$5" -H 'Content-Type: application/json' ${{7:+-d "$7"}} "{scheme}://127.0.0.1:$port$6" || exit 1
)
"#
    )
}

/// The PD cluster id that a pod has to have: as the plan saw it, else as the operator noted it.
pub(in crate::runbook) fn database(known: Option<&str>, of: &ObjectRef) -> String {
    match known {
        Some(id) => quote(id),
        None => format!(
            "\"$(kubectl {} get tidbclusters.pingcap.com {} -o jsonpath='{{.status.clusterID}}')\"",
            place(of),
            quote(&of.name)
        ),
    }
}

/// curl's flags where PD speaks TLS: files that whoever pastes the line has beside them.
const CERTIFICATES: &str = "--cacert ca.crt --cert tls.crt --key tls.key";

/// Whether a line of a plan asks PD with TLS. The format of a plan has it nowhere else, and an earlier version refuses a
/// field that it does not know.
pub(in crate::runbook) fn speaks_tls(line: &str) -> bool {
    line.contains("--cacert ")
}

/// The function in one line, with what joins it to a call.
fn joined(tls: bool) -> String {
    let function = function(tls.then_some(CERTIFICATES));
    let code = function.lines().filter(|line| !line.starts_with('#'));
    let mut joined = String::new();
    for line in code.map(str::trim) {
        joined.push_str(line);
        let open = ["do", "then", "(", "{"].iter().any(|word| line.ends_with(word));
        joined.push_str(if open || line.ends_with('&') { " " } else { "; " });
    }
    joined
}

/// A line by hand as the function that it brings along and the call of it, for a list in which the function stands once;
/// `None`: it brings none along.
pub fn function_and_call(line: &str) -> Option<(&str, &str)> {
    let inside = line.strip_prefix('(')?.strip_suffix(')')?;
    let joined = [false, true].map(joined).into_iter().find(|joined| inside.starts_with(joined))?;
    let (function, call) = inside.split_at(joined.len());
    Some((function.trim_end_matches([';', ' ']), call))
}

/// One line that can be pasted: the function and one call of it, in a shell of their own.
pub(in crate::runbook) fn line(of: &ObjectRef, pod: &str, call: &str, tls: bool) -> String {
    let joined = joined(tls);
    let arguments = [&of.context, &of.namespace].map(|text| quote(text)).join(" ");
    format!("({joined}pd {arguments} {} {} {call})", quote(pod), database(None, of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_without_the_function_has_no_parts() {
        for line in ["kubectl get pod", "(umask 077; true)", "pd() ( true )", ""] {
            assert_eq!(function_and_call(line), None, "{line}");
        }
    }

    #[test]
    fn a_line_tells_whether_it_speaks_tls() {
        let of = ObjectRef::new("east", "db", "basic");
        for tls in [true, false] {
            let line = line(&of, "basic-pd-0", "GET /v2/members", tls);
            assert_eq!(speaks_tls(&line), tls);
            let (function, call) = function_and_call(&line).expect("it brings the function along");
            assert!(function.starts_with("pd() (") && function.ends_with(')'), "{function}");
            assert!(call.starts_with("pd east db basic-pd-0 ") && call.ends_with(" GET /v2/members"), "{call}");
            assert_eq!(format!("({function}; {call})"), line);
        }
    }
}
