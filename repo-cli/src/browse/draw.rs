//! Draws the state. No colours: bold, dim and reversed letters are on every terminal.

use super::list::Row;
use super::marks::Marked;
use super::state::{Browser, Mode};
use super::work::Place;
use crate::text::{bytes_roughly, columns, counted, local_time, printable};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use repo_core::fs::Kind;
use std::sync::atomic::Ordering;

/// From so many columns on a preview stands beside the list, otherwise below it.
const WIDE: u16 = 100;

const HELP: &[&str] = &[
    "Up Down j k          one row; PgUp PgDn a screen, g G to the first and last",
    "Enter Right l        into a snapshot or directory, preview of a file",
    "Backspace Left h     back",
    "Space                mark, or take the mark away; u takes all away",
    "/                    only names that have this text; Esc shows all again",
    "v                    versions of the entry in all snapshots of its host",
    "p                    preview on and off",
    "r                    restore what is marked, or else the entry",
    "q Ctrl-C             leave",
];

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, browser: &mut Browser) {
    let rows = [
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(1),
    ];
    let [title, head, body, marks, status] = Layout::vertical(rows).areas(frame.area());
    let reversed = Style::new().add_modifier(Modifier::REVERSED);
    frame.render_widget(
        Line::styled(title_of(browser), reversed.add_modifier(Modifier::BOLD)),
        title,
    );
    frame.render_widget(Line::styled(heading(&browser.place), Modifier::DIM), head);
    let body = match &browser.pane {
        None => body,
        Some(_) => split(frame, browser, body),
    };
    list(frame, browser, body);
    frame.render_widget(Line::raw(marks_of(browser)), marks);
    frame.render_widget(Line::styled(status_of(browser), Modifier::BOLD), status);
    if matches!(browser.mode, Mode::Help) {
        help(frame);
    }
}

fn title_of(browser: &Browser) -> String {
    let text = match &browser.place {
        Place::Snapshots => "snapshots".to_owned(),
        Place::Dir(info, path) => format!(
            "{} {} {} {}",
            info.id.short(),
            local_time(info.summary.time),
            info.summary.host,
            path.to_string_lossy()
        ),
        Place::Versions(info, path) => format!(
            "versions of {} on {}",
            path.to_string_lossy(),
            info.summary.host
        ),
    };
    let count = match browser.is_loading() {
        true => "...".to_owned(),
        false => counted(browser.list.len() as u64, "entry", "entries"),
    };
    format!(" {}  ({count})", printable(&text))
}

fn heading(place: &Place) -> String {
    match place {
        Place::Snapshots => format!(
            "  {:8}  {:19}  {:>10}  Host, user, tags, paths",
            "ID", "Time", "Size"
        ),
        Place::Dir(..) => format!("  {:>10}  {:19}  Name", "Size", "Modified"),
        Place::Versions(..) => format!(
            "  {:8}  {:19}  {:>10}  {:19}  Changed",
            "Snapshot", "Time", "Size", "Modified"
        ),
    }
}

/// The rows that are on the screen, and no others.
fn list(frame: &mut Frame<'_>, browser: &mut Browser, area: Rect) {
    let shown = browser.list.on_screen(area.height.into());
    let cursor = browser.list.cursor();
    for (line, at) in (area.y..).zip(shown) {
        let Some(row) = browser.list.row(at) else {
            continue;
        };
        let text = format!(
            "{} {}",
            glyph(browser.marked(row)),
            text_of(&browser.place, row)
        );
        let area = Rect {
            y: line,
            height: 1,
            ..area
        };
        let style = match at == cursor {
            true => Modifier::REVERSED,
            false => Modifier::empty(),
        };
        frame.render_widget(Paragraph::new(text).style(style), area);
    }
    if browser.list.len() == 0 && !browser.is_loading() && area.height > 0 {
        let why = match browser.list.filter() {
            "" => "  nothing is here",
            _ => "  no name has that",
        };
        frame.render_widget(Line::styled(why, Modifier::DIM), Rect { height: 1, ..area });
    }
}

fn glyph(marked: Marked) -> char {
    match marked {
        Marked::Not => ' ',
        Marked::Itself => '*',
        Marked::Above => '+',
    }
}

fn text_of(place: &Place, row: &Row) -> String {
    let size = match row.kind {
        Some(Kind::File) => bytes_roughly(row.size),
        Some(Kind::Dir) if matches!(place, Place::Snapshots) => bytes_roughly(row.size),
        _ => String::new(),
    };
    let time = match row.kind {
        Some(_) => local_time(row.time),
        None => String::new(),
    };
    let note = row.note.as_deref().map(printable).unwrap_or_default();
    let name = String::from_utf8_lossy(&row.name);
    let name = printable(&name);
    match (place, &row.info) {
        (Place::Snapshots, Some(info)) => {
            let (id, words) = name.split_once(' ').unwrap_or((&name, ""));
            format!(
                "{id}  {}  {size:>10}  {words}",
                local_time(info.summary.time)
            )
        }
        (Place::Versions(..), Some(info)) => {
            let made = local_time(info.summary.time);
            format!("{name}  {made}  {size:>10}  {time:19}  {note}")
        }
        _ => {
            let sign = match row.kind {
                Some(Kind::Dir) => "/",
                Some(Kind::Fifo) => "|",
                Some(Kind::Socket) => "=",
                _ => "",
            };
            format!("{size:>10}  {time:19}  {name}{sign} {note}")
        }
    }
}

/// Draws the preview in a part of the area, and gives the other.
fn split(frame: &mut Frame<'_>, browser: &Browser, area: Rect) -> Rect {
    let half = [Constraint::Fill(1), Constraint::Fill(1)];
    let wide = area.width >= WIDE;
    let [rest, part] = match wide {
        true => Layout::horizontal(half).areas(area),
        false => Layout::vertical(half).areas(area),
    };
    let lines = browser.pane.as_ref().and_then(|pane| pane.lines.as_ref());
    let shown = lines.into_iter().flatten().take(part.height.into());
    let lines: Vec<Line<'_>> = shown.map(|line| Line::raw(line.as_str())).collect();
    let border = if wide { Borders::LEFT } else { Borders::TOP };
    let block = Block::new().borders(border).title("preview");
    frame.render_widget(Paragraph::new(lines).block(block), part);
    rest
}

fn marks_of(browser: &Browser) -> String {
    let total = browser.marks.total();
    if total.marks == 0 {
        return " nothing is marked".to_owned();
    }
    let files = counted(total.counted.files, "file", "files");
    let more = match (total.counting, total.counted.partial) {
        (true, _) => ", counting...",
        (false, true) => ", and what could not be read",
        (false, false) => "",
    };
    let size = bytes_roughly(total.counted.bytes);
    format!(" {} marked: {files}, {size}{more}", total.marks)
}

fn status_of(browser: &Browser) -> String {
    if let Some(message) = &browser.message {
        return format!(" {}", message.replace('\n', " "));
    }
    match &browser.mode {
        Mode::Filter => format!(" /{}_", printable(browser.list.filter())),
        Mode::Target(text) => format!(" restore below which directory? {}_", printable(text)),
        Mode::Looking => " ...".to_owned(),
        Mode::Existing(target) => format!(
            " {} is not empty: k keeps what is there, o overwrites what differs, Esc leaves it",
            printable(&target.to_string_lossy())
        ),
        Mode::Restoring(doing) => format!(
            " restoring: {}, {}; Esc ends it",
            counted(doing.nodes.load(Ordering::Relaxed), "entry", "entries"),
            bytes_roughly(doing.bytes.load(Ordering::Relaxed))
        ),
        Mode::Walk | Mode::Help => match browser.list.filter() {
            "" => " Enter opens, Backspace goes back, Space marks, / filters, v versions, p preview, r restores, ? help, q leaves"
                .to_owned(),
            filter => format!(" names with {}; Esc shows all", printable(filter)),
        },
    }
}

fn help(frame: &mut Frame<'_>) {
    let area = frame.area();
    let widest = HELP.iter().map(|line| columns(line)).max().unwrap_or(0) as u16;
    let (width, height) = (
        area.width.min(widest + 4),
        area.height.min(HELP.len() as u16 + 2),
    );
    let at = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let lines: Vec<Line<'_>> = HELP
        .iter()
        .map(|line| Line::raw(format!(" {line}")))
        .collect();
    let block = Block::bordered().title(" keys ");
    frame.render_widget(Clear, at);
    frame.render_widget(
        Paragraph::new(lines)
            .block(block)
            .wrap(Wrap { trim: false }),
        at,
    );
}
