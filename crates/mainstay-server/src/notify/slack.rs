use mainstay_monitor::alert::Severity;
use serde_json::{Value, json};

use super::letter::Letter;
use super::text;

/// Characters of the text, at most: Slack cuts at 40 000, Discord refuses more than 2 000.
const TEXT_MAX: usize = 1_900;

/// What an incoming webhook takes: a title, and the alerts beside a bar of their colour.
pub(super) fn message(letter: &Letter) -> Value {
    let colour = match letter.notification.worst() {
        None => "#2eb886",
        Some(Severity::Low) => "#439fe0",
        Some(Severity::Medium) => "#daa038",
        Some(Severity::High) => "#e8642c",
        Some(Severity::Critical) => "#a30200",
    };
    let title = escaped(&text::title(letter));
    let body: String = escaped(&text::body(letter)).chars().take(TEXT_MAX).collect();
    json!({
        "text": title,
        "attachments": [{ "color": colour, "fallback": title, "text": body }],
    })
}

/// Text that mentions nobody and links nowhere.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{200b}")
}
