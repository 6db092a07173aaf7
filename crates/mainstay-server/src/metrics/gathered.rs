use super::buckets::Spread;
use super::page::{Format, Kind, Labels, Page};

/// A family of metrics with all its numbers, to be written elsewhere than on a page.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Gathered {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) help: String,
    /// Each with what is named beside it.
    pub(crate) points: Vec<(Vec<(String, String)>, Measured)>,
}

/// A number, or many in one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Measured {
    Number(f64),
    Spread(Spread),
}

impl Page {
    /// A page that is no text: what would stand on it is gathered.
    pub(super) fn gathering() -> Self {
        let mut page = Self::new(Format::Text);
        page.gathered = Some(Vec::new());
        page
    }

    pub(super) fn gathered(self) -> Vec<Gathered> {
        self.gathered.unwrap_or_default()
    }

    /// A family begins; answers whether it is gathered.
    pub(super) fn gathers(&mut self, name: &str, kind: Kind, help: &str) -> bool {
        let Some(all) = &mut self.gathered else { return false };
        let (name, help) = (name.to_owned(), help.to_owned());
        all.push(Gathered { name, kind, help, points: Vec::new() });
        true
    }

    /// A number of the family that began last; answers whether it is gathered.
    pub(super) fn takes(
        &mut self,
        labels: Labels<'_>,
        measured: impl FnOnce() -> Measured,
    ) -> bool {
        let Some(family) = self.gathered.as_mut().map(|all| all.last_mut()) else { return false };
        if let Some(family) = family {
            let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
            family.points.push((labels.iter().map(own).collect(), measured()));
        }
        true
    }
}
