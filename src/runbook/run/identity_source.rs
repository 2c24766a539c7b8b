//! On whose word somebody has a name, as records keep it.

use serde::{Deserialize, Serialize};

/// Who said that somebody is called so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedBy {
    /// The API server, asked by the person's own credentials (SelfSubjectReview).
    Server,
    /// The API server, under `as:` of the kubeconfig: it is the name of somebody else.
    Impersonation,
    /// The user entry of their kubeconfig, which anybody writes as they like.
    Kubeconfig,
}

/// Who says that the approver is who they say they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityProof {
    /// The API server: an admission policy refuses an approval in anybody else's name.
    Server,
    /// The approver's tidepilot, which asked the API server (SelfSubjectReview). Whoever may write ConfigMaps there
    /// could have written it by hand; the server's audit log tells.
    Review,
    /// The approver's kubeconfig: the server does not know the question. Counted before 0.2 only.
    Kubeconfig,
}

impl IdentityProof {
    /// A few words for a list.
    pub fn words(self) -> &'static str {
        match self {
            IdentityProof::Server => "the API server vouches for the name",
            IdentityProof::Review => "named by their own tidepilot after asking the API server",
            IdentityProof::Kubeconfig => "named by their kubeconfig only",
        }
    }
}
