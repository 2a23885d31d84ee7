//! No page is half translated: every page, and what every form answers to what it cannot take, is
//! read in French, and nothing English is left in it but what people and machines called so.

use std::collections::BTreeSet;

use relais_admin::permission::Role;

use super::walked::{ASKED, SENT};
use super::{Centre, Person, borrowed, read};

/// Words of English that no French sentence has.
const ENGLISH: [&str; 34] = [
    "the", "is", "are", "was", "were", "has", "have", "been", "not", "there", "this", "that",
    "with", "which", "and", "of", "to", "from", "by", "for", "its", "their", "whose", "must",
    "may", "cannot", "nobody", "nothing", "whoever", "it", "only", "your", "be", "at",
];
/// So many of them are a sentence; one may be part of a name.
const ENGLISH_MIN: usize = 2;
/// Elements whose text is a machine's, or somebody's.
const VERBATIM: [&str; 6] = ["script", "style", "code", "pre", "textarea", "samp"];
/// Attributes that are read to people.
const ATTRIBUTES: [&str; 4] = ["aria-label=\"", "title=\"", "placeholder=\"", "alt=\""];

/// What a page says, text by text.
fn texts(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut within: Option<&str> = None;
    for piece in page.split('<').skip(1) {
        let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
        let name = tag.split([' ', '\n']).next().unwrap_or_default();
        match within {
            Some(open) => {
                if name.strip_prefix('/') == Some(open) {
                    within = None;
                }
            }
            None => within = VERBATIM.into_iter().find(|one| *one == name),
        }
        for attribute in ATTRIBUTES {
            let value = tag.split(attribute).nth(1);
            found.extend(
                value
                    .and_then(|rest| rest.split('"').next())
                    .map(str::to_owned),
            );
        }
        if within.is_none() {
            found.insert(text.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    found
}

/// Whether it is English.
fn is_english(text: &str) -> bool {
    let lower = text.to_lowercase();
    let words = lower.split(|one: char| !one.is_alphanumeric() && one != '\'' && one != '.');
    words.filter(|word| ENGLISH.contains(word)).count() >= ENGLISH_MIN
}

fn english_of(page: &str) -> Vec<String> {
    let texts = texts(page).into_iter();
    texts.filter(|text| is_english(text)).collect()
}

async fn reader(centre: &Centre) -> Person {
    Person {
        language: "fr",
        ..centre.person("ruth", Role::Owner, None).await
    }
}

#[tokio::test]
async fn no_page_says_anything_in_english_to_who_reads_french() {
    let centre = Centre::new().await;
    let ruth = reader(&centre).await;
    let mut left = Vec::new();
    for asked in ASKED {
        let path = centre.filled(asked);
        let told = centre.get(&ruth, &path).await;
        if told.text.starts_with("<!") {
            let english = english_of(&told.text).into_iter();
            left.extend(english.map(|text| format!("{asked}: {text}")));
        }
    }
    assert!(left.is_empty(), "{left:#?}");
}

/// The broken twin: to who reads English these pages say English.
#[tokio::test]
async fn english_is_found_where_it_is() {
    let centre = Centre::new().await;
    let ruth = centre.person("ruth", Role::Owner, None).await;
    let (mut pages, mut english) = (0, 0);
    for path in ASKED.iter().map(|path| centre.filled(path)) {
        let told = centre.get(&ruth, &path).await;
        if told.status.is_success() && told.text.starts_with("<!") {
            pages += 1;
            english += usize::from(!english_of(&told.text).is_empty());
        }
    }
    assert!(
        pages > 50 && english > pages * 9 / 10,
        "{english} of {pages}"
    );
}

/// Values that nothing takes, each in every field of every form.
const WRONG: [&str; 5] = [
    "",
    "?? ??",
    "x@@x",
    "99999999999999999999",
    "\u{1}\n\u{202e}",
];

#[tokio::test]
async fn no_form_answers_in_english_to_who_reads_french() {
    let mut left = BTreeSet::new();
    let mut answered = 0;
    for wrong in WRONG {
        let centre = Centre::new().await;
        let ruth = reader(&centre).await;
        for (form, typed, _) in SENT {
            let (path, fields) = (centre.filled(form), read(&centre.filled(typed)));
            // All of them wrong, and one after the other.
            let all = fields
                .iter()
                .map(|(name, _)| (name.clone(), wrong.to_owned()));
            let mut tries: Vec<Vec<_>> = vec![all.collect()];
            for at in 0..fields.len() {
                let mut one = fields.clone();
                wrong.clone_into(&mut one[at].1);
                tries.push(one);
            }
            for fields in tries {
                let told = centre.send(&ruth, &path, &borrowed(&fields)).await;
                if !told.text.starts_with("<!") {
                    continue;
                }
                answered += usize::from(told.status.is_client_error());
                let english = english_of(&told.text).into_iter();
                left.extend(english.map(|text| format!("{form} {fields:?}: {text}")));
            }
        }
    }
    assert!(left.is_empty(), "{left:#?}");
    assert!(answered > 200, "{answered} answers were a no");
}

/// Words that only our English has in what the audit tells: names and what people typed have none.
const OF_AUDIT: [&str; 12] = [
    " of ",
    " by ",
    " to ",
    " from ",
    " with ",
    " was ",
    " until ",
    " sent ",
    " left",
    "(owner",
    "(helpdesk",
    " none",
];

#[tokio::test]
async fn the_audit_tells_in_french_what_was_done() {
    let centre = Centre::new().await;
    let ruth = reader(&centre).await;
    for (form, typed, _) in SENT {
        let (path, fields) = (centre.filled(form), read(&centre.filled(typed)));
        centre.send(&ruth, &path, &borrowed(&fields)).await;
    }
    let page = centre.get(&ruth, "/audit").await.text;
    let (_, table) = page.split_once("<tbody").expect("a table");
    let rows = table.matches("<tr").count();
    let left: BTreeSet<_> = texts(table)
        .into_iter()
        .filter(|text| OF_AUDIT.iter().any(|word| text.contains(word)))
        .collect();
    assert!(left.is_empty(), "{left:#?}");
    assert!(rows > 30, "{rows} rows");
}
