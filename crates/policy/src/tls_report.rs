//! Reports on TLS for the owners of destinations: results of a day's sessions, counted, and the
//! report as RFC 8460 §4 has it. The same form is kept on a shelf until the day is over.
//!
//! Not here: JSON and compression (`relais_net::web`), when and whereto (`relais-deliver`,
//! `report`).

use relais_smtp::address::Mailbox;
use relais_smtp::domain::Domain;
use relais_smtp::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dane::{Matching, Selector, UsableTlsa, Usage};
use crate::encryption::{Demand, TlsFault};
use crate::sts::StsPolicy;

/// Kinds of failures kept for one domain and policy; more are counted in the summary only.
pub const DETAILS_MAX: usize = 64;
/// Policies kept for one domain and day: they change rarely.
pub const POLICIES_MAX: usize = 8;
/// Addresses that a domain's record may name; the others are passed over.
pub const ADDRESSES_MAX: usize = 4;

/// A report. RFC 8460 §4.4.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// Who reports.
    pub organization_name: String,
    /// Over which time.
    pub date_range: DateRange,
    /// Whom to ask.
    pub contact_info: String,
    /// Unique.
    pub report_id: String,
    /// Results, by policy.
    pub policies: Vec<PolicyResults>,
}

/// The time of a report; RFC 3339.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DateRange {
    /// Its first second.
    pub start_datetime: String,
    /// Its last second.
    pub end_datetime: String,
}

/// Results under one policy.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PolicyResults {
    /// Which.
    pub policy: Policy,
    /// How many.
    pub summary: Summary,
    /// The failures, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failure_details: Vec<Failure>,
}

/// The policy that was applied.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Policy {
    /// `tlsa`, `sts`, `no-policy-found`.
    pub policy_type: String,
    /// Its text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub policy_string: Vec<String>,
    /// Whose it is; some reports of others leave it out.
    #[serde(default)]
    pub policy_domain: String,
    /// Its patterns of mail exchangers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mx_host: Vec<String>,
}

/// How many sessions.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Summary {
    /// That met the policy.
    pub total_successful_session_count: u64,
    /// That did not.
    pub total_failure_session_count: u64,
}

/// Sessions that failed in one way at one host.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    /// In which way. RFC 8460 §4.3.
    pub result_type: String,
    /// From which address of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_mta_ip: Option<String>,
    /// At which host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_hostname: Option<String>,
    /// As which it greeted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_mx_helo: Option<String>,
    /// At which address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receiving_ip: Option<String>,
    /// How many.
    pub failed_session_count: u64,
    /// Where more is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub additional_information: Option<String>,
    /// In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason_code: Option<String>,
}

impl Policy {
    /// An MTA-STS policy that is announced and could not be had.
    pub fn announced_sts(domain: &Domain) -> Self {
        Self::bare("sts", domain, Vec::new())
    }

    /// TLSA records of a host that could not be had.
    pub fn hidden_tlsa(domain: &Domain, host: &Domain) -> Self {
        Self::bare("tlsa", domain, vec![host.to_string()])
    }

    fn bare(kind: &str, domain: &Domain, mx_host: Vec<String>) -> Self {
        Self {
            policy_type: kind.to_owned(),
            policy_string: Vec::new(),
            policy_domain: domain.to_string(),
            mx_host,
        }
    }

    /// The policy behind a session: what was demanded of the host, or what is published in testing.
    pub fn of(domain: &Domain, demand: &Demand, sts: Option<&StsPolicy>) -> Self {
        let (kind, text, hosts) = match (demand, sts) {
            (Demand::Dane(required), _) => {
                let text = required.records.iter().map(tlsa_text).collect();
                ("tlsa", text, vec![required.base.to_string()])
            }
            (_, Some(policy)) => {
                let hosts = policy.patterns.iter().map(ToString::to_string).collect();
                ("sts", policy.lines(), hosts)
            }
            (_, None) => ("no-policy-found", Vec::new(), Vec::new()),
        };
        Self {
            policy_type: kind.to_owned(),
            policy_string: text,
            policy_domain: domain.to_string(),
            mx_host: hosts,
        }
    }
}

/// `3 1 1 0123…`. RFC 6698 §2.2.
fn tlsa_text(record: &UsableTlsa) -> String {
    let usage = match record.usage {
        Usage::TrustAnchor => 2,
        Usage::EndEntity => 3,
    };
    let selector = match record.selector {
        Selector::Certificate => 0,
        Selector::PublicKey => 1,
    };
    let matching = match record.matching {
        Matching::Full => 0,
        Matching::Sha256 => 1,
        Matching::Sha512 => 2,
    };
    let data: String = record.data.iter().map(|one| format!("{one:02x}")).collect();
    format!("{usage} {selector} {matching} {data}")
}

/// What is wrong with a policy itself, or with what DNS says of it. RFC 8460 §4.3.2.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PolicyFault {
    /// No answer about TLSA records that could be believed.
    DnssecInvalid,
    /// TLSA records, of which none can be used.
    TlsaInvalid,
    /// The MTA-STS policy could not be had.
    StsFetch,
    /// It is no policy.
    StsInvalid,
    /// Its web server has no certificate that is trusted.
    StsWebPki,
}

impl PolicyFault {
    /// As the report has it.
    pub fn result_type(self) -> &'static str {
        match self {
            Self::DnssecInvalid => "dnssec-invalid",
            Self::TlsaInvalid => "tlsa-invalid",
            Self::StsFetch => "sts-policy-fetch-error",
            Self::StsInvalid => "sts-policy-invalid",
            Self::StsWebPki => "sts-webpki-invalid",
        }
    }
}

/// The result type of a session that does not meet what its host must show. RFC 8460 §4.3.
pub const VALIDATION_FAILURE: &str = "validation-failure";

impl Failure {
    /// Once, with nothing known but what is wrong.
    pub fn once(result_type: &str, words: impl Into<String>) -> Self {
        Self {
            result_type: result_type.to_owned(),
            sending_mta_ip: None,
            receiving_mx_hostname: None,
            receiving_mx_helo: None,
            receiving_ip: None,
            failed_session_count: 1,
            additional_information: None,
            failure_reason_code: Some(words.into()),
        }
    }
}

/// The result type of a fault, and its words. RFC 8460 §4.3.
pub fn result_type(fault: &TlsFault) -> &'static str {
    match fault {
        TlsFault::NotOffered | TlsFault::Refused(_) => "starttls-not-supported",
        TlsFault::WrongName { .. } => "certificate-host-mismatch",
        TlsFault::Expired => "certificate-expired",
        TlsFault::Untrusted => "certificate-not-trusted",
        TlsFault::NotInTlsa
        | TlsFault::Handshake(_)
        | TlsFault::NotYetValid
        | TlsFault::Unusable(_) => VALIDATION_FAILURE,
    }
}

/// Counts one session under its policy; `failure`: why it did not meet it.
pub fn count(results: &mut Vec<PolicyResults>, policy: Policy, failure: Option<Failure>) {
    let place = results.iter().position(|one| one.policy == policy);
    let place = place.unwrap_or_else(|| {
        // More policies than a day can have: they are counted with the last one.
        if results.len() < POLICIES_MAX {
            results.push(PolicyResults {
                policy,
                summary: Summary::default(),
                failure_details: Vec::new(),
            });
        }
        results.len() - 1
    });
    let one = &mut results[place];
    let Some(failure) = failure else {
        one.summary.total_successful_session_count += 1;
        return;
    };
    one.summary.total_failure_session_count += 1;
    let details = &mut one.failure_details;
    let same = details.iter().position(|known| {
        let counted = Failure {
            failed_session_count: known.failed_session_count,
            ..failure.clone()
        };
        *known == counted
    });
    match same {
        Some(place) => details[place].failed_session_count += 1,
        None if details.len() < DETAILS_MAX => details.push(failure),
        None => {}
    }
}

/// Where a domain wants its reports. RFC 8460 §3.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Address {
    /// By mail.
    Mail(Mailbox),
    /// By HTTPS.
    Web(String),
}

/// What the TXT records at `_smtp._tls` say; none where there is not exactly one that can be
/// understood. At most [`ADDRESSES_MAX`].
pub fn read_records<'a>(records: impl IntoIterator<Item = &'a str>) -> Vec<Address> {
    let is_ours = |text: &&str| {
        let rest = text.strip_prefix("v=TLSRPTv1");
        rest.is_some_and(|rest| rest.is_empty() || rest.trim_start().starts_with(';'))
    };
    let mut ours = records.into_iter().filter(is_ours);
    let (Some(only), None) = (ours.next(), ours.next()) else {
        return Vec::new();
    };
    let fields = only
        .split(';')
        .skip(1)
        .filter_map(|one| one.split_once('='));
    let rua = fields
        .filter(|(name, _)| name.trim() == "rua")
        .map(|(_, value)| value);
    let addresses = rua.take(1).flat_map(|value| value.split(','));
    addresses
        .filter_map(|one| read_address(one.trim()))
        .take(ADDRESSES_MAX)
        .collect()
}

fn read_address(text: &str) -> Option<Address> {
    if text.starts_with("https://") {
        return Some(Address::Web(text.to_owned()));
    }
    let mailbox = text.strip_prefix("mailto:")?;
    Mailbox::parse(mailbox).ok().map(Address::Mail)
}

/// What stands around a report that goes by mail. RFC 8460 §5.3.
#[derive(Clone, Debug)]
pub struct Letter<'a> {
    /// Whose sessions it tells of.
    pub domain: &'a Domain,
    /// Our name.
    pub submitter: &'a str,
    /// From whom.
    pub from: &'a Mailbox,
    /// To whom.
    pub to: &'a Mailbox,
    /// Unique.
    pub report_id: &'a str,
    /// The file's name.
    pub file: &'a str,
    /// When.
    pub now: Timestamp,
    /// The report, compressed, as base64 in lines.
    pub base64: &'a str,
}

impl Letter<'_> {
    /// The message. It may go in clear text: a report on TLS that fails must arrive (RFC 8460 §3,
    /// RFC 8689 §5).
    pub fn compose(&self) -> Vec<u8> {
        let Self {
            domain,
            submitter,
            from,
            to,
            report_id,
            file,
            base64,
            ..
        } = self;
        let date = self.now.to_rfc5322();
        let boundary = format!("=_{report_id}");
        let text = format!(
            "Date: {date}\r\nFrom: <{from}>\r\nTo: <{to}>\r\n\
             Subject: Report Domain: {domain}\r\n Submitter: {submitter}\r\n \
             Report-ID: <{report_id}@{submitter}>\r\nMessage-ID: <{report_id}@{submitter}>\r\n\
             TLS-Report-Domain: {domain}\r\nTLS-Report-Submitter: {submitter}\r\n\
             TLS-Required: No\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n\
             Content-Type: multipart/report; report-type=\"tlsrpt\";\r\n boundary=\"{boundary}\"\r\n\
             \r\n--{boundary}\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\
             This is a report on TLS between {submitter} and the mail exchangers of\r\n\
             {domain}, as RFC 8460 describes it.\r\n\
             \r\n--{boundary}\r\nContent-Type: application/tlsrpt+gzip\r\n\
             Content-Transfer-Encoding: base64\r\n\
             Content-Disposition: attachment;\r\n filename=\"{file}\"\r\n\r\n{base64}\r\n\
             --{boundary}--\r\n"
        );
        text.into_bytes()
    }
}
