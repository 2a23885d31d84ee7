//! A domain's own policy of MTA-STS: what senders would not understand is refused here.

use std::ops::RangeInclusive;

use relais_smtp::domain::Domain;

use super::Checker;
use crate::document::MtaSts;

/// Seconds. RFC 8461 §3.2 sets the upper end at about a year; below a day nobody is protected.
const MAX_AGE_SECONDS: RangeInclusive<u64> = 86_400..=365 * 86_400;
/// Mail exchangers of a domain; the longest lists of large providers have ten.
const MX_MAX: usize = 20;

pub(super) fn check(checker: &mut Checker, object: &str, policy: &MtaSts) {
    if !MAX_AGE_SECONDS.contains(&policy.max_age.0) {
        let message = "mta_sts.max_age must be \"1d\" to \"365d\"";
        checker.error(object, message.to_owned());
    }
    if policy.mx.len() > MX_MAX {
        checker.error(object, format!("mta_sts.mx has more than {MX_MAX} names"));
    }
    for name in &policy.mx {
        if Domain::parse(name.strip_prefix("*.").unwrap_or(name)).is_err() {
            let message = format!(
                "mta_sts.mx {name:?} is no host name; write \"mx.contoso.test\" or \
                 \"*.contoso.test\""
            );
            checker.error(object, message);
        }
    }
}
