//! The texts that fuzzing starts from, read as the fuzz target reads them.

use std::fs;
use std::path::Path;

use chittyid::{Profile, Profiles, detect, parse};

#[test]
fn every_text_of_the_corpus_is_what_its_file_name_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut found = Profiles::NONE;
    let mut refused = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap();
        let said: Option<Profile> = stem.parse().ok();
        assert_eq!(detect(&text), said, "{stem}");
        match parse(&text, Profiles::ALL) {
            Ok(id) => {
                assert_eq!(id.as_str(), text);
                found = found.with(id.profile());
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    assert_eq!((found, refused), (Profiles::ALL, 6));
}
