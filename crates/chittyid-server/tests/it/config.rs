//! A configuration that makes no sense is refused with the field's name.

use std::time::Duration;

use chittyid_server::{AuthorityConfig, IssuedProfile};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn every_field_is_refused_by_its_name_whatever_the_profile() {
    for profile in [IssuedProfile::ClientV1, IssuedProfile::Canonical03] {
        let usual = || AuthorityConfig { profile, ..AuthorityConfig::default() };
        usual().check().unwrap();
        let wrong = [
            (AuthorityConfig { version: "C".into(), ..usual() }, "version"),
            (AuthorityConfig { version: "01".into(), ..usual() }, "version"),
            (AuthorityConfig { generation: 'a', ..usual() }, "generation"),
            (AuthorityConfig { location: "chi".into(), ..usual() }, "location"),
            (AuthorityConfig { location: "CHIC".into(), ..usual() }, "location"),
            (AuthorityConfig { category: '7', ..usual() }, "category"),
            (AuthorityConfig { region: 0, ..usual() }, "region"),
            (AuthorityConfig { region: 10, ..usual() }, "region"),
            (AuthorityConfig { jurisdiction: "US".into(), ..usual() }, "jurisdiction"),
            (AuthorityConfig { jurisdiction: "ÄÖÜ".into(), ..usual() }, "jurisdiction"),
            (AuthorityConfig { trust: 6, ..usual() }, "trust"),
            (AuthorityConfig { mints_per_minute: 0, ..usual() }, "mints_per_minute"),
            (AuthorityConfig { mints_per_minute: 1_000_001, ..usual() }, "mints_per_minute"),
            (AuthorityConfig { batch_max: 0, ..usual() }, "batch_max"),
            (AuthorityConfig { batch_max: 101, ..usual() }, "batch_max"),
            (AuthorityConfig { mints_per_minute: 5_000, batch_max: 1_001, ..usual() }, "batch_max"),
            (AuthorityConfig { metadata_max: 1, ..usual() }, "metadata_max"),
            (AuthorityConfig { metadata_max: 10_001, ..usual() }, "metadata_max"),
            (AuthorityConfig { idempotency_for: 59 * SECOND, ..usual() }, "idempotency_for"),
            (AuthorityConfig { idempotency_for: 31 * DAY, ..usual() }, "idempotency_for"),
            (AuthorityConfig { audit_for: DAY - SECOND, ..usual() }, "audit_for"),
            (AuthorityConfig { audit_for: 3_651 * DAY, ..usual() }, "audit_for"),
        ];
        for (config, field) in wrong {
            assert_eq!(config.check().unwrap_err().field, field, "{config:?}");
        }
    }
}
