//! Looks at single objects by name: there, not there, or not for us to see.
//!
//! A Secret is redacted here: fingerprints stand in the place of its values, and nothing at all in the place of a
//! private key. Not here: the lists that every look takes ([`crate::client::kube::snapshot`]), writing ([`crate::client::write`]).

use std::collections::BTreeSet;

use futures::future::join_all;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::client::certificates;
use crate::client::kube::snapshot::change;
use crate::client::wire::link::{Link, Links};
use crate::client::wire::request_error::RequestErrorKind;
use crate::fleet::certificate_facts::FACTS_KEY;
use crate::fleet::object_kind::{Lookup, ObjectId, ObjectKind};
use crate::fleet::{Change, What};

impl Links {
    /// Looks at each of these, all in parallel. One whose context is unknown is left out.
    pub async fn look_at_objects(&self, ids: &BTreeSet<ObjectId>) -> Vec<Change> {
        let looks = ids.iter().filter_map(|id| {
            let link = self.get(&id.context)?;
            Some(async move {
                let sight = Box::new(look_at(link, id).await);
                let (kind, key) = id.key();
                change(link, What::Object { kind, key, sight })
            })
        });
        join_all(looks).await
    }
}

async fn look_at(link: &Link, id: &ObjectId) -> Lookup {
    match link.get::<Value>(&id.path()).await {
        Ok(object) if id.kind == ObjectKind::Secret => Lookup::Present(redacted(object)),
        Ok(object) => Lookup::Present(object),
        // A kind that is not served has no objects, and neither has a namespace that is not there.
        Err(trouble) if trouble.kind == RequestErrorKind::Missing => Lookup::Absent,
        Err(trouble) => Lookup::Unseen(trouble.sentence),
    }
}

/// Values of a Secret as `sha256:…`, a private key only as being there; beside them what its certificates say.
pub fn redacted(mut secret: Value) -> Value {
    let facts = certificates::facts(&certificates::values(&secret));
    for field in ["data", "stringData"] {
        let Some(data) = secret.get_mut(field).and_then(Value::as_object_mut) else { continue };
        for (key, value) in data.iter_mut() {
            let text = value.as_str().unwrap_or_default();
            *value = json!(match key.ends_with(".key") {
                true => "(a private key)".to_owned(),
                false => format!("sha256:{}", hex(&Sha256::digest(text.as_bytes()))),
            });
        }
    }
    // `kubectl apply` keeps a copy of the values here.
    if let Some(annotations) = secret.pointer_mut("/metadata/annotations").and_then(Value::as_object_mut) {
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
    }
    if let Some(root) = secret.as_object_mut() {
        root.insert(FACTS_KEY.to_owned(), json!(facts));
    }
    secret
}

fn hex(bytes: &[u8]) -> String {
    hex::encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::certificate_facts::SecretFacts;

    #[test]
    fn no_value_of_a_secret_gets_out() {
        let secret = json!({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": "c2VjcmV0"}},
            "data": {"tls.crt": "Y2VydA==", "tls.key": "c2VjcmV0"}});
        let redacted = redacted(secret);
        let facts = SecretFacts::of(&redacted).expect("they are in it");
        assert_eq!(facts.unreadable.len(), 2, "{facts:?}");
        let shown = redacted.to_string();
        assert!(!shown.contains("c2VjcmV0") && !shown.contains("Y2VydA=="), "{shown}");
        assert!(shown.contains("sha256:") && shown.contains("(a private key)"), "{shown}");
    }
}
