//! The HTTP client of a link: built when it is first needed, and anew when its credentials are refused or renewed.

use super::{Built, Link};
use super::{RENEWED_EVERY, TOKEN_FILE_KEPT};
use crate::client::kube::exec_plugin::command_line;
use crate::client::kube::kubeconfig_validation::unfit;
use crate::client::kube::token_files::{Login, inlined, login_of, token_in};
use crate::client::wire::http_stack::client;
use crate::client::wire::proxy::proxy_for;
use crate::client::wire::read_only_gate::Gate;
use crate::client::wire::request_error::{RequestError, RequestErrorKind};
use crate::client::wire::request_stats::credential;
use crate::client::wire::tls_errors;
use crate::client::{now, plain};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use http::{HeaderValue, Request};
use kube::config::{AuthInfo, KubeConfigOptions};
use std::sync::{Arc, PoisonError};

impl Link {
    pub(super) async fn built(&self) -> Result<Built, RequestError> {
        let mut slot = self.built.lock().await;
        let margin = jiff::SignedDuration::from_secs(10);
        let fresh = |built: &Built| built.expires.is_none_or(|expires| expires.duration_since(now()) > margin);
        if let Some(built) = slot.as_mut().filter(|built| fresh(built)) {
            if let Some((file, read)) = &mut built.token_file
                && now().duration_since(*read) > TOKEN_FILE_KEPT
            {
                // What cannot be read now may be there again in a moment; until then the last one counts, as in client-go.
                *read = now();
                if let Ok(token) = token_in(file).await {
                    built.bearer = Some(token);
                }
            }
            return Ok(built.clone());
        }
        let built = self.build().await?;
        *slot = Some(built.clone());
        Ok(built)
    }

    /// The user's entry to log in with: after a refusal, the one that the kubeconfig has now.
    async fn user(&self) -> Option<Arc<AuthInfo>> {
        let entry = &self.target.entry;
        let look = {
            let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
            let due = renewed.looked.is_none_or(|looked| now().duration_since(looked) > RENEWED_EVERY);
            let look = std::mem::take(&mut renewed.wanted) && due;
            if look {
                renewed.looked = Some(now());
            }
            look
        };
        if look {
            let again = Arc::clone(entry);
            let user = tokio::task::spawn_blocking(move || again.user_now()).await.ok().flatten();
            if user.is_some() {
                self.renewed.lock().unwrap_or_else(PoisonError::into_inner).user = user;
            }
        }
        let renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner).user.clone();
        renewed.or_else(|| entry.user.clone())
    }

    async fn build(&self) -> Result<Built, RequestError> {
        let server = self.server();
        let cannot = |why: String| {
            let sentence = format!("the kubeconfig entry of {:?} cannot be used: {}", self.context(), plain(&why));
            RequestError::unsent(RequestErrorKind::Unreachable, sentence)
        };
        let login = |why: &str| RequestError::unsent(RequestErrorKind::AuthNeeded, format!("{server}: {why}"));
        if let Some(hidden) = &self.target.entry.hidden {
            return Err(RequestError::unsent(RequestErrorKind::Unreachable, plain(hidden)));
        }
        let user = self.user().await;
        let mut kubeconfig = self.target.entry.alone(user.as_deref());
        let Login { token, token_file } = login_of(&mut kubeconfig);
        inlined(&mut kubeconfig).await.map_err(cannot)?;
        if let Some(why) = unfit(&kubeconfig) {
            return Err(cannot(why));
        }
        let choice = KubeConfigOptions { context: Some(self.context().to_owned()), ..KubeConfigOptions::default() };
        let mut config =
            kube::Config::from_custom_kubeconfig(kubeconfig, &choice).await.map_err(|error| cannot(chain(&error)))?;
        let own_proxy = self.target.entry.cluster.as_ref().and_then(|cluster| cluster.proxy_url.clone());
        let proxy = proxy_for(own_proxy.as_deref(), &config.cluster_url, config.proxy_url.take());
        config.proxy_url = proxy.as_ref().map(|proxy| proxy.uri.clone());
        let exec = config.auth_info.exec.take();
        if config.auth_info.auth_provider.as_ref().is_some_and(|old| old.config.contains_key("cmd-path")) {
            return Err(login("its kubeconfig uses the retired auth-provider plugins; use an exec plugin instead"));
        }
        let (mut bearer, mut expires) = (None, None);
        if let Some(file) = &token_file {
            bearer = Some(token_in(file).await.map_err(|why| login(&why))?);
        } else if let Some(token) = token {
            bearer = Some(token.map_err(|why| login(&why))?);
        } else if let Some(exec) = &exec {
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(command_line(exec));
            let run = self.plugins.get(exec, self.limits().plugin).await;
            *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let credential = run.map_err(|why| login(&why))?;
            expires = credential.expires;
            if let Some(token) = &credential.token {
                let value = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut value = value.map_err(|_| login("the credential plugin gave a token that is not text"))?;
                value.set_sensitive(true);
                bearer = Some(value);
            }
            if let Some((certificate, key)) = credential.certificate {
                config.auth_info.client_certificate_data = Some(BASE64_STANDARD.encode(certificate));
                config.auth_info.client_key_data = Some(BASE64_STANDARD.encode(key).into());
            }
        }
        let plugin = exec.as_ref().map(command_line);
        let plugin = plugin.as_deref().map(|command| (command, expires));
        let used = credential(&config.auth_info, bearer.is_some(), token_file.is_some(), plugin);
        self.traffic.logged_in(used);
        let gate = Gate { context: self.context().to_owned(), read_only: self.read_only.clone() };
        let client = client(&config, &gate, self.limits().connect).map_err(|error| cannot(in_words(error.as_ref())))?;
        let token_file = token_file.map(|file| (file, now()));
        Ok(Built { client, bearer, token_file, exec, expires, proxy })
    }
}

pub(super) fn with_bearer(mut request: Request<Vec<u8>>, built: &Built) -> Request<Vec<u8>> {
    // Here and not at the gate: kube sends from a task of its own, which does not know for which run.
    request.headers_mut().insert(http::header::USER_AGENT, crate::client::wire::user_agent::current());
    if let Some(bearer) = &built.bearer {
        request.headers_mut().insert(http::header::AUTHORIZATION, bearer.clone());
    }
    request
}

/// Why no client is made of an entry.
pub(super) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    match tls_errors::inside(error) {
        Some(rustls::Error::InconsistentKeys(_)) => {
            "the client-key of its user does not belong to its client-certificate".to_owned()
        }
        Some(_) | None => chain(error),
    }
}

pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Some errors carry their cause's words already.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}
