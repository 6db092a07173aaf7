use std::collections::HashMap;
use std::sync::Arc;

/// Texts that many sessions share, each kept once, and which sessions have them.
#[derive(Debug, Default)]
pub(crate) struct Names {
    numbers: HashMap<Arc<str>, u32>,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Entry {
    name: Arc<str>,
    /// How many sessions have it.
    held: u32,
    /// Which slots, in order; empty in a table that is not searched.
    slots: Vec<u32>,
}

impl Names {
    /// Room for so many names more.
    pub(crate) fn reserve(&mut self, names: usize) {
        self.numbers.reserve(names);
        self.entries.reserve_exact(names);
    }

    /// The number of `name`, held by one session more.
    pub(crate) fn hold(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            self.entries[*number as usize].held += 1;
            return *number;
        }
        let name: Arc<str> = name.into();
        let entry = Entry { name: Arc::clone(&name), held: 1, slots: Vec::new() };
        let number = if let Some(number) = self.free.pop() {
            self.entries[number as usize] = entry;
            number
        } else {
            self.entries.push(entry);
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        };
        self.numbers.insert(name, number);
        number
    }

    /// One session less holds it; the text goes with the last one.
    pub(crate) fn release(&mut self, number: u32) {
        let Some(entry) = self.entries.get_mut(number as usize) else { return };
        entry.held -= 1;
        if entry.held == 0 {
            self.numbers.remove(&entry.name);
            entry.name = Arc::default();
            entry.slots = Vec::new();
            self.free.push(number);
        }
    }

    pub(crate) fn enter(&mut self, number: u32, slot: u32) {
        let slots = &mut self.entries[number as usize].slots;
        if let Err(at) = slots.binary_search(&slot) {
            // One session a user is the rule: four places, which is what a vector begins with, are
            // three too many.
            if slots.is_empty() {
                slots.reserve_exact(1);
            }
            slots.insert(at, slot);
        }
    }

    pub(crate) fn leave(&mut self, number: u32, slot: u32) {
        let slots = &mut self.entries[number as usize].slots;
        if let Ok(at) = slots.binary_search(&slot) {
            slots.remove(at);
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        self.entries.get(number as usize).map_or("", |entry| &entry.name)
    }

    /// Which slots have it, in order.
    pub(crate) fn slots(&self, number: u32) -> &[u32] {
        self.entries.get(number as usize).map_or(&[], |entry| &entry.slots)
    }

    /// How many names there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Each name and how many sessions have it.
    pub(crate) fn held(&self) -> impl Iterator<Item = (&str, u32)> {
        self.entries.iter().filter(|entry| entry.held > 0).map(|entry| (&*entry.name, entry.held))
    }

    /// Bytes of the table and the index, the texts aside.
    pub(crate) fn bytes(&self) -> usize {
        let slots: usize = self.entries.iter().map(|entry| entry.slots.capacity() * 4).sum();
        let places = self.numbers.capacity() * (size_of::<(Arc<str>, u32)>() + 1);
        slots + places + self.entries.capacity() * size_of::<Entry>() + self.free.capacity() * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_goes_with_the_last_that_held_it() {
        let mut names = Names::default();
        let (a, b) = (names.hold("a"), names.hold("b"));
        assert_eq!(names.hold("a"), a);
        for slot in [7, 3, 5, 3] {
            names.enter(a, slot);
        }
        assert_eq!(names.slots(a), [3, 5, 7]);
        names.leave(a, 5);
        assert_eq!(names.slots(a), [3, 7]);
        names.release(a);
        assert_eq!(names.number("a"), Some(a));
        names.release(a);
        assert_eq!(names.number("a"), None);
        assert_eq!((names.len(), names.hold("c")), (1, a), "its number is used again");
        assert_eq!((names.name(a), names.name(b)), ("c", "b"));
        assert!(names.slots(a).is_empty());
    }
}
