/// The same trouble in the same place, counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    place: u64,
    times: u32,
}

impl Trouble {
    /// It happened at `place`; says how often now, in a row.
    pub(super) const fn again(&mut self, place: u64) -> u32 {
        if self.times == 0 || self.place != place {
            (self.place, self.times) = (place, 0);
        }
        self.times = self.times.saturating_add(1);
        self.times
    }
}

#[cfg(test)]
mod tests {
    use super::Trouble;

    #[test]
    fn trouble_counts_in_one_place_only() {
        let mut trouble = Trouble::default();
        assert_eq!([0, 0, 3, 3, 3, 0].map(|place| trouble.again(place)), [1, 2, 1, 2, 3, 1]);
    }
}
