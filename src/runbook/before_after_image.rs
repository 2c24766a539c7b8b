//! What the object of an action looks like before or after it, as plans and journals keep it.
//!
//! The one place that knows how an image is written. What is not of a known form is kept as it is: what was seen of a step that
//! was already so, and what another version wrote. Pure. Not here: making one of a look (`judge` in [`super::actions`]).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// An image. It is written byte for byte as it was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Value", into = "Value")]
pub enum Image {
    /// Nothing is said of it.
    #[default]
    Nothing,
    /// Fields of a TidbCluster by name.
    Fields {
        fields: Map<String, Value>,
        /// Of its StatefulSets by component, which a later wait must see move.
        revisions: Option<Map<String, Value>>,
    },
    PeerUrls(Vec<String>),
    /// A PD member by its id in hex.
    Member {
        id: String,
        peer_urls: Vec<String>,
    },
    /// A peerURL that is looked at.
    Url(String),
    /// There is no such object.
    Absent,
    /// An object as a whole.
    Object(Value),
    /// The object with this uid.
    Uid(String),
    /// Keys of a Secret with fingerprints.
    Keys(Value),
    /// What a certificate says.
    Issued(Value),
    /// Name of PD's leader.
    Leader(String),
    /// Ports that are to be open.
    Ports(Vec<u16>),
    /// Expressions that are to hold.
    Until(Vec<String>),
    /// Of no form that is known here.
    Seen(Value),
}

impl Image {
    pub fn of_fields(fields: BTreeMap<String, Value>) -> Self {
        Image::Fields { fields: fields.into_iter().collect(), revisions: None }
    }

    /// Of a TidbCluster that is about to be patched.
    pub fn before_patch<K: Into<String>>(
        fields: BTreeMap<String, Value>,
        revisions: impl IntoIterator<Item = (K, String)>,
    ) -> Self {
        let revisions = revisions.into_iter().map(|(component, of)| (component.into(), Value::String(of)));
        Image::Fields { fields: fields.into_iter().collect(), revisions: Some(revisions.collect()) }
    }

    pub fn fields(&self) -> Option<&Map<String, Value>> {
        match self {
            Image::Fields { fields, .. } => Some(fields),
            Image::Seen(seen) => seen.get("fields").and_then(Value::as_object),
            _ => None,
        }
    }

    pub fn fields_mut(&mut self) -> Option<&mut Map<String, Value>> {
        match self {
            Image::Fields { fields, .. } => Some(fields),
            Image::Seen(seen) => seen.get_mut("fields").and_then(Value::as_object_mut),
            _ => None,
        }
    }

    pub fn revisions(&self) -> Option<&Map<String, Value>> {
        match self {
            Image::Fields { revisions, .. } => revisions.as_ref(),
            Image::Seen(seen) => seen.get("revisions").and_then(Value::as_object),
            _ => None,
        }
    }

    pub fn peer_urls(&self) -> Option<Vec<String>> {
        match self {
            Image::PeerUrls(urls) | Image::Member { peer_urls: urls, .. } => Some(urls.clone()),
            Image::Seen(seen) => texts(seen.get("peerUrls")?),
            _ => None,
        }
    }

    /// What is compared: the fields, or else all of it; not what is kept beside them for later waits.
    pub fn subject(&self) -> Value {
        self.fields().map_or_else(|| json!(self), |fields| Value::Object(fields.clone()))
    }

    /// The same on one line for people.
    pub fn brief(&self) -> Value {
        match self {
            Image::PeerUrls(urls) => json!(urls),
            Image::Seen(seen) if self.fields().is_none() => seen.get("peerUrls").unwrap_or(seen).clone(),
            _ => self.subject(),
        }
    }

    /// All of it but what is kept for later waits.
    pub fn without_revisions(&self) -> Value {
        without(json!(self), "revisions")
    }

    /// All of it but what moves though nothing has changed.
    pub fn unversioned(&self) -> Value {
        without(json!(self), "resourceVersion")
    }

    /// What `after` has otherwise, by name: before and after.
    pub fn changes(&self, after: &Image) -> Vec<(String, Value, Value)> {
        let named = |image: &Image| match image.subject() {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let before = named(self);
        let was = |name: &String| before.get(name).cloned().unwrap_or(Value::Null);
        let all = named(after).into_iter().map(|(name, value)| (was(&name), name, value));
        all.filter(|(was, _, value)| was != value).map(|(was, name, value)| (name, was, value)).collect()
    }
}

fn without(mut image: Value, part: &str) -> Value {
    if let Some(map) = image.as_object_mut() {
        map.shift_remove(part);
    }
    image
}

fn texts(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

/// Only what is written again in the very same way is taken for a known form.
fn known(value: &Value) -> Option<Image> {
    let map = match value {
        Value::Null => return Some(Image::Nothing),
        other => other.as_object()?,
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let parts: Vec<(&str, &Value)> = map.iter().map(|(name, part)| (name.as_str(), part)).collect();
    Some(match parts.as_slice() {
        [("fields", fields)] => Image::Fields { fields: fields.as_object()?.clone(), revisions: None },
        [("fields", fields), ("revisions", revisions)] => {
            Image::Fields { fields: fields.as_object()?.clone(), revisions: Some(revisions.as_object()?.clone()) }
        }
        [("peerUrls", urls)] => Image::PeerUrls(texts(urls)?),
        [("member", id), ("peerUrls", urls)] => Image::Member { id: text(id)?, peer_urls: texts(urls)? },
        [("url", url)] => Image::Url(text(url)?),
        [("absent", Value::Bool(true))] => Image::Absent,
        [("object", object)] => Image::Object((*object).clone()),
        [("uid", uid)] => Image::Uid(text(uid)?),
        [("keys", keys)] => Image::Keys((*keys).clone()),
        [("issued", says)] => Image::Issued((*says).clone()),
        [("leader", name)] => Image::Leader(text(name)?),
        [("ports", ports)] => Image::Ports(Vec::deserialize(*ports).ok()?),
        [("until", until)] => Image::Until(texts(until)?),
        _ => return None,
    })
}

impl From<Value> for Image {
    fn from(value: Value) -> Self {
        known(&value).unwrap_or(Image::Seen(value))
    }
}

impl From<Image> for Value {
    fn from(image: Image) -> Self {
        match image {
            Image::Nothing => Value::Null,
            Image::Fields { fields, revisions: None } => json!({"fields": fields}),
            Image::Fields { fields, revisions: Some(revisions) } => json!({"fields": fields, "revisions": revisions}),
            Image::PeerUrls(urls) => json!({"peerUrls": urls}),
            Image::Member { id, peer_urls } => json!({"member": id, "peerUrls": peer_urls}),
            Image::Url(url) => json!({"url": url}),
            Image::Absent => json!({"absent": true}),
            Image::Object(object) => json!({"object": object}),
            Image::Uid(uid) => json!({"uid": uid}),
            Image::Keys(keys) => json!({"keys": keys}),
            Image::Issued(says) => json!({"issued": says}),
            Image::Leader(name) => json!({"leader": name}),
            Image::Ports(ports) => json!({"ports": ports}),
            Image::Until(until) => json!({"until": until}),
            Image::Seen(seen) => seen,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        json!(self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::plan::Plan;
    use crate::runbook::run::record::Record;

    const JOURNAL: &str = include_str!("../../tests/seeds/journal.jsonl");
    const PLAN: &str = include_str!("../../tests/seeds/plan.json");

    /// Byte for byte, and whether the form is known.
    #[test]
    fn images_are_written_as_they_were_read() {
        for (text, is_known) in [
            ("null", true),
            (r#"{"fields":{"spec.z":1,"spec.a":null}}"#, true),
            (r#"{"fields":{},"revisions":{"pd":"r1"}}"#, true),
            (r#"{"revisions":{"pd":"r1"},"fields":{"spec.a":1}}"#, false),
            (r#"{"fields":{"spec.a":1},"resourceVersion":"7"}"#, false),
            (r#"{"peerUrls":["http://a:2380"]}"#, true),
            (r#"{"peerUrls":null}"#, false),
            (r#"{"member":"a1","peerUrls":[]}"#, true),
            (r#"{"url":"http://a:2380"}"#, true),
            (r#"{"absent":true}"#, true),
            (r#"{"absent":false}"#, false),
            (r#"{"object":{"kind":"Pod","apiVersion":"v1"}}"#, true),
            (r#"{"uid":"u"}"#, true),
            (r#"{"uid":"u","keys":{}}"#, false),
            (r#"{"keys":{"ca.crt":"f"}}"#, true),
            (r#"{"issued":{"ca":true}}"#, true),
            (r#"{"leader":"pd-0"}"#, true),
            (r#"{"ports":[2379,20160]}"#, true),
            (r#"{"ports":[70000]}"#, false),
            (r#"{"until":["a == b"]}"#, true),
            (r#"{"until":["a"],"more":1}"#, false),
            (r#"{"spec.x":"bare"}"#, false),
            ("[1,2]", false),
        ] {
            let image: Image = serde_json::from_str(text).expect("any JSON is an image");
            assert_eq!(!matches!(image, Image::Seen(_)), is_known, "{text}");
            assert_eq!(serde_json::to_string(&image).expect("serialises"), text);
        }
    }

    /// Of the released version.
    #[test]
    fn records_and_plans_are_written_as_they_were_read() {
        for line in JOURNAL.lines() {
            let record: Record = serde_json::from_str(line).expect("a record");
            assert_eq!(serde_json::to_string(&record).expect("serialises"), line);
        }
        let (plan, written): (Plan, Value) =
            (serde_json::from_str(PLAN).expect("a plan"), serde_json::from_str(PLAN).expect("JSON"));
        assert!(plan.steps.iter().any(|step| matches!(step.before, Image::Fields { revisions: Some(_), .. })));
        for (step, written) in
            json!(plan.steps).as_array().into_iter().flatten().zip(written["steps"].as_array().expect("steps"))
        {
            for part in ["before", "after"] {
                assert_eq!(step[part].to_string(), written[part].to_string());
            }
        }
    }

    #[test]
    fn parts_are_found_in_every_form() {
        let odd = Image::from(json!({"revisions": {"pd": "r1"}, "fields": {"spec.a": 1}}));
        assert_eq!(odd.subject(), json!({"spec.a": 1}));
        assert_eq!(odd.revisions().map(Map::len), Some(1));
        assert_eq!(odd.without_revisions(), json!({"fields": {"spec.a": 1}}));
        let probed = Image::from(json!({"peerUrls": ["a"], "probe": "not needed"}));
        assert_eq!((probed.peer_urls(), probed.brief()), (Some(vec!["a".to_owned()]), json!(["a"])));
        let bare = Image::from(json!({"spec.a": 1}));
        assert_eq!((bare.fields(), bare.subject()), (None, json!({"spec.a": 1})));
    }

    #[test]
    fn changes_are_by_name_without_what_stays() {
        let before = Image::before_patch(
            BTreeMap::from([("spec.a".into(), json!(1)), ("spec.b".into(), json!(2))]),
            [("pd", "r".to_owned())],
        );
        let after = Image::of_fields(BTreeMap::from([
            ("spec.a".into(), json!(1)),
            ("spec.b".into(), json!(3)),
            ("spec.c".into(), json!(4)),
        ]));
        assert_eq!(
            before.changes(&after),
            [("spec.b".into(), json!(2), json!(3)), ("spec.c".into(), Value::Null, json!(4))]
        );
        let urls = |url: &str| Image::PeerUrls(vec![url.to_owned()]);
        assert_eq!(urls("a").changes(&urls("b")), [("peerUrls".into(), json!(["a"]), json!(["b"]))]);
    }
}
