//! TLS material of the simulated pods: made for a scenario, stored as Secrets, read back by kubelet and programs.
//!
//! The subject alternative names are those of domain.md §4.2, the KubeCluster's real domain included, so that a TidbCluster
//! can be given its `clusterDomain` later. API server certificates are not here (`mod`).

use std::sync::Arc;

use k8s_openapi::ByteString;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};

use super::components::{Component, SYNC_ORDER};
use super::store::Store;
use super::tls::{Authority, Identity, Usage};
use super::world::{PodKey, World};

/// The common name that `cert-allowed-cn` would be set to.
const COMMON_NAME: &str = "TiDB";

/// Certificate, key and authority of one Secret, PEM.
#[derive(Clone, Debug)]
pub struct Bundle {
    pub certificate: Vec<u8>,
    pub key: Vec<u8>,
    pub authority: Vec<u8>,
}

/// Puts the Secrets of one TidbCluster into the store.
pub fn seed(store: &Store, authority: &Authority, namespace: &str, tc: &str, domain: &str) {
    for component in SYNC_ORDER {
        let names = alternative_names(component, namespace, tc, domain);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let identity = authority.leaf(COMMON_NAME, &names, Usage::Both);
        put(store, namespace, &format!("{tc}-{}-cluster-secret", component.key()), &identity, authority);
    }
    put(store, namespace, &format!("{tc}-cluster-client-secret"), &authority.client(COMMON_NAME), authority);
    put(store, namespace, &format!("{tc}-ca-secret"), &authority.identity(), authority);
}

fn alternative_names(component: Component, namespace: &str, tc: &str, domain: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let service = component.stateful_set(tc);
    let peer = component.peer_service(tc);
    let mut hosts = vec![peer.clone(), format!("*.{peer}")];
    if component != Component::Pump {
        hosts.insert(0, service);
    }
    for host in hosts {
        let full = format!("{host}.{namespace}.svc");
        names.extend([format!("{full}.{domain}"), full, format!("{host}.{namespace}"), host]);
    }
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names
}

fn put(store: &Store, namespace: &str, name: &str, identity: &Identity, authority: &Authority) {
    store.put(
        "secrets",
        json!({
            "metadata": {"namespace": namespace, "name": name},
            "type": "kubernetes.io/tls",
            "data": {
                "tls.crt": encode(identity.certificate_pem.as_bytes()),
                "tls.key": encode(identity.key_pem.as_bytes()),
                "ca.crt": encode(authority.pem().as_bytes()),
            },
        }),
    );
}

/// Base64, as Secrets and kubeconfigs want it.
pub fn encode(bytes: &[u8]) -> Value {
    serde_json::to_value(ByteString(bytes.to_vec())).expect("bytes always become a string")
}

fn decode(value: &Value) -> Option<Vec<u8>> {
    serde_json::from_value::<ByteString>(value.clone()).ok().map(|bytes| bytes.0)
}

/// The names of the Secrets that a pod mounts.
fn mounted(pod: &Value) -> impl Iterator<Item = &str> {
    pod["spec"]["volumes"].as_array().into_iter().flatten().filter_map(|volume| volume["secret"]["secretName"].as_str())
}

/// The first Secret that a pod waits for.
pub fn missing(world: &World, key: &PodKey, pod: &Value) -> Option<String> {
    let store = &world.kubes[key.kube].store;
    mounted(pod).find(|name| store.get("secrets", &key.namespace, name).is_none()).map(str::to_owned)
}

/// The bundle mounted at `/var/lib/<component>-tls`.
pub fn bundle(world: &World, key: &PodKey, pod: &Value) -> Option<Bundle> {
    let secret = world.kubes[key.kube].store.get("secrets", &key.namespace, mounted(pod).next()?)?;
    let data = |name: &str| decode(&secret["data"][name]);
    Some(Bundle { certificate: data("tls.crt")?, key: data("tls.key")?, authority: data("ca.crt")? })
}

/// Mutual TLS as a component listens with it; `None` when the Secret is not usable.
pub fn server_config(world: &World, key: &PodKey, pod: &Value) -> Option<Arc<ServerConfig>> {
    let bundle = bundle(world, key, pod)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(bundle.roots()?);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build().ok()?;
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let (chain, key) = bundle.identity()?;
    builder.with_client_cert_verifier(verifier).with_single_cert(chain, key).ok().map(Arc::new)
}

impl Bundle {
    fn roots(&self) -> Option<RootCertStore> {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&self.authority) {
            roots.add(certificate.ok()?).ok()?;
        }
        Some(roots)
    }

    fn identity(&self) -> Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        let chain = CertificateDer::pem_slice_iter(&self.certificate).collect::<Result<Vec<_>, _>>().ok()?;
        Some((chain, PrivateKeyDer::from_pem_slice(&self.key).ok()?))
    }

    /// A client that trusts this bundle's authority, with or without showing its certificate.
    pub fn client_config(&self, show_certificate: bool) -> Option<Arc<ClientConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .ok()?
            .with_root_certificates(self.roots()?);
        if !show_certificate {
            return Some(Arc::new(builder.with_no_client_auth()));
        }
        let (chain, key) = self.identity()?;
        builder.with_client_auth_cert(chain, key).ok().map(Arc::new)
    }
}
