//! A program in a pseudo terminal, its screen read back, with the moment at which each thing was first seen.
//!
//! The reader looks at every chunk of bytes as it comes and stamps it, so that a measurement does not wait for whoever
//! measures. Not here: what is measured.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{MasterPty, PtySize, native_pty_system};

pub const ROWS: u16 = 50;
pub const COLS: u16 = 160;

type Wanted = Box<dyn FnMut(&vt100::Screen) -> bool + Send>;

#[derive(Default)]
struct Watched {
    wanted: Option<Wanted>,
    seen: Option<Instant>,
}

struct Inner {
    parser: vt100::Parser,
    bytes: usize,
    first_byte: Option<Instant>,
    first_frame: Option<Instant>,
    last_byte: Option<Instant>,
    watched: Watched,
}

pub struct Program {
    pub begun: Instant,
    inner: Arc<(Mutex<Inner>, Condvar)>,
    writer: Box<dyn Write + Send>,
    child: Child,
    _master: Box<dyn MasterPty + Send>,
}

impl Program {
    /// `command`: program and arguments.
    pub fn start(command: &[String], folder: &Path, kubeconfig: &Path) -> Self {
        let size = PtySize { rows: ROWS, cols: COLS, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let terminal = pair.master.tty_name().expect("the terminal has a name");
        // It is to be the program's own terminal, never this one's.
        let flags = i32::try_from(rustix::fs::OFlags::NOCTTY.bits()).expect("a small flag");
        let open = || OpenOptions::new().read(true).write(true).custom_flags(flags).open(&terminal).expect("it opens");
        // By `setsid` and not in the child before exec: that would fork this process, and copying the page tables of a fleet of
        // thousands of pods takes longer than the program needs for its first byte.
        let mut builder = Command::new("setsid");
        builder.arg("--ctty").args(command);
        builder.stdin(open()).stdout(open()).stderr(open());
        builder.current_dir(folder);
        builder.env("HOME", folder);
        builder.env("KUBECONFIG", kubeconfig);
        builder.env("TERM", "xterm-256color");
        builder.env("LANG", "C.UTF-8");
        builder.env("TIDEPILOT_STATE", folder.join("state"));
        builder.env_remove("TIDEPILOT_READ_ONLY");
        let cells = |count: u16| NonZeroU16::new(count).expect("not zero");
        let inner = Inner {
            parser: vt100::Parser::new(cells(ROWS), cells(COLS), 0),
            bytes: 0,
            first_byte: None,
            first_frame: None,
            last_byte: None,
            watched: Watched::default(),
        };
        let inner = Arc::new((Mutex::new(inner), Condvar::new()));
        let mut reader = pair.master.try_clone_reader().expect("a reader");
        let writer = pair.master.take_writer().expect("a writer");
        let begun = Instant::now();
        let child = builder.spawn().expect("the program starts");
        drop((pair.slave, builder));
        let sink = Arc::clone(&inner);
        std::thread::spawn(move || {
            let mut buffer = [0; 64 * 1024];
            while let Ok(count @ 1..) = reader.read(&mut buffer) {
                let now = Instant::now();
                let (inner, told) = &*sink;
                inner.lock().expect("no panic in the reader").take(&buffer[..count], now);
                told.notify_all();
            }
        });
        Self { begun, inner, writer, child, _master: pair.master }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Inner) -> T) -> T {
        look(&mut self.inner.0.lock().expect("no panic in the reader"))
    }

    pub fn text(&self) -> String {
        self.with(|inner| inner.parser.screen().contents())
    }

    pub fn bytes(&self) -> usize {
        self.with(|inner| inner.bytes)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn first_byte(&self) -> Option<Duration> {
        self.with(|inner| inner.first_byte).map(|at| at - self.begun)
    }

    pub fn first_frame(&self) -> Option<Duration> {
        self.with(|inner| inner.first_frame).map(|at| at - self.begun)
    }

    pub fn keys(&mut self, keys: &str) {
        let _ = self.writer.write_all(keys.as_bytes());
        let _ = self.writer.flush();
    }

    /// Looks for this from now on. What is there already counts as seen now.
    pub fn want(&self, mut wanted: impl FnMut(&vt100::Screen) -> bool + Send + 'static) {
        self.with(|inner| {
            let seen = wanted(inner.parser.screen()).then(Instant::now);
            inner.watched = Watched { wanted: Some(Box::new(wanted)), seen };
        });
    }

    /// Waits for what is wanted; `None` when it did not come.
    pub fn seen(&self, limit: Duration) -> Option<Instant> {
        let (inner, told) = &*self.inner;
        let guard = inner.lock().expect("no panic in the reader");
        let waited = told.wait_timeout_while(guard, limit, |inner| inner.watched.seen.is_none());
        waited.expect("no panic in the reader").0.watched.seen
    }

    /// Sends keys; how long until the first byte comes back.
    pub fn echo(&mut self, keys: &str, limit: Duration) -> Option<Duration> {
        let before = self.bytes();
        let sent = Instant::now();
        self.keys(keys);
        let (inner, told) = &*self.inner;
        let guard = inner.lock().expect("no panic in the reader");
        let waited = told.wait_timeout_while(guard, limit, |inner| inner.bytes == before);
        let guard = waited.expect("no panic in the reader").0;
        (guard.bytes > before).then(|| guard.last_byte.expect("bytes came") - sent)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Inner {
    fn take(&mut self, bytes: &[u8], now: Instant) {
        self.parser.process(bytes);
        self.bytes += bytes.len();
        self.first_byte.get_or_insert(now);
        self.last_byte = Some(now);
        if self.first_frame.is_none() && self.parser.screen().contents().chars().any(|c| !c.is_whitespace()) {
            self.first_frame = Some(now);
        }
        if self.watched.seen.is_none()
            && let Some(wanted) = &mut self.watched.wanted
            && wanted(self.parser.screen())
        {
            self.watched.seen = Some(now);
        }
    }
}
