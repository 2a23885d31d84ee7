//! Passwords of devices: made to be typed on a panel, stored so that they cannot be read back.
//!
//! Chance comes in. Not here: when a password is checked, and how many at a time
//! (`relais-receive`).

use std::fmt::Write as _;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use relais_smtp::sasl::scram::{self, Verifier};

/// Letters and digits that no panel and no reader confuses: without `0 O o 1 I l i`.
const LETTERS: &[u8; 55] = b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghjkmnpqrstuvwxyz23456789";
/// 115 bits. Epson panels take 20 characters, no known one fewer.
const PASSWORD_CHARACTERS: usize = 20;
/// Octets of salt. RFC 9106 §3.1.
pub const SALT_OCTETS: usize = 16;

/// A new password: `below` draws a number below its bound.
pub fn new_password(mut below: impl FnMut(u64) -> u64) -> String {
    let letter = |_| {
        let at = usize::try_from(below(LETTERS.len() as u64)).unwrap_or_default();
        char::from(LETTERS[at % LETTERS.len()])
    };
    (0..PASSWORD_CHARACTERS).map(letter).collect()
}

/// What is stored of a password.
#[derive(Clone, Eq, PartialEq)]
pub struct Stored {
    /// Argon2id, PHC form.
    pub password_hash: String,
    /// The SCRAM verifier. RFC 5803.
    pub scram_sha_256: String,
}

/// Makes what is stored; takes some 30 ms. `salts` must be chance, one for each form.
pub fn store(password: &str, salts: [[u8; SALT_OCTETS]; 2]) -> Stored {
    let verifier = Verifier::of_password(password.as_bytes(), &salts[1], scram::ITERATIONS);
    Stored {
        password_hash: hash(password, &salts[0]),
        scram_sha_256: verifier.to_stored(),
    }
}

fn hash(password: &str, salt: &[u8; SALT_OCTETS]) -> String {
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), salt)
        .expect("the defaults of Argon2id take any password and 16 octets of salt");
    let mut text = String::new();
    let _ = write!(text, "{hash}");
    text
}

/// Whether the password is the one of this hash. As slow as the hash demands, right or wrong; a
/// hash that cannot be read is no one's.
pub fn is_password(password: &[u8], hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password, &hash).is_ok())
}

/// A hash of no password, with the work of those made here: for users that do not exist, so that
/// asking for them takes as long as for others.
pub const NOBODYS_HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5cyBzYWx0ISE$\
    bm9ib2R5cyBoYXNoIGlzIG5vIG9uZXMgcGFzc3dvcmQ";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_password_can_be_typed_on_any_panel() {
        let mut number = 0;
        let password = new_password(|bound| {
            number += 7;
            number % bound
        });
        assert_eq!(password.len(), 20);
        assert!(
            !password.contains(['0', 'O', 'o', '1', 'I', 'l', 'i']),
            "{password}"
        );
        assert_eq!(LETTERS.iter().collect::<BTreeSet<_>>().len(), 55);
        let bits = 20.0 * 55_f64.log2();
        assert!(bits > 90.0, "{bits}");
    }

    #[test]
    fn what_is_stored_knows_its_password_and_no_other() {
        let stored = store("pencil", [[1; 16], [2; 16]]);
        assert!(
            stored
                .password_hash
                .starts_with("$argon2id$v=19$m=19456,t=2,p=1$")
        );
        assert!(is_password(b"pencil", &stored.password_hash));
        assert!(!is_password(b"pencils", &stored.password_hash));
        assert!(Verifier::parse(&stored.scram_sha_256).is_some());
        assert!(!is_password(b"", ""));
    }

    #[test]
    fn nobodys_hash_takes_the_work_of_others_and_no_password() {
        let nobodys = PasswordHash::new(NOBODYS_HASH).expect("a hash");
        let stored = store("pencil", [[1; 16], [2; 16]]);
        let others = PasswordHash::new(&stored.password_hash).expect("a hash");
        assert_eq!(nobodys.params, others.params);
        let lengths = |hash: &PasswordHash| hash.hash.map(|output| output.len());
        assert_eq!(lengths(&nobodys), lengths(&others));
        assert!(!is_password(b"", NOBODYS_HASH));
    }
}
