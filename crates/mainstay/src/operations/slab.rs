use std::sync::Arc;

use super::tracked::Tracked;

/// The operations under way, each in a place of its own: putting one in and taking it out cost the
/// same however many there are.
#[derive(Debug, Default)]
pub(super) struct Slab {
    places: Vec<Option<Arc<Tracked>>>,
    free: Vec<usize>,
    /// Allocations to use again.
    spare: Vec<Arc<Tracked>>,
}

/// Free places and allocations kept for later.
const KEPT: usize = 64;

impl Slab {
    /// Puts in what `make` makes of its place.
    #[inline]
    pub(super) fn insert_with(&mut self, make: impl FnOnce(usize) -> Tracked) -> Arc<Tracked> {
        let place = self.free.pop().unwrap_or(self.places.len());
        let tracked = self.allocate(make(place));
        if place == self.places.len() {
            self.places.push(None);
        }
        self.places[place] = Some(Arc::clone(&tracked));
        tracked
    }

    #[inline]
    fn allocate(&mut self, made: Tracked) -> Arc<Tracked> {
        let Some(mut spare) = self.spare.pop() else { return Arc::new(made) };
        match Arc::get_mut(&mut spare) {
            Some(unused) => *unused = made,
            // Somebody still looks at it.
            None => return Arc::new(made),
        }
        spare
    }

    pub(super) fn remove(&mut self, place: usize) {
        if let Some(tracked) = self.places.get_mut(place).and_then(Option::take) {
            self.free.push(place);
            if self.spare.len() < KEPT {
                self.spare.push(tracked);
            }
        }
        if self.free.len() == self.places.len() && self.free.len() > KEPT {
            // Nobody is left: a burst does not keep its memory for ever.
            *self = Self::default();
        }
    }

    pub(super) fn find(&self, id: u64) -> Option<Arc<Tracked>> {
        self.places.iter().flatten().find(|tracked| tracked.id == id).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Tracked>> {
        self.places.iter().flatten().cloned().collect()
    }
}
