//! CoreDNS's configuration, as far as it tells which domains the cluster serves for its own Services and pods.
//!
//! Every zone of every `kubernetes` line of every server block counts. What may answer for a zone in another way
//! (`rewrite`, `template`, `forward` of that zone, `import` of a file, a plugin that is not known here) makes it open,
//! never absent. A `forward .` in the root block is not such a thing: it stands in every Corefile and sends on what nobody
//! here knows. Source: coredns.io/manual/toc, coredns.io/plugins/{kubernetes,rewrite,template,forward,import}. Pure.

use super::dns::{Dns, Doubt, below, normal};

/// Plugins that answer for no zone of their own (coredns `plugin.cfg`), or for single names (`hosts`).
const HARMLESS: &[&str] = &[
    "acl",
    "any",
    "autopath",
    "bind",
    "bufsize",
    "cache",
    "cancel",
    "chaos",
    "debug",
    "dns64",
    "dnssec",
    "dnstap",
    "erratic",
    "errors",
    "geoip",
    "header",
    "health",
    "hosts",
    "loadbalance",
    "local",
    "log",
    "loop",
    "metadata",
    "minimal",
    "multisocket",
    "nsid",
    "pprof",
    "prometheus",
    "quic",
    "ready",
    "reload",
    "root",
    "sign",
    "timeouts",
    "tls",
    "trace",
    "transfer",
    "tsig",
    "whoami",
];

/// The port of a block whose keys name none.
const DNS: u16 = 53;

/// Reads a Corefile.
pub fn read(text: &str) -> Dns {
    let file = parse(&tokens(text));
    let mut dns = Dns { read: true, ..Dns::default() };
    let mut certain: Vec<(String, usize)> = Vec::new();
    for (at, block) in file.blocks.iter().enumerate() {
        for directive in file.directives(block) {
            look(block, &directive, at, &mut certain, &mut dns.doubts);
        }
    }
    dns.doubts.extend(file.open.iter().map(|why| Doubt { why: why.clone(), ..Doubt::default() }));
    for (zone, at) in certain {
        // A query goes to the block with the longest key that fits, and there only.
        let fits = |block: &Block| block.zones.iter().filter(|key| below(&zone, key)).map(String::len).max();
        let best = file.blocks.iter().max_by_key(|block| fits(block));
        let asked = !file.is_conditional(&file.blocks[at]) && file.is_on_the_main_port(&file.blocks[at]);
        match fits(&file.blocks[at]) {
            own @ Some(_) if asked && own == best.and_then(fits) => {
                if !dns.domains.contains(&zone) {
                    dns.domains.push(zone);
                }
            }
            _ => {
                let block = if asked { best } else { file.blocks.get(at) };
                let why = format!("{} {{", block.map(Block::keys).unwrap_or_default());
                dns.doubts.push(Doubt { zone, why, forwarded: false });
            }
        }
    }
    dns.doubts.sort();
    dns.doubts.dedup();
    dns
}

/// Takes in what one directive of one block says.
fn look(block: &Block, directive: &Directive, at: usize, certain: &mut Vec<(String, usize)>, doubts: &mut Vec<Doubt>) {
    let mut leave_open = |zone: &str, forwarded: bool| {
        doubts.push(Doubt { zone: zone.to_owned(), why: directive.said(), forwarded });
    };
    let mut open = |zone: &str| leave_open(zone, false);
    let args = &directive.args;
    let given = |from: usize| -> Vec<String> {
        let named: Vec<String> = args.iter().skip(from).filter_map(|word| zone_of(word)).collect();
        if args.len() > from { named } else { block.zones.clone() }
    };
    match directive.name.as_str() {
        "kubernetes" => {
            let elsewhere = directive.inner.iter().any(|line| matches!(line[0].as_str(), "endpoint" | "kubeconfig"));
            for zone in given(0).into_iter().filter(|zone| !reverse(zone)) {
                // Without a zone, in the root block: it answers for any.
                match elsewhere || variable(&zone) || zone.is_empty() {
                    // Another cluster's API, or a name that is filled in later.
                    true => open(if variable(&zone) { "" } else { &zone }),
                    false => certain.push((zone, at)),
                }
            }
        }
        "rewrite" => rewritten(directive).iter().for_each(|zone| open(zone)),
        "template" => given(2).iter().for_each(|zone| open(zone)),
        // `forward .` in the root block is in every Corefile.
        "forward" | "proxy" | "grpc" => {
            if let Some(from) = args.first().and_then(|word| zone_of(word)) {
                let zones = if from.is_empty() { block.zones.clone() } else { vec![from] };
                zones.iter().filter(|zone| !zone.is_empty()).for_each(|zone| leave_open(zone, true));
            }
        }
        "file" | "auto" | "secondary" | "etcd" | "route53" | "azure" | "clouddns" => {
            given(usize::from(directive.name == "file")).iter().for_each(|zone| open(zone));
        }
        name if HARMLESS.contains(&name) => {}
        // `view`, `alternate`, `kubernetai`, `k8s_external`, a plugin of one's own: anything may be answered.
        _ => block.zones.iter().for_each(|zone| open(zone)),
    }
}

/// The zones that a `rewrite` may give a meaning to; the empty one: any.
fn rewritten(directive: &Directive) -> Vec<String> {
    let own = (!directive.args.is_empty()).then(|| directive.args.clone());
    let rules = own.iter().chain(&directive.inner).map(|rule| rule.iter().map(String::as_str).collect::<Vec<_>>());
    rules
        .filter_map(|rule| {
            let rule: Vec<&str> = rule.into_iter().skip_while(|word| matches!(*word, "stop" | "continue")).collect();
            match rule.as_slice() {
                // `rewrite stop {`: the rules are inside.
                [] => None,
                ["class" | "type" | "edns0" | "ttl" | "rcode" | "cname" | "answer", ..] => None,
                ["name", "suffix", from, ..] => Some(normal(from.trim_start_matches('.'))),
                ["name", "prefix" | "substring" | "regex", ..] => Some(String::new()),
                // One single name, as for the way back in through an ingress.
                ["name", ..] => None,
                _ => Some(String::new()),
            }
        })
        .collect()
}

#[derive(Debug, Default)]
struct File {
    blocks: Vec<Block>,
    /// `(name) { … }`, to be imported.
    snippets: Vec<(String, Vec<Directive>)>,
    /// What makes the whole open.
    open: Vec<String>,
}

#[derive(Debug)]
struct Block {
    /// Of its keys; the root is empty.
    zones: Vec<String>,
    /// Of its keys, where they name one.
    ports: Vec<u16>,
    body: Vec<Directive>,
}

#[derive(Clone, Debug)]
struct Directive {
    name: String,
    args: Vec<String>,
    /// The lines in its braces.
    inner: Vec<Vec<String>>,
}

impl Block {
    fn keys(&self) -> String {
        let port = self.ports.first().map_or_else(String::new, |port| format!(":{port}"));
        let shown = |zone: &String| if zone.is_empty() { format!(".{port}") } else { format!("{zone}{port}") };
        self.zones.iter().map(shown).collect::<Vec<_>>().join(" ")
    }

    fn on(&self, port: u16) -> bool {
        self.ports.contains(&port) || self.ports.is_empty() && port == DNS
    }
}

impl Directive {
    /// Its line, and the first one inside.
    fn said(&self) -> String {
        let mut words = vec![self.name.clone()];
        words.extend(self.args.iter().cloned());
        words.extend(self.inner.first().into_iter().flatten().cloned());
        words.join(" ")
    }
}

impl File {
    /// Whether the block answers only where an expression of its `view` holds.
    fn is_conditional(&self, block: &Block) -> bool {
        self.directives(block).iter().any(|directive| directive.name == "view")
    }

    /// Whether pods ask this block: the Service of DNS leads to one port, which is that of the root block.
    fn is_on_the_main_port(&self, block: &Block) -> bool {
        let root = self.blocks.iter().find(|block| block.zones.iter().any(String::is_empty));
        let main = root.map_or(&[][..], |root| &root.ports);
        match main {
            [] => root.is_none() || block.on(DNS),
            ports => ports.iter().any(|port| block.on(*port)),
        }
    }

    /// The directives of a block with snippets put in; an `import` of anything else stays, and is not known.
    fn directives(&self, block: &Block) -> Vec<Directive> {
        let mut all = Vec::new();
        let mut rest: Vec<(Directive, u8)> = block.body.iter().rev().map(|one| (one.clone(), 0)).collect();
        while let Some((one, depth)) = rest.pop() {
            let snippet = (one.name == "import" && depth < 8)
                .then(|| self.snippets.iter().find(|(name, _)| one.args.first() == Some(name)))
                .flatten();
            match snippet {
                Some((_, body)) => rest.extend(body.iter().rev().map(|inner| (inner.clone(), depth + 1))),
                None => all.push(one),
            }
        }
        all
    }
}

/// The lines of a Corefile as words. A `{` ends its line and a `}` has one to itself, however they were written: to the
/// reader of the file (caddyfile's lexer) they are words like others. A `#` begins a comment where a word would begin.
fn tokens(text: &str) -> Vec<Vec<String>> {
    let mut lines = Vec::new();
    let mut line: Vec<String> = Vec::new();
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => lines.push(std::mem::take(&mut line)),
            '#' => while chars.next_if(|c| *c != '\n').is_some() {},
            c if c.is_whitespace() => {}
            '"' => {
                let mut word = String::new();
                while let Some(c) = chars.next_if(|c| *c != '"') {
                    match c {
                        '\\' if chars.peek() == Some(&'"') => word.extend(chars.next()),
                        c => word.push(c),
                    }
                }
                chars.next();
                line.push(word);
            }
            first => {
                let mut word = String::from(first);
                while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                    word.push(c);
                }
                match word.as_str() {
                    "{" => {
                        line.push(word);
                        lines.push(std::mem::take(&mut line));
                    }
                    "}" => {
                        lines.push(std::mem::take(&mut line));
                        lines.push(vec![word]);
                    }
                    _ => line.push(word),
                }
            }
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}

fn parse(lines: &[Vec<String>]) -> File {
    let mut file = File::default();
    let mut at = 0;
    while at < lines.len() {
        let line = &lines[at];
        if line[0] == "import" {
            file.open.push(line.join(" "));
            at += 1;
            continue;
        }
        // Keys go on to the next line after a comma.
        let mut keys: Vec<String> = Vec::new();
        let opened = loop {
            let Some(line) = lines.get(at) else { break false };
            at += 1;
            let opened = line.last().is_some_and(|word| word == "{");
            keys.extend(line.iter().filter(|word| *word != "{").flat_map(|word| word.split(',')).map(str::to_owned));
            let more = line.last().is_some_and(|word| word.ends_with(','));
            if opened || !more {
                break opened;
            }
        };
        keys.retain(|key| !key.is_empty());
        // The brace may stand on a line of its own; without one the block goes to the end of the file.
        let brace = opened || lines.get(at).is_some_and(|line| line.len() == 1 && line[0] == "{");
        at += usize::from(brace && !opened);
        let body = body(lines, &mut at, brace);
        let snippet = keys.first().and_then(|key| key.strip_prefix('(')?.strip_suffix(')'));
        match snippet {
            Some(name) => file.snippets.push((name.to_owned(), body)),
            None => {
                file.open.extend(keys.iter().filter(|key| variable(key)).cloned());
                let zones = keys.iter().filter(|key| !variable(key)).filter_map(|key| zone_of(key)).collect();
                let ports = keys.iter().filter_map(|key| key.trim_end_matches(',').rsplit_once(':')?.1.parse().ok());
                file.blocks.push(Block { zones, ports: ports.collect(), body });
            }
        }
    }
    file
}

/// The directives up to the brace that closes the block, or to the end.
fn body(lines: &[Vec<String>], at: &mut usize, braced: bool) -> Vec<Directive> {
    let mut all = Vec::new();
    while let Some(line) = lines.get(*at) {
        *at += 1;
        if line[0] == "}" {
            if braced {
                break;
            }
            continue;
        }
        let opened = line.last().is_some_and(|word| word == "{");
        let words: Vec<String> = line.iter().filter(|word| !matches!(word.as_str(), "{" | "}")).cloned().collect();
        let inner = if opened { inner(lines, at) } else { Vec::new() };
        if let Some((name, args)) = words.split_first() {
            all.push(Directive { name: name.clone(), args: args.to_vec(), inner });
        }
    }
    all
}

fn inner(lines: &[Vec<String>], at: &mut usize) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut depth = 1_usize;
    while let Some(line) = lines.get(*at) {
        *at += 1;
        if line[0] == "}" {
            depth -= 1;
            if depth == 0 {
                break;
            }
            continue;
        }
        depth += usize::from(line.last().is_some_and(|word| word == "{"));
        all.push(line.iter().filter(|word| *word != "{").cloned().collect());
    }
    all.retain(|line: &Vec<String>| !line.is_empty());
    all
}

/// The zone of a key or an argument: `dns://Eu.Example.:53` is `eu.example`, `.` is empty. `None` where it is for addresses.
fn zone_of(word: &str) -> Option<String> {
    let word = word.trim_end_matches(',');
    let word = word.split_once("://").map_or(word, |(_, rest)| rest);
    if word.contains('/') || word.starts_with('[') {
        return None;
    }
    let word = match word.rsplit_once(':') {
        Some((zone, port)) if !variable(word) && port.bytes().all(|b| b.is_ascii_digit()) => zone,
        _ => word,
    };
    let zone = normal(word);
    (!reverse(&zone)).then_some(zone)
}

fn reverse(zone: &str) -> bool {
    below(zone, "in-addr.arpa") || below(zone, "ip6.arpa")
}

/// Filled in when CoreDNS starts, or by whoever installs it.
fn variable(word: &str) -> bool {
    word.contains("{$") || word.contains("{%") || word.contains("__PILLAR__") || word.contains("${")
}

#[cfg(test)]
mod tests;
