//! The few programs that a simulated container has: `cat`, `nslookup`, `nc`, `wget`, `date`.
//!
//! No shell but the one of a terminal, no files but those named here, and nothing at all in an image whose name has `-distroless` in it. `nslookup` and `wget` print what busybox prints and go through the simulated DNS
//! and the pods' real byte streams, TLS included, so a probe meets the same world as port-forward does.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;

use super::api_server::{ExecOutput, Stream};
use super::kubelet::Stage;
use super::pod_ports;
use super::world::{PodKey, World};
use super::{dns, kubelet, object_store, secrets};

const DNS_SERVER: &str = "10.96.0.10";
const OUTPUT_LIMIT: usize = 1 << 20;

pub async fn run(world: &Arc<World>, pod: &PodKey, argv: &[String]) -> ExecOutput {
    let running = {
        let state = world.state();
        state.containers.get(pod).is_some_and(|container| {
            matches!(container.stage, Stage::Script { .. } | Stage::Starting { .. } | Stage::Running)
        })
    };
    if !running {
        return failed(126, "error: cannot exec in a stopped container\n");
    }
    let words: Vec<&str> = argv.iter().map(String::as_str).collect();
    let bare = world.kubes[pod.kube].store.find("pods", &pod.namespace, &pod.name).is_some_and(|pod| {
        kubelet::main_container(&pod)["image"].as_str().is_some_and(|image| image.contains("-distroless"))
    });
    match words.as_slice() {
        [program, ..] if bare => not_found(program),
        // Without anything to read it ends at once; with a terminal it is the one of `api_server::terminal`.
        ["sh"] => printed(""),
        ["cat", "/etc/resolv.conf"] => printed(&resolv_conf(world, pod)),
        ["cat", path] => failed(1, &format!("cat: can't open '{path}': No such file or directory\n")),
        ["date"] => printed(&format!("{}\n", object_store::now())),
        ["nslookup", host] | ["nslookup", "-type=a", host] => nslookup(world, pod, host),
        ["nc", "-z", "-w", _, host, port] => netcat(world, pod, host, port),
        ["wget", options @ ..] => wget(world, pod, options).await,
        [program, ..] => not_found(program),
        [] => failed(126, "OCI runtime exec failed: exec failed: no command specified: unknown\n"),
    }
}

fn not_found(program: &str) -> ExecOutput {
    failed(
        127,
        &format!(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: {program:?}: executable file not found in $PATH: unknown\n"
        ),
    )
}

fn printed(text: &str) -> ExecOutput {
    ExecOutput { stdout: text.as_bytes().to_vec(), stderr: Vec::new(), exit_code: 0 }
}

fn failed(exit_code: i32, text: &str) -> ExecOutput {
    ExecOutput { stdout: Vec::new(), stderr: text.as_bytes().to_vec(), exit_code }
}

fn resolv_conf(world: &World, pod: &PodKey) -> String {
    let search = dns::search_list(world, pod.kube, &pod.namespace).join(" ");
    format!("search {search}\nnameserver {DNS_SERVER}\noptions ndots:5\n")
}

fn nslookup(world: &World, pod: &PodKey, host: &str) -> ExecOutput {
    let mut text = format!("Server:\t\t{DNS_SERVER}\nAddress:\t{DNS_SERVER}:53\n\n");
    let targets = dns::resolve(world, pod.kube, &pod.namespace, host);
    if targets.is_empty() {
        text.push_str(&format!("** server can't find {host}: NXDOMAIN\n\n"));
        return ExecOutput { exit_code: 1, ..printed(&text) };
    }
    for target in targets {
        text.push_str(&format!("Name:\t{host}\nAddress: {}\n", target.ip));
    }
    text.push('\n');
    printed(&text)
}

/// Whether a port takes a connection. A wall between KubeClusters is not waited for: it is closed at once.
fn netcat(world: &Arc<World>, pod: &PodKey, host: &str, port: &str) -> ExecOutput {
    let Ok(number) = port.parse::<u16>() else { return failed(1, &format!("nc: bad port '{port}'\n")) };
    let targets = dns::resolve(world, pod.kube, &pod.namespace, host);
    let Some(first) = targets.first() else { return failed(1, &format!("nc: bad address '{host}'\n")) };
    let target = targets.iter().find_map(|target| target.pod.as_ref());
    match target {
        Some(target) if walled(world, pod, target, number) => {
            failed(1, &format!("nc: {host} ({}:{port}): Connection timed out\n", first.ip))
        }
        Some(target) if pod_ports::connect(world, target, number).is_ok() => printed(""),
        Some(_) | None => failed(1, &format!("nc: {host} ({}:{port}): Connection refused\n", first.ip)),
    }
}

fn walled(world: &World, from: &PodKey, to: &PodKey, port: u16) -> bool {
    from.kube != to.kube && world.state().closed.contains(&(to.kube, port))
}

/// The options of `wget -qO- …` that are understood.
struct Wget<'a> {
    url: &'a str,
    timeout: Duration,
    authority: bool,
    certificate: bool,
    key: bool,
    verify: bool,
}

impl<'a> Wget<'a> {
    fn read(options: &[&'a str]) -> Result<Wget<'a>, String> {
        let seconds = Duration::from_secs(10);
        let mut wget =
            Wget { url: "", timeout: seconds, authority: false, certificate: false, key: false, verify: true };
        let mut options = options.iter();
        while let Some(option) = options.next() {
            match *option {
                "-q" | "-O-" | "-qO-" | "-S" => {}
                "-O" => {
                    options.next();
                }
                "-T" => {
                    let text = options.next().copied().unwrap_or_default();
                    let seconds = text.parse().map_err(|_| format!("wget: invalid number '{text}'\n"))?;
                    wget.timeout = Duration::from_secs(seconds);
                }
                option if option.starts_with("--timeout=") => {
                    let text = option.trim_start_matches("--timeout=");
                    let seconds = text.parse().map_err(|_| format!("wget: invalid number '{text}'\n"))?;
                    wget.timeout = Duration::from_secs(seconds);
                }
                option if option.starts_with("--tries=") => {}
                option if option.starts_with("--ca-certificate=") => wget.authority = known_file(option)?,
                option if option.starts_with("--certificate=") => wget.certificate = known_file(option)?,
                option if option.starts_with("--private-key=") => wget.key = known_file(option)?,
                "--no-check-certificate" => wget.verify = false,
                option if option.starts_with('-') => return Err(format!("wget: unrecognized option: {option}\n")),
                url => wget.url = url,
            }
        }
        if wget.url.is_empty() { Err("wget: missing URL\n".to_owned()) } else { Ok(wget) }
    }
}

/// Certificates are mounted at `/var/lib/<component>-tls` only.
fn known_file(option: &str) -> Result<bool, String> {
    let path = option.split_once('=').map_or("", |(_, path)| path);
    let file = path.rsplit('/').next().unwrap_or_default();
    if path.starts_with("/var/lib/") && path.contains("-tls/") && matches!(file, "ca.crt" | "tls.crt" | "tls.key") {
        Ok(true)
    } else {
        Err(format!("wget: can't open '{path}': No such file or directory\n"))
    }
}

async fn wget(world: &Arc<World>, pod: &PodKey, options: &[&str]) -> ExecOutput {
    let wget = match Wget::read(options) {
        Ok(wget) => wget,
        Err(message) => return failed(1, &message),
    };
    match tokio::time::timeout(wget.timeout, fetch(world, pod, &wget)).await {
        Ok(Ok(body)) => ExecOutput { stdout: body, stderr: Vec::new(), exit_code: 0 },
        Ok(Err(message)) => failed(1, &message),
        Err(_) => failed(1, "wget: download timed out\n"),
    }
}

async fn fetch(world: &Arc<World>, pod: &PodKey, wget: &Wget<'_>) -> Result<Vec<u8>, String> {
    let uri: http::Uri = wget.url.parse().map_err(|_| format!("wget: bad address '{}'\n", wget.url))?;
    let host = uri.host().unwrap_or_default();
    let tls = uri.scheme_str() == Some("https");
    let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
    let targets = dns::resolve(world, pod.kube, &pod.namespace, host);
    let Some(first) = targets.first() else { return Err(format!("wget: bad address '{host}:{port}'\n")) };
    let refused = || format!("wget: can't connect to remote host ({}): Connection refused\n", first.ip);
    let target = targets.iter().find_map(|target| target.pod.as_ref()).ok_or_else(refused)?;
    if walled(world, pod, target, port) {
        return Err("wget: download timed out\n".to_owned());
    }
    let stream = pod_ports::connect(world, target, port).map_err(|_| refused())?;
    if !tls {
        return get(stream, &uri).await;
    }
    let object = world.kubes[pod.kube].store.find("pods", &pod.namespace, &pod.name).unwrap_or_default();
    let bundle = secrets::bundle(world, pod, &object).ok_or("wget: TLS certificate files cannot be read\n")?;
    if !wget.authority && wget.verify {
        return Err(format!(
            "ERROR: cannot verify {host}'s certificate: unable to locally verify the issuer's authority.\n"
        ));
    }
    let config =
        bundle.client_config(wget.certificate && wget.key).ok_or("wget: TLS certificate files cannot be used\n")?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| format!("wget: bad address '{host}'\n"))?;
    let stream = tokio_rustls::TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(|error| format!("ERROR: cannot verify {host}'s certificate: {error}\n"))?;
    get(Box::new(stream), &uri).await
}

async fn get(stream: Box<dyn Stream>, uri: &http::Uri) -> Result<Vec<u8>, String> {
    let broken = |_| "wget: error getting response: Connection reset by peer\n".to_owned();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let driver = tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = http::Request::get(path)
        .header("Host", authority)
        .header("User-Agent", "Wget")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("wget: {error}\n"))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), OUTPUT_LIMIT).collect().await;
    driver.abort();
    if !status.is_success() {
        let reason = status.canonical_reason().unwrap_or_default();
        return Err(format!("wget: server returned error: HTTP/1.1 {} {reason}\n", status.as_u16()));
    }
    body.map(|body| body.to_bytes().to_vec()).map_err(|_| "wget: error getting response\n".to_owned())
}
