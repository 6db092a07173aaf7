//! The page about ids says what the code does.

use chittyid::{ChecksumStatus, EntityType, Profile, Profiles, detect, parse};

const PAGE: &str = include_str!("../../../../docs/chittyid.md");

/// The rows of the table whose head begins with these cells.
fn rows(head: &str) -> impl Iterator<Item = Vec<&'static str>> {
    let lines = PAGE.lines().skip_while(move |line| !line.starts_with(head)).skip(2);
    let rows = lines.take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
    })
}

#[test]
fn the_page_has_every_profile_in_order_with_an_example_of_it() {
    let told: Vec<_> = rows("| profile | form |").map(|row| (row[0], detect(row[2]))).collect();
    let wanted: Vec<_> =
        Profile::ALL.map(|profile| (profile.name(), Some(profile))).into_iter().collect();
    assert_eq!(told, wanted);
}

#[test]
fn the_page_has_every_entity_with_its_letters() {
    let letter = |entity: EntityType, profile| entity.letter(profile).unwrap().to_string();
    let row = |entity: EntityType| {
        let letters = (letter(entity, Profile::ClientV1), letter(entity, Profile::Canonical03));
        (entity.name(), entity.description(), letters)
    };
    let wanted: Vec<_> = EntityType::ALL.map(row).into();
    let told: Vec<_> = rows("| entity | means |")
        .map(|row| (row[0], row[1], (row[2].to_string(), row[3].to_string())))
        .collect();
    assert_eq!(told, wanted);
}

#[test]
fn the_page_has_the_right_digits_for_wrong_examples() {
    let mut checked = 0;
    for row in rows("| example | where |") {
        let text = row[0].split('`').next().unwrap();
        let Ok(right) = row[2].parse::<u8>() else { continue };
        let symbols = text.rsplit_once('-').unwrap().0;
        assert_eq!(chittyid::check_digits(symbols), Some(right), "{text}");
        if let Ok(id) = parse(text, Profiles::ALL) {
            let mismatch = matches!(id.checksum(), ChecksumStatus::Mismatch { expected, .. } if expected == right);
            assert!(mismatch, "{text}");
        }
        checked += 1;
    }
    assert_eq!(checked, 5);
}
