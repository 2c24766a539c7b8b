//! The outside witness of certificates: the `openssl` program. It verifies them, and speaks TLS with them on loopback.
//!
//! Nothing here knows our rules. In CI a missing `openssl` is a failure; elsewhere what asks it is left out.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The values of a Secret.
pub type Values = BTreeMap<String, Vec<u8>>;

/// Longest life of one `openssl`.
const LIMIT: Duration = Duration::from_secs(20);

/// Whether the program is there.
pub fn installed() -> bool {
    let there = Command::new("openssl").arg("version").output().is_ok();
    assert!(there || std::env::var("CI").is_err(), "openssl is missing");
    there
}

/// One command to its end: whether it was content, and all that it said.
pub fn openssl(folder: &Path, words: &[&str]) -> (bool, String) {
    let output = Command::new("openssl").args(words).current_dir(folder).stdin(Stdio::null()).output();
    said(&output.expect("openssl starts"))
}

fn said(output: &Output) -> (bool, String) {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    (output.status.success(), text)
}

/// Writes the values of a Secret as files; the folder goes with the handle.
pub fn files(values: &Values) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (key, value) in values {
        std::fs::write(folder.path().join(key), value).expect("written");
    }
    folder
}

/// What `openssl verify` says to `tls.crt` by `ca.crt`, for one purpose (`sslserver`, `sslclient`), by the strict rules of
/// RFC 5280. What stands behind the certificate in its own file goes along as a server would send it.
pub fn verify(values: &Values, purpose: &str) -> Result<(), String> {
    let folder = files(values);
    let words =
        ["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", "-untrusted", "tls.crt", "tls.crt"];
    let (content, text) = openssl(folder.path(), &words);
    if content { Ok(()) } else { Err(text) }
}

/// The same for what the certificate says that it may be used for.
#[track_caller]
pub fn verify_all(name: &str, values: &Values) {
    let folder = files(values);
    let (_, uses) = openssl(folder.path(), &["x509", "-in", "tls.crt", "-noout", "-ext", "extendedKeyUsage"]);
    let mut seen = 0;
    for (word, purpose) in [("Web Server", "sslserver"), ("Web Client", "sslclient")] {
        if uses.contains(word) {
            verify(values, purpose).unwrap_or_else(|why| panic!("{name} as {purpose}: {why}"));
            seen += 1;
        }
    }
    assert!(seen > 0, "{name} may be used for nothing: {uses}");
}

/// Kills what outlives the test.
struct Owned(Child);

impl Drop for Owned {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait(child: &mut Owned) -> bool {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(status) = child.0.try_wait().expect("a child") {
            return status.success();
        }
        if Instant::now() > until {
            return false;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// A mutual handshake of two OpenSSL programs and one HTTP exchange over it: each verifies the other by its own `ca.crt`, the
/// client looks for `name` in the server's certificate.
pub fn speak(server: &Values, client: &Values, name: &str) -> Result<(), String> {
    let (serving, asking) = (files(server), files(client));
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-www"]);
    command.args(["-cert", "tls.crt", "-cert_chain", "tls.crt", "-key", "tls.key", "-CAfile", "ca.crt"]);
    command.args(["-no-CApath", "-no-CAstore", "-Verify", "3", "-verify_return_error"]);
    command.current_dir(serving.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut server = Owned(command.spawn().expect("openssl s_server starts"));
    let (tell, told) = mpsc::channel();
    let mut pipes: Vec<thread::JoinHandle<String>> = Vec::new();
    let out = server.0.stdout.take().expect("piped");
    pipes.push(thread::spawn(move || {
        let mut all = String::new();
        for line in BufReader::new(out).lines().map_while(Result::ok) {
            if let Some(at) = line.strip_prefix("ACCEPT ") {
                let _ = tell.send(at.to_owned());
            }
            all += &format!("{line}\n");
        }
        all
    }));
    let err = server.0.stderr.take().expect("piped");
    pipes.push(thread::spawn(move || BufReader::new(err).lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")));
    let at = told.recv_timeout(LIMIT).map_err(|_| "s_server does not listen".to_owned())?;

    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &at, "-cert", "tls.crt", "-cert_chain", "tls.crt", "-key", "tls.key"]);
    command.args(["-CAfile", "ca.crt", "-no-CApath", "-no-CAstore", "-verify", "3", "-verify_return_error"]);
    command.args(["-verify_hostname", name, "-servername", name, "-ign_eof", "-quiet"]);
    command.current_dir(asking.path()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("openssl s_client starts");
    let mut input = child.stdin.take().expect("piped");
    let _ = input.write_all(b"GET / HTTP/1.0\r\n\r\n");
    let (content, text) = said(&child.wait_with_output().expect("it ends"));
    drop(input);
    // One that refused its client has served nobody, and would wait for another.
    if content && text.contains("200 ok") {
        wait(&mut server);
        return Ok(());
    }
    drop(server);
    let others: Vec<String> = pipes.into_iter().filter_map(|pipe| pipe.join().ok()).collect();
    Err(format!("client: {text}\nserver: {}", others.join("\n")))
}

/// curl over the same kind of server, without a certificate of its own: `Ok` with what the server's page begins with.
pub fn curl(server: &Values, ca: &Path, name: &str) -> Result<(), String> {
    let serving = files(server);
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-naccept", "1", "-www"]);
    command.args(["-cert", "tls.crt", "-cert_chain", "tls.crt", "-key", "tls.key"]);
    command.current_dir(serving.path()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Owned(command.spawn().expect("openssl s_server starts"));
    let mut lines = BufReader::new(server.0.stdout.take().expect("piped")).lines().map_while(Result::ok);
    let at = lines.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned)).ok_or("it does not listen")?;
    let port = at.rsplit_once(':').map_or("", |(_, port)| port).to_owned();
    let mut command = Command::new("curl");
    command.args(["-sS", "--max-time", "15", "--noproxy", "*", "--cacert"]).arg(ca);
    command.args(["--resolve", &format!("{name}:{port}:127.0.0.1"), &format!("https://{name}:{port}/")]);
    let (content, text) = said(&command.output().expect("curl starts"));
    if content { Ok(()) } else { Err(text) }
}

/// A place in which certificates are made by `openssl` alone.
pub struct Office {
    folder: tempfile::TempDir,
}

/// Of a certificate that [`Office::leaf`] makes.
pub struct Leaf<'a> {
    pub subject: &'a str,
    pub alternative_names: &'a [String],
    pub subject_key_id: bool,
    pub authority_key_id: bool,
}

impl Office {
    /// With a CA of this subject (`/O=PingCAP/CN=TiDB`) and kind of key (`ec`, `rsa`).
    pub fn new(subject: &str, key: &str) -> Self {
        let office = Self { folder: tempfile::tempdir().expect("a folder") };
        let kind = if key == "rsa" { ["rsa", "rsa_keygen_bits:2048"] } else { ["ec", "ec_paramgen_curve:prime256v1"] };
        office.must(&[
            "req",
            "-x509",
            "-newkey",
            kind[0],
            "-pkeyopt",
            kind[1],
            "-nodes",
            "-days",
            "3000",
            "-subj",
            subject,
            "-addext",
            "keyUsage=critical,digitalSignature,keyCertSign",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ]);
        office
    }

    /// With a CA that is there.
    pub fn with(authority: &Values) -> Self {
        let office = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(office.path("ca.crt"), &authority["tls.crt"]).expect("written");
        std::fs::write(office.path("ca.key"), &authority["tls.key"]).expect("written");
        office
    }

    #[track_caller]
    fn must(&self, words: &[&str]) {
        let (content, text) = openssl(self.folder.path(), words);
        assert!(content, "openssl {words:?}: {text}");
    }

    fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path(file)).expect("made")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// The Secret of the CA.
    pub fn authority(&self) -> Values {
        let (ca, key) = (self.read("ca.crt"), self.read("ca.key"));
        [("ca.crt", ca.clone()), ("tls.crt", ca), ("tls.key", key)].map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// A certificate signed by the CA, as a Secret.
    pub fn leaf(&self, leaf: &Leaf<'_>) -> Values {
        let ids = |wanted: bool, how: &'static str| if wanted { how } else { "none" };
        let mut extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyEncipherment\nextendedKeyUsage=serverAuth,clientAuth\nsubjectKeyIdentifier={}\nauthorityKeyIdentifier={}\n",
            ids(leaf.subject_key_id, "hash"),
            ids(leaf.authority_key_id, "keyid")
        );
        if !leaf.alternative_names.is_empty() {
            let kind = |name: &String| if name.parse::<std::net::IpAddr>().is_ok() { "IP" } else { "DNS" };
            let names: Vec<String> =
                leaf.alternative_names.iter().map(|name| format!("{}:{name}", kind(name))).collect();
            extensions += &format!("subjectAltName={}\n", names.join(","));
        }
        std::fs::write(self.path("extensions"), extensions).expect("written");
        self.must(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-subj",
            leaf.subject,
            "-keyout",
            "leaf.key",
            "-out",
            "request.pem",
        ]);
        self.must(&[
            "x509",
            "-req",
            "-in",
            "request.pem",
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            "300",
            "-extfile",
            "extensions",
            "-out",
            "leaf.crt",
        ]);
        let all =
            [("ca.crt", self.read("ca.crt")), ("tls.crt", self.read("leaf.crt")), ("tls.key", self.read("leaf.key"))];
        all.map(|(key, value)| (key.to_owned(), value)).into()
    }
}
