//! Who asks, and what they may do: bearer tokens and a small rule set in the manner of RBAC.
//!
//! It answers yes or no. The words of a refusal are in `status`, the review resources in `review`.

/// One user behind a bearer token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub groups: Vec<String>,
    pub rules: Rules,
}

/// What a user may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rules {
    AllowAll,
    /// get, list and watch of everything but secrets; no streams into pods.
    ReadOnly,
    Only(Vec<Rule>),
    /// What the Roles in the store give, looked up anew for each request.
    Bound,
    /// What they gave for one request.
    Resolved(Resolved),
}

/// Rules that were found, and bindings that lead nowhere: by the namespace (empty: everywhere) in which they would count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    pub rules: Vec<Rule>,
    pub missing: Vec<(String, String)>,
}

/// One rule: each list may hold `*`; `resources` name subresources as `pods/portforward`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    pub verbs: Vec<String>,
    pub groups: Vec<String>,
    pub resources: Vec<String>,
    /// Empty: in every namespace and at cluster scope.
    pub namespaces: Vec<String>,
    /// Empty: whatever the name.
    pub names: Vec<String>,
}

/// One question: may this be done?
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ask<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

impl User {
    /// A user with every right, for tests and the default scenario.
    pub fn admin(name: &str) -> User {
        User { name: name.to_owned(), groups: vec!["system:masters".into()], rules: Rules::AllowAll }
    }

    /// The groups as a server reports them: everyone with a token is authenticated.
    pub fn all_groups(&self) -> Vec<String> {
        let mut groups = self.groups.clone();
        if !groups.iter().any(|group| group == "system:authenticated") {
            groups.push("system:authenticated".into());
        }
        groups
    }
}

impl Rules {
    pub fn allow(&self, ask: &Ask<'_>) -> bool {
        // Every authenticated user may ask about themselves (system:basic-user).
        if ask.verb == "create" && matches!(ask.group, "authorization.k8s.io" | "authentication.k8s.io") {
            return ask.resource.starts_with("selfsubject");
        }
        self.list().iter().any(|rule| rule.allows(ask))
    }

    /// What a server adds to a refusal: the roles that bindings name and that are not there.
    pub fn remark(&self, ask: &Ask<'_>) -> String {
        let Rules::Resolved(Resolved { missing, .. }) = self else { return String::new() };
        let here = missing.iter().filter(|(namespace, _)| namespace.is_empty() || namespace == ask.namespace);
        let here: Vec<&str> = here.map(|(_, role)| role.as_str()).collect();
        match here.as_slice() {
            [] => String::new(),
            [one] => format!(": RBAC: {one} not found"),
            several => {
                let several: Vec<String> = several.iter().map(|role| format!("{role} not found")).collect();
                format!(": RBAC: [{}]", several.join(", "))
            }
        }
    }

    /// The rules spelled out, as SelfSubjectRulesReview shows them.
    pub fn list(&self) -> Vec<Rule> {
        let all = || vec!["*".to_owned()];
        match self {
            Rules::AllowAll => vec![Rule { verbs: all(), groups: all(), resources: all(), ..Rule::default() }],
            Rules::ReadOnly => {
                let verbs = ["get", "list", "watch"].map(str::to_owned).to_vec();
                let readable = super::super::object_store::RESOURCES.iter().filter(|kind| kind.plural != "secrets");
                let mut resources: Vec<String> = readable.map(|kind| kind.plural.to_owned()).collect();
                resources.push("pods/log".into());
                vec![Rule { verbs, groups: all(), resources, ..Rule::default() }]
            }
            Rules::Only(rules) | Rules::Resolved(Resolved { rules, .. }) => rules.clone(),
            // The router has put the resolved ones in its place.
            Rules::Bound => Vec::new(),
        }
    }
}

impl Rule {
    fn allows(&self, ask: &Ask<'_>) -> bool {
        let has = |list: &[String], wanted: &str| list.iter().any(|entry| entry == "*" || entry == wanted);
        let resource = if ask.subresource.is_empty() {
            ask.resource.to_owned()
        } else {
            format!("{}/{}", ask.resource, ask.subresource)
        };
        has(&self.verbs, ask.verb)
            && has(&self.groups, ask.group)
            && (has(&self.resources, &resource)
                || (!ask.subresource.is_empty() && self.resources.contains(&format!("*/{}", ask.subresource))))
            && (self.namespaces.is_empty() || has(&self.namespaces, ask.namespace))
            && (self.names.is_empty() || self.names.iter().any(|name| name == ask.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(verb: &'static str, resource: &'static str, subresource: &'static str) -> Ask<'static> {
        Ask { verb, resource, subresource, namespace: "ns", ..Ask::default() }
    }

    #[test]
    fn rules() {
        assert!(Rules::AllowAll.allow(&ask("delete", "pods", "")));
        assert!(Rules::ReadOnly.allow(&ask("watch", "pods", "")));
        assert!(!Rules::ReadOnly.allow(&ask("get", "secrets", "")));
        assert!(!Rules::ReadOnly.allow(&ask("get", "pods", "portforward")));
        let forward = Rules::Only(vec![Rule {
            verbs: vec!["create".into()],
            groups: vec![String::new()],
            resources: vec!["pods/portforward".into()],
            namespaces: vec!["ns".into()],
            ..Rule::default()
        }]);
        assert!(forward.allow(&ask("create", "pods", "portforward")));
        assert!(!forward.allow(&ask("get", "pods", "portforward")));
        assert!(!forward.allow(&ask("create", "pods", "")));
    }
}
