use super::*;
use ::http::header::RETRY_AFTER;

#[test]
fn answers_are_read_as_they_are_meant() {
    let headers = |text: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(text));
        headers
    };
    let hint = Some(Duration::from_secs(7));
    let cases = [
        (204, Outcome::Success),
        (301, Outcome::Transient { hint }),
        (401, Outcome::Refused),
        (404, Outcome::Transient { hint }),
        (429, Outcome::Throttled { hint }),
        (500, Outcome::Transient { hint }),
        (501, Outcome::Permanent),
        (503, Outcome::Throttled { hint }),
    ];
    for (status, wanted) in cases {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(outcome(status, &headers("7")), wanted, "{status}");
    }
    assert_eq!(outcome(StatusCode::SERVICE_UNAVAILABLE, &HeaderMap::new()), Outcome::TRANSIENT);
}

#[test]
fn the_health_check_is_on_the_origin() {
    let http = HttpTransport::new(HttpConfig::new("https://id.chitty.cc/v1?a=b")).unwrap();
    assert_eq!(http.shared.places.health(0).as_str(), "https://id.chitty.cc/health");
    assert_eq!(http.target(), "https://id.chitty.cc");
    let mut deep = HttpConfig::new("https://id.chitty.cc/v1?a=b");
    deep.health_path = "/ready?deep=1".into();
    let http = HttpTransport::new(deep).unwrap();
    assert_eq!(http.shared.places.health(0).as_str(), "https://id.chitty.cc/ready?deep=1");
}

#[test]
fn secrets_are_neither_taken_in_an_address_nor_shown() {
    let error = HttpTransport::new(HttpConfig::new("https://me:hush@host")).unwrap_err();
    assert!(!error.to_string().contains("hush"));
    assert!(!format!("{:?}", Bearer::fixed("hush")).contains("hush"));
    assert!(HttpTransport::new(HttpConfig::new("ftp://host")).is_err());
}

#[test]
fn further_addresses_are_checked_as_the_first_is() {
    let with = |more: &[&str]| {
        let more_urls = more.iter().map(|&url| url.to_owned()).collect();
        HttpTransport::new(HttpConfig { more_urls, ..HttpConfig::new("https://a/v1") })
    };
    let many: Vec<String> = (0..64).map(|n| format!("https://b{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for bad in [&["ftp://b"][..], &["https://me:hush@b"], &["https://a/v1"], &many] {
        let error = with(bad).unwrap_err();
        assert_eq!(error.field, "more_urls");
        assert!(!error.to_string().contains("hush"));
    }
    let http = with(&many[..63]).unwrap();
    assert_eq!(http.endpoints().len(), 64);
    assert_eq!((http.base().as_str(), &*http.target()), ("https://a/v1", "https://a"));
    let endpoints = EndpointsConfig { eject_after: 0, ..EndpointsConfig::default() };
    let config = HttpConfig { endpoints, ..HttpConfig::new("https://a") };
    assert_eq!(HttpTransport::new(config).unwrap_err().field, "endpoints.eject_after");
}
