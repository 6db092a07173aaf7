//! The sessions that are worst off, without a look at all of them each time.
//!
//! The registry counts exactly how many sessions are of each status and grade. Those that were found
//! are looked up by their ids in every round; only while fewer are known than there are, one search
//! a round goes on where the last one ended. A search looks at half a million rows at most, a few
//! thousand under each lock.

use mainstay::core::session::quality::Quality;
use mainstay::core::session::status::Status;
use mainstay_registry::{Counts, Cursor, Page, Query, Record, SessionId};

/// How many are told, at most.
pub(super) const MOST: usize = 50;

/// How a session is, from the worst to the best. Those without a connection have no grade.
const CLASSES: [(Status, Option<Quality>); 7] = [
    (Status::Connected, Some(Quality::Critical)),
    (Status::Connected, Some(Quality::Poor)),
    (Status::Reconnecting, None),
    (Status::Suspended, None),
    (Status::Connected, Some(Quality::Good)),
    (Status::Connected, Some(Quality::Excellent)),
    (Status::Connected, Some(Quality::Unknown)),
];

/// Those that are known, and how far each class was searched.
#[derive(Debug, Default)]
pub(super) struct Worst {
    known: Vec<SessionId>,
    cursors: [Cursor; CLASSES.len()],
}

impl Worst {
    /// The worst that are known now, the worst first; `get` looks one up, `search` looks for some.
    pub(super) fn find(
        &mut self,
        counts: &Counts,
        get: impl Fn(SessionId) -> Option<Record>,
        search: impl Fn(&Query, Cursor) -> Page,
    ) -> Vec<Record> {
        let mut records: Vec<Record> = self.known.iter().filter_map(|id| get(*id)).collect();
        if let Some(wanted) = missing(counts, &records) {
            let (status, quality) = CLASSES[wanted];
            let query = Query { status: Some(status), quality, ..Query::default() };
            let page = search(&query, self.cursors[wanted]);
            self.cursors[wanted] = page.next.unwrap_or_default();
            let found = page.records.into_iter();
            records.extend(found.filter(|found| !self.known.contains(&found.session)));
        }
        records.retain(|record| class(record).is_some());
        records.sort_by_key(|record| (class(record), record.session));
        records.truncate(MOST);
        self.known = records.iter().map(|record| record.session).collect();
        records
    }
}

/// Which class a session is in; none when it is over.
fn class(record: &Record) -> Option<usize> {
    CLASSES.iter().position(|(status, quality)| {
        *status == record.status && quality.is_none_or(|quality| quality == record.quality)
    })
}

/// The worst class of which more are wanted than are known.
fn missing(counts: &Counts, known: &[Record]) -> Option<usize> {
    let mut room = MOST;
    for (index, (status, quality)) in CLASSES.iter().enumerate() {
        let there = quality.map_or_else(|| counts.of(*status), |quality| counts.graded(quality));
        let wanted = usize::try_from(there).unwrap_or(usize::MAX).min(room);
        if known.iter().filter(|record| class(record) == Some(index)).count() < wanted {
            return Some(index);
        }
        room -= wanted;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    use mainstay::core::time::Instant;
    use mainstay_registry::{Beats, Origin, Registration, Registry, RegistryConfig};

    const NOW: Instant = Instant::from_millis(0);

    fn registry(sessions: u128) -> (Registry, Vec<mainstay_registry::Key>) {
        let origin = Origin { now: NOW, unix_ms: 1_800_000_000_000 };
        let registry = Registry::new(&RegistryConfig::default(), origin).unwrap();
        let keys = (0..sessions).map(|n| {
            let registration = Registration {
                user: None,
                organisation: "acme".into(),
                client_type: "WEB_APP".into(),
                client_version: "".into(),
                metadata: "".into(),
                beats: Beats::Server,
            };
            let bits = (n % 64) << 122 | (n + 1) << 32;
            let key = registry.register(NOW, bits, registration).unwrap().key;
            assert!(registry.committed(NOW, key) && registry.heard(NOW, key));
            key
        });
        let keys = keys.collect();
        (registry, keys)
    }

    /// One round; answers what was found and how often it searched.
    fn round(worst: &mut Worst, registry: &Registry) -> (Vec<Record>, u32) {
        let searches = Cell::new(0);
        let found = worst.find(
            &registry.counts(),
            |id| registry.get(id),
            |query, cursor| {
                searches.set(searches.get() + 1);
                registry.find(query, cursor, MOST)
            },
        );
        (found, searches.get())
    }

    #[test]
    fn it_searches_only_while_fewer_are_known_than_there_are() {
        let (registry, keys) = registry(200);
        let mut worst = Worst::default();
        let (found, searches) = round(&mut worst, &registry);
        assert_eq!((found.len(), searches), (MOST, 1));
        let (again, searches) = round(&mut worst, &registry);
        assert_eq!((again, searches), (found, 0));
        // One loses its connection: it comes first, and one that is well gives way.
        let lost = keys[150];
        assert!(registry.lost(NOW, lost, mainstay::core::session::status::LossReason::Lost));
        let (found, searches) = round(&mut worst, &registry);
        assert_eq!((found.len(), found[0].session, searches), (MOST, lost.session(), 1));
        assert_eq!(found[0].status, Status::Suspended);
        assert_eq!(round(&mut worst, &registry).1, 0);
        // Over, it is not told any more.
        let over = mainstay::core::session::status::EndReason::Kicked;
        assert!(registry.end(NOW, lost.session(), over));
        assert!(round(&mut worst, &registry).0.iter().all(|one| one.session != lost.session()));
    }

    #[test]
    fn nobody_is_told_where_there_is_nobody() {
        let (registry, _) = registry(0);
        let (found, searches) = round(&mut Worst::default(), &registry);
        assert_eq!((found.len(), searches), (0, 0));
    }
}
