//! Which fields are signed, and their relaxed form. RFC 6376 §3.4.2, §5.4.
//!
//! Fields are read as everywhere in this house (`header`): lines that are no field are passed over.

use alloc::vec::Vec;

use crate::header::{Field, fields};

/// Signed with every occurrence, and once more: a field of that name put in front later breaks the
/// signature, because readers show the first one. RFC 6376 §8.15.
const OVER_SIGNED: &[&str] = &[
    "From",
    "Sender",
    "Reply-To",
    "Subject",
    "Date",
    "To",
    "Cc",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "In-Reply-To",
    "References",
];

/// Signed in the same way where they are there: RFC 8058 §4 wants it. Where they are not, a list
/// that passes the message on unchanged may add its own.
const SIGNED_IF_THERE: &[&str] = &[
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
    "List-Subscribe",
    "List-Post",
    "List-Owner",
    "List-Archive",
    "List-Help",
    "Auto-Submitted",
];

/// Occurrences of one name that are signed, from the bottom. RFC 5322 §3.6 allows one of each;
/// who sends hundreds gets a signature over these, and `h=` stays short.
const OCCURRENCES_MAX: usize = 20;

/// The fields of a message that are signed.
pub(crate) struct Signed<'a> {
    /// For `h=`, in order.
    pub(crate) names: Vec<&'a str>,
    /// Their relaxed forms, in the same order.
    pub(crate) canonical: Vec<u8>,
}

/// Those that we choose.
pub(crate) fn signed(section: &[u8]) -> Signed<'static> {
    let all: Vec<_> = fields(section).collect();
    let mut signed = Signed {
        names: Vec::with_capacity(OVER_SIGNED.len() * 2),
        canonical: Vec::with_capacity(2_048),
    };
    let over_signed = OVER_SIGNED.iter().map(|name| (*name, true));
    let if_there = SIGNED_IF_THERE.iter().map(|name| (*name, false));
    for (name, absent_too) in over_signed.chain(if_there) {
        // The last occurrence stands for the first mention. RFC 6376 §5.4.2.
        let of_name = all.iter().rev();
        let of_name = of_name.filter(|field| field.name.eq_ignore_ascii_case(name.as_bytes()));
        let mut count = 0;
        for field in of_name.take(OCCURRENCES_MAX) {
            relaxed_field(field.whole, &mut signed.canonical);
            signed.names.push(name);
            count += 1;
        }
        // Once more, so that none can be added. With more of them than we look at, a verifier would
        // take the next one for it, and find another hash.
        if (absent_too || count > 0) && count < OCCURRENCES_MAX {
            signed.names.push(name);
        }
    }
    signed
}

/// Those of a list, which may name one more than once: from the bottom. RFC 6376 §5.4.2.
pub(crate) fn listed<'a>(section: &[u8], names: &[&'a str]) -> Signed<'a> {
    let all: Vec<_> = fields(section).collect();
    let mut canonical = Vec::with_capacity(2_048);
    for (at, name) in names.iter().enumerate() {
        let before = names[..at].iter();
        let taken = before.filter(|one| one.eq_ignore_ascii_case(name)).count();
        let mut of_name = all.iter().rev();
        let is = |field: &&Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        if let Some(field) = of_name.by_ref().filter(is).nth(taken) {
            relaxed_field(field.whole, &mut canonical);
        }
    }
    Signed {
        names: names.to_vec(),
        canonical,
    }
}

/// Appends the relaxed form of a field (with or without its line end), which ends with CRLF: the
/// name in lower case, unfolded, white space as one space and none at the ends. RFC 6376 §3.4.2.
pub fn relaxed_field(field: &[u8], out: &mut Vec<u8>) {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let (name, rest) = field.split_at(colon);
    out.extend(name.trim_ascii_end().iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let value = rest.strip_prefix(b":").unwrap_or(rest);
    let mut blank = false;
    let mut begun = false;
    for (at, octet) in value.iter().enumerate() {
        match octet {
            b' ' | b'\t' => blank = true,
            b'\r' if value.get(at + 1) == Some(&b'\n') => {}
            b'\n' if at > 0 && value[at - 1] == b'\r' => {}
            _ => {
                if core::mem::take(&mut blank) && begun {
                    out.push(b' ');
                }
                out.push(*octet);
                begun = true;
            }
        }
    }
    out.extend_from_slice(b"\r\n");
}
