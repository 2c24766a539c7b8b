//! TLS material of the simulated pods: made for a scenario, stored as Secrets, read back by kubelet and programs.
//!
//! The subject alternative names are those of domain.md §4.2, the KubeCluster's real domain included, so that a TidbCluster
//! can be given its `clusterDomain` later. API server certificates are not here (`mod`).

use std::sync::Arc;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier as _;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use serde_json::{Value, json};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certificate_authority::{Authority, Identity, Usage};
use super::components::{Component, SYNC_ORDER};
use super::object_store::Store;
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
    Value::String(BASE64_STANDARD.encode(bytes))
}

fn decode(value: &Value) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(value.as_str()?).ok()
}

/// The names of the Secrets that a pod mounts.
fn mounted(pod: &Value) -> impl Iterator<Item = &str> {
    pod["spec"]["volumes"].as_array().into_iter().flatten().filter_map(|volume| volume["secret"]["secretName"].as_str())
}

/// The first Secret that a pod waits for.
pub fn missing(world: &World, key: &PodKey, pod: &Value) -> Option<String> {
    let store = &world.kubes[key.kube].store;
    mounted(pod).find(|name| store.find("secrets", &key.namespace, name).is_none()).map(str::to_owned)
}

/// The bundle mounted at `/var/lib/<component>-tls`.
pub fn bundle(world: &World, key: &PodKey, pod: &Value) -> Option<Bundle> {
    stored(world, key.kube, &key.namespace, mounted(pod).next()?)
}

/// The bundle in a Secret.
pub fn stored(world: &World, kube: usize, namespace: &str, name: &str) -> Option<Bundle> {
    let secret = world.kubes[kube].store.find("secrets", namespace, name)?;
    let data = |name: &str| decode(&secret["data"][name]);
    Some(Bundle { certificate: data("tls.crt")?, key: data("tls.key")?, authority: data("ca.crt")? })
}

/// The version of the Secret that a pod's component listens with, as long as it is there.
pub fn version(world: &World, key: &PodKey, pod: &Value) -> Option<String> {
    let secret = world.kubes[key.kube].store.find("secrets", &key.namespace, mounted(pod).next()?)?;
    secret["metadata"]["resourceVersion"].as_str().map(str::to_owned)
}

fn of_pod(world: &World, key: &PodKey) -> Option<(Arc<Value>, Bundle)> {
    let pod = world.kubes[key.kube].store.find("pods", &key.namespace, &key.name)?;
    let bundle = bundle(world, key, &pod)?;
    Some((pod, bundle))
}

/// Whether a client with this bundle gets through to the program in a pod under this name, and trusts it.
pub fn let_in(world: &World, client: &Bundle, to: &PodKey, host: &str) -> bool {
    of_pod(world, to).is_some_and(|(_, server)| client.trusts(&server, host) && server.admits(client))
}

/// Whether the PD in one pod reaches that in another on the peer port. Only there does PD hold a client to
/// `cert-allowed-cn`, and each of the two is the other's client.
pub fn peers(world: &World, from: &PodKey, to: &PodKey, host: &str) -> bool {
    let (Some((from_pod, client)), Some((to_pod, server))) = (of_pod(world, from), of_pod(world, to)) else {
        return false;
    };
    let named = |world: &World, key: &PodKey, pod: &Value, other: &Bundle| {
        let allowed = allowed_names(world, key, pod);
        allowed.is_empty() || other.common_name().is_some_and(|name| allowed.contains(&name))
    };
    client.trusts(&server, host)
        && server.admits(&client)
        && client.admits(&server)
        && named(world, to, &to_pod, &client)
        && named(world, from, &from_pod, &server)
}

/// `cert-allowed-cn` in the configuration that a pod mounts, TOML or JSON.
fn allowed_names(world: &World, key: &PodKey, pod: &Value) -> Vec<String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let map =
        volumes.filter(|volume| volume["name"] == "config").find_map(|volume| volume["configMap"]["name"].as_str());
    let map = map.and_then(|name| world.kubes[key.kube].store.find("configmaps", &key.namespace, name));
    let text = map.as_ref().and_then(|map| map["data"]["config-file"].as_str()).unwrap_or_default();
    let list = text.split_once("cert-allowed-cn").and_then(|(_, rest)| rest.split_once('[')?.1.split_once(']'));
    let quoted = list.map(|(list, _)| list.split('"').skip(1).step_by(2).map(str::to_owned).collect());
    quoted.unwrap_or_default()
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

    /// As a client: whether it would take this server under this name.
    fn trusts(&self, server: &Bundle, host: &str) -> bool {
        let verified = || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let roots = Arc::new(self.roots()?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider).build().ok()?;
            let (chain, _) = server.identity()?;
            let (leaf, more) = chain.split_first()?;
            let name = ServerName::try_from(host).ok()?;
            verifier.verify_server_cert(leaf, more, &name, &[], UnixTime::now()).ok()
        };
        verified().is_some()
    }

    /// As a server: whether it would let this client in.
    fn admits(&self, client: &Bundle) -> bool {
        let verified = || {
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let roots = Arc::new(self.roots()?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build().ok()?;
            let (chain, _) = client.identity()?;
            let (leaf, more) = chain.split_first()?;
            verifier.verify_client_cert(leaf, more, UnixTime::now()).ok()
        };
        verified().is_some()
    }

    fn common_name(&self) -> Option<String> {
        let (chain, _) = self.identity()?;
        let (_, certificate) = X509Certificate::from_der(chain.first()?).ok()?;
        let name = certificate.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(name)
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
