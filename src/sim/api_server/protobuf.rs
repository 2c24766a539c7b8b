//! The few protobuf bodies that kubectl sends for built-in kinds, read into JSON.
//!
//! Since 1.33 kubectl's typed commands (`create namespace`, `auth can-i`, ...) write protobuf. Answers stay JSON, which
//! clients accept. Kinds not in the table are refused with 415; field numbers are those of the published API.

use serde_json::{Map, Value, json};

use super::status::Refusal;
use base64::prelude::{BASE64_STANDARD, Engine as _};

/// How every such body begins.
pub(super) const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, Copy)]
enum Type {
    Text,
    Bool,
    Int,
    Message(Fields),
    /// string → string.
    Texts,
    /// string → bytes, which JSON shows as base64.
    Blobs,
}

use Type::{Blobs, Bool, Int, Message, Text, Texts};

/// Number, JSON name, type, whether it is a list.
type Fields = &'static [(u64, &'static str, Type, bool)];

const OWNER: Fields = &[
    (1, "kind", Text, false),
    (3, "name", Text, false),
    (4, "uid", Text, false),
    (5, "apiVersion", Text, false),
    (6, "controller", Bool, false),
    (7, "blockOwnerDeletion", Bool, false),
];
const META: Fields = &[
    (1, "name", Text, false),
    (2, "generateName", Text, false),
    (3, "namespace", Text, false),
    (5, "uid", Text, false),
    (6, "resourceVersion", Text, false),
    (11, "labels", Texts, false),
    (12, "annotations", Texts, false),
    (13, "ownerReferences", Message(OWNER), true),
    (14, "finalizers", Text, true),
];
const PLAIN: Fields = &[(1, "metadata", Message(META), false)];
const CONFIG_MAP: Fields = &[
    (1, "metadata", Message(META), false),
    (2, "data", Texts, false),
    (3, "binaryData", Blobs, false),
    (4, "immutable", Bool, false),
];
const SECRET: Fields = &[
    (1, "metadata", Message(META), false),
    (2, "data", Blobs, false),
    (3, "type", Text, false),
    (4, "stringData", Texts, false),
    (5, "immutable", Bool, false),
];
const POLICY_RULE: Fields = &[
    (1, "verbs", Text, true),
    (2, "apiGroups", Text, true),
    (3, "resources", Text, true),
    (4, "resourceNames", Text, true),
    (5, "nonResourceURLs", Text, true),
];
const ROLE: Fields = &[(1, "metadata", Message(META), false), (2, "rules", Message(POLICY_RULE), true)];
const SUBJECT: Fields =
    &[(1, "kind", Text, false), (2, "apiGroup", Text, false), (3, "name", Text, false), (4, "namespace", Text, false)];
const ROLE_REF: Fields = &[(1, "apiGroup", Text, false), (2, "kind", Text, false), (3, "name", Text, false)];
const BINDING: Fields = &[
    (1, "metadata", Message(META), false),
    (2, "subjects", Message(SUBJECT), true),
    (3, "roleRef", Message(ROLE_REF), false),
];
const RESOURCE_ATTRIBUTES: Fields = &[
    (1, "namespace", Text, false),
    (2, "verb", Text, false),
    (3, "group", Text, false),
    (4, "version", Text, false),
    (5, "resource", Text, false),
    (6, "subresource", Text, false),
    (7, "name", Text, false),
];
const PATH_ATTRIBUTES: Fields = &[(1, "path", Text, false), (2, "verb", Text, false)];
const ACCESS_SPEC: Fields = &[
    (1, "resourceAttributes", Message(RESOURCE_ATTRIBUTES), false),
    (2, "nonResourceAttributes", Message(PATH_ATTRIBUTES), false),
];
const ACCESS_REVIEW: Fields = &[(2, "spec", Message(ACCESS_SPEC), false)];
const RULES_SPEC: Fields = &[(1, "namespace", Text, false)];
const RULES_REVIEW: Fields = &[(2, "spec", Message(RULES_SPEC), false)];
const PRECONDITIONS: Fields = &[(1, "uid", Text, false), (2, "resourceVersion", Text, false)];
const DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Int, false),
    (2, "preconditions", Message(PRECONDITIONS), false),
    (3, "orphanDependents", Bool, false),
    (4, "propagationPolicy", Text, false),
    (5, "dryRun", Text, true),
];
const EVICTION: Fields = &[(1, "metadata", Message(META), false), (2, "deleteOptions", Message(DELETE_OPTIONS), false)];
const TYPE_META: Fields = &[(1, "apiVersion", Text, false), (2, "kind", Text, false)];

/// Reads a body that begins with [`MAGIC`].
pub(super) fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let broken = || Refusal::bad_request("the protobuf body of the request cannot be read");
    let envelope = body.strip_prefix(MAGIC).and_then(entries).ok_or_else(broken)?;
    let part = |wanted: u64| {
        envelope.iter().find_map(|(number, wire)| match wire {
            Wire::Bytes(bytes) if *number == wanted => Some(*bytes),
            Wire::Bytes(_) | Wire::Number(_) => None,
        })
    };
    let kind = message(TYPE_META, part(1).unwrap_or_default()).ok_or_else(broken)?;
    let fields = match kind["kind"].as_str().unwrap_or_default() {
        "Namespace" | "ServiceAccount" | "SelfSubjectReview" => PLAIN,
        "ConfigMap" => CONFIG_MAP,
        "Secret" => SECRET,
        "Role" | "ClusterRole" => ROLE,
        "RoleBinding" | "ClusterRoleBinding" => BINDING,
        "SelfSubjectAccessReview" => ACCESS_REVIEW,
        "SelfSubjectRulesReview" => RULES_REVIEW,
        "DeleteOptions" => DELETE_OPTIONS,
        "Eviction" => EVICTION,
        _ => return Err(Refusal::unsupported_media("application/json, application/yaml")),
    };
    let mut object = message(fields, part(2).unwrap_or_default()).ok_or_else(broken)?;
    object["apiVersion"] = kind["apiVersion"].clone();
    object["kind"] = kind["kind"].clone();
    Ok(object)
}

enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// `None` when the bytes are no protobuf message.
fn entries(mut rest: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let key = number(&mut rest)?;
        let wire = match key & 7 {
            0 => Wire::Number(number(&mut rest)?),
            1 => Wire::Bytes(take(&mut rest, 8)?),
            2 => {
                let length = usize::try_from(number(&mut rest)?).ok()?;
                Wire::Bytes(take(&mut rest, length)?)
            }
            5 => Wire::Bytes(take(&mut rest, 4)?),
            _ => return None,
        };
        entries.push((key >> 3, wire));
    }
    Some(entries)
}

fn number(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn message(fields: Fields, bytes: &[u8]) -> Option<Value> {
    let mut object = Map::new();
    for (number, wire) in entries(bytes)? {
        let Some((_, name, kind, list)) = fields.iter().find(|(known, ..)| *known == number) else { continue };
        let value = match (kind, wire) {
            (Text, Wire::Bytes(bytes)) => json!(std::str::from_utf8(bytes).ok()?),
            (Bool, Wire::Number(number)) => json!(number != 0),
            (Int, Wire::Number(number)) => json!(number.cast_signed()),
            (Message(fields), Wire::Bytes(bytes)) => message(fields, bytes)?,
            (Texts | Blobs, Wire::Bytes(bytes)) => {
                let (key, value) = pair(bytes)?;
                let value = if matches!(kind, Blobs) {
                    BASE64_STANDARD.encode(value)
                } else {
                    String::from_utf8(value.to_vec()).ok()?
                };
                let map = object.entry(*name).or_insert_with(|| json!({}));
                map[key] = json!(value);
                continue;
            }
            _ => return None,
        };
        if *list {
            object.entry(*name).or_insert_with(|| json!([])).as_array_mut()?.push(value);
        } else if value != "" {
            // Go writes empty texts out; in JSON they are absent.
            object.insert((*name).to_owned(), value);
        }
    }
    Some(Value::Object(object))
}

/// One entry of a map field.
fn pair(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (mut key, mut value): (&[u8], &[u8]) = (&[], &[]);
    for (number, wire) in entries(bytes)? {
        match (number, wire) {
            (1, Wire::Bytes(bytes)) => key = bytes,
            (2, Wire::Bytes(bytes)) => value = bytes,
            _ => return None,
        }
    }
    Some((String::from_utf8(key.to_vec()).ok()?, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let length = u8::try_from(bytes.len()).expect("short");
        [&[number << 3 | 2, length], bytes].concat()
    }

    #[test]
    fn a_secret() {
        let kind = [field(1, b"v1"), field(2, b"Secret")].concat();
        let entry = [field(1, b"key"), field(2, b"abc")].concat();
        let secret =
            [field(1, &[field(1, b"s"), field(3, b"")].concat()), field(2, &entry), field(3, b"Opaque")].concat();
        let body = [MAGIC.to_vec(), field(1, &kind), field(2, &secret)].concat();
        let expected = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"key": "YWJj"}, "type": "Opaque",
        });
        assert_eq!(decode(&body), Ok(expected));
        assert!(decode(&body[..body.len() - 1]).is_err());
        let unknown = [MAGIC.to_vec(), field(1, &[field(1, b"v1"), field(2, b"Node")].concat())].concat();
        assert_eq!(decode(&unknown).map_err(|refusal| refusal.code), Err(415));
    }
}
