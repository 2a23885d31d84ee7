//! PLAIN: `[authzid] NUL authcid NUL password`. RFC 4616 §2.

use alloc::string::String;

use super::{Claim, Malformed};
use crate::secret::Secret;

pub(super) fn read(message: &Secret) -> Result<Claim, Malformed> {
    let mut parts = message.expose().split(|octet| *octet == 0);
    let (Some(acts_for), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Malformed);
    };
    // For another it is nobody: no password is right.
    let may = acts_for.is_empty() || acts_for == user;
    let user = String::from_utf8_lossy(user).into();
    if !may {
        return Ok(Claim::Judged {
            user,
            proved: false,
        });
    }
    Ok(Claim::Password {
        user,
        password: password.into(),
    })
}
