//! May this client use this reverse-path towards this forward-path? One decision, one function,
//! and it says why.
//!
//! Not here: who the client is ([`crate::attribution`]); whether the recipient's domain exists
//! (asked of DNS by the accepting code).

use relais_smtp::address::{ForwardPath, Host, Mailbox, ReversePath};
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::header::FromField;
use relais_smtp::refusal::Refusal;
use relais_smtp::time::Timestamp;

use crate::attribution::{Attribution, Facts, certificate_lies_in_verified_domain, is_exclusive};
use crate::document::{ConnectorState, Credential, HeaderFromPolicy, InboundTls};
use crate::limit::{Sending, message_size_max, recipients_per_message};
use crate::sender::{self, is_address};
use crate::settings::{DirectoryAnswer, DomainState, Mode, OwnedConnector, OwnedDomain, Settings};
use crate::tls::CertificateFault;

/// MAIL is permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SenderPermit {
    /// Why, in words, for trace and `simulate`.
    pub because: String,
    /// What the message has from here on: as the client gave it, or what its connector gives
    /// instead.
    pub reverse_path: ReversePath,
    /// The smallest size limit that applies, of connector, organisation, device, sender or domain,
    /// in octets.
    pub size_octets_max: Option<u64>,
    /// How many recipients the message may have, by the same limits.
    pub recipients_max: Option<u32>,
    /// The connector's preset, if it names one.
    pub preset: Option<Preset>,
    /// Nobody's client: only recipients in accepted domains can follow.
    pub stranger: bool,
    /// A stranger's domain, which must take mail as DNS says (FROM-DNS). Who knows who they are, or
    /// writes in the name of a verified domain, is not asked about in DNS; nor is an address
    /// literal, which is no name.
    pub look_up: Option<Domain>,
}

/// RCPT is permitted.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecipientPermit {
    /// Why.
    pub because: String,
    /// The mailbox that it goes to (differs from the forward-path for `<Postmaster>`).
    pub mailbox: Mailbox,
    /// The organisation that the message belongs to: the client's, or the recipient's for
    /// strangers.
    pub organisation: String,
}

/// What the content's From means.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum HeaderFromVerdict {
    /// All addresses lie in verified domains.
    Permit,
    /// Let pass, with a flag in the trace.
    Flag {
        /// The domain that is not verified, or the address that the credential may not use.
        domain: String,
    },
    /// From is to become this mailbox, the original goes to Reply-To.
    Repair {
        /// The reverse-path.
        from: Mailbox,
    },
    /// Refused.
    Refuse(Refusal),
}

/// May this client greet with that name? A stranger that calls itself by one of our own names
/// lies (HELO-FORGED); clients may say what they like.
pub fn may_greet(
    attribution: &Attribution<'_>,
    facts: &Facts,
    greeting: &str,
    ourselves: &[Domain],
) -> Result<(), Refusal> {
    // On a submission listener everybody is a stranger until it authenticates.
    let is_stranger = matches!(attribution, Attribution::Stranger) && !facts.submission;
    let name = Domain::parse(greeting.trim());
    if is_stranger && name.is_ok_and(|name| ourselves.contains(&name)) {
        return Err(Refusal::HeloForged {
            name: greeting.trim().into(),
        });
    }
    Ok(())
}

/// May this client use this reverse-path? A stranger may: its recipients decide.
pub fn may_send(
    settings: &Settings,
    attribution: &Attribution<'_>,
    facts: &Facts,
    reverse_path: &ReversePath,
) -> Result<SenderPermit, Refusal> {
    let Some(found) = admit(settings, attribution, facts)? else {
        return Ok(SenderPermit {
            because: format!("no connector for {}: its recipients decide", facts.address),
            reverse_path: reverse_path.clone(),
            size_octets_max: None,
            recipients_max: None,
            preset: None,
            stranger: true,
            look_up: foreign_domain(settings, reverse_path),
        });
    };
    let (because, reverse_path) = match reverse_path {
        ReversePath::Null => {
            let because = may_send_null(settings, &found, facts)?.to_owned();
            (because, ReversePath::Null)
        }
        ReversePath::Mailbox(mailbox) => may_send_as(settings, &found, facts, mailbox)?,
    };
    let sending = sending(&found, facts, &reverse_path);
    Ok(SenderPermit {
        because,
        size_octets_max: message_size_max(settings, &sending),
        recipients_max: recipients_per_message(settings, &sending),
        reverse_path,
        preset: found.connector.preset.map(Preset::from),
        stranger: false,
        look_up: None,
    })
}

/// May this client send at this time of the day?
pub fn may_send_now(attribution: &Attribution<'_>, now: Timestamp) -> Result<(), Refusal> {
    let Some(found) = attribution.connector() else {
        return Ok(());
    };
    match &found.scopes.hours {
        Some(hours) if !hours.has(now) => Err(Refusal::OutsideHours {
            hours: found.connector.sending_hours.trim().into(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// The domain of a reverse-path, where it is nobody's verified domain here.
fn foreign_domain(settings: &Settings, reverse_path: &ReversePath) -> Option<Domain> {
    let ReversePath::Mailbox(mailbox) = reverse_path else {
        return None;
    };
    let domain = mailbox.domain()?;
    let is_foreign = settings.verified_domain(domain).is_none();
    is_foreign.then(|| domain.clone())
}

/// May this client, after that reverse-path, send to this forward-path? `previous` is the
/// organisation of recipients accepted before in this transaction: one message has one
/// organisation, so a stranger's recipient of another one is put off until the next (RCPT-MANY).
pub fn may_deliver_to(
    settings: &Settings,
    attribution: &Attribution<'_>,
    facts: &Facts,
    forward_path: &ForwardPath,
    previous: Option<&str>,
) -> Result<RecipientPermit, Refusal> {
    match admit(settings, attribution, facts)? {
        Some(found) => client_may_deliver_to(settings, &found, forward_path),
        None => {
            let permit = stranger_may_deliver_to(settings, facts, forward_path)?;
            if previous.is_some_and(|previous| previous != permit.organisation) {
                return Err(Refusal::TooManyRecipients);
            }
            Ok(permit)
        }
    }
}

/// May this content's From stand? `from` after tolerant repairs. Strangers: always permitted here.
/// On a submission listener nothing is only flagged.
pub fn header_from(
    settings: &Settings,
    attribution: &Attribution<'_>,
    facts: &Facts,
    reverse_path: &ReversePath,
    from: &FromField,
) -> HeaderFromVerdict {
    let Some(found) = attribution.connector() else {
        return HeaderFromVerdict::Permit;
    };
    let policy = found.connector.header_from.unwrap_or(match settings.mode {
        Mode::Hosted => HeaderFromPolicy::Refuse,
        Mode::Lan => HeaderFromPolicy::Flag,
    });
    if let Some(from) = replaced_from(settings, &found, reverse_path, from) {
        return HeaderFromVerdict::Repair { from };
    }
    let repaired = match (policy, reverse_path) {
        (HeaderFromPolicy::Repair, ReversePath::Mailbox(mailbox)) => Some(mailbox.clone()),
        // The null reverse-path is no author.
        (HeaderFromPolicy::Repair, ReversePath::Null)
        | (HeaderFromPolicy::Refuse | HeaderFromPolicy::Flag, _) => None,
    };
    let domain = match from {
        FromField::Addresses(addresses) => {
            let organisation = &found.organisation.name;
            match addresses
                .iter()
                .find(|a| !settings.is_own(organisation, a.host()))
            {
                None => {
                    let author = Author {
                        found: &found,
                        credential: credential_of(settings, facts),
                    };
                    return author.judge(facts, policy, repaired, addresses);
                }
                Some(outside) => outside.host().to_string(),
            }
        }
        FromField::Missing | FromField::Unreadable => {
            return match repaired {
                Some(from) => HeaderFromVerdict::Repair { from },
                None => HeaderFromVerdict::Refuse(Refusal::HeaderFrom),
            };
        }
    };
    match (policy, repaired) {
        (HeaderFromPolicy::Repair, Some(from)) => HeaderFromVerdict::Repair { from },
        (HeaderFromPolicy::Flag, _) if !facts.submission => HeaderFromVerdict::Flag { domain },
        _ => HeaderFromVerdict::Refuse(Refusal::HeaderDomain {
            domain: domain.into(),
        }),
    }
}

/// The address that the connector puts in the place of this header From: with the envelope, or
/// where nobody could answer it. A notice, which has the null reverse-path, keeps its author.
fn replaced_from(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    reverse_path: &ReversePath,
    from: &FromField,
) -> Option<Mailbox> {
    reverse_path.mailbox()?;
    let FromField::Addresses(addresses) = from else {
        return None;
    };
    let mut given = addresses.iter();
    let instead = given.find_map(|one| sender::instead_of(found.connector, one))?;
    // Nobody writes in the name of a domain that is not theirs, whatever the settings say.
    settings
        .is_own(&found.organisation.name, instead.host())
        .then_some(instead)
}

/// A client that is limited to addresses of its own.
struct Author<'a> {
    found: &'a OwnedConnector<'a>,
    credential: Option<&'a Credential>,
}

impl Author<'_> {
    /// The header From lies in verified domains, and must be one of those addresses too. Otherwise
    /// a device could write in anybody's name. On a submission listener that is refused whatever
    /// `header_from` says (S6), unless it is repaired; elsewhere `header_from` decides.
    fn judge(
        &self,
        facts: &Facts,
        policy: HeaderFromPolicy,
        repaired: Option<Mailbox>,
        addresses: &[Mailbox],
    ) -> HeaderFromVerdict {
        let Some(denied) = addresses.iter().find(|address| !self.may_use(address)) else {
            return HeaderFromVerdict::Permit;
        };
        match (policy, repaired) {
            (HeaderFromPolicy::Repair, Some(from)) => HeaderFromVerdict::Repair { from },
            (HeaderFromPolicy::Flag, _) if !facts.submission => HeaderFromVerdict::Flag {
                domain: denied.to_string(),
            },
            _ => HeaderFromVerdict::Refuse(Refusal::SenderDenied {
                address: denied.to_string().into(),
            }),
        }
    }

    /// Whether connector and credential let it use this address; what the connector itself puts in
    /// the place of others needs no leave.
    fn may_use(&self, address: &Mailbox) -> bool {
        let connector = self.found.connector;
        is_address(&connector.sender_replacement, address)
            || (sender::is_listed(connector, address)
                && self.credential.is_none_or(|one| may_use(one, address)))
    }
}

/// What holds whatever the reverse-path: the client's connector may be used now. `None`: a
/// stranger.
fn admit<'a>(
    settings: &Settings,
    attribution: &Attribution<'a>,
    facts: &Facts,
) -> Result<Option<OwnedConnector<'a>>, Refusal> {
    // Not only before it authenticates: its credential may have been taken away since.
    if facts.submission && credential_of(settings, facts).is_none() {
        return Err(Refusal::AuthRequired);
    }
    let found = match attribution {
        Attribution::Stranger => return Ok(None),
        Attribution::FactorMissing { missing, .. } => {
            let certificate = (*missing == "certificate").then(|| certificate_refused(facts));
            return Err(certificate.flatten().unwrap_or(Refusal::SourceShared));
        }
        Attribution::Connector { found, .. } => *found,
    };
    match found.connector.state {
        ConnectorState::Draft | ConnectorState::Disabled => return Err(Refusal::ConnectorDisabled),
        ConnectorState::Observing | ConnectorState::Enabled => {}
    }
    if found.connector.tls == InboundTls::Required && facts.tls.is_none() {
        return Err(Refusal::TlsRequired);
    }
    Ok(Some(found))
}

/// What is told to a client that presented a certificate, and that nothing identifies.
fn certificate_refused(facts: &Facts) -> Option<Refusal> {
    let certificate = facts.certificate.as_ref()?;
    let Some(fault) = certificate.fault() else {
        let name = certificate.names().first()?;
        return Some(Refusal::CertificateNoMatch {
            reason: format!("no connector names {name}").into(),
        });
    };
    let reason = fault.words().into();
    Some(match fault {
        CertificateFault::NoName => Refusal::CertificateNoMatch { reason },
        CertificateFault::Expired | CertificateFault::NotYetValid => {
            Refusal::CertificateExpired { reason }
        }
        CertificateFault::Untrusted | CertificateFault::WrongUsage => {
            Refusal::CertificateUntrusted { reason }
        }
    })
}

/// A notice has no sender to hold to a domain, so the client itself must be beyond doubt.
fn may_send_null(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    facts: &Facts,
) -> Result<&'static str, Refusal> {
    let organisation = &found.organisation.name;
    if !found.connector.accept_null_sender {
        return Err(Refusal::NullSender);
    }
    if credential_of(settings, facts).is_some() {
        return Ok("null reverse-path with a credential");
    }
    if certificate_lies_in_verified_domain(settings, organisation, facts) {
        return Ok("null reverse-path with a certificate of a verified domain");
    }
    if is_exclusive(settings, organisation, facts.address) {
        return Ok("null reverse-path from an address of this organisation alone");
    }
    Err(Refusal::NullSender)
}

/// Why, and as whom: what the connector puts in the place of the sender must lie in a verified
/// domain of the organisation, and needs no other leave.
fn may_send_as(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    facts: &Facts,
    given: &Mailbox,
) -> Result<(String, ReversePath), Refusal> {
    let organisation = &found.organisation.name;
    let replaced = sender::instead_of(found.connector, given);
    let mailbox = replaced.as_ref().unwrap_or(given);
    let refusal = || Refusal::SenderDomain {
        domain: mailbox.host().to_string().into(),
    };
    let Some(domain) = mailbox.domain() else {
        return Err(refusal());
    };
    let Some(owned) = settings.verified_domain(domain) else {
        return Err(not_verified(settings, organisation, domain));
    };
    let mut senders = found.scopes.senders.iter();
    let in_scope = replaced.is_some() || senders.any(|scope| scope.covers(mailbox.host(), true));
    if owned.organisation.name != *organisation || !in_scope {
        return Err(refusal());
    }
    let author = Author {
        found,
        credential: credential_of(settings, facts),
    };
    if !author.may_use(mailbox) {
        return Err(Refusal::SenderDenied {
            address: mailbox.to_string().into(),
        });
    }
    let standing = match owned.state {
        DomainState::Lapsing => "a lapsing domain (its record has gone from DNS)",
        DomainState::Verified | DomainState::Pending | DomainState::Suspended => {
            "a verified domain"
        }
    };
    let because = format!("{} is {standing} of {organisation}", owned.domain.name);
    Ok(match replaced {
        None => (because, ReversePath::Mailbox(given.clone())),
        Some(replaced) => (
            format!("{replaced} stands for {given}; {because}"),
            ReversePath::Mailbox(replaced),
        ),
    })
}

/// Nobody's verified domain: was it this organisation's until its record went away?
fn not_verified(settings: &Settings, organisation: &str, domain: &Domain) -> Refusal {
    let own = settings.accepted_domain_of(organisation, domain);
    match own.map(|owned| owned.state) {
        Some(DomainState::Suspended) => Refusal::SenderDomainLapsed {
            domain: domain.clone(),
        },
        Some(DomainState::Pending | DomainState::Verified | DomainState::Lapsing) | None => {
            Refusal::SenderDomain {
                domain: domain.as_str().into(),
            }
        }
    }
}

fn credential_of<'a>(settings: &'a Settings, facts: &Facts) -> Option<&'a Credential> {
    let (_, credential) = settings.credential(facts.credential.as_deref()?)?;
    credential.enabled.then_some(credential)
}

/// Whether the credential may use this address. One without `may_send_as` may use every address of
/// its connector's `sender_domains`, on submission listeners too: that is asked beside this.
fn may_use(credential: &Credential, mailbox: &Mailbox) -> bool {
    let entries = &credential.may_send_as;
    entries.is_empty() || entries.iter().any(|entry| sender::covers(entry, mailbox))
}

fn sending<'a>(
    found: &OwnedConnector<'a>,
    facts: &'a Facts,
    reverse_path: &'a ReversePath,
) -> Sending<'a> {
    let sender = match reverse_path {
        ReversePath::Null => None,
        ReversePath::Mailbox(mailbox) => Some(mailbox),
    };
    Sending {
        organisation: &found.organisation.name,
        connector: &found.connector.name,
        address: facts.address,
        credential: facts.credential.as_deref(),
        sender,
    }
}

fn client_may_deliver_to(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    forward_path: &ForwardPath,
) -> Result<RecipientPermit, Refusal> {
    let organisation = found.organisation.name.clone();
    let (mailbox, because) = match forward_path {
        ForwardPath::Postmaster => {
            let mailbox = postmaster(found.organisation).ok_or(Refusal::RecipientUnknown)?;
            (
                mailbox,
                format!("<Postmaster> is the postmaster of {organisation}"),
            )
        }
        ForwardPath::Mailbox(mailbox) => in_scope(settings, found, mailbox)?,
    };
    if found.connector.state == ConnectorState::Observing {
        let asked = match forward_path {
            ForwardPath::Postmaster => &mailbox,
            ForwardPath::Mailbox(asked) => asked,
        };
        if !found
            .connector
            .test_recipients
            .iter()
            .any(|entry| is_address(entry, asked))
        {
            return Err(Refusal::Sandbox);
        }
    }
    Ok(RecipientPermit {
        because,
        mailbox,
        organisation,
    })
}

/// A recipient within the connector's `recipient_domains`, and known where we know.
fn in_scope(
    settings: &Settings,
    found: &OwnedConnector<'_>,
    mailbox: &Mailbox,
) -> Result<(Mailbox, String), Refusal> {
    let host = mailbox.host();
    let is_own = settings.is_own(&found.organisation.name, host);
    if !found
        .scopes
        .recipients
        .iter()
        .any(|scope| scope.covers(host, is_own))
    {
        return Err(Refusal::RecipientScope {
            domain: host.to_string().into(),
        });
    }
    match mailbox
        .domain()
        .and_then(|domain| settings.verified_domain(domain))
    {
        Some(owned) => in_accepted_domain(settings, &owned, mailbox, Client::Known),
        None => Ok((mailbox.clone(), format!("{host} lies in recipient_domains"))),
    }
}

fn stranger_may_deliver_to(
    settings: &Settings,
    facts: &Facts,
    forward_path: &ForwardPath,
) -> Result<RecipientPermit, Refusal> {
    let mailbox = match forward_path {
        ForwardPath::Postmaster => {
            let organisation = settings
                .only_organisation()
                .ok_or(Refusal::RecipientUnknown)?;
            let mailbox = postmaster(organisation).ok_or(Refusal::RecipientUnknown)?;
            let organisation = organisation.name.clone();
            let because = format!("<Postmaster> is the postmaster of {organisation}");
            return Ok(RecipientPermit {
                because,
                mailbox,
                organisation,
            });
        }
        ForwardPath::Mailbox(mailbox) => mailbox,
    };
    let unknown = || {
        certificate_refused(facts).unwrap_or(Refusal::SourceUnknown {
            address: facts.address,
        })
    };
    let Host::Domain(domain) = mailbox.host() else {
        return Err(unknown());
    };
    let owned = settings.verified_domain(domain).ok_or_else(unknown)?;
    if !owned.is_authoritative() && names_another_host(mailbox) {
        return Err(unknown());
    }
    let (mailbox, because) = in_accepted_domain(settings, &owned, mailbox, Client::Stranger)?;
    Ok(RecipientPermit {
        because,
        mailbox,
        organisation: owned.organisation.name.clone(),
    })
}

/// Whether the local part may be read as a route: `b%example.org`, `b@example.org`,
/// `example.org!b`. We never read it so, but a mailbox host behind us that trusts us might, and
/// would be an open relay through us (RFC 1123 §5.2.16; as Postfix without
/// `allow_untrusted_routing`). Where we know the mailboxes, only those listed pass anyway.
fn names_another_host(mailbox: &Mailbox) -> bool {
    mailbox.local_part().as_str().contains(['%', '@', '!'])
}

/// Whether the sender has a connector.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Client {
    Known,
    Stranger,
}

/// A recipient in a verified accepted domain: which mailbox, and why; or RCPT-UNKNOWN.
fn in_accepted_domain(
    settings: &Settings,
    owned: &OwnedDomain<'_>,
    mailbox: &Mailbox,
    client: Client,
) -> Result<(Mailbox, String), Refusal> {
    let name = &owned.domain.name;
    if !owned.is_authoritative() {
        return Ok((
            mailbox.clone(),
            format!("{name} passes unknown recipients on"),
        ));
    }
    match settings.directory(mailbox) {
        Some(DirectoryAnswer::Mailbox) => {
            return Ok((mailbox.clone(), "a mailbox of the directory".to_owned()));
        }
        // A person without mailbox gets no mail: who replies is told at once.
        Some(DirectoryAnswer::Person) => return Err(Refusal::RecipientUnknown),
        None => {}
    }
    if owned.mailboxes == 0 && client == Client::Known {
        return Ok((mailbox.clone(), format!("the directory of {name} is empty")));
    }
    // RFC 5321 §4.5.1: every domain that takes mail has a postmaster.
    let is_postmaster = mailbox
        .local_part()
        .as_str()
        .eq_ignore_ascii_case("postmaster");
    match postmaster(owned.organisation).filter(|_| is_postmaster) {
        Some(postmaster) => Ok((
            postmaster,
            format!("the postmaster of {}", owned.organisation.name),
        )),
        None => Err(Refusal::RecipientUnknown),
    }
}

fn postmaster(organisation: &crate::document::Organisation) -> Option<Mailbox> {
    Mailbox::parse(organisation.postmaster.trim()).ok()
}
