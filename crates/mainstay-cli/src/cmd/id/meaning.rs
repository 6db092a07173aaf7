//! What the parts of an id mean, in words.

use chittyid::{ChecksumStatus, ChittyId, EntityType, Field, Profile, Region, Trust};

/// The parts in their order, with the letters that stand for them in every description.
pub(super) const PLACES: [(Field, &str); 8] = [
    (Field::Version, "VV"),
    (Field::Generation, "G"),
    (Field::Location, "LLL"),
    (Field::Sequence, "SSSS"),
    (Field::Type, "T"),
    (Field::YearMonth, "YM"),
    (Field::Category, "C"),
    (Field::Extension, "X"),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Where ids of a profile come from.
pub(super) const fn origin(profile: Profile) -> &'static str {
    match profile {
        Profile::ClientV1 => "the seeds' official pattern",
        Profile::ServiceV1 => "what the service gave in 2025",
        Profile::Canonical03 => "what the service gives since 2026",
        Profile::Canonical03Short => "canonical-03 with a shorter month",
        Profile::FoundationV2 => "the foundation's charter",
        Profile::Vrf => "made from public randomness",
        Profile::Legacy => "two older generators",
        Profile::HybridTechnical => "the technical half of two",
        Profile::HybridLegal => "the legal half of two",
        Profile::CanonSpec => "a specification",
        Profile::Gateway => "a gateway",
        Profile::Router => "a router",
        Profile::Express => "an older server",
        _ => "not described here",
    }
}

/// What that part of the id says; nothing where its name says all that is known.
pub(super) fn of(id: &ChittyId, field: Field) -> Option<String> {
    let (profile, text) = (id.profile(), id.field(field)?);
    match field {
        Field::Type => Some(entities(id)).filter(|names| !names.is_empty()),
        Field::Sequence if text == "0000" => Some("no authority gives 0000".into()),
        Field::YearMonth => year_month(profile, text),
        Field::Generation => digit(text).and_then(|digit| region(profile, digit)),
        Field::Category => category(profile, text),
        Field::Extension => checksum(id),
        Field::Version | Field::Location | Field::Sequence => None,
    }
}

/// What the id may stand for.
pub(super) fn kinds(id: &ChittyId) -> &'static [EntityType] {
    if let Some(letter) = id.entity_letter() {
        return EntityType::from_letter(id.profile(), letter);
    }
    let named = id.field(Field::Type).and_then(|name| name.parse::<EntityType>().ok());
    let place = EntityType::ALL.iter().position(|entity| Some(*entity) == named);
    place.map_or(&[], |place| &EntityType::ALL[place..=place])
}

fn entities(id: &ChittyId) -> String {
    let name = |entity: &EntityType| format!("{} ({})", entity.name(), entity.description());
    kinds(id).iter().map(name).collect::<Vec<_>>().join(", or ")
}

fn digit(text: &str) -> Option<u8> {
    text.parse().ok().filter(|_| text.len() == 1)
}

fn region(profile: Profile, digit: u8) -> Option<String> {
    let has_regions =
        matches!(profile, Profile::Canonical03 | Profile::Canonical03Short | Profile::Gateway);
    Region::from_digit(digit).filter(|_| has_regions).map(|region| region.name().into())
}

fn category(profile: Profile, text: &str) -> Option<String> {
    let has_trust = matches!(
        profile,
        Profile::Canonical03 | Profile::Canonical03Short | Profile::Vrf | Profile::Gateway
    );
    if has_trust {
        return digit(text).and_then(Trust::from_digit).map(|trust| trust.name().into());
    }
    (profile == Profile::ClientV1)
        .then(|| "seed 001 calls it a check character; neither is defined".into())
}

fn year_month(profile: Profile, text: &str) -> Option<String> {
    let month = |text: &str| {
        let number: usize = text.parse().ok()?;
        Some(number.checked_sub(1).and_then(|month| MONTHS.get(month)))
    };
    match profile {
        Profile::ClientV1 => Some(format!("20{text}")),
        Profile::ServiceV1 | Profile::Canonical03 | Profile::FoundationV2 | Profile::Router => {
            let (year, last) = text.split_at_checked(text.len().checked_sub(2)?)?;
            let year = if year.len() == 2 { format!("20{year}") } else { year.to_owned() };
            Some(match month(last)? {
                Some(month) => format!("{month} {year}"),
                None => format!("{year}, which has no month {last}"),
            })
        }
        Profile::Canonical03Short | Profile::Vrf => {
            let (year, last) = text.split_at_checked(2)?;
            Some(match last {
                "" => format!("20{year}"),
                "0" => format!("October 20{year}"),
                "1" => format!("January or November 20{year}"),
                "2" => format!("February or December 20{year}"),
                last => format!("{} 20{year}", month(last)??),
            })
        }
        Profile::CanonSpec | Profile::Gateway | Profile::Express => Some("in base 36".into()),
        Profile::Legacy | Profile::HybridTechnical | Profile::HybridLegal | _ => None,
    }
}

/// What the last part says about the others.
pub(super) fn checksum(id: &ChittyId) -> Option<String> {
    match id.checksum() {
        ChecksumStatus::Valid => Some("right".into()),
        ChecksumStatus::Mismatch { expected, .. } => {
            Some(format!("wrong: {expected:02} is expected"))
        }
        ChecksumStatus::NeedsContext => {
            Some("cannot be checked: what the id was made for is part of it".into())
        }
        ChecksumStatus::NotDefined if id.profile() == Profile::ClientV1 => {
            Some("the client calls it a checksum; neither is defined".into())
        }
        ChecksumStatus::NotDefined => None,
    }
}
