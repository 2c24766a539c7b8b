//! create, update, patch: from a request to one transaction on the store.
//!
//! Here is the order of checks a real server keeps: addresses, versions, what the server owns, schema, field owners.
//! Deleting is in `delete`; the formats of patches in `patch` and `apply`.

use serde_json::{Value, json};

use super::admission::Policies;
use super::apply::Apply;
use super::patch::{self, Format, decode_object};
use super::read::{scale_of, show};
use super::reply::{self, Reply};
use super::router::Call;
use super::status::{Cause, Refusal};
use super::{discovery, managed, schema};
use crate::sim::object_store::{Resource, Write};

pub(super) use super::delete::{delete, delete_collection, dry_run, evict};

/// What to do with fields the schema does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Validation {
    Ignore,
    Warn,
    Strict,
}

/// The options of one write, and what it wants said beside its answer.
struct Writing<'a> {
    call: &'a Call,
    kind: &'static Resource,
    manager: String,
    validation: Validation,
    known: schema::Known,
    policies: Policies,
    warnings: Vec<String>,
}

pub(super) fn create(call: &Call) -> Result<Reply, Refusal> {
    let mut writing = Writing::new(call)?;
    let kind = writing.kind;
    let mut object = decode_object(&call.body)?;
    writing.check_type(&object)?;
    if !object["metadata"].is_object() {
        object["metadata"] = json!({});
    }
    if object["metadata"]["name"].as_str().is_none_or(str::is_empty) {
        let Some(prefix) = object["metadata"]["generateName"].as_str() else {
            return Err(Refusal::invalid(
                kind,
                "",
                &[Cause {
                    reason: "FieldValueRequired",
                    message: "Required value: name or generateName is required".into(),
                    field: "metadata.name".into(),
                }],
            ));
        };
        object["metadata"]["name"] = json!(format!("{prefix}{}", suffix()));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    if object["metadata"]["resourceVersion"].as_str().is_some_and(|version| !version.is_empty()) {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    writing.namespace_exists()?;
    let stored = writing.commit(&name, |writing, before| match before {
        Some(_) => Err(Refusal::already_exists(kind, &name)),
        None => {
            writing.new_object(&name, &mut object)?;
            managed::record_update(kind, None, &mut object, &writing.manager, "");
            Ok(object)
        }
    })?;
    Ok(writing.answer(201, &stored))
}

pub(super) fn update(call: &Call) -> Result<Reply, Refusal> {
    let mut writing = Writing::new(call)?;
    let kind = writing.kind;
    let object = decode_object(&call.body)?;
    writing.check_type(&object)?;
    if object["metadata"]["name"] != call.name() {
        let given = object["metadata"]["name"].as_str().unwrap_or_default();
        let (given, wanted) = (given, call.name());
        return Err(Refusal::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        )));
    }
    let unversioned = object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty);
    let stored = writing.commit(call.name(), |writing, before| {
        let before = before.ok_or_else(|| Refusal::not_found(kind, call.name()))?;
        if kind.custom() && unversioned {
            return Err(Refusal::invalid(
                kind,
                call.name(),
                &[Cause {
                    reason: "FieldValueInvalid",
                    message: "Invalid value: 0: must be specified for an update".into(),
                    field: "metadata.resourceVersion".into(),
                }],
            ));
        }
        writing.changed_object(before, object, false)
    })?;
    Ok(writing.answer(200, &stored))
}

pub(super) fn patch(call: &Call) -> Result<Reply, Refusal> {
    let mut writing = Writing::new(call)?;
    let kind = writing.kind;
    let format = Format::of(kind, call.header(http::header::CONTENT_TYPE))?;
    if format == Format::Apply {
        return apply(call, writing);
    }
    let stored = writing.commit(call.name(), |writing, before| {
        let before = before.ok_or_else(|| Refusal::not_found(kind, call.name()))?;
        let mut object = before.clone();
        patch::patch(format, &mut object, &call.body)?;
        if !object.is_object() {
            return Err(Refusal::patch_not_applicable());
        }
        writing.changed_object(before, object, true)
    })?;
    Ok(writing.answer(200, &stored))
}

#[expect(clippy::too_many_lines, reason = "one write in the order of a real API server")]
fn apply(call: &Call, mut writing: Writing<'_>) -> Result<Reply, Refusal> {
    let kind = writing.kind;
    let name = call.name();
    let Some(manager) = call.query.get("fieldManager") else {
        let mut refusal = Refusal::invalid(
            kind,
            "",
            &[Cause {
                reason: "FieldValueRequired",
                message: "Required value: is required for apply patch".into(),
                field: "fieldManager".into(),
            }],
        );
        refusal.message =
            r#"PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch"#
                .into();
        return Err(refusal);
    };
    let mut declared = decode_object(&call.body)?;
    writing.check_type(&declared)?;
    let metadata = &declared["metadata"];
    if metadata["managedFields"].as_array().is_some_and(|entries| !entries.is_empty()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    if metadata["name"].as_str().is_some_and(|given| given != name) {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            metadata["name"].as_str().unwrap_or_default()
        )));
    }
    // The typed form of the declaration has no place for unknown fields, whatever fieldValidation says.
    let unknown = schema::check(writing.known, kind, &mut declared.clone()).unknown;
    if let Some(path) = unknown.first() {
        let mut refusal = Refusal::fault(500);
        refusal.message = format!(
            "failed to create typed patch object ({}/{name}; {}, Kind={}): .{path}: field not declared in schema",
            call.namespace(),
            kind.api_version(),
            kind.kind
        );
        return Err(refusal);
    }
    declared["metadata"]["name"] = json!(name);
    writing.namespace_exists()?;
    let subresource = call.target.subresource.as_deref().unwrap_or_default();
    let apply = Apply { kind, manager, subresource, force: call.query.flag("force") };
    let mut created = false;
    let stored = writing.commit(name, |writing, before| {
        created = before.is_none();
        let mut object = apply.onto(before, &declared)?;
        match before {
            Some(before) => writing.keep_what_the_server_owns(before, &mut object)?,
            None if !subresource.is_empty() => return Err(Refusal::not_found(kind, name)),
            None if declared["metadata"]["uid"].is_string() => {
                return Err(Refusal::conflict(
                    kind,
                    name,
                    "uid mismatch: the provided object specified a uid, and no existing object was found",
                ));
            }
            None => writing.new_object(name, &mut object)?,
        }
        writing.validate(name, &mut object, true)?;
        Ok(object)
    })?;
    Ok(writing.answer(if created { 201 } else { 200 }, &stored))
}

/// PUT or PATCH of a workload's `scale`.
pub(super) fn scale(call: &Call, verb: &str) -> Result<Reply, Refusal> {
    let mut writing = Writing::new(call)?;
    let kind = writing.kind;
    let stored = writing.commit(call.name(), |writing, before| {
        let before = before.ok_or_else(|| Refusal::not_found(kind, call.name()))?;
        let mut scale = scale_of(before);
        if verb == "patch" {
            let format = Format::of(kind, call.header(http::header::CONTENT_TYPE))?;
            patch::patch(format, &mut scale, &call.body)?;
        } else {
            scale = decode_object(&call.body)?;
        }
        let Some(replicas) = scale["spec"]["replicas"].as_u64() else {
            return Err(Refusal::bad_request("spec.replicas: must be a number greater than or equal to 0"));
        };
        let mut object = before.clone();
        if let Some(version) = scale["metadata"]["resourceVersion"].as_str() {
            object["metadata"]["resourceVersion"] = json!(version);
        }
        object["spec"]["replicas"] = json!(replicas);
        writing.keep_what_the_server_owns(before, &mut object)?;
        managed::record_update(kind, Some(before), &mut object, &writing.manager, "");
        Ok(object)
    })?;
    Ok(reply::json(200, &scale_of(&stored)))
}

impl<'a> Writing<'a> {
    fn new(call: &'a Call) -> Result<Self, Refusal> {
        if call.query.all("dryRun").any(|value| !matches!(value, "All" | "")) {
            return Err(Refusal::bad_request("Invalid value for dryRun: the only valid value is \"All\""));
        }
        let asked = match call.query.get("fieldValidation") {
            None | Some("Warn") => Validation::Warn,
            Some("Strict") => Validation::Strict,
            Some("Ignore") => Validation::Ignore,
            Some(other) => return Err(Refusal::bad_request(format!("fieldValidation: Unsupported value: {other:?}"))),
        };
        // Servers before 1.25 do not know the parameter, and drop unknown fields without a word.
        let knows = discovery::minor(&call.server.config.version) >= 25;
        let agent = call.header(http::header::USER_AGENT).split('/').next().unwrap_or_default();
        let manager = call.query.get("fieldManager").unwrap_or(if agent.is_empty() { "unknown" } else { agent });
        Ok(Writing {
            call,
            kind: call.target.kind,
            manager: manager.chars().take(128).collect(),
            validation: if knows { asked } else { Validation::Ignore },
            known: schema::Known::of(call.store()),
            policies: Policies::of(call.store()),
            warnings: Vec::new(),
        })
    }

    fn commit(
        &mut self,
        name: &str,
        decide: impl FnOnce(&mut Self, Option<&Value>) -> Result<Value, Refusal>,
    ) -> Result<Value, Refusal> {
        let call = self.call;
        let stored =
            call.store().transact(self.kind.plural, call.namespace(), name, call.query.dry_run(), |before| {
                let object = decide(self, before)?;
                self.policies.admit(call, self.kind, name, before, &object)?;
                Ok(Write::Put(object))
            })?;
        Ok(stored.unwrap_or(Value::Null))
    }

    fn answer(&self, status: u16, stored: &Value) -> Reply {
        let mut reply = show(self.call, status, stored);
        for warning in &self.warnings {
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = http::HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                reply.headers_mut().append(http::header::WARNING, value);
            }
        }
        reply
    }

    /// Looked up before the transaction, which holds the store.
    fn namespace_exists(&self) -> Result<(), Refusal> {
        let namespace = self.call.namespace();
        if self.kind.namespaced && self.call.store().find("namespaces", "", namespace).is_none() {
            return Err(Refusal::not_found(crate::sim::object_store::resource("namespaces"), namespace));
        }
        Ok(())
    }

    /// The body names the kind and namespace of the address, or nothing.
    fn check_type(&self, object: &Value) -> Result<(), Refusal> {
        let (kind, version) = (&object["kind"], &object["apiVersion"]);
        let matches = |value: &Value, wanted: &str| value.is_null() || value == wanted;
        if !matches(kind, self.kind.kind) || !matches(version, &self.kind.api_version()) {
            return Err(Refusal::bad_request(format!(
                "the API version in the data ({}) does not match the expected API version ({})",
                version.as_str().unwrap_or_default(),
                self.kind.api_version()
            )));
        }
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        if !namespace.is_empty() && self.kind.namespaced && namespace != self.call.namespace() {
            return Err(Refusal::bad_request(
                "the namespace of the provided object does not match the namespace sent on the request",
            ));
        }
        Ok(())
    }

    /// Checks and completes an object that does not exist yet.
    fn new_object(&mut self, name: &str, object: &mut Value) -> Result<(), Refusal> {
        let kind = self.kind;
        if !valid_name(kind, name) {
            return Err(Refusal::invalid(
                kind,
                name,
                &[Cause {
                    reason: "FieldValueInvalid",
                    message: format!(
                        "Invalid value: {name:?}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
                     characters, '-' or '.', and must start and end with an alphanumeric character"
                    ),
                    field: "metadata.name".into(),
                }],
            ));
        }
        let metadata = &mut object["metadata"];
        if let Some(metadata) = metadata.as_object_mut() {
            for owned in ["uid", "creationTimestamp", "generation", "deletionTimestamp", "selfLink"] {
                metadata.shift_remove(owned);
            }
        }
        if kind.namespaced {
            metadata["namespace"] = json!(self.call.namespace());
        }
        if kind.has_status()
            && let Some(object) = object.as_object_mut()
        {
            object.shift_remove("status");
        }
        super::defaults::fill(kind, object);
        self.validate(name, object, false)
    }

    /// Checks and completes the next state of an existing object.
    fn changed_object(&mut self, before: &Value, mut object: Value, patching: bool) -> Result<Value, Refusal> {
        self.keep_what_the_server_owns(before, &mut object)?;
        self.validate(self.call.name(), &mut object, patching)?;
        let subresource = self.call.target.subresource.as_deref().unwrap_or_default();
        managed::record_update(self.kind, Some(before), &mut object, &self.manager, subresource);
        Ok(object)
    }

    fn keep_what_the_server_owns(&self, before: &Value, object: &mut Value) -> Result<(), Refusal> {
        let (kind, name) = (self.kind, self.call.name());
        if !object["metadata"].is_object() {
            object["metadata"] = json!({});
        }
        let given = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let uid = given(object, "uid");
        if !uid.is_empty() && uid != given(before, "uid") {
            let why = format!(
                "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
                given(before, "uid")
            );
            return Err(Refusal::conflict(kind, name, &why));
        }
        let version = given(object, "resourceVersion");
        if !version.is_empty() && version != given(before, "resourceVersion") {
            return Err(Refusal::modified(kind, name));
        }
        let new_name = given(object, "name");
        if !new_name.is_empty() && new_name != given(before, "name") {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({new_name}) does not match the name on the URL ({name})"
            )));
        }
        let main = self.call.target.subresource.as_deref() != Some("status");
        if !main {
            // Through /status only status changes.
            let status = object.get("status").cloned().unwrap_or(Value::Null);
            let managed_fields = object["metadata"].get("managedFields").cloned();
            *object = before.clone();
            object["status"] = status;
            if let Some(managed_fields) = managed_fields {
                object["metadata"]["managedFields"] = managed_fields;
            }
        } else if kind.has_status() {
            match before.get("status") {
                Some(status) => object["status"] = status.clone(),
                None => {
                    object.as_object_mut().and_then(|object| object.shift_remove("status"));
                }
            }
        }
        let owned =
            ["name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"];
        for field in owned {
            match before["metadata"].get(field) {
                Some(value) => object["metadata"][field] = value.clone(),
                None => {
                    object["metadata"].as_object_mut().and_then(|metadata| metadata.shift_remove(field));
                }
            }
        }
        super::defaults::convert(kind, object);
        Ok(())
    }

    fn validate(&mut self, name: &str, object: &mut Value, patching: bool) -> Result<(), Refusal> {
        let findings = schema::check(self.known, self.kind, object);
        match self.validation {
            Validation::Strict => findings.strict(self.kind, patching, object)?,
            Validation::Warn => self.warnings.extend(findings.unknown_messages()),
            Validation::Ignore => {}
        }
        if findings.invalid.is_empty() { Ok(()) } else { Err(Refusal::invalid(self.kind, name, &findings.invalid)) }
    }
}

fn valid_name(kind: &Resource, name: &str) -> bool {
    if kind.group.starts_with("rbac.") {
        return !name.is_empty() && !name.contains('/');
    }
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    name.len() <= 253
        && edge(name.chars().next())
        && edge(name.chars().next_back())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    (0..5).map(|_| char::from(LETTERS[usize::from(rand::random::<u8>()) % LETTERS.len()])).collect()
}
