//! The record of a key in DNS. RFC 6376 §3.6.1.

use relais_smtp::dkim::Algorithm;

use super::Key;

/// The text that shows a public key.
pub fn key_record(algorithm: Algorithm, public: &str) -> String {
    format!("v=DKIM1; k={}; p={public}", algorithm.key_type())
}

/// Whether a text shows this very key to everybody who may check mail with it. A record for tests
/// (`t=y`) or for other services or hashes does not.
pub fn shows_key(text: &str, key: &Key) -> bool {
    let mut shown = None;
    let mut key_type = "rsa".to_owned();
    for (at, tag) in text.trim().trim_matches('"').split(';').enumerate() {
        let Some((name, value)) = tag.split_once('=') else {
            // Behind the last semicolon, and nowhere else.
            if tag.trim().is_empty() {
                continue;
            }
            return false;
        };
        let value: String = value.chars().filter(|c| !c.is_whitespace()).collect();
        let lists = |wanted: &str| value.split(':').any(|one| one.eq_ignore_ascii_case(wanted));
        let holds = match name.trim() {
            // Where it stands it stands first. RFC 6376 §3.6.1.
            "v" => at == 0 && value == "DKIM1",
            "k" => {
                key_type = value.to_ascii_lowercase();
                true
            }
            "p" => shown.replace(value).is_none(),
            "h" => lists("sha256"),
            "s" => lists("*") || lists("email"),
            "t" => !lists("y"),
            _ => true,
        };
        if !holds {
            return false;
        }
    }
    let is_type = key_type == key.algorithm.signing().key_type();
    is_type && shown.as_deref() == Some(key.public.as_str())
}
