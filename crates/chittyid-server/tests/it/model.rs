//! Anything in any order, compared with a set of ids and a table of keys.

use std::collections::{HashMap, HashSet};

use chittyid::{ChittyId, EntityType};
use chittyid_server::{Authority, AuthorityConfig, IssuedProfile, MintError, Request, Verdict};
use proptest::prelude::*;

use crate::served::{Hand, Kept, caller, config};

#[derive(Clone, Debug)]
enum Step {
    /// So many ids of these entities, under a key of few or none.
    Mint {
        caller: usize,
        key: Option<u8>,
        entities: Vec<usize>,
    },
    /// A batch with one that makes no sense at its end.
    Wrong {
        entities: Vec<usize>,
    },
    Restart,
    /// The clock goes on by hours.
    Pass(u16),
    Prune,
}

fn step() -> impl Strategy<Value = Step> {
    let entities = || prop::collection::vec(0..9_usize, 1..5);
    prop_oneof![
        8 => (0..2_usize, prop::option::of(0..4_u8), entities())
            .prop_map(|(caller, key, entities)| Step::Mint { caller, key, entities }),
        1 => entities().prop_map(|entities| Step::Wrong { entities }),
        1 => Just(Step::Restart),
        2 => (1..500_u16).prop_map(Step::Pass),
        1 => Just(Step::Prune),
    ]
}

/// When, for what, which.
type Answered = (u64, Vec<usize>, Vec<ChittyId>);

/// What an authority ought to know.
#[derive(Default)]
struct Model {
    given: HashSet<ChittyId>,
    /// By caller and key.
    keys: HashMap<(usize, u8), Answered>,
    /// How many were given by what stands around the number.
    counts: HashMap<String, u64>,
    mints: usize,
    hours: u64,
}

/// Hours that an answer is given again.
const HOURS: u64 = 24;

fn wants(entities: &[usize]) -> Vec<Request> {
    let name = |nr: &usize| EntityType::ALL[*nr].name().to_owned();
    entities.iter().map(|nr| Request { entity: name(nr), ..Request::default() }).collect()
}

impl Model {
    async fn mint(&mut self, authority: &Authority, who: usize, key: Option<u8>, wanted: &[usize]) {
        let text = key.map(|key| format!("key-{key}"));
        let name = caller(["ann", "bob"][who]);
        let mint = authority.mint(wants(wanted), true, &name, text.as_deref()).await;
        let place = key.map(|key| (who, key));
        let known = place.and_then(|place| self.keys.get(&place));
        match known.filter(|(at, ..)| self.hours - at <= HOURS) {
            Some((_, asked, ids)) if asked == wanted => {
                let mint = mint.unwrap();
                let found: Vec<ChittyId> = mint.minted.iter().map(|one| one.id).collect();
                assert!(mint.repeated && &found == ids);
            }
            Some(_) => assert!(matches!(mint, Err(MintError::KeyReused)), "{mint:?}"),
            None => {
                let mint = mint.unwrap();
                assert!(!mint.repeated && mint.minted.len() == wanted.len());
                for (one, entity) in mint.minted.iter().zip(wanted) {
                    assert_eq!(one.entity, EntityType::ALL[*entity]);
                    assert!(self.given.insert(one.id), "{} twice", one.id);
                    self.follows(&one.id);
                }
                let ids = mint.minted.iter().map(|one| one.id).collect();
                if let Some(place) = place {
                    self.keys.insert(place, (self.hours, wanted.to_vec(), ids));
                }
                self.mints += 1;
            }
        }
    }

    /// Numbers are given one after the other, with no gap.
    fn follows(&mut self, id: &ChittyId) {
        let fields = id.fields().unwrap();
        let around = format!("{}-{}", fields.entity, fields.year_month);
        let count = self.counts.entry(around).or_default();
        *count += 1;
        assert_eq!(u64::from(fields.sequence), *count, "{id}");
    }

    fn is_known(&self, authority: &Authority) {
        for id in &self.given {
            let verdict = authority.verdict(id.as_str()).unwrap();
            assert!(matches!(verdict, Verdict::Issued(_)), "{id}: {verdict:?}");
        }
        let log = authority.audit(None, 10_000).unwrap().entries;
        assert_eq!(log.len(), self.mints);
        let mut logged = HashSet::new();
        for id in log.iter().flat_map(|entry| &entry.ids) {
            assert!(logged.insert(id.as_str()), "{id} stands there twice");
        }
        assert_eq!(logged.len(), self.given.len());
    }
}

async fn follow(steps: Vec<Step>, config: AuthorityConfig) {
    let (kept, clock) = (Kept::in_memory(), Hand::usual());
    let mut authority = kept.authority(config.clone(), &clock);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Mint { caller, key, entities } => {
                model.mint(&authority, caller, key, &entities).await;
            }
            Step::Wrong { entities } => {
                let mut order = wants(&entities);
                order.push(Request::default());
                let index = Some(entities.len());
                let error = authority.mint(order, true, &caller("ann"), None).await.unwrap_err();
                let MintError::Request { index: found, .. } = error else { panic!("{error:?}") };
                assert_eq!(found, index);
            }
            Step::Restart => {
                drop(authority);
                authority = kept.authority(config.clone(), &clock);
            }
            Step::Pass(hours) => {
                clock.pass(std::time::Duration::from_secs(3_600 * u64::from(hours)));
                model.hours += u64::from(hours);
            }
            Step::Prune => drop(authority.prune().unwrap()),
        }
    }
    model.is_known(&authority);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_sequence_of_mints_replays_and_restarts_is_as_the_model_says(
        steps in prop::collection::vec(step(), 1..60),
        canonical: bool,
    ) {
        let profile = if canonical { IssuedProfile::Canonical03 } else { IssuedProfile::ClientV1 };
        let day = std::time::Duration::from_secs(86_400);
        let config = AuthorityConfig { profile, audit_for: 3_650 * day, ..config() };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(follow(steps, config));
    }
}
