//! Ids and their words as JSON.

use chittyid::{ChittyId, EntityType, Profile, Profiles, parse};

#[test]
fn ids_of_every_profile_are_strings_and_come_back() {
    for text in ["CT-A-CHI-1234-I-24-A-0", "03-1-USA-5537-P-2602-0-38", "CHITTY-PEO-00001-A1B2C3"] {
        let id = parse(text, Profiles::ALL).unwrap();
        let json = serde_json::to_string(&id).unwrap();
        assert_eq!(json, format!("\"{text}\""));
        let back: ChittyId = serde_json::from_str(&json).unwrap();
        assert_eq!((back, back.profile()), (id, id.profile()));
        let back: ChittyId = serde_json::from_value(serde_json::Value::from(text)).unwrap();
        assert_eq!(back, id);
    }
}

#[test]
fn what_is_no_id_is_refused_with_its_reason() {
    let error = serde_json::from_str::<ChittyId>("\"CT-A-CHI-12X4-I-24-A-0\"").unwrap_err();
    let told = "byte 11 is 'X', where the sequence of a client-v1 id has four digits";
    assert!(error.to_string().starts_with(told), "{error}");
    let error = serde_json::from_str::<ChittyId>("17").unwrap_err();
    assert!(error.to_string().contains("expected a string"), "{error}");
}

#[test]
fn words_are_strings_and_sets_are_lists() {
    for profile in Profile::ALL {
        let json = serde_json::to_string(&profile).unwrap();
        assert_eq!(json, format!("\"{profile}\""));
        assert_eq!(serde_json::from_str::<Profile>(&json).unwrap(), profile);
    }
    let json = serde_json::to_string(&Profiles::INTEROP).unwrap();
    assert_eq!(json, r#"["client-v1","service-v1","canonical-03"]"#);
    assert_eq!(serde_json::from_str::<Profiles>(&json).unwrap(), Profiles::INTEROP);
    assert_eq!(serde_json::from_str::<Profiles>("[]").unwrap(), Profiles::NONE);
    let error = serde_json::from_str::<Profiles>(r#"["client-v2"]"#).unwrap_err();
    assert!(
        error.to_string().starts_with("no profile has this name; there are client-v1"),
        "{error}"
    );

    let entity: EntityType = serde_json::from_str("\"peo\"").unwrap();
    assert_eq!(
        (entity, serde_json::to_string(&entity).unwrap()),
        (EntityType::Person, "\"PEO\"".into())
    );
    let error = serde_json::from_str::<EntityType>("\"CASE\"").unwrap_err();
    assert!(error.to_string().starts_with("Unsupported ChittyID entity type: CASE."), "{error}");
}
