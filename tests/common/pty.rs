//! The binary in a pseudo terminal, its screen read back through an independent terminal emulator.
//!
//! Not here: what should be on the screen. With `TIDEPILOT_SCREENSHOTS=DIR` set, [`Terminal::screenshot`] leaves an
//! SVG of the screen there.

use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::{BINARY, Demo, FOREIGN, Room};

/// Escape as a key of its own: a bare ESC byte and the byte after it would be taken for Alt.
pub const ESC: &str = "\x1b[27u";
/// Longest wait for a screen. Hundreds of keys in a row, each drawn, over a list of 1,500 rows take a debug build a minute on a busy machine.
const WAIT: Duration = Duration::from_secs(150);

pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    writer: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<Seen>>,
    reader: thread::JoinHandle<()>,
}

struct Seen {
    parser: vt100::Parser,
    raw: Vec<u8>,
}

impl Terminal {
    pub fn start(room: &Room, arguments: &[&str], extra: &[(&str, &str)], rows: u16, cols: u16) -> Self {
        Self::start_program(BINARY, room, arguments, extra, rows, cols)
    }

    /// The console on a simulated fleet of its own, its first rows on the screen.
    #[track_caller]
    pub fn demo(room: &Room, extra: &[(&str, &str)], rows: u16, cols: u16) -> Self {
        let mut terminal = Self::start(room, &["demo"], extra, rows, cols);
        terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
        terminal
    }

    /// The console on a fleet that is served, its first rows on the screen.
    #[track_caller]
    pub fn console(demo: &Demo, options: &[&str], rows: u16, cols: u16) -> Self {
        let kubeconfig = demo.kubeconfig.display().to_string();
        let arguments: Vec<&str> = ["--kubeconfig", &kubeconfig].iter().chain(options).copied().collect();
        let mut terminal = Self::start(&demo.room, &arguments, &[], rows, cols);
        terminal.shows(&["east", "west", "legacy", "PD 3/3"]);
        terminal
    }

    /// Leaves the console from wherever it is: a good end, and the terminal as it was.
    #[track_caller]
    pub fn leave(&mut self) {
        self.keys(&format!("{ESC}:q\r"));
        assert_eq!(self.ended(), 0);
        self.restored();
    }

    pub fn start_program(
        program: &str,
        room: &Room,
        arguments: &[&str],
        extra: &[(&str, &str)],
        rows: u16,
        cols: u16,
    ) -> Self {
        let size = PtySize { rows, cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).expect("a pseudo terminal");
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.cwd(room.dir.path());
        for name in FOREIGN {
            command.env_remove(name);
        }
        for (name, value) in room.environment() {
            command.env(name, value);
        }
        command.env("TIDEPILOT_STATE", room.path("state"));
        command.env("TERM", "xterm-256color");
        command.env("LANG", "C.UTF-8");
        for (name, value) in extra {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).expect("the binary starts");
        drop(pair.slave);
        let seen =
            Arc::new(Mutex::new(Seen { parser: vt100::Parser::new(cells(rows), cells(cols), 0), raw: Vec::new() }));
        let mut output = pair.master.try_clone_reader().expect("a reader");
        let sink = Arc::clone(&seen);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(count @ 1..) = output.read(&mut buffer) {
                let mut seen = sink.lock().expect("no panic in the reader");
                seen.parser.process(&buffer[..count]);
                seen.raw.extend_from_slice(&buffer[..count]);
            }
        });
        let writer = pair.master.take_writer().expect("a writer");
        Self { master: pair.master, writer, child, seen, reader }
    }

    pub fn keys(&mut self, keys: &str) {
        let sent = self.writer.write_all(keys.as_bytes()).and_then(|()| self.writer.flush());
        // Whoever presses keys at random may have ended it.
        assert!(sent.is_ok() || !self.alive(), "the program does not read its keys: {sent:?}");
    }

    pub fn text(&self) -> String {
        self.screen(|screen| screen.contents())
    }

    pub fn screen<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.seen.lock().expect("no panic in the reader").parser.screen())
    }

    /// Every byte that the program has written.
    pub fn raw(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().expect("no panic in the reader").raw).into_owned()
    }

    /// Waits until the screen shows all of these.
    #[track_caller]
    pub fn shows(&mut self, wanted: &[&str]) -> String {
        self.until(&format!("{wanted:?}"), |text| wanted.iter().all(|one| text.contains(one)))
    }

    #[track_caller]
    pub fn until(&mut self, what: &str, mut fits: impl FnMut(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let text = self.text();
            if fits(&text) {
                return text;
            }
            let ended = self.child.try_wait().expect("our own child");
            assert!(ended.is_none(), "ended ({ended:?}) while waiting for {what}\n{text}");
            assert!(began.elapsed() < WAIT, "not on the screen: {what}\n{text}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Comes back once every key so far has been handled: a word typed behind them stands in the palette.
    #[track_caller]
    pub fn settle(&mut self, word: &str) {
        assert!(self.settled(word), "ended before {word} was reached");
    }

    /// The same; `false`: the program has ended.
    #[track_caller]
    pub fn settled(&mut self, word: &str) -> bool {
        self.keys(&format!("{ESC}:{word}"));
        let began = Instant::now();
        while !self.text().contains(word) {
            if !self.alive() {
                return false;
            }
            assert!(began.elapsed() < WAIT, "{word} is not on the screen\n{}", self.text());
            // More keys at once than crossterm's buffer holds wait there until something else arrives; a focus event
            // is something else, and means nothing to the console.
            self.keys("\x1b[I");
            thread::sleep(Duration::from_millis(50));
        }
        self.keys(ESC);
        // A terminal that was given back shows what is typed, too: only the end of the program tells the two apart.
        while self.text().contains(word) {
            if !self.alive() {
                return false;
            }
            assert!(began.elapsed() < WAIT, "the palette with {word} is still open\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        }
        true
    }

    pub fn resize(&mut self, rows: u16, cols: u16) {
        // The emulator first: what is drawn after the signal has the new size.
        self.seen.lock().expect("no panic in the reader").parser.screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }).expect("resizable");
    }

    pub fn alive(&mut self) -> bool {
        self.child.try_wait().expect("our own child").is_none()
    }

    pub fn signal(&self, name: &str) {
        let id = self.child.process_id().expect("a running child").to_string();
        let sent = std::process::Command::new("kill").args([format!("-{name}"), id]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits for the end; the exit code.
    #[track_caller]
    pub fn ended(&mut self) -> u32 {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("our own child") {
                break status;
            }
            assert!(began.elapsed() < WAIT, "still running\n{}", self.text());
            thread::sleep(Duration::from_millis(10));
        };
        // What was written last is still on its way through the reader, which ends when nobody has the terminal open. A
        // child that outlives the program may keep it.
        let ended = Instant::now();
        while !self.reader.is_finished() && ended.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(10));
        }
        status.exit_code()
    }

    /// The terminal is as it was: alternate screen left, cursor shown.
    #[track_caller]
    pub fn restored(&self) {
        self.screen(|screen| {
            assert!(!screen.alternate_screen(), "the alternate screen was not left");
            assert!(!screen.hide_cursor(), "the cursor is still hidden");
        });
    }

    /// Leaves an SVG of the screen in `$TIDEPILOT_SCREENSHOTS`, if that is set.
    pub fn screenshot(&self, name: &str) {
        let Some(folder) = std::env::var_os("TIDEPILOT_SCREENSHOTS") else { return };
        let folder = std::path::PathBuf::from(folder);
        std::fs::create_dir_all(&folder).expect("a folder for screenshots");
        std::fs::write(folder.join(format!("{name}.svg")), self.screen(svg)).expect("a writable folder");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a terminal has at least one cell")
}

fn svg(screen: &vt100::Screen) -> String {
    const WIDE: u32 = 9;
    const HIGH: u32 = 18;
    let (rows, cols) = screen.size();
    let (rows, cols) = (rows.get(), cols.get());
    let (width, height) = (u32::from(cols) * WIDE, u32::from(rows) * HIGH);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"monospace\" font-size=\"15\">\n<rect width=\"100%\" height=\"100%\" fill=\"#16181d\"/>\n"
    );
    for row in 0..rows {
        for col in 0..cols {
            let Some(cell) = screen.cell(row, col) else { continue };
            let (mut front, mut back) = (colour(cell.fgcolor(), "#d8dee9"), colour(cell.bgcolor(), "#16181d"));
            if cell.inverse() {
                std::mem::swap(&mut front, &mut back);
            }
            let (x, y) = (u32::from(col) * WIDE, u32::from(row) * HIGH);
            if back != "#16181d" {
                out.push_str(&format!(
                    "<rect x=\"{x}\" y=\"{y}\" width=\"{WIDE}\" height=\"{HIGH}\" fill=\"{back}\"/>\n"
                ));
            }
            if !cell.contents().trim().is_empty() {
                let text = cell.contents().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
                let bold = if cell.bold() { " font-weight=\"bold\"" } else { "" };
                let dim = if cell.dim() { " opacity=\"0.6\"" } else { "" };
                out.push_str(&format!("<text x=\"{x}\" y=\"{}\" fill=\"{front}\"{bold}{dim}>{text}</text>\n", y + 14));
            }
        }
    }
    out + "</svg>\n"
}

fn colour(colour: vt100::Color, default: &str) -> String {
    const SIXTEEN: [&str; 16] = [
        "#2e3440", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#abb2bf", "#5c6370", "#ff7b86",
        "#b5e890", "#ffd68a", "#7fc4ff", "#dd9bf0", "#7fdbe6", "#ffffff",
    ];
    match colour {
        vt100::Color::Default => default.to_owned(),
        vt100::Color::Rgb(r, g, b) => format!("#{r:02x}{g:02x}{b:02x}"),
        vt100::Color::Idx(index @ 0..16) => SIXTEEN[usize::from(index)].to_owned(),
        vt100::Color::Idx(index @ 232..) => {
            let grey = 8 + (index - 232) * 10;
            format!("#{grey:02x}{grey:02x}{grey:02x}")
        }
        vt100::Color::Idx(index) => {
            let level = |part: u8| if part == 0 { 0 } else { 55 + part * 40 };
            let at = index - 16;
            format!("#{:02x}{:02x}{:02x}", level(at / 36), level(at / 6 % 6), level(at % 6))
        }
    }
}
