//! What may leave at all: the gate around every Kubernetes client.
//!
//! The gate is the outermost layer of each client's stack, judges the request itself and fails closed: what it does
//! not know is a write. A GET is not a read when it upgrades (exec, attach, port-forward and proxy are upgraded
//! GETs), so those need a marker that only the files of this room can set. A tunnel is opaque to the gate; what goes
//! through PD's is the closed enums of [`crate::client::pd`]. What goes through a person's own port or shell is not known at
//! all, so in a read-only context neither is opened. Not here: the permits ([`super::permit`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures::future::{Either, Ready, ready};
use http::{Method, Request};
use tower::{BoxError, Layer, Service};

/// Why a request may pass, carried in its extensions. Only this room can make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) enum Mark {
    /// Set by the tunnel: only closed enums of PD requests go through it.
    Tunnel,
    /// Set by the probe, under a probe permit.
    Probe,
    /// Set by apply, under a write permit.
    Write,
    /// Set by the local port, under a permit for what a person does by hand: whatever is sent into it passes.
    LocalPort,
    /// Set by the shell, under the same permit.
    Shell,
}

/// The gate's refusal; nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused to send {method} {path} to context {context:?}: {why}")]
pub struct Refused {
    pub context: String,
    pub method: String,
    pub path: String,
    pub why: &'static str,
}

/// What a request is, judged from itself alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Tunnel,
    Exec,
    /// attach, proxy, and every upgrade that we do not know.
    Never,
    Write,
}

fn classify<B>(request: &Request<B>) -> Kind {
    let path = request.uri().path();
    // None of our paths needs escapes; a path that does could mean something else to the server than to us.
    if path.contains(['%', '\\', ';']) || path.contains("//") || path.split('/').any(|part| part == "..") {
        return Kind::Never;
    }
    let upgrade = request.headers().contains_key(http::header::UPGRADE);
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    // api/v1/namespaces/NS/pods/NAME/SUB
    let pod = match parts.as_slice() {
        ["api", "v1", "namespaces", _, "pods", _, subresource, ..] => Some(*subresource),
        _ => None,
    };
    // Proxies relay any method to anything behind them.
    let proxies = parts.iter().skip(3).any(|part| *part == "proxy") || parts.get(2) == Some(&"proxy");
    match (pod, request.method(), upgrade) {
        _ if proxies => Kind::Never,
        (Some("attach"), _, _) => Kind::Never,
        (Some("exec"), &Method::GET, true) => Kind::Exec,
        (Some("portforward"), &Method::GET, true) => Kind::Tunnel,
        (Some("exec" | "portforward"), _, _) => Kind::Never,
        (_, &Method::GET | &Method::HEAD, false) => Kind::Read,
        (_, _, true) => Kind::Never,
        (_, &Method::POST, false) if asks_about_self(&parts) => Kind::Read,
        _ => Kind::Write,
    }
}

/// Reviews of one's own rights are POSTs that change nothing.
fn asks_about_self(parts: &[&str]) -> bool {
    matches!(
        parts,
        ["apis", "authorization.k8s.io", _, "selfsubjectaccessreviews" | "selfsubjectrulesreviews"]
            | ["apis", "authentication.k8s.io", _, "selfsubjectreviews"]
    )
}

fn judge(kind: Kind, mark: Option<Mark>, read_only: bool) -> Result<(), &'static str> {
    match (kind, mark) {
        (Kind::Read, _) | (Kind::Tunnel, Some(Mark::Tunnel)) => Ok(()),
        (Kind::Exec | Kind::Write, _) | (Kind::Tunnel, Some(Mark::LocalPort)) if read_only => {
            Err("the context is read-only")
        }
        (Kind::Exec, Some(Mark::Probe | Mark::Shell))
        | (Kind::Write, Some(Mark::Write))
        | (Kind::Tunnel, Some(Mark::LocalPort)) => Ok(()),
        (Kind::Tunnel, _) => Err("a port-forward that neither the tunnel to PD nor a person asked for"),
        (Kind::Exec, _) => Err("a program in a pod without a permit"),
        (Kind::Write, _) => Err("a write without a write permit"),
        (Kind::Never, _) => Err("tidepilot never sends such a request"),
    }
}

/// Whether a context is read-only: decided at the start, and perhaps later in a session, but never taken back.
#[derive(Clone, Debug)]
pub(in crate::client) struct ReadOnly(Arc<AtomicBool>);

impl ReadOnly {
    pub fn new(from_the_start: bool) -> Self {
        Self(Arc::new(AtomicBool::new(from_the_start)))
    }

    pub fn holds(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// From now on nothing that changes anything leaves, whoever holds a permit already.
    pub fn seal(&self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The tower layer.
#[derive(Clone, Debug)]
pub(in crate::client) struct Gate {
    pub context: String,
    pub read_only: ReadOnly,
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { gate: self.clone(), inner }
    }
}

#[derive(Clone, Debug)]
pub(in crate::client) struct Gated<S> {
    gate: Gate,
    inner: S,
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>>,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Either<futures::future::ErrInto<S::Future, BoxError>, Ready<Result<S::Response, BoxError>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        // A request that did not come through a link; kube's worker does not know whose it is.
        request.headers_mut().entry(http::header::USER_AGENT).or_insert_with(crate::client::wire::user_agent::current);
        let verdict =
            judge(classify(&request), request.extensions().get::<Mark>().copied(), self.gate.read_only.holds());
        match verdict {
            Ok(()) => Either::Left(futures::TryFutureExt::err_into(self.inner.call(request))),
            Err(why) => Either::Right(ready(Err(Box::new(Refused {
                context: self.gate.context.clone(),
                method: request.method().to_string(),
                path: request.uri().path().to_owned(),
                why,
            })))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(line: &str) -> Kind {
        let (line, upgrade) = line.strip_suffix(" +upgrade").map_or((line, false), |line| (line, true));
        let (method, path) = line.split_once(' ').expect("METHOD PATH");
        let mut request = Request::builder().method(method).uri(path);
        if upgrade {
            request = request.header("upgrade", "websocket");
        }
        classify(&request.body(()).expect("request"))
    }

    #[test]
    fn kinds_of_requests() {
        let pod = "/api/v1/namespaces/db/pods/basic-pd-0";
        let cases = [
            ("GET /version".to_owned(), Kind::Read),
            ("HEAD /readyz".into(), Kind::Read),
            ("GET /api/v1/pods?watch=1".into(), Kind::Read),
            (format!("GET {pod}"), Kind::Read),
            (format!("GET {pod}/log"), Kind::Read),
            (format!("GET {pod}/portforward?ports=2379 +upgrade"), Kind::Tunnel),
            (format!("GET {pod}/portforward"), Kind::Never),
            (format!("POST {pod}/portforward +upgrade"), Kind::Never),
            (format!("GET {pod}/exec?command=sh +upgrade"), Kind::Exec),
            (format!("GET {pod}/exec?command=sh"), Kind::Never),
            (format!("POST {pod}/exec"), Kind::Never),
            (format!("GET {pod}/attach +upgrade"), Kind::Never),
            (format!("GET {pod}/proxy/x"), Kind::Never),
            ("GET /api/v1/nodes/n/proxy/run".into(), Kind::Never),
            ("GET /api/v1/namespaces/a/services/b/proxy/".into(), Kind::Never),
            ("GET /api/v1/proxy/nodes/n".into(), Kind::Never),
            ("GET /whatever +upgrade".into(), Kind::Never),
            (format!("GET {pod}/%65xec"), Kind::Never),
            (format!("GET {pod}/x/../exec"), Kind::Never),
            ("POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews".into(), Kind::Read),
            ("POST /apis/authorization.k8s.io/v1/subjectaccessreviews".into(), Kind::Write),
            ("POST /apis/authentication.k8s.io/v1/selfsubjectreviews".into(), Kind::Read),
            ("POST /api/v1/namespaces/db/serviceaccounts/x/token".into(), Kind::Write),
            (format!("DELETE {pod}"), Kind::Write),
            ("PATCH /apis/pingcap.com/v1alpha1/namespaces/db/tidbclusters/basic?dryRun=All".into(), Kind::Write),
            ("OPTIONS /".into(), Kind::Write),
            ("BREW /".into(), Kind::Write),
        ];
        for (line, expected) in cases {
            assert_eq!(kind(&line), expected, "{line}");
        }
    }

    #[tokio::test]
    async fn a_session_that_is_made_read_only_sends_nothing_more_through_a_gate_that_is_open_already() {
        let read_only = ReadOnly::new(false);
        let gate = Gate { context: "east".into(), read_only: read_only.clone() };
        let sent = tower::service_fn(|_: Request<()>| async { Ok::<(), BoxError>(()) });
        let mut gated = gate.layer(sent);
        let write = || {
            let mut request = Request::builder().method("PATCH").uri("/api/v1/x").body(()).expect("a request");
            request.extensions_mut().insert(Mark::Write);
            request
        };
        assert!(gated.call(write()).await.is_ok());
        let mut another = gated.clone();
        read_only.seal();
        let refused = [gated.call(write()).await, another.call(write()).await];
        assert!(refused.iter().all(|one| one.as_ref().is_err_and(|why| why.to_string().contains("read-only"))));
        let read = Request::builder().uri("/version").body(()).expect("a request");
        assert!(gated.call(read).await.is_ok());
    }

    #[test]
    fn marks_open_only_their_own_door() {
        use Kind::{Exec, Never, Read, Tunnel, Write};
        let marks =
            [None, Some(Mark::Tunnel), Some(Mark::Probe), Some(Mark::Write), Some(Mark::LocalPort), Some(Mark::Shell)];
        for read_only in [false, true] {
            for mark in marks {
                for kind in [Read, Tunnel, Exec, Never, Write] {
                    let expected = match kind {
                        Read => true,
                        Tunnel => mark == Some(Mark::Tunnel) || (!read_only && mark == Some(Mark::LocalPort)),
                        Exec => !read_only && matches!(mark, Some(Mark::Probe | Mark::Shell)),
                        Write => !read_only && mark == Some(Mark::Write),
                        Never => false,
                    };
                    assert_eq!(judge(kind, mark, read_only).is_ok(), expected, "{kind:?} {mark:?} {read_only}");
                }
            }
        }
    }
}
