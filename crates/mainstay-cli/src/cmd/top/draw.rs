//! How it looks.

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table, TableState, Wrap};
use serde_json::Value;

use super::app::{App, Mode, View};

const HELP: &str = "Tab, 1 2 3     links, sessions, alerts
arrows, j k    mark a row; PageUp, PageDown, Home, End
Enter          all there is to say about it
s              another order: the worst first, or by a column
/              filter; Esc ends it
a              see to the marked alert
m              silence it for an hour
c              check the marked link now
p              pause, and go on
r              ask now
q, Ctrl-C      quit

Any key goes back.";

pub(super) fn draw(frame: &mut Frame<'_>, app: &App) {
    let [top, body, bottom] =
        Layout::vertical([Constraint::Length(3), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    head(frame, app, top);
    match &app.mode {
        Mode::Whole(line) => whole(frame, app, *line, body),
        Mode::Rows | Mode::Filter | Mode::Help | Mode::Sure(_) => table(frame, app, body),
    }
    foot(frame, app, bottom);
    match &app.mode {
        Mode::Help => over(frame, "Keys", HELP),
        Mode::Sure(action) => {
            over(frame, "Sure?", &format!("{}\n\ny yes    any other key no", action.question()))
        }
        Mode::Rows | Mode::Filter | Mode::Whole(_) => {}
    }
}

fn colour(app: &App, colour: Color) -> Style {
    if app.has_colour { Style::new().fg(colour) } else { Style::new() }
}

/// Status, sentence, and the figures below it.
fn head(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let status = app.summary["status"].as_str().unwrap_or("?");
    let shade = match status {
        "HEALTHY" => Color::Green,
        "WARNING" => Color::Yellow,
        _ => Color::Red,
    };
    let sentence = app.summary["sentence"].as_str().unwrap_or_default();
    let first = Line::from(vec![
        Span::styled(
            format!(" {status} "),
            colour(app, shade).add_modifier(Modifier::REVERSED | Modifier::BOLD),
        ),
        Span::raw(format!(" {sentence}")),
    ]);
    let number = |path: &str| app.summary.pointer(path).and_then(Value::as_f64);
    let ms = |path| number(path).map_or_else(|| "-".into(), |value| format!("{value:.0} ms"));
    let share =
        |path| number(path).map_or_else(|| "-".into(), |value| format!("{:.1} %", value * 100.0));
    let word = |path: &str| app.summary.pointer(path).and_then(Value::as_str).unwrap_or("-");
    let second = format!(
        " p50 {}  p95 {}  p99 {}   errors {}   latency {}, connections {}, errors {}   lag {}  stress {}",
        ms("/latency_ms/p50"),
        ms("/latency_ms/p95"),
        ms("/latency_ms/p99"),
        share("/error_rate"),
        word("/trends/latency"),
        word("/trends/connections"),
        word("/trends/errors"),
        ms("/system/lag_p99_ms"),
        number("/system/stress").map_or_else(|| "-".into(), |stress| format!("{stress:.0}")),
    );
    let tabs: Vec<Span<'_>> = View::ALL
        .into_iter()
        .enumerate()
        .map(|(nr, view)| {
            let text = format!(" {} {} {} ", nr + 1, view.name(), app.count(view));
            let style = if view == app.view {
                Style::new().add_modifier(Modifier::REVERSED)
            } else {
                Style::new()
            };
            Span::styled(text, style)
        })
        .collect();
    frame.render_widget(Paragraph::new(vec![first, Line::raw(second), Line::from(tabs)]), area);
}

fn table(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let rows = app.rows();
    if rows.is_empty() {
        let nothing = if app.filter.is_empty() { "there are none" } else { "none fits the filter" };
        frame.render_widget(Paragraph::new(nothing).alignment(Alignment::Center), area);
        return;
    }
    let head = app.view.head();
    let widths: Vec<Constraint> = (0..head.len())
        .map(|column| {
            let longest = rows
                .iter()
                .filter_map(|row| row.fields.get(column))
                .map(|field| field.chars().count());
            let wanted = longest.max().unwrap_or(0).max(head[column].len());
            // The last column has what is left.
            if column + 1 == head.len() {
                return Constraint::Min(10);
            }
            Constraint::Length(u16::try_from(wanted.min(40)).unwrap_or(40))
        })
        .collect();
    let names = head.iter().enumerate().map(|(column, name)| {
        let mark = if app.order == Some(column) { "▾" } else { "" };
        Cell::from(format!("{name}{mark}"))
    });
    let shown = rows.iter().map(|row| {
        let shade = match row.badness {
            0 => None,
            1..=2 => Some(Color::Yellow),
            _ => Some(Color::Red),
        };
        let style = shade.map_or_else(Style::new, |shade| colour(app, shade));
        Row::new(row.fields.iter().map(String::as_str)).style(style)
    });
    let table = Table::new(shown, widths)
        .header(Row::new(names).style(Style::new().add_modifier(Modifier::BOLD)))
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
        .highlight_symbol("> ");
    let mut state = TableState::new().with_selected(Some(app.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

/// One row in full.
fn whole(frame: &mut Frame<'_>, app: &App, line: u16, area: Rect) {
    let Some(row) = app.marked() else { return };
    let text = serde_json::to_string_pretty(&row.whole).unwrap_or_default();
    let lines = u16::try_from(text.lines().count()).unwrap_or(u16::MAX);
    let line = line.min(lines.saturating_sub(1));
    let shown = Paragraph::new(text)
        .block(Block::bordered().title(format!(" {} ", row.id)))
        .scroll((line, 0));
    frame.render_widget(shown, area);
}

fn foot(frame: &mut Frame<'_>, app: &App, area: Rect) {
    let line = match (&app.trouble, &app.mode) {
        (Some(why), _) => Line::styled(format!(" {why}"), colour(app, Color::Red)),
        (None, Mode::Filter) => Line::raw(format!(" /{}_", app.filter)),
        (None, Mode::Rows | Mode::Whole(_) | Mode::Help | Mode::Sure(_)) => {
            let filter = if app.filter.is_empty() {
                String::new()
            } else {
                format!("  filter: {}", app.filter)
            };
            let paused = if app.is_paused() { "  PAUSED" } else { "" };
            let age = app.asked_at.map_or(0, |at| at.elapsed().as_secs());
            let old = if age > 5 { format!("  as of {age} s ago") } else { String::new() };
            Line::raw(format!(" ? help  q quit{filter}{paused}{old}"))
        }
    };
    frame.render_widget(Paragraph::new(line), area);
}

/// A box in the middle.
fn over(frame: &mut Frame<'_>, title: &str, text: &str) {
    let (screen, lines) = (frame.area(), u16::try_from(text.lines().count()).unwrap_or(u16::MAX));
    let width = screen.width.min(64);
    let height = screen.height.min(lines.saturating_add(2));
    let area = Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    };
    frame.render_widget(Clear, area);
    let block = Block::bordered().title(format!(" {title} "));
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use serde_json::json;

    use super::super::app::Wish;
    use super::*;

    fn found() -> Value {
        json!({
            "summary": { "status": "WARNING", "sentence": "3 connected · 1 failed", "latency_ms": { "p95": 12.3 } },
            "links": [
                { "name": "well", "state": "CONNECTED", "stats": { "uptime_ms": 60_000 } },
                { "name": "broken", "state": "FAILED", "last_error": { "message": "refused\u{1b}[2J" } },
            ],
            "sessions": [
                { "session": "s1", "user": "kim", "status": "CONNECTED", "quality": "EXCELLENT" },
                { "session": "s2", "user": "bo", "status": "CONNECTED", "quality": "CRITICAL" },
            ],
            "alerts": [
                { "id": "00000000000000aa", "rule": "CONNECTION_FAILED", "severity": "HIGH",
                  "state": "FIRING", "labels": { "link": "broken" }, "summary": "given up" },
            ],
        })
    }

    fn app() -> App {
        let mut app = App::new(false);
        app.take(&found(), Instant::now());
        app
    }

    fn screen(app: &App, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, app)).unwrap();
        let buffer = terminal.backend().buffer().clone();
        let lines = buffer.content.chunks(usize::from(width));
        lines.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>() + "\n").collect()
    }

    fn press(app: &mut App, keys: &str) -> Wish {
        let mut wish = Wish::Nothing;
        for letter in keys.chars() {
            let code = match letter {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                '\u{1b}' => KeyCode::Esc,
                letter => KeyCode::Char(letter),
            };
            wish = app.key(KeyEvent::new(code, KeyModifiers::NONE));
        }
        wish
    }

    #[test]
    fn the_worst_is_first_and_nothing_of_a_peer_reaches_the_terminal() {
        let text = screen(&app(), 100, 12);
        let line = |word: &str| text.lines().position(|line| line.contains(word)).unwrap();
        assert!(line("broken") < line("well"), "{text}");
        assert!(text.contains("WARNING") && text.contains("3 connected · 1 failed"));
        assert!(text.contains("p95 12 ms") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn views_are_turned_and_rows_marked_filtered_and_ordered() {
        let mut app = app();
        assert_eq!(press(&mut app, "\t"), Wish::Nothing);
        assert_eq!(app.view, View::Sessions);
        assert_eq!(app.marked().unwrap().id, "s2", "the critical one");
        press(&mut app, "j");
        assert_eq!(app.marked().unwrap().id, "s1");
        app.take(&found(), Instant::now());
        assert_eq!(app.marked().unwrap().id, "s1", "the mark stays on its row");
        press(&mut app, "/KIM\n");
        assert_eq!(app.rows().len(), 1);
        assert!(screen(&app, 80, 10).contains("filter: KIM"));
        press(&mut app, "\u{1b}");
        assert_eq!(app.rows().len(), 2);
        press(&mut app, "ss");
        assert_eq!(app.rows()[0].fields[1], "bo", "by user");
        press(&mut app, "3");
        assert_eq!(app.rows().len(), 1);
        press(&mut app, "\n");
        assert!(screen(&app, 80, 20).contains("CONNECTION_FAILED"));
        assert_eq!(press(&mut app, "xq"), Wish::Quit);
    }

    #[test]
    fn what_is_done_is_asked_first() {
        let mut app = app();
        press(&mut app, "3a");
        assert!(screen(&app, 80, 20).contains("see to this alert?"));
        assert_eq!(press(&mut app, "n"), Wish::Nothing);
        let Wish::Do(path, body) = press(&mut app, "ay") else { panic!("it was confirmed") };
        assert_eq!(path, ["alerts", "00000000000000aa", "acknowledge"]);
        assert_eq!(body["note"], "seen in mainstay top");
        let Wish::Do(path, body) = press(&mut app, "m\n") else { panic!("it was confirmed") };
        assert_eq!((path[2].as_str(), &body["for_ms"]), ("silence", &json!(3_600_000)));
        assert_eq!(press(&mut app, "c"), Wish::Nothing);
        assert_eq!(app.mode, Mode::Rows, "an alert cannot be checked");
        let Wish::Do(path, _) = press(&mut app, "1cy") else { panic!("it was confirmed") };
        assert_eq!(path, ["links", "broken", "check"]);
    }

    #[test]
    fn a_server_that_is_away_is_said_and_forgotten_when_it_is_back() {
        let mut app = app();
        app.away("no server answers at …\nmore");
        assert!(screen(&app, 80, 10).contains("no server answers"));
        app.take(&found(), Instant::now());
        assert!(!screen(&app, 80, 10).contains("no server answers"));
    }

    #[test]
    fn any_size_and_any_key_are_borne() {
        for (width, height) in [(1, 1), (5, 3), (20, 6), (300, 60)] {
            let mut app = app();
            for keys in ["", "?", "x2\n", "jjjj", "qqq", "3G", "s", "/zzz", "\n\n"] {
                press(&mut app, keys);
                let _text: String = screen(&app, width, height);
            }
        }
        let mut empty = App::new(true);
        press(&mut empty, "j\nkGa");
        assert!(screen(&empty, 40, 8).contains("there are none"));
    }
}
