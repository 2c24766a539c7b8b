//! A whole answer, of an API server or of a pod behind a tunnel.

use http::{HeaderMap, StatusCode};
use hyper::body::Bytes;

#[derive(Debug)]
pub(in crate::client) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}
