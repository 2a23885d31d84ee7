//! Files as old machines write them: UTF-8 with and without a mark, UTF-16 of `>` in Windows
//! PowerShell, Windows-1252; and several files in one text, each behind `==> name <==` as
//! `tail -v` writes it.

use std::collections::BTreeMap;

use super::{MigrationError, Source, TEXT_OCTETS_MAX};

/// Files within one text; further ones are not looked at.
const FILES_MAX: usize = 50;

/// The octets of a file as text. Octets that are no UTF-8 count as Windows-1252.
pub fn decode(octets: &[u8]) -> Result<String, MigrationError> {
    let most = TEXT_OCTETS_MAX >> 20;
    let too_large = || {
        MigrationError::new(format!(
            "the file is larger than {most} MiB; export fewer servers at once"
        ))
    };
    // UTF-16 has two octets for a letter.
    if octets.len() > 2 * TEXT_OCTETS_MAX {
        return Err(too_large());
    }
    let text = match octets {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        // Without its mark: no text of ours begins with a letter and a null but this.
        [first, 0, ..] if first.is_ascii() => utf16(octets, u16::from_le_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => of_bytes(rest),
        all => of_bytes(all),
    };
    if text.len() > TEXT_OCTETS_MAX {
        return Err(too_large());
    }
    if text.contains('\0') {
        let message = "the file is no text; export it again, and give the file of text";
        return Err(MigrationError::new(message));
    }
    Ok(text)
}

fn utf16(octets: &[u8], unit: impl Fn([u8; 2]) -> u16) -> String {
    let units = octets.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let letters = char::decode_utf16(units);
    letters
        .map(|letter| letter.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}

fn of_bytes(octets: &[u8]) -> String {
    match std::str::from_utf8(octets) {
        Ok(text) => text.to_owned(),
        // The upper half of Windows-1252 is that of Unicode but for signs that no name has.
        Err(_) => octets.iter().map(|octet| char::from(*octet)).collect(),
    }
}

/// What stands before the first `==> name <==`, and the files behind it by the last part of their
/// names.
pub(super) fn files(text: &str) -> (&str, BTreeMap<String, &str>) {
    let mut files = BTreeMap::new();
    let mut heads = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(name) = head(line)
            && heads.len() < FILES_MAX
        {
            heads.push((name, at, at + line.len()));
        }
        at += line.len();
    }
    let main = heads.first().map_or(text.len(), |(_, begin, _)| *begin);
    for (number, (name, _, begin)) in heads.iter().enumerate() {
        let next = heads.get(number + 1);
        let end = next.map_or(text.len(), |(_, begin, _)| *begin);
        files.insert(last_part(name).to_owned(), &text[*begin..end]);
    }
    (&text[..main], files)
}

fn head(line: &str) -> Option<&str> {
    let inner = line.trim().strip_prefix("==> ")?.strip_suffix(" <==")?;
    (!inner.trim().is_empty()).then_some(inner.trim())
}

/// `transport` of `hash:/etc/postfix/transport`.
pub(super) fn last_part(path: &str) -> &str {
    path.rsplit(['/', '\\', ':']).next().unwrap_or(path).trim()
}

/// A text with files behind it, in the form that is read here.
pub fn with_files<'a>(main: &str, files: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = main.to_owned();
    for (name, content) in files {
        if !text.ends_with('\n') {
            text.push('\n');
        }
        text.push_str(&format!("==> {name} <==\n{content}"));
    }
    text
}

/// The same text without the passwords of Postfix's maps: who reads it needs the users only.
pub fn without_passwords(source: Source, text: &str) -> String {
    if source != Source::Postfix {
        return text.to_owned();
    }
    let (main, _) = files(text);
    let secret = super::postfix::password_maps(main);
    let mut is_secret = false;
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        if let Some(name) = head(line) {
            let name = last_part(name);
            is_secret = secret.contains(name) || name.to_ascii_lowercase().contains("passw");
        } else if is_secret && let Some((before, _)) = user_and_password(line) {
            kept.push_str(before);
            kept.push_str(":\n");
            continue;
        }
        kept.push_str(line);
    }
    kept
}

/// `[host]:587 user`, and what stands behind the colon of the user.
fn user_and_password(line: &str) -> Option<(&str, &str)> {
    let begin = line.find(char::is_whitespace)?;
    let (pattern, rest) = line.split_at(begin);
    let user = rest.find(':')?;
    Some((&line[..pattern.len() + user], &rest[user + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_every_windows_become_the_same_text() {
        let text = "{\"Name\": \"Imprimante étage\"}";
        let utf16 = |unit: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(unit);
        let little: Vec<u8> = utf16(u16::to_le_bytes).collect();
        let marked = |mark: &[u8], rest: Vec<u8>| [mark, &rest].concat();
        let latin: Vec<u8> = text.chars().map(|one| u8::try_from(one).unwrap()).collect();
        for octets in [
            text.as_bytes().to_vec(),
            marked(&[0xef, 0xbb, 0xbf], text.as_bytes().to_vec()),
            marked(&[0xff, 0xfe], little.clone()),
            little,
            marked(&[0xfe, 0xff], utf16(u16::to_be_bytes).collect()),
            latin,
        ] {
            assert_eq!(decode(&octets).as_deref(), Ok(text), "{octets:?}");
        }
        assert!(decode(b"PK\x03\x04\0\0\0").is_err());
        assert!(decode(&vec![b'a'; TEXT_OCTETS_MAX + 1]).is_err());
        assert_eq!(decode(&[0xff, 0xfe, 0x41]).as_deref(), Ok(""));
    }

    #[test]
    fn files_stand_behind_the_heads_of_tail() {
        let text = "relayhost = a\n==> /etc/postfix/transport <==\nb\n\n==> generic <==\nc";
        let (main, files) = files(text);
        assert_eq!(main, "relayhost = a\n");
        assert_eq!(files["transport"], "b\n\n");
        assert_eq!(files["generic"], "c");
        let again = with_files(main, [("transport", "b\n\n"), ("generic", "c")]);
        assert_eq!(super::files(&again), (main, files));
    }

    #[test]
    fn passwords_of_maps_go_and_users_stay() {
        let text = "smtp_sasl_password_maps = hash:/etc/postfix/logins\n==> logins <==\n\
                    # comment\n[smtp.example.com]:587 scan@contoso.test:se:cret\n==> generic <==\n\
                    a b:c\n";
        let kept = without_passwords(Source::Postfix, text);
        assert!(!kept.contains("cret"), "{kept}");
        assert!(
            kept.contains("[smtp.example.com]:587 scan@contoso.test:\n"),
            "{kept}"
        );
        assert!(kept.ends_with("a b:c\n"), "{kept}");
    }
}
