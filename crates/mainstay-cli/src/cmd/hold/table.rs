//! The live table. It has the terminal's second screen to itself and gives it back however it ends.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Color, SetAttribute, SetForegroundColor};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, DisableLineWrap, EnableLineWrap,
    EndSynchronizedUpdate, EnterAlternateScreen, LeaveAlternateScreen, size,
};
use crossterm::{execute, queue};
use mainstay::link::{Link, StateName};

use super::row::Row;
use crate::out;

/// How many of the last events are kept below the table.
const NOTES: usize = 50;
/// The size of a terminal that does not say how large it is.
const COLUMNS: u16 = 80;
const LINES: u16 = 24;

pub(super) struct Table {
    notes: VecDeque<String>,
    colour: bool,
    rows: usize,
    open: bool,
}

impl Table {
    pub(super) fn open(rows: usize) -> io::Result<Self> {
        let table = Self { notes: VecDeque::new(), colour: out::has_colour(), rows, open: true };
        execute!(io::stdout(), EnterAlternateScreen, DisableLineWrap, Hide)?;
        Ok(table)
    }

    /// Keeps a line for below the table.
    pub(super) fn note(&mut self, line: String) {
        if self.notes.len() == NOTES {
            self.notes.pop_front();
        }
        self.notes.push_back(line);
    }

    /// Gives the terminal back.
    pub(super) fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            drop(execute!(io::stdout(), Show, EnableLineWrap, LeaveAlternateScreen));
        }
    }

    /// Draws everything anew. A terminal that is gone is no error: there is nobody to tell.
    pub(super) fn draw(&self, links: &[Link]) {
        // Some terminals say that they have no room at all.
        let told = size().ok().filter(|(columns, lines)| *columns > 0 && *lines > 0);
        let (columns, lines) = told.unwrap_or((COLUMNS, LINES));
        let rows: Vec<Row> = links.iter().map(Row::new).collect();
        let lines = self.lines(&rows, usize::from(columns), usize::from(lines));
        drop(self.put(&lines));
    }

    fn put(&self, lines: &[(String, Option<StateName>)]) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        queue!(stdout, BeginSynchronizedUpdate, MoveTo(0, 0))?;
        for (index, (line, state)) in lines.iter().enumerate() {
            let y = u16::try_from(index).unwrap_or(u16::MAX);
            queue!(stdout, MoveTo(0, y))?;
            match state {
                Some(state) if self.colour => {
                    queue!(stdout, SetForegroundColor(colour(*state)))?;
                }
                None if self.colour && index == 0 => {
                    queue!(stdout, SetAttribute(Attribute::Bold))?;
                }
                Some(_) | None => {}
            }
            write!(stdout, "{line}")?;
            if self.colour {
                queue!(stdout, SetForegroundColor(Color::Reset), SetAttribute(Attribute::Reset))?;
            }
            queue!(stdout, Clear(ClearType::UntilNewLine))?;
        }
        queue!(stdout, Clear(ClearType::FromCursorDown), EndSynchronizedUpdate)?;
        stdout.flush()
    }

    /// The lines that fit, each with the state that colours it.
    fn lines(
        &self,
        rows: &[Row],
        columns: usize,
        height: usize,
    ) -> Vec<(String, Option<StateName>)> {
        let longest = rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let name = longest.clamp(4, columns.saturating_sub(72).max(20));
        let mut lines = vec![(header(name), None)];
        let room = height.saturating_sub(2).max(1);
        let shown = if rows.len() > room { room.saturating_sub(1) } else { rows.len() };
        lines.extend(rows.iter().take(shown).map(|row| (cells(row, name), Some(row.state))));
        if shown < self.rows {
            lines.push((format!("… and {} more", self.rows - shown), None));
        }
        let left = height.saturating_sub(lines.len() + 2);
        if left > 0 && !self.notes.is_empty() {
            lines.push((String::new(), None));
            let skip = self.notes.len().saturating_sub(left);
            lines.extend(self.notes.iter().skip(skip).map(|note| (note.clone(), None)));
        }
        for (line, _) in &mut lines {
            cut(line, columns);
        }
        lines
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.close();
    }
}

fn header(name: usize) -> String {
    format!(
        "{:name$}  {:12}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  WHY",
        "LINK", "STATE", "HEALTH", "RTT", "ATTEMPT", "NEXT", "UPTIME"
    )
}

fn cells(row: &Row, name: usize) -> String {
    let mut link = row.name.clone();
    cut(&mut link, name);
    let mut text = String::new();
    write!(
        text,
        "{link:name$}  {:12}  {:>7}  {:>7}  {:>7}  {:>7}  {:>7}  {}",
        row.state, row.health, row.rtt, row.attempt, row.next, row.uptime, row.why
    )
    .expect("writing to a string cannot fail");
    text
}

/// Cuts a line to `columns`, and control characters out of it.
fn cut(line: &mut String, columns: usize) {
    line.retain(|character| !character.is_control());
    if line.chars().count() > columns {
        let kept: String = line.chars().take(columns.saturating_sub(1)).collect();
        *line = kept + "…";
    }
}

const fn colour(state: StateName) -> Color {
    match state {
        StateName::Connected => Color::Green,
        StateName::Connecting | StateName::Reconnecting | StateName::Closing => Color::Yellow,
        StateName::Suspended => Color::Magenta,
        StateName::Failed => Color::Red,
        StateName::Disconnected => Color::Reset,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str) -> Row {
        Row {
            name: name.into(),
            state: StateName::Connected,
            health: "100.00%".into(),
            rtt: "1.4 ms".into(),
            attempt: "-".into(),
            next: "-".into(),
            uptime: "1m01s".into(),
            why: "",
        }
    }

    #[test]
    fn every_line_fits_however_small_the_terminal() {
        let rows: Vec<Row> =
            (0..30).map(|n| row(&format!("https://host-{n}.example.org/x"))).collect();
        let mut table = Table { notes: VecDeque::new(), colour: false, rows: 30, open: false };
        (0..60).for_each(|n| table.note(format!("note {n} \u{1b}[2J")));
        for (columns, height) in [(200, 60), (80, 24), (10, 3), (1, 1), (0, 0)] {
            let lines = table.lines(&rows, columns, height);
            assert!(lines.len() <= height.max(3), "{columns}×{height}: {}", lines.len());
            for (line, _) in lines {
                assert!(line.chars().count() <= columns.max(1), "{line:?}");
                assert!(!line.contains('\u{1b}'));
            }
        }
    }
}
