//! Pages for people, in place of answers for programs.

use std::fmt;

/// A page that something between here and the service answered with: a proxy, a CDN, a login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// The HTTP status.
    pub status: u16,
    /// Its title, cut after 120 characters.
    pub title: Option<Box<str>>,
    /// The number of Cloudflare's error, where it is a page of Cloudflare's.
    pub cloudflare: Option<u16>,
}

/// How much of a page is looked at.
const LOOKED_AT: usize = 64 * 1024;
/// The longest title that is shown, in characters.
const TITLE_MAX: usize = 120;

impl Page {
    /// The page that `body` is; none when it is none.
    pub(crate) fn find(status: u16, content_type: &str, body: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(&body[..body.len().min(LOOKED_AT)]);
        let plain_error = cloudflare_text(&text);
        if !is_page(content_type, body) && plain_error.is_none() {
            return None;
        }
        let title = title(&text);
        let is_cloudflare = plain_error.is_some() || contains_word(&text, "cloudflare");
        let cloudflare =
            plain_error.or_else(|| is_cloudflare.then(|| error_number(&text)).flatten());
        Some(Self { status, title, cloudflare })
    }
}

/// Whether that is markup: by its type, or by how it begins.
pub(crate) fn is_page(content_type: &str, body: &[u8]) -> bool {
    let kind = content_type.split(';').next().unwrap_or_default().trim();
    let is_markup =
        ["text/html", "application/xhtml+xml"].iter().any(|html| kind.eq_ignore_ascii_case(html));
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    is_markup || body.trim_ascii_start().starts_with(b"<")
}

/// What Cloudflare tells programs: `error code: 1000`.
fn cloudflare_text(text: &str) -> Option<u16> {
    let start = text.get(..11)?;
    if !start.eq_ignore_ascii_case("error code:") {
        return None;
    }
    text.get(11..)?.trim().parse().ok()
}

fn contains_word(text: &str, word: &str) -> bool {
    text.as_bytes().windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
}

/// What stands between `<title>` and its end, as people read it.
fn title(text: &str) -> Option<Box<str>> {
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title")?;
    let start = start + lower[start..].find('>')? + 1;
    let end = start + lower[start..].find('<')?;
    let text = text[start..end].replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    let text = text.replace("&#39;", "'").replace("&#039;", "'").replace("&amp;", "&");
    let words: Vec<&str> = text.split_whitespace().collect();
    let shown =
        words.join(" ").chars().filter(|c| !c.is_control()).take(TITLE_MAX).collect::<String>();
    (!shown.is_empty()).then(|| shown.into())
}

/// The number after the word *error* in the page's text: `Error 1000`, `Error code 522`.
fn error_number(text: &str) -> Option<u16> {
    let text = without_tags(text);
    let mut words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        if !word.eq_ignore_ascii_case("error") {
            continue;
        }
        let mut after = words.clone();
        let next = after.next()?;
        let number = if next.eq_ignore_ascii_case("code") { after.next()? } else { next };
        if let (3..=4, Ok(number)) = (number.len(), number.parse()) {
            return Some(number);
        }
    }
    None
}

fn without_tags(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut in_tag = false;
    for symbol in text.chars() {
        match symbol {
            '<' => in_tag = true,
            '>' => {
                in_tag = false;
                shown.push(' ');
            }
            _ if in_tag => {}
            _ => shown.push(symbol),
        }
    }
    shown
}

/// What Cloudflare's numbers mean, as far as they are about the way to a service.
const fn meaning(number: u16) -> Option<&'static str> {
    Some(match number {
        1000 => "DNS points to prohibited IP",
        1001 => "DNS resolution error",
        1002 => "DNS points to prohibited IP, or a restricted host",
        1003 => "access by IP address is not allowed",
        1006 | 1007 | 1008 | 1106 => "this address is banned",
        1009 => "this country is banned",
        1010 => "this client's signature is banned",
        1015 => "rate limited",
        1016 => "origin DNS error",
        1020 => "access denied by a firewall rule",
        1033 => "tunnel error",
        520 => "the origin answered with nonsense",
        521 => "the origin is down",
        522 => "the origin does not accept connections in time",
        523 => "the origin is unreachable",
        524 => "the origin did not answer in time",
        525 => "TLS with the origin failed",
        526 => "the origin's certificate is not valid",
        _ => return None,
    })
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a page for people in place of an answer (HTTP {})", self.status)?;
        if let Some(number) = self.cloudflare {
            write!(f, ": Cloudflare error {number}")?;
            if let Some(meaning) = meaning(number) {
                write!(f, " {meaning}")?;
            }
        } else if let Some(title) = &self.title {
            write!(f, ": {title:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(content_type: &str, body: &str) -> Option<Page> {
        Page::find(403, content_type, body.as_bytes())
    }

    #[test]
    fn pages_are_known_by_their_type_or_how_they_begin() {
        assert!(page("text/html; charset=UTF-8", "").is_some());
        assert!(page("TEXT/HTML", "{}").is_some());
        assert!(page("application/json", "\n  <!doctype html>").is_some());
        assert!(page("", "\u{feff}<html>").is_some());
        for (kind, body) in [("application/json", "{}"), ("text/plain", "no"), ("", "")] {
            assert_eq!(page(kind, body), None, "{kind} {body}");
        }
    }

    #[test]
    fn the_title_is_shown_as_people_read_it() {
        let found =
            page("text/html", "<TITLE lang=en>\n Sign in &amp;\n go \u{7}on</title>").unwrap();
        assert_eq!(found.title.as_deref(), Some("Sign in & go on"));
        assert_eq!(
            found.to_string(),
            "a page for people in place of an answer (HTTP 403): \"Sign in & go on\"",
        );
        let long = format!("<title>{}</title>", "ä".repeat(500));
        assert_eq!(page("", &long).unwrap().title.unwrap().chars().count(), 120);
        for odd in ["<title>", "<title", "<title></title>", "<title>x", "<p>no</p>", "<İtitle>İ<"]
        {
            assert_eq!(page("text/html", odd).unwrap().title, None, "{odd}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_looked_at_without_a_panic_and_shown_in_short(
            kind in "(text/html)?.{0,12}",
            before in ".{0,40}",
            word in "(error code:|<title|<TITLE>|cloudflare error|<|)",
            after in proptest::collection::vec(proptest::num::u8::ANY, 0..600),
        ) {
            let body = [before.as_bytes(), word.as_bytes(), &after].concat();
            if let Some(page) = Page::find(403, &kind, &body) {
                let shown = page.to_string();
                proptest::prop_assert!(!shown.contains(char::is_control), "{shown:?}");
                proptest::prop_assert!(page.title.is_none_or(|it| it.chars().count() <= 120));
            }
        }
    }

    #[test]
    fn cloudflares_errors_are_named_by_number_and_meaning() {
        let html = "<html><title>DNS points to prohibited IP | id.chitty.cc | Cloudflare</title>\
                    <h1><span>Error</span> <span>1000</span></h1></html>";
        let other = "<title>x | 522: Connection timed out</title><b>Error code 522</b> Cloudflare";
        for (kind, body, number) in [
            ("text/html", html, Some(1000)),
            ("text/plain; charset=UTF-8", "error code: 1000", Some(1000)),
            ("text/html", other, Some(522)),
            ("text/html", "<h1>Error 1000</h1>", None),
            ("text/html", "cloudflare says error", None),
        ] {
            assert_eq!(page(kind, body).unwrap().cloudflare, number, "{body}");
        }
        assert!(
            page("text/html", html)
                .unwrap()
                .to_string()
                .ends_with("Cloudflare error 1000 DNS points to prohibited IP")
        );
    }
}
