use std::sync::OnceLock;

use mainstay::clock;

use super::wire::Message;

/// What stands around spans and metrics: which program they are of, and what made them.
pub(super) fn around(service_name: &str, contents: impl FnOnce(&mut Message)) -> Vec<u8> {
    let mut request = Message::default();
    request.message(1, |of_resource| {
        of_resource.message(1, |resource| {
            text(resource, 1, "service.name", service_name);
            text(resource, 1, "service.version", env!("CARGO_PKG_VERSION"));
            text(resource, 1, "service.instance.id", instance());
        });
        of_resource.message(2, |of_scope| {
            of_scope.message(1, |scope| {
                scope.text(1, env!("CARGO_PKG_NAME"));
                scope.text(2, env!("CARGO_PKG_VERSION"));
            });
            contents(of_scope);
        });
    });
    request.end()
}

/// An attribute that is text.
pub(super) fn text(message: &mut Message, field: u64, key: &str, value: &str) {
    attribute(message, field, key, |any| any.delimited(1, value.as_bytes()));
}

/// An attribute.
pub(super) fn attribute(
    message: &mut Message,
    field: u64,
    key: &str,
    value: impl FnOnce(&mut Message),
) {
    message.message(field, |pair| {
        pair.text(1, key);
        pair.message(2, value);
    });
}

/// Another one each time the program starts: a random UUID.
fn instance() -> &'static str {
    static INSTANCE: OnceLock<String> = OnceLock::new();
    INSTANCE.get_or_init(|| uuid(clock::draw(), clock::draw()))
}

/// Version 4 of RFC 9562.
fn uuid(high: u64, low: u64) -> String {
    let (high, low) = (high & !0xf000 | 0x4000, low & (u64::MAX >> 2) | 1 << 63);
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_says_its_version_and_variant() {
        assert_eq!(uuid(0, 0), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid(u64::MAX, u64::MAX), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(instance(), instance());
    }
}
