//! The nine entities, their words and their letters.

use chittyid::{EntityType, Profile, Profiles};

/// Entity, description, letter of client-v1 and service-v1, letter of the canonical profiles.
const TABLE: [(&str, &str, char, char); 9] = [
    ("PEO", "Person", 'P', 'P'),
    ("PLACE", "Location", 'L', 'L'),
    ("PROP", "Property/Asset", 'R', 'T'),
    ("EVNT", "Event", 'E', 'E'),
    ("AUTH", "Authorization", 'A', 'A'),
    ("INFO", "Information", 'I', 'T'),
    ("FACT", "Fact/Evidence", 'F', 'T'),
    ("CONTEXT", "Context", 'C', 'P'),
    ("ACTOR", "Actor/Agent", 'X', 'P'),
];

#[test]
fn entities_have_the_words_and_letters_of_the_table() {
    for (entity, (name, description, own, canonical)) in EntityType::ALL.into_iter().zip(TABLE) {
        assert_eq!((entity.name(), entity.description()), (name, description));
        assert_eq!(name.parse(), Ok(entity));
        assert_eq!(name.to_lowercase().parse(), Ok(entity));
        let letters = Profile::ALL.map(|profile| entity.letter(profile));
        for (profile, letter) in Profile::ALL.into_iter().zip(letters) {
            let nine = Profiles::CLIENT_V1.with(Profile::ServiceV1);
            let five = Profiles::from(Profile::Canonical03).with(Profile::Canonical03Short);
            let wanted = (nine.contains(profile).then_some(own))
                .or_else(|| five.with(Profile::Vrf).contains(profile).then_some(canonical));
            assert_eq!(letter, wanted, "{name} in {profile}");
        }
    }
}

#[test]
fn a_letter_leads_back_to_every_entity_that_has_it() {
    for profile in Profile::ALL {
        for letter in ('\0'..='\u{ff}').chain(['É', 'Ⅰ']) {
            let found = EntityType::from_letter(profile, letter);
            let mut wanted: Vec<_> = EntityType::ALL.into_iter().collect();
            wanted.retain(|entity| entity.letter(profile) == Some(letter));
            if (profile, letter) == (Profile::ServiceV1, 'I') {
                // The live service gave it to both.
                wanted.push(EntityType::Context);
            }
            assert_eq!(found, wanted, "{letter} in {profile}");
        }
    }
}

#[test]
fn an_unsupported_entity_is_told_in_the_words_of_the_seeds() {
    let told = |asked: &str| asked.parse::<EntityType>().unwrap_err().to_string();
    let list = "Use one of PEO, PLACE, PROP, EVNT, AUTH, INFO, FACT, CONTEXT, ACTOR.";
    let start = "Unsupported ChittyID entity type: ";
    assert_eq!(told("INVALID"), format!("{start}INVALID. {list}"));
    assert_eq!(told(""), format!("{start}. {list}"));
    assert_eq!(told(" PEO"), format!("{start} PEO. {list}"));
    assert_eq!(told("a\nb"), format!("{start}a\\nb. {list}"));
    let long = "X".repeat(1000);
    assert_eq!(told(&long), format!("{start}{}…. {list}", "X".repeat(32)));
    let wide = format!("{}é", "X".repeat(31));
    assert_eq!(told(&wide), format!("{start}{}…. {list}", "X".repeat(31)));
}
