//! The cycle, again and again.

use std::sync::Arc;

use jiff::Timestamp;
use mainstay::clock;
use mainstay::event::{AnswerEvent, HealthEvent, HealthWhat, Kind};
use mainstay::monitor::Collector;
use mainstay::monitor::days_until;
use mainstay::monitor::engine::engine::{Happening, Reading, Value};
use mainstay::monitor::engine::overload::Sample;
use mainstay::monitor::engine::rules::Signal;
use mainstay::monitor::engine::summary::System;
use mainstay::monitor::system::{LagMeter, SystemReader};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Inner, Monitor, gather, maintenance, objectives};
use crate::notify::Notifier;
use crate::session::unix_ms;
use crate::state::Shared;

/// Watches until it is dropped.
pub(crate) async fn run(shared: Arc<Shared>) {
    let lag = LagMeter::start();
    // From now on operations are counted.
    drop(shared.operations.take_totals());
    let mut system = SystemReader::default();
    // What went on firing over the restart.
    tell(&shared, &[]);
    loop {
        tokio::join!(sleep(shared.monitor.interval()), shared.monitor.look_around());
        let (late, reconnecting) = (lag.take(), shared.monitor.reconnecting());
        // It reads files, one of them as long as there are connections.
        let read = spawn_blocking(move || {
            let read = system.read(late, reconnecting);
            (system, read)
        });
        let Ok((reader, seen)) = read.await else { return };
        system = reader;
        let told = shared.monitor.cycle(&shared, seen);
        tell(&shared, &told);
        shared.notifier.evaluated();
        shared.engine.events().send(|| {
            Kind::Health(HealthEvent {
                what: HealthWhat::MetricsCollected,
                alert: None,
                rule: None,
                severity: None,
                summary: shared.monitor.summary().sentence.into(),
            })
        });
    }
}

/// Logs and tells what happened to alerts, to whoever listens and to receivers.
pub(crate) fn tell(shared: &Shared, told: &[Happening]) {
    shared.monitor.notify(&shared.notifier);
    for one in told {
        tracing::info!(
            rule = &*one.rule, labels = ?one.labels, severity = ?one.severity,
            "alert {}: {}", one.what, one.summary,
        );
        let what = match one.what {
            "fired" => HealthWhat::AlertCreated,
            "acknowledged" => HealthWhat::AlertAcknowledged,
            "resolved" => HealthWhat::AlertResolved,
            _ => HealthWhat::AlertChanged,
        };
        shared.engine.events().send(|| {
            Kind::Health(HealthEvent {
                what,
                alert: Some(format!("{:016x}", one.id).into()),
                rule: Some(one.rule.clone()),
                severity: one.severity,
                summary: one.summary.clone(),
            })
        });
    }
}

impl Monitor {
    /// One look at everything.
    fn cycle(&self, shared: &Shared, (sample, system): (Sample, System)) -> Vec<Happening> {
        let (now, at) = (clock::now(), unix_ms());
        let mut guard = self.inner();
        let inner = &mut *guard;
        let mut found = inner.collector.begin();
        for (link, held) in shared.engine.links() {
            let (view, stats) = (link.view(), link.stats());
            inner.collector.link(now, link.name(), (&view, &stats), held.spec.required, &mut found);
            let days = held.certificate_expiry().map(days_until);
            Collector::certificate(link.name(), days, &mut found);
            if let Some(records) = held.new_answer() {
                let link = link.name().clone();
                let answer = AnswerEvent { link, records };
                shared.engine.events().send(|| Kind::Answer(answer));
            }
        }
        for gate in shared.engine.gates() {
            inner.collector.gate(now, &gate.view(), &mut found);
        }
        inner.collector.operations(&shared.operations.take_totals(), &mut found);
        inner.collector.sources(now, &self.sources, &mut found);
        inner.collector.finish(&mut found);
        let hub = &shared.hub;
        gather::sessions(
            (&hub.counts(), &hub.take_measured()),
            (hub.tally().flow(), hub.is_held()),
            &mut inner.sessions,
            &mut found,
        );
        gather::process(sample.lag, &mut found);
        if let Some(load) = system.load {
            found.findings.readings.push(Reading::new(Signal::SystemLoad, Value::Gauge(load)));
        }
        (found.findings.sample, found.findings.system) = (sample, system);
        let readings = &mut found.findings.readings;
        readings.extend(shared.pushes.readings());
        readings.extend(self.connectivity.reading(&inner.spec.connectivity));
        let stamp = Timestamp::from_millisecond(i64::try_from(at).unwrap_or(i64::MAX));
        let on = maintenance::now_on(&inner.spec.maintenance, stamp.unwrap_or_default());
        inner.board.engine_mut().set_maintenance(on);
        inner.board.engine_mut().set_parents(shared.engine.parents());
        let told = self.judge(inner, now, at, found);
        // Whoever beats is asked to beat less while this machine cannot keep up.
        hub.spare(inner.board.overload().stress());
        drop(guard);
        self.evaluated.send_replace(Some(now));
        told
    }

    fn judge(
        &self,
        inner: &mut Inner,
        now: mainstay::core::time::Instant,
        at: u64,
        mut found: mainstay::monitor::Collected,
    ) -> Vec<Happening> {
        let told = inner.board.cycle(now, at, found.findings);
        found.cells.extend(objectives::cells(inner.board.engine()));
        let maintained = |group: &str| {
            let labels =
                group.split_once(':').map(|(kind, name)| (kind.to_owned(), name.to_owned()));
            inner.board.engine().is_maintained(&labels.into_iter().collect())
        };
        for (group, cell) in &mut found.cells {
            cell.maintenance = maintained(group);
        }
        inner.ledger.write(&mut inner.board, &told, &self.writer);
        inner.ledger.cycle(&inner.board, &self.writer);
        let rows = inner.histories.push(at, &found.cells, &*self.store);
        // Where there is no room, the cell is kept whole with the next cycle.
        drop(self.writer.try_submit(rows));
        told
    }

    /// Which share of all connections was being made again, as of the last look.
    fn reconnecting(&self) -> f64 {
        let summary = self.summary();
        let (links, sessions) = (summary.links, summary.sessions);
        let open = links.reconnecting + sessions.reconnecting;
        let all = links.total + sessions.connected + sessions.reconnecting;
        gather::share(open, all).unwrap_or_default()
    }

    /// Tells receivers what has changed of alerts.
    fn notify(&self, notifier: &Notifier) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.ledger.orphans.drain(..).for_each(|orphan| notifier.tell(orphan));
        let standings = inner.board.engine().standings(clock::now(), unix_ms());
        inner.telling.tell(&standings, notifier);
    }

    /// The last thing before the store is closed.
    pub(crate) fn close(&self) {
        let mut guard = self.inner();
        let inner = &mut *guard;
        inner.ledger.write(&mut inner.board, &[], &self.writer);
        inner.ledger.keep_burns(&inner.board, &self.writer);
        // It is the end: what finds no room is as it was a minute ago.
        drop(self.writer.try_submit(inner.histories.rest()));
    }
}
