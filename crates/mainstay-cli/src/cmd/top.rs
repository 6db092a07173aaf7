//! `mainstay top`

mod app;
mod draw;
mod keys;
mod rows;

use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crossterm::event::{self, Event, KeyEventKind};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::sessions::server::Server;
use crate::args::TopArgs;
use crate::exit::Failure;
use crate::out;
use app::{App, Wish};

/// How long the keyboard is waited for before somebody looks whether it is still wanted.
const KEYS: Duration = Duration::from_millis(100);
/// The shortest time between two questions.
const OFTEN: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: &TopArgs) -> Result<ExitCode, Failure> {
    if args.interval < OFTEN {
        return Err(Failure::usage("--interval: allowed: from 200ms"));
    }
    let server = Server::new(&args.server)?;
    // Should nobody answer at first, that is said in plain words.
    let first = ask(&server).await?;
    if args.server.json {
        out::line(&first.to_string());
        return Ok(ExitCode::SUCCESS);
    }
    if !out::is_terminal() {
        let message = "`mainstay top` draws on a terminal; --json writes what it would show once";
        return Err(Failure::environment(message));
    }
    let mut screen = Screen::open().map_err(unusable)?;
    let mut app = App::new(out::has_colour());
    app.take(&first, Instant::now());
    watch(&server, args.interval, &mut app, &mut screen).await?;
    Ok(ExitCode::SUCCESS)
}

fn unusable(error: io::Error) -> Failure {
    Failure::environment(format!("the terminal cannot be drawn on: {error}"))
}

/// Everything that is shown, in one object.
async fn ask(server: &Server) -> Result<Value, Failure> {
    let (summary, links, alerts, sessions) = tokio::try_join!(
        server.get(&["monitor", "summary"], &[]),
        server.get(&["links"], &[]),
        server.get(&["alerts"], &[]),
        server.get(&["sessions"], &[("limit", "1000")]),
    )?;
    Ok(json!({
        "summary": summary,
        "links": links["links"],
        "alerts": alerts["alerts"],
        "sessions": sessions["sessions"],
    }))
}

async fn watch(
    server: &Server,
    every: Duration,
    app: &mut App,
    screen: &mut Screen,
) -> Result<(), Failure> {
    let mut keys = keyboard();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // The first was asked for already.
    ticks.tick().await;
    loop {
        screen.0.draw(|frame| draw::draw(frame, app)).map_err(unusable)?;
        let wish = tokio::select! {
            key = keys.recv() => match key {
                Some(Event::Key(key)) => app.key(key),
                Some(_) => Wish::Nothing,
                None => return Ok(()),
            },
            _ = ticks.tick() => if app.is_paused() { Wish::Nothing } else { Wish::Ask },
        };
        match wish {
            Wish::Nothing => {}
            Wish::Quit => return Ok(()),
            Wish::Ask => match ask(server).await {
                Ok(found) => app.take(&found, Instant::now()),
                Err(failure) => app.away(&failure.message),
            },
            Wish::Do(path, body) => {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                match server.post(&path, &body).await {
                    Ok(_) => app.did(),
                    Err(failure) => app.away(&failure.message),
                }
            }
        }
    }
}

/// What is typed, and when the terminal's size changes.
fn keyboard() -> mpsc::Receiver<Event> {
    let (keys, typed) = mpsc::channel(64);
    // A thread of its own: reading the terminal blocks.
    std::thread::spawn(move || {
        while !keys.is_closed() {
            let event = match event::poll(KEYS) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(event) = event else { return };
            let released = matches!(&event, Event::Key(key) if key.kind == KeyEventKind::Release);
            if !released && keys.blocking_send(event).is_err() {
                return;
            }
        }
    });
    typed
}

/// The terminal, given back when dropped.
struct Screen(Terminal<CrosstermBackend<io::Stdout>>);

impl Screen {
    fn open() -> io::Result<Self> {
        enable_raw_mode()?;
        // Also when a line of ours panics the terminal is given back.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            restore();
            usual(panic);
        }));
        let opened = execute!(io::stdout(), EnterAlternateScreen)
            .and_then(|()| Terminal::new(CrosstermBackend::new(io::stdout())));
        if opened.is_err() {
            restore();
        }
        opened.map(Self)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        restore();
    }
}

/// Nothing can be done where that fails.
fn restore() {
    drop(execute!(io::stdout(), LeaveAlternateScreen));
    drop(disable_raw_mode());
}
