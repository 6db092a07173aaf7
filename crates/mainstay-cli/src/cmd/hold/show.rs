//! How it is shown: a table on a terminal, lines in a pipe, JSON when asked.

use std::io;

use mainstay::event::Event;
use mainstay::link::{Link, LinkEvent};
use serde_json::json;

use super::row::account;
use super::table::Table;
use crate::cmd::words::{time, why, words};
use crate::out;

pub(super) enum Show {
    Table(Box<Table>),
    Lines,
    Json,
}

impl Show {
    pub(super) fn new(json: bool, links: &[Link]) -> io::Result<Self> {
        if json {
            return Ok(Self::Json);
        }
        if !out::is_terminal() {
            return Ok(Self::Lines);
        }
        Ok(Self::Table(Box::new(Table::open(links.len())?)))
    }

    /// Tells an event; answers whether there may still be a reader.
    pub(super) fn event(&mut self, event: &Event, link: &LinkEvent, links: &[Link]) -> bool {
        if matches!(self, Self::Json) {
            return out::line_read(&serde_json::to_string(event).unwrap_or_default());
        }
        let Some(words) = words(&link.what) else { return true };
        let error = link.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
        let line = format!("{} {} {words}{error}", time(event), link.link);
        match self {
            Self::Table(table) => {
                table.note(line);
                table.draw(links);
                true
            }
            Self::Lines => out::line_read(&line),
            Self::Json => true,
        }
    }

    pub(super) fn lost(&mut self, lost: u64) {
        match self {
            Self::Table(table) => table.note(format!("{lost} events came too fast")),
            Self::Lines => out::line(&format!("{lost} events came too fast to be shown")),
            Self::Json => out::line(&json!({ "event": "events.lost", "lost": lost }).to_string()),
        }
    }

    pub(super) fn draw(&mut self, links: &[Link]) {
        if let Self::Table(table) = self {
            table.draw(links);
        }
    }

    /// Gives the terminal back and says how it went.
    pub(super) fn summary(&mut self, links: &[Link]) {
        if let Self::Table(table) = self {
            table.close();
        }
        for link in links {
            let (view, stats) = (link.view(), link.stats());
            if matches!(self, Self::Json) {
                let line = json!({
                    "event": "hold.summary",
                    "link": &**link.name(),
                    "state": view.state,
                    "healthy": view.healthy,
                    "total_connections": stats.total_connections,
                    "total_reconnections": stats.total_reconnections,
                    "total_failures": stats.total_failures,
                    "total_health_checks": stats.total_health_checks,
                    "successful_health_checks": stats.successful_health_checks,
                    "failed_health_checks": stats.failed_health_checks,
                    "health_check_success_rate": stats.health_check_success_rate.as_f64(),
                    "uptime_ms": u64::try_from(stats.uptime.as_millis()).unwrap_or(u64::MAX),
                });
                out::line(&line.to_string());
                continue;
            }
            let why = match why(&view) {
                "" => String::new(),
                why => format!(" ({why})"),
            };
            let (name, state) = (link.name(), view.state);
            out::line(&format!("{name}: {state}{why}, {}", account(&stats)));
        }
    }
}
