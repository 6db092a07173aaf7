#![expect(clippy::wildcard_enum_match_arm, reason = "most keys mean nothing here")]

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::app::{Action, App, Mode, View, Wish};

/// Rows that a page key moves by.
const PAGE: usize = 10;
/// The longest filter.
const FILTER_MAX: usize = 64;

impl App {
    /// Takes a key, and answers what is to be done.
    pub(super) fn key(&mut self, key: KeyEvent) -> Wish {
        let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
        if with_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Wish::Quit;
        }
        match self.mode.clone() {
            Mode::Rows => self.in_rows(key.code),
            Mode::Filter => self.in_filter(key.code),
            Mode::Whole(line) => self.in_whole(key.code, line),
            Mode::Help => {
                self.mode = Mode::Rows;
                Wish::Nothing
            }
            Mode::Sure(action) => {
                self.mode = Mode::Rows;
                if matches!(key.code, KeyCode::Char('y') | KeyCode::Enter) {
                    return self.perform(action);
                }
                Wish::Nothing
            }
        }
    }

    fn in_rows(&mut self, key: KeyCode) -> Wish {
        let last = self.rows().len().saturating_sub(1);
        match key {
            KeyCode::Char('q') => return Wish::Quit,
            KeyCode::Esc if self.filter.is_empty() => return Wish::Quit,
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(2),
            KeyCode::Char('1') => self.show(View::Links),
            KeyCode::Char('2') => self.show(View::Sessions),
            KeyCode::Char('3') => self.show(View::Alerts),
            KeyCode::Down | KeyCode::Char('j') => self.selected = (self.selected + 1).min(last),
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::PageDown => self.selected = (self.selected + PAGE).min(last),
            KeyCode::PageUp => self.selected = self.selected.saturating_sub(PAGE),
            KeyCode::Home | KeyCode::Char('g') => self.selected = 0,
            KeyCode::End | KeyCode::Char('G') => self.selected = last,
            KeyCode::Enter if self.marked().is_some() => self.mode = Mode::Whole(0),
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Char('?') => self.mode = Mode::Help,
            KeyCode::Char('s') => self.reorder(),
            KeyCode::Char('p') => self.pause(),
            KeyCode::Char('r') => return Wish::Ask,
            KeyCode::Char('a') => self.ask_whether(View::Alerts, Action::Acknowledge),
            KeyCode::Char('m') => self.ask_whether(View::Alerts, Action::Silence),
            KeyCode::Char('c') => self.ask_whether(View::Links, Action::Check),
            _ => {}
        }
        Wish::Nothing
    }

    /// To another view.
    fn turn(&mut self, by: usize) {
        let next = (self.view as usize + by) % View::ALL.len();
        self.show(View::ALL[next]);
    }

    /// The worst first, then by each column, then the worst first again.
    fn reorder(&mut self) {
        let columns = self.view.head().len();
        self.order = match self.order {
            None => Some(0),
            Some(column) if column + 1 < columns => Some(column + 1),
            Some(_) => None,
        };
    }

    fn ask_whether(&mut self, view: View, action: Action) {
        if self.view == view && self.marked().is_some() {
            self.mode = Mode::Sure(action);
        }
    }

    fn in_filter(&mut self, key: KeyCode) -> Wish {
        match key {
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Rows;
            }
            KeyCode::Enter => self.mode = Mode::Rows,
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) if self.filter.len() < FILTER_MAX => self.filter.push(letter),
            _ => {}
        }
        self.selected = 0;
        Wish::Nothing
    }

    fn in_whole(&mut self, key: KeyCode, line: u16) -> Wish {
        let page = u16::try_from(PAGE).unwrap_or(u16::MAX);
        self.mode = match key {
            KeyCode::Down | KeyCode::Char('j') => Mode::Whole(line.saturating_add(1)),
            KeyCode::Up | KeyCode::Char('k') => Mode::Whole(line.saturating_sub(1)),
            KeyCode::PageDown | KeyCode::Char(' ') => Mode::Whole(line.saturating_add(page)),
            KeyCode::PageUp => Mode::Whole(line.saturating_sub(page)),
            _ => Mode::Rows,
        };
        Wish::Nothing
    }
}
