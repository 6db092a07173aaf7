//! Where the authority is.

use mainstay::core::config::ConfigError;
use reqwest::Url;

use crate::ClientConfig;

/// What an address may say.
const ALLOWED: &str = "an http or https address without credentials, query and fragment";

/// The addresses of an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// With the prefix, and without a slash at its end.
    api: Url,
    /// Scheme, host and port.
    origin: String,
}

impl Address {
    /// What `config` means.
    ///
    /// An address that ends in the prefix, or in `/v1` where the prefix is the default, is taken as
    /// it is; one that ends in `/api` gets `/v1`; all others get the prefix.
    pub(crate) fn new(config: &ClientConfig) -> Result<Self, ConfigError> {
        // What was written may hold a password, and is not repeated.
        let wrong = || ConfigError::new("base_url", format_args!("… (not shown)"), ALLOWED);
        let url = Url::parse(config.base_url.trim()).map_err(|_| wrong())?;
        let is_plain = matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return Err(wrong());
        }
        let prefix = path("api_prefix", &config.api_prefix)?;
        path("health_path", &config.health_path)?;
        let written = url.path().trim_end_matches('/');
        let full = if !prefix.is_empty() && written.ends_with(prefix) {
            written.to_owned()
        } else if prefix == "/v1" && written.ends_with("/api") {
            format!("{written}/v1")
        } else if written.ends_with("/v1") {
            let (found, allowed) = (&config.api_prefix, "as `base_url` ends, or left out");
            return Err(ConfigError::new("api_prefix", found, allowed));
        } else {
            format!("{written}{prefix}")
        };
        let origin = url.origin().ascii_serialization();
        let mut api = url;
        api.set_path(&full);
        Ok(Self { api, origin })
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The address of `path` below the prefix; `path` holds what needs no escape.
    pub(crate) fn of(&self, path: &str) -> Url {
        let mut url = self.api.clone();
        let full = format!("{}{path}", self.api.path().trim_end_matches('/'));
        url.set_path(&full);
        url
    }
}

/// A path as it is put together: with a slash before it and none after.
fn path<'a>(field: &str, text: &'a str) -> Result<&'a str, ConfigError> {
    let trimmed = text.trim_end_matches('/');
    let is_sound = trimmed.is_empty() || trimmed.starts_with('/');
    let is_plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"/-_.~".contains(&c));
    if is_sound && is_plain && !text.contains("..") {
        Ok(trimmed)
    } else {
        Err(ConfigError::new(field, text, "a path such as \"/v1\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(base_url: &str, api_prefix: &str) -> Result<String, String> {
        let config = ClientConfig {
            base_url: base_url.into(),
            api_prefix: api_prefix.into(),
            ..ClientConfig::default()
        };
        let address = Address::new(&config).map_err(|error| error.field)?;
        Ok(format!("{} {}", address.of("/mint"), address.origin()))
    }

    #[test]
    fn an_address_is_understood_with_and_without_its_prefix() {
        let cases = [
            ("https://id.chitty.cc", "/v1", "https://id.chitty.cc/v1/mint https://id.chitty.cc"),
            ("https://id.chitty.cc/", "/v1", "https://id.chitty.cc/v1/mint https://id.chitty.cc"),
            ("https://id.chitty.cc/v1", "/v1", "https://id.chitty.cc/v1/mint https://id.chitty.cc"),
            (
                "https://id.chitty.cc/v1/",
                "/v1",
                "https://id.chitty.cc/v1/mint https://id.chitty.cc",
            ),
            ("https://a.b/api/v1", "/v1", "https://a.b/api/v1/mint https://a.b"),
            ("https://a.b/api", "/v1", "https://a.b/api/v1/mint https://a.b"),
            ("https://a.b", "/api/v1", "https://a.b/api/v1/mint https://a.b"),
            ("https://a.b/api/v1", "/api/v1", "https://a.b/api/v1/mint https://a.b"),
            ("http://a.b:8080/ids", "/v2/", "http://a.b:8080/ids/v2/mint http://a.b:8080"),
            ("http://a.b", "", "http://a.b/mint http://a.b"),
            (" http://a.b\n", "/", "http://a.b/mint http://a.b"),
        ];
        for (base, prefix, expected) in cases {
            assert_eq!(api(base, prefix).unwrap(), expected, "{base} {prefix}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_taken_leads_to_the_origin_that_was_written(
            base in "(http://|https://|)[a-z@:?#/.%\\\\ 0-9]{0,24}(/v1|/api)?/?",
            prefix in "/?[a-z0-9./%?]{0,8}",
        ) {
            let config = ClientConfig {
                base_url: base.clone(),
                api_prefix: prefix,
                ..ClientConfig::default()
            };
            if let Ok(address) = Address::new(&config) {
                let written = Url::parse(base.trim()).unwrap();
                let asked = address.of("/validate/CT-A-CHI-1234-I-24-A-0");
                proptest::prop_assert_eq!(asked.origin(), written.origin());
                proptest::prop_assert!(asked.path().ends_with("/validate/CT-A-CHI-1234-I-24-A-0"));
                proptest::prop_assert!(asked.query().is_none() && asked.fragment().is_none());
            }
        }
    }

    #[test]
    fn an_address_that_makes_no_sense_names_its_field_and_hides_what_it_holds() {
        let cases = [
            ("", "/v1", "base_url"),
            ("id.chitty.cc", "/v1", "base_url"),
            ("ftp://a.b", "/v1", "base_url"),
            ("https://user:pass@a.b", "/v1", "base_url"),
            ("https://a.b?x=1", "/v1", "base_url"),
            ("https://a.b/v1", "/v2", "api_prefix"),
            ("https://a.b", "v1", "api_prefix"),
            ("https://a.b", "/../x", "api_prefix"),
            ("https://a.b", "/v1?x", "api_prefix"),
        ];
        for (base, prefix, field) in cases {
            assert_eq!(api(base, prefix).unwrap_err(), field, "{base} {prefix}");
        }
        let config = ClientConfig::new("https://user:hush@a.b");
        assert!(!config.check().unwrap_err().to_string().contains("hush"));
    }
}
