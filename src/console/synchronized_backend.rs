//! The backend of the screen: a frame is one synchronized update (DEC 2026; no-op where unknown), and a frame that changes nothing
//! sends no byte at all.
//!
//! Not here: when a frame is drawn ([`super::event_loop`]), what is in it ([`super::draw`]).

use std::io::{self, Write};

use crossterm::terminal::{BeginSynchronizedUpdate, EndSynchronizedUpdate};
use crossterm::{execute, queue};
use ratatui::backend::{Backend, ClearType, CrosstermBackend, WindowSize};
use ratatui::buffer::Cell;
use ratatui::layout::{Position, Size};

/// Where the cursor of the terminal is, as far as it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cursor {
    /// Somebody else may have had the terminal.
    Unknown,
    Hidden,
    /// Shown; where, if nothing was written since.
    Shown(Option<Position>),
}

/// crossterm's backend, which writes only what changes.
pub struct SynchronizedBackend<W: Write> {
    inner: CrosstermBackend<W>,
    cursor: Cursor,
    /// Whether the update was begun.
    begun: bool,
}

impl<W: Write> SynchronizedBackend<W> {
    pub fn new(writer: W) -> Self {
        Self { inner: CrosstermBackend::new(writer), cursor: Cursor::Unknown, begun: false }
    }

    /// Somebody else had the terminal: where its cursor is is not known any more.
    pub fn forget(&mut self) {
        self.cursor = Cursor::Unknown;
    }

    /// Ends the frame; whether it changed anything.
    pub fn end_frame(&mut self) -> io::Result<bool> {
        let begun = std::mem::take(&mut self.begun);
        if begun {
            execute!(self.inner, EndSynchronizedUpdate)?;
        }
        Ok(begun)
    }

    fn begin(&mut self) -> io::Result<()> {
        match std::mem::replace(&mut self.begun, true) {
            true => Ok(()),
            false => queue!(self.inner, BeginSynchronizedUpdate),
        }
    }

    /// What is written moves the cursor.
    fn writing(&mut self) -> io::Result<()> {
        if let Cursor::Shown(at) = &mut self.cursor {
            *at = None;
        }
        self.begin()
    }
}

impl<W: Write> Backend for SynchronizedBackend<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let mut content = content.peekable();
        if content.peek().is_none() {
            return Ok(());
        }
        self.writing()?;
        self.inner.draw(content)
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        if self.cursor == Cursor::Hidden {
            return Ok(());
        }
        self.begin()?;
        self.cursor = Cursor::Hidden;
        self.inner.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        if matches!(self.cursor, Cursor::Shown(_)) {
            return Ok(());
        }
        self.begin()?;
        self.cursor = Cursor::Shown(None);
        self.inner.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.inner.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        let position = position.into();
        if self.cursor == Cursor::Shown(Some(position)) {
            return Ok(());
        }
        self.begin()?;
        if let Cursor::Shown(at) = &mut self.cursor {
            *at = Some(position);
        }
        self.inner.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.writing()?;
        self.inner.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.writing()?;
        self.inner.clear_region(clear_type)
    }

    fn append_lines(&mut self, n: u16) -> io::Result<()> {
        self.writing()?;
        self.inner.append_lines(n)
    }

    fn size(&self) -> io::Result<Size> {
        self.inner.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.inner.window_size()
    }

    /// Nothing to send where nothing was begun.
    fn flush(&mut self) -> io::Result<()> {
        if self.begun { Backend::flush(&mut self.inner) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::*;

    /// What was written, for both its writer and its reader.
    #[derive(Clone, Default)]
    struct Written(Rc<RefCell<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// The bytes of the frame that ends now.
    fn sent(backend: &mut SynchronizedBackend<Written>, written: &Written) -> String {
        backend.end_frame().expect("memory");
        String::from_utf8(written.0.take()).expect("text")
    }

    #[test]
    fn a_frame_without_a_change_sends_nothing() {
        let written = Written::default();
        let mut backend = SynchronizedBackend::new(written.clone());
        backend.hide_cursor().expect("memory");
        assert_eq!(sent(&mut backend, &written), "\u{1b}[?2026h\u{1b}[?25l\u{1b}[?2026l");
        backend.draw(std::iter::empty()).expect("memory");
        backend.hide_cursor().expect("memory");
        Backend::flush(&mut backend).expect("memory");
        assert_eq!(backend.end_frame().ok(), Some(false));
        assert_eq!(sent(&mut backend, &written), "");
        backend.forget();
        backend.hide_cursor().expect("memory");
        assert!(sent(&mut backend, &written).contains("\u{1b}[?25l"), "somebody else may have shown it");
    }

    #[test]
    fn the_cursor_goes_back_to_its_place_behind_what_was_written() {
        let written = Written::default();
        let mut backend = SynchronizedBackend::new(written.clone());
        let frame = |backend: &mut SynchronizedBackend<Written>, cells: &[(u16, u16, &Cell)], at: (u16, u16)| {
            backend.draw(cells.iter().copied()).expect("memory");
            backend.show_cursor().expect("memory");
            backend.set_cursor_position(Position::from(at)).expect("memory");
            sent(backend, &written)
        };
        let cell = Cell::new("x");
        assert!(frame(&mut backend, &[(0, 0, &cell)], (3, 1)).contains("\u{1b}[2;4H"));
        assert_eq!(frame(&mut backend, &[], (3, 1)), "");
        let moved = frame(&mut backend, &[], (4, 1));
        assert!(moved.contains("\u{1b}[2;5H") && !moved.contains("?25h"), "{moved:?}");
        let written = frame(&mut backend, &[(7, 7, &cell)], (4, 1));
        assert!(written.ends_with("\u{1b}[2;5H\u{1b}[?2026l"), "{written:?}");
    }
}
