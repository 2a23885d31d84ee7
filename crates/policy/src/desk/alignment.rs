//! What receivers will make of the domain's mail, for each inbound connector and each way out: SPF,
//! DKIM, and DMARC of both (RFC 7489 §3.1).
//!
//! Not here: strangers' mail ([`crate::authentication`]).

use relais_smtp::domain::Domain;

use super::known::Known;
use super::record::ProposedRecord;
use super::signing::{Dmarc, policy_of, signs};
use super::way::Way;
use super::{Assessment, RecordState, Subject, Words, sending};
use crate::dkim::Key;
use crate::registered::belong_together;
use crate::spf::SpfResult;

/// Of one connector and way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prediction {
    /// The inbound connector.
    pub inbound_connector: String,
    /// The outbound connector; none: by MX.
    pub outbound_connector: Option<String>,
    /// `pass`, `fail`, `softfail` …; `unknown` where others' addresses count that nobody told us.
    pub spf: &'static str,
    /// The envelope's domain is the author's.
    pub spf_aligned: bool,
    /// `pass`; `fail`: we sign with a key that is not in DNS; `none`: mail leaves unsigned.
    pub dkim: &'static str,
    /// `pass`, `fail`, `none` (no policy), `unknown`.
    pub dmarc: &'static str,
    /// The policy, where there is one.
    pub policy: Option<String>,
    /// In a sentence.
    pub words: Words,
}

pub(super) fn look(subject: &Subject<'_>, known: &mut Known<'_>, found: &mut Assessment) {
    let envelope = subject
        .bounce_domain()
        .unwrap_or_else(|| subject.name.clone());
    let dmarc = policy_of(known, subject.name);
    let dkim = dkim(subject, found);
    for way in &subject.ways {
        let spf = spf(subject, known, way, &envelope);
        for connector in &subject.connectors {
            let names = (connector.as_str(), way);
            let one = predict(subject, names, (spf, &envelope), dkim, &dmarc);
            found.predictions.push(one);
        }
    }
}

/// `pass`: a key that signs is in DNS, or one that will as soon as it is seen there. `fail`: we
/// sign, and nobody can check it. `none`: mail leaves unsigned.
fn dkim(subject: &Subject<'_>, found: &Assessment) -> &'static str {
    if !subject.domain.dkim.enabled {
        return "none";
    }
    let records = found.records.iter().filter(|it| it.purpose == "dkim");
    let keys: Vec<_> = records.zip(&subject.keys).collect();
    let signing = keys.iter().any(|(_, key)| signs(key));
    let shown = |(record, key): &(&ProposedRecord, &Key)| {
        record.state == RecordState::Right && (signs(key) || !signing)
    };
    match keys.iter().any(shown) {
        true => "pass",
        false if signing => "fail",
        false => "none",
    }
}

fn spf(subject: &Subject<'_>, known: &mut Known<'_>, way: &Way, envelope: &Domain) -> &'static str {
    let envelope = envelope.as_str();
    match (&way.host, &way.include) {
        (None, _) => {
            let addresses = sending::egress_of(subject, known, way);
            let helo = subject.site.hostname.as_str();
            let results = addresses
                .into_iter()
                .map(|address| known.spf(address, envelope, helo).result);
            let results: Vec<_> = results.collect();
            let worst = results.iter().find(|it| **it != SpfResult::Pass);
            match (worst, results.is_empty()) {
                (_, true) => "unknown",
                (Some(SpfResult::TempError), _) => "unknown",
                (Some(worst), _) => worst.name(),
                (None, false) => "pass",
            }
        }
        (Some(_), None) => "unknown",
        (Some(_), Some(include)) => match known.texts(envelope) {
            Err(_) => "unknown",
            Ok(_) => {
                let budget = known.budget(envelope, None);
                let wanted = format!("include:{include}");
                let mut terms = budget.lookups.iter().map(|lookup| &lookup.term);
                let is_there =
                    terms.any(|term| term.trim_start_matches('+').eq_ignore_ascii_case(&wanted));
                if is_there { "pass" } else { "fail" }
            }
        },
    }
}

fn is_aligned(one: &Domain, author: &Domain, strict: bool) -> bool {
    one == author || (!strict && belong_together(one, author))
}

fn predict(
    subject: &Subject<'_>,
    (connector, way): (&str, &Way),
    (spf, envelope): (&'static str, &Domain),
    dkim: &'static str,
    dmarc: &Dmarc,
) -> Prediction {
    let policy = match dmarc {
        Dmarc::Policy(policy) => Some(policy),
        Dmarc::None | Dmarc::Unknown(_) => None,
    };
    let is_strict = policy.is_some_and(|policy| policy.strict_spf);
    let spf_aligned = is_aligned(envelope, subject.name, is_strict);
    // We sign with the author's own domain, which is aligned in both modes of `adkim`.
    let is_signed = dkim == "pass";
    let verdict = match dmarc {
        Dmarc::Unknown(_) => "unknown",
        Dmarc::None => "none",
        Dmarc::Policy(_) if is_signed || (spf == "pass" && spf_aligned) => "pass",
        Dmarc::Policy(_) if spf == "unknown" && spf_aligned => "unknown",
        Dmarc::Policy(_) => "fail",
    };
    let (aligned_en, aligned_fr) = match (spf, spf_aligned) {
        ("pass", true) => (" aligned", " aligné"),
        ("pass", false) => (" not aligned", " non aligné"),
        _ => ("", ""),
    };
    let signed = |aligned: &str| {
        if is_signed {
            aligned.to_owned()
        } else {
            String::new()
        }
    };
    let (dkim_en, dkim_fr) = (signed(" aligned"), signed(" aligné"));
    let name = way.name();
    let policy = policy.map(|policy| policy.policy.clone());
    let suffix = policy
        .as_ref()
        .map(|it| format!(" (p={it})"))
        .unwrap_or_default();
    Prediction {
        inbound_connector: connector.to_owned(),
        outbound_connector: way.connector.clone(),
        spf,
        spf_aligned,
        dkim,
        dmarc: verdict,
        policy,
        words: Words::new(
            format!(
                "{connector} by {name}: Gmail will see SPF {spf}{aligned_en}, DKIM \
                 {dkim}{dkim_en}, DMARC {verdict}{suffix}."
            ),
            format!(
                "{connector} par {name}\u{202f}: Gmail verra SPF {spf}{aligned_fr}, DKIM {dkim}{dkim_fr}, \
                 DMARC {verdict}{suffix}."
            ),
        ),
    }
}
