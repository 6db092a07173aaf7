//! Words of types of other crates, for the description of the API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! words {
    ($(#[$about:meta])* $name:ident, $shown:literal, [$($word:literal),+]) => {
        $(#[$about])*
        #[derive(Debug)]
        pub(super) enum $name {}

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                $shown.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "enum": [$($word),+] })
            }
        }
    };
}

words!(
    /// Where a session is in its life.
    StatusWord,
    "Status",
    ["CONNECTED", "SUSPENDED", "RECONNECTING", "DISCONNECTED", "FAILED"]
);
words!(
    /// How good a connection is.
    QualityWord,
    "Quality",
    ["UNKNOWN", "CRITICAL", "POOR", "GOOD", "EXCELLENT"]
);
