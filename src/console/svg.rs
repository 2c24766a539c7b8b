//! A frame as an SVG: cells in, text out. Each run of cells of one style is a text of its own at its place, stretched to its
//! cells, so that the grid holds in whatever font is there. All text is escaped.
//!
//! Not here: what is drawn ([`super::draw`]), and when a picture is taken ([`super::screenshots`]).

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr as _;

/// A cell in SVG's units.
const WIDE: f32 = 8.4;
const HIGH: f32 = 18.0;
const FONT: f32 = 14.0;
/// From a cell's top to the line that text stands on.
const ASCENT: f32 = 13.5;
/// Around the frame.
const EDGE: f32 = 12.0;
const PAPER: &str = "#1b1f27";
const INK: &str = "#d6dbe5";

/// One style of cells, with reverse video carried out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Look {
    ink: &'static str,
    paper: &'static str,
    modifier: Modifier,
}

/// The picture of a frame; `title` is what a reader who does not see it is told.
pub fn svg(frame: &Buffer, title: &str) -> String {
    let (columns, rows) = (f32::from(frame.area.width), f32::from(frame.area.height));
    let (width, height) = (columns * WIDE + 2.0 * EDGE, rows * HIGH + 2.0 * EDGE);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" height=\"{height:.0}\" role=\"img\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{PAPER}\"/>\n\
         <g font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace\" font-size=\"{FONT}\" xml:space=\"preserve\">\n",
        escaped(title)
    );
    for y in frame.area.top()..frame.area.bottom() {
        row(&mut out, frame, y);
    }
    out.push_str("</g>\n</svg>\n");
    out
}

fn row(out: &mut String, frame: &Buffer, y: u16) {
    let mut run: Option<(u16, u16, Look, String)> = None;
    let mut x = frame.area.left();
    while x < frame.area.right() {
        let cell = &frame[(x, y)];
        let (look, symbol) = (look(cell), cell.symbol());
        let cells = u16::try_from(symbol.width()).unwrap_or(1).max(1);
        match &mut run {
            // A wide character stands alone: how wide a font draws it is not known.
            Some((from, end, of, text))
                if *of == look && cells == 1 && usize::from(*end - *from) == text.chars().count() =>
            {
                text.push_str(symbol);
                *end += 1;
            }
            other => {
                if let Some(done) = other.take() {
                    write_run(out, frame, y, &done);
                }
                *other = Some((x, x + cells, look, symbol.to_owned()));
            }
        }
        x += cells;
    }
    if let Some(done) = run {
        write_run(out, frame, y, &done);
    }
}

fn write_run(out: &mut String, frame: &Buffer, y: u16, (from, to, look, text): &(u16, u16, Look, String)) {
    let place = |column: u16| EDGE + f32::from(column - frame.area.left()) * WIDE;
    let top = EDGE + f32::from(y - frame.area.top()) * HIGH;
    if look.paper != PAPER {
        let (left, wide) = (place(*from), place(*to) - place(*from));
        let _ = writeln!(
            out,
            "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{wide:.1}\" height=\"{HIGH}\" fill=\"{}\"/>",
            look.paper
        );
    }
    // Spaces at the ends draw nothing, and would be stretched for nothing.
    let kept = text.trim_end_matches(' ');
    let begun = kept.len() - kept.trim_start_matches(' ').len();
    let kept = &kept[begun..];
    if kept.is_empty() {
        return;
    }
    let cells = u16::try_from(kept.width()).unwrap_or(u16::MAX).max(1);
    let left = place(*from + u16::try_from(begun).unwrap_or(0));
    let mut style = String::new();
    for (modifier, attribute) in [
        (Modifier::BOLD, " font-weight=\"bold\""),
        (Modifier::ITALIC, " font-style=\"italic\""),
        (Modifier::UNDERLINED, " text-decoration=\"underline\""),
        (Modifier::DIM, " opacity=\"0.6\""),
    ] {
        if look.modifier.contains(modifier) {
            style.push_str(attribute);
        }
    }
    let _ = writeln!(
        out,
        "<text x=\"{left:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"{}\"{style}>{}</text>",
        top + ASCENT,
        f32::from(cells) * WIDE,
        look.ink,
        escaped(kept)
    );
}

fn look(cell: &Cell) -> Look {
    let (ink, paper) = (color(cell.fg, INK), color(cell.bg, PAPER));
    let modifier = cell.modifier.difference(Modifier::REVERSED);
    match cell.modifier.contains(Modifier::REVERSED) {
        true => Look { ink: paper, paper: ink, modifier },
        false => Look { ink, paper, modifier },
    }
}

/// The terminal's own sixteen colours, as one terminal could have them; the theme uses no others.
fn color(color: Color, plain: &'static str) -> &'static str {
    match color {
        Color::Black => "#15181e",
        Color::Red | Color::LightRed => "#ff6b6b",
        Color::Green | Color::LightGreen => "#7bd88f",
        Color::Yellow | Color::LightYellow => "#f0c674",
        Color::Blue | Color::LightBlue => "#6cb6ff",
        Color::Magenta | Color::LightMagenta => "#d39af8",
        Color::Cyan | Color::LightCyan => "#5fd7e0",
        Color::Gray => "#b6bdca",
        Color::DarkGray => "#8790a0",
        Color::White => "#ffffff",
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => plain,
    }
}

/// For text of XML. What XML 1.0 has no form for is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    use super::*;

    #[test]
    fn text_is_escaped_and_stands_on_its_cells() {
        let mut frame = Buffer::empty(Rect::new(0, 0, 20, 2));
        frame.set_string(2, 0, "a<b>&\"", Style::new());
        frame.set_string(0, 1, "中文 x", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        frame.set_string(10, 1, "go", Style::new().add_modifier(Modifier::REVERSED));
        let svg = svg(&frame, "<title>");
        assert!(svg.contains("<title>&lt;title&gt;</title>") && svg.contains(">a&lt;b&gt;&amp;&quot;</text>"), "{svg}");
        // Two cells of the edge, then six cells of text.
        assert!(svg.contains("<text x=\"28.8\" y=\"25.5\" textLength=\"50.4\""), "{svg}");
        assert!(svg.contains("font-weight=\"bold\">中</text>") && svg.contains("fill=\"#ff6b6b\""), "{svg}");
        // The third cell of the second wide character's place: 4 cells on.
        assert!(svg.contains("x=\"54.0\"") && svg.contains(">x</text>"), "{svg}");
        assert!(svg.contains(&format!("fill=\"{INK}\"/>")) && svg.contains(&format!("fill=\"{PAPER}\">go")), "{svg}");
    }
}
