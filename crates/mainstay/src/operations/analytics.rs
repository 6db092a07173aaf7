use std::collections::BTreeMap;

use serde::Serialize;

use super::Record;

/// Failures closer together than this belong to one burst.
const BURST_GAP_MS: u64 = 5_000;
/// Fewer failures than this are no burst.
const BURST_MIN: u32 = 3;

/// What a history says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Analytics {
    /// Operations looked at.
    pub operations: u64,
    /// Share of them that worked, from 0 to 1.
    pub success_rate: f64,
    /// Of the operations that got to attempt `n`, the share that worked at it; by `n`, from 1.
    pub success_by_attempt: Vec<f64>,
    /// Attempts per operation.
    pub mean_attempts: f64,
    /// Time spent waiting between attempts, in all.
    pub waited_ms: u64,
    /// Share of the whole time that was spent waiting.
    pub waited_share: f64,
    /// Failed attempts by kind and class, such as `error/transient`.
    pub failures_by_kind: BTreeMap<String, u64>,
    /// Failed attempts by gate.
    pub failures_by_endpoint: BTreeMap<String, u64>,
    /// Operations by how they ended.
    pub verdicts: BTreeMap<String, u64>,
    /// Failures that came close together: at least three, each within 5 s of the last.
    pub bursts: Vec<Burst>,
}

/// Failures that came close together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// When the first came, in milliseconds since 1970.
    pub from_ms: u64,
    /// When the last came.
    pub to_ms: u64,
    /// How many came.
    pub failures: u32,
}

impl Analytics {
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a Record>) -> Self {
        let mut this = Self::default();
        let (mut reached, mut worked) = (Vec::<u64>::new(), Vec::<u64>::new());
        let (mut attempts, mut succeeded, mut took_ms) = (0_u64, 0_u64, 0_u64);
        let mut failed_at = Vec::new();
        for record in records {
            this.operations += 1;
            attempts += u64::from(record.attempts);
            succeeded += u64::from(record.succeeded);
            took_ms += record.took_ms;
            this.waited_ms += record.waited_ms;
            *this.verdicts.entry(record.verdict.into()).or_default() += 1;
            let last = record.attempts as usize;
            if reached.len() < last {
                reached.resize(last, 0);
                worked.resize(last, 0);
            }
            reached[..last].iter_mut().for_each(|count| *count += 1);
            if record.succeeded && last > 0 {
                worked[last - 1] += 1;
            }
            for failure in &record.failures {
                let kind = format!("{}/{}", failure.kind, failure.class);
                *this.failures_by_kind.entry(kind).or_default() += 1;
                let endpoint = record.endpoint.as_deref().unwrap_or("none").to_owned();
                *this.failures_by_endpoint.entry(endpoint).or_default() += 1;
                failed_at.push(failure.at_ms);
            }
        }
        this.success_rate = share(succeeded, this.operations);
        this.mean_attempts = share(attempts, this.operations);
        this.waited_share = share(this.waited_ms, took_ms);
        this.success_by_attempt = reached
            .into_iter()
            .zip(worked)
            .map(|(reached, worked)| share(worked, reached))
            .collect();
        this.bursts = bursts(failed_at);
        this
    }
}

fn bursts(mut failed_at: Vec<u64>) -> Vec<Burst> {
    failed_at.sort_unstable();
    let groups = failed_at.chunk_by(|one, next| next - one <= BURST_GAP_MS);
    let bursts = groups.filter_map(|group| {
        let failures = u32::try_from(group.len()).unwrap_or(u32::MAX);
        let burst = Burst { from_ms: *group.first()?, to_ms: *group.last()?, failures };
        (failures >= BURST_MIN).then_some(burst)
    });
    bursts.collect()
}

#[expect(clippy::cast_precision_loss, reason = "a share for people")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::{Burst, bursts};

    #[test]
    fn failures_close_together_make_a_burst() {
        let seen = bursts(vec![100_000, 0, 1_000, 5_500, 100_001, 200_000, 200_001, 200_002]);
        let burst = |from_ms, to_ms| Burst { from_ms, to_ms, failures: 3 };
        assert_eq!(seen, [burst(0, 5_500), burst(200_000, 200_002)]);
    }
}
