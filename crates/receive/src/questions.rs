//! What the session machine asks, answered: by policy, by what is restricted at this moment, by the
//! store's readiness, and for MX destinations and strangers' senders by DNS. Each "no" is a reason
//! from the catalogue.
//!
//! Not here: recording and saying it (`refuse`); the decisions themselves (`relais_policy`).

use std::sync::Arc;
use std::time::Duration;

use relais_net::resolver::DnsError;
use relais_policy::bounce;
use relais_policy::limit::{Applying, RecipientKey, Sending};
use relais_policy::permission::{
    RecipientPermit, may_deliver_to, may_greet, may_send, may_send_now,
};
use relais_policy::restriction::{self, Queued, Restrictions};
use relais_policy::route::{RouteKind, RouteSource, route};
use relais_policy::settings::OwnedDomain;
use relais_smtp::address::{ForwardPath, Host, Mailbox, ReversePath};
use relais_smtp::content::Preset;
use relais_smtp::domain::Domain;
use relais_smtp::envelope::{EnvelopeRecipient, SenderParameters};
use relais_smtp::refusal::Refusal;
use relais_smtp::server::Answer;

use crate::accept::refusal_of;
use crate::arrival::{SenderDomain, Transaction};
use crate::identity::{Client, Identity};
use crate::quotas::{Counting, OneMore};
use crate::returns::{RETURN_OCTETS_MAX, RETURNS_RETRY_SECONDS};
use crate::shared::{RECIPIENT_DNS_TIMEOUT, SENDER_DNS_TIMEOUT, Shared};

/// Whom the questions are about.
pub(crate) struct Asked<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) client: &'a Client,
    pub(crate) identity: &'a Identity,
}

impl Asked<'_> {
    /// HELO or EHLO.
    pub(crate) fn hello(&self, name: &str) -> Result<(), Refusal> {
        let facts = self.identity.facts();
        may_greet(
            &self.client.attribution(self.identity),
            facts,
            name,
            &self.shared.ourselves,
        )
    }

    /// MAIL: whether the server takes mail now, and whether policy lets this sender send.
    pub(crate) fn sender(
        &self,
        reverse_path: &ReversePath,
        parameters: &SenderParameters,
        listener_preset: Preset,
    ) -> Result<(Answer, Transaction), Refusal> {
        let context = &self.shared.context;
        if self.shared.draining.is_cancelled() {
            return Err(Refusal::ShuttingDown);
        }
        context
            .store
            .may_commit()
            .map_err(|error| refusal_of(&error))?;
        let client = self.client;
        let facts = self.identity.facts();
        let restrictions = context.store.restrictions();
        let restricted = restrictions.in_force(context.clock.steady_now());
        let attribution = client.attribution(self.identity);
        restriction::may_use(&restricted, &attribution, facts)?;
        let permit = may_send(&client.settings, &attribution, facts, reverse_path)?;
        may_send_now(&attribution, context.clock.now())?;
        let given = reverse_path;
        let reverse_path = &permit.reverse_path;
        // The address that stands for another hides nobody.
        let replaced = given.mailbox().filter(|_| given != reverse_path);
        let stands_for = replaced.map(|_| given);
        for sender in stands_for.into_iter().chain([reverse_path]) {
            restriction::may_send_as(&restricted, sender)?;
            if client.connector.is_some() {
                let (organisation, now) = (client.organisation.as_ref(), context.clock.now());
                let senders = &self.shared.senders;
                senders.may_send(&client.settings, organisation, sender, now)?;
            }
        }
        let most = context.options.message_size_max;
        let limit = permit
            .size_octets_max
            .map_or(most, |connector| connector.min(most));
        if parameters.size.is_some_and(|size| size > limit) {
            return Err(Refusal::TooBig { limit });
        }
        let transaction = Transaction {
            from: reverse_path.to_string().into(),
            replaced: replaced.cloned(),
            preset: permit.preset.unwrap_or(listener_preset),
            organisation: client.organisation.clone(),
            inbound_connector: client.connector.clone(),
            dns_is_slow: false,
            content_octets_max: None,
            counting: Box::new(Counting::new(self.applying(reverse_path))),
            sender_domain: permit
                .look_up
                .map_or(SenderDomain::Settled, SenderDomain::Open),
            reverse_path: permit.reverse_path,
            recipients_max: permit.recipients_max,
            recipients: 0,
        };
        let answer = Answer::Sender {
            size_octets_max: limit,
            preset: transaction.preset,
        };
        Ok((answer, transaction))
    }

    /// RCPT: whether policy lets it; whether a stranger's sender could be answered; and, where mail
    /// for it leaves by MX, whether DNS says for certain that it cannot arrive.
    pub(crate) async fn recipient(
        &self,
        forward_path: &ForwardPath,
        transaction: &mut Transaction,
    ) -> Result<EnvelopeRecipient, Refusal> {
        if let ForwardPath::Mailbox(mailbox) = forward_path
            && let Some(domain) = mailbox.domain()
            && let Some(owned) = self.client.settings.bounce_domain(domain)
        {
            // Boxed: rare, and a session is one of thousands.
            return Box::pin(self.bounce(mailbox, domain, &owned, transaction)).await;
        }
        if transaction.inbound_connector.is_none() && transaction.content_octets_max.is_some() {
            // As below, the other way round.
            return Err(Refusal::TooManyRecipients);
        }
        let permit = may_deliver_to(
            &self.client.settings,
            &self.client.attribution(self.identity),
            self.identity.facts(),
            forward_path,
            transaction.organisation.as_deref(),
        )?;
        let context = &self.shared.context;
        let restrictions = context.store.restrictions();
        let restricted = restrictions.in_force(context.clock.steady_now());
        restriction::may_deliver_to(&restricted, &permit.organisation, &permit.mailbox)?;
        self.is_kept(&restrictions, &permit, transaction)?;
        let one_more = self.within_limits(transaction, &permit.mailbox)?;
        self.answerable(&mut transaction.sender_domain).await?;
        Box::pin(self.may_write_to(&permit, transaction)).await?;
        let organisation = match &transaction.organisation {
            Some(known) if **known == *permit.organisation => Arc::clone(known),
            Some(_) | None => permit.organisation.as_str().into(),
        };
        transaction.organisation = Some(Arc::clone(&organisation));
        if let Host::Domain(domain) = permit.mailbox.host()
            && !transaction.dns_is_slow
            && self.goes_by_mx(&organisation, permit.mailbox.host(), transaction)
        {
            let domain = domain.clone();
            match self.ask_dns(&domain, RECIPIENT_DNS_TIMEOUT).await {
                DnsWord::TakesMail | DnsWord::Failed => {}
                DnsWord::Slow => transaction.dns_is_slow = true,
                DnsWord::NullMx => return Err(Refusal::RecipientNullMx { domain }),
                DnsWord::Unknown => return Err(Refusal::RecipientDomainUnknown { domain }),
            }
        }
        if let Some(one_more) = one_more {
            transaction.counting.add(one_more);
        }
        Ok(EnvelopeRecipient::new(permit.mailbox))
    }

    /// Whether mail for it would leave, or there is room for it to be held.
    fn is_kept(
        &self,
        restrictions: &Restrictions,
        permit: &RecipientPermit,
        transaction: &Transaction,
    ) -> Result<(), Refusal> {
        if restrictions.is_empty() {
            return Ok(());
        }
        let message = Queued {
            organisation: &permit.organisation,
            connector: transaction.inbound_connector.as_deref(),
            client: Some(self.identity.address()),
            credential: self.identity.facts().credential.as_deref(),
            reverse_path: &transaction.reverse_path,
            replaced: transaction.replaced.as_ref(),
        };
        let holding = restrictions.holding(self.shared.context.clock.steady_now());
        let found = holding.of_message(&message);
        let found = found.or_else(|| holding.of_mailbox(&permit.mailbox));
        match found {
            Some(restriction) if self.shared.guarding.is_full(restriction) => {
                Err(Refusal::HeldFull)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// RCPT at a bounce domain: only an address that we signed, and that still counts, whoever
    /// asks. What comes back of ours is nobody's relay, so no connector is asked for.
    async fn bounce(
        &self,
        mailbox: &Mailbox,
        domain: &Domain,
        owned: &OwnedDomain<'_>,
        transaction: &mut Transaction,
    ) -> Result<EnvelopeRecipient, Refusal> {
        let context = &self.shared.context;
        let organisation = owned.organisation.name.as_str();
        let fresh = context.chance.octets();
        let keys = context
            .store
            .bounce_keys(organisation, fresh, context.clock.now());
        let keys = keys.await.map_err(|error| {
            tracing::warn!(%error, "the keys of bounce addresses cannot be had");
            Refusal::Local
        })?;
        let place = bounce::Place {
            organisation,
            domain,
        };
        let local = mailbox.local_part().as_str();
        let token = keys
            .read(local, place, context.clock.now())
            .map_err(|_| Refusal::RecipientUnknown)?;
        if transaction.inbound_connector.is_none()
            && transaction.organisation.is_some()
            && transaction.content_octets_max.is_none()
        {
            // What comes back is not checked as a stranger's mail is: one transaction for each.
            return Err(Refusal::TooManyRecipients);
        }
        match &transaction.organisation {
            // A client's mail stays its own organisation's.
            None => transaction.organisation = Some(organisation.into()),
            Some(known) if **known == *organisation => {}
            Some(_) if transaction.inbound_connector.is_some() => {}
            Some(_) => return Err(Refusal::TooManyRecipients),
        }
        let moment = context.clock.moment();
        if !self
            .shared
            .returns
            .admit(organisation, token.queue_id, moment)
        {
            return Err(Refusal::Rate {
                retry_seconds: RETURNS_RETRY_SECONDS,
                limit: "".into(),
            });
        }
        self.answerable(&mut transaction.sender_domain).await?;
        transaction.content_octets_max = Some(RETURN_OCTETS_MAX);
        Ok(EnvelopeRecipient::new(mailbox.clone()))
    }

    /// A known client's recipient that its organisation sends nothing to. Strangers write to its
    /// own domains only, which are never suppressed by themselves.
    async fn may_write_to(
        &self,
        permit: &RecipientPermit,
        transaction: &Transaction,
    ) -> Result<(), Refusal> {
        if transaction.inbound_connector.is_none() {
            return Ok(());
        }
        let store = &self.shared.context.store;
        match store
            .suppression(&permit.organisation, &permit.mailbox)
            .await
        {
            Ok(None) => Ok(()),
            Ok(Some(suppression)) => Err(suppression.refusal()),
            Err(error) => {
                tracing::warn!(%error, "who is suppressed cannot be read");
                Err(Refusal::Local)
            }
        }
    }

    /// The limits that apply to what a client sends; none to strangers.
    fn applying(&self, reverse_path: &ReversePath) -> Applying {
        let client = self.client;
        let (Some(organisation), Some(connector)) = (&client.organisation, &client.connector)
        else {
            return Applying::default();
        };
        let facts = self.identity.facts();
        let sending = Sending {
            organisation,
            connector,
            address: facts.address,
            credential: facts.credential.as_deref(),
            sender: match reverse_path {
                ReversePath::Null => None,
                ReversePath::Mailbox(mailbox) => Some(mailbox),
            },
        };
        Applying::of(&client.settings, &sending)
    }

    /// Whether limits let one more recipient of a client in.
    fn within_limits(
        &self,
        transaction: &Transaction,
        mailbox: &Mailbox,
    ) -> Result<Option<OneMore>, Refusal> {
        let (Some(organisation), Some(_)) =
            (&transaction.organisation, &transaction.inbound_connector)
        else {
            return Ok(None);
        };
        let is_external = !self.client.settings.is_own(organisation, mailbox.host());
        let recipient = (RecipientKey::of(mailbox), is_external);
        let context = &self.shared.context;
        let (counts, now) = (&context.counts, context.clock.now());
        let counting = &transaction.counting;
        counting
            .check(counts, organisation, recipient, now)
            .map(Some)
    }

    fn goes_by_mx(&self, organisation: &str, host: &Host, transaction: &Transaction) -> bool {
        let settings = &self.client.settings;
        let source = RouteSource::of(
            settings,
            organisation,
            transaction.inbound_connector.as_deref(),
            transaction.reverse_path.domain(),
        );
        match route(settings, organisation, host, &source).kind {
            RouteKind::Mx { .. } => true,
            RouteKind::Hosts(_) | RouteKind::Literal(_) | RouteKind::Bounces => false,
        }
    }

    /// Whether the domain of a stranger's sender takes mail: mail that cannot be answered is what
    /// nobody wrote. Asked once in a transaction.
    async fn answerable(&self, sender: &mut SenderDomain) -> Result<(), Refusal> {
        if let SenderDomain::Open(domain) = sender {
            *sender = match self.ask_dns(domain, SENDER_DNS_TIMEOUT).await {
                DnsWord::TakesMail => SenderDomain::Settled,
                DnsWord::Unknown => SenderDomain::Refused(Refusal::SenderDomainUnreachable),
                DnsWord::NullMx => SenderDomain::Refused(Refusal::SenderNullMx),
                DnsWord::Failed | DnsWord::Slow => {
                    SenderDomain::Refused(Refusal::SenderDomainTemporary)
                }
            };
        }
        match sender {
            SenderDomain::Refused(refusal) => Err(refusal.clone()),
            SenderDomain::Settled | SenderDomain::Open(_) => Ok(()),
        }
    }

    /// Whether a domain takes mail, found out within `bound`.
    async fn ask_dns(&self, domain: &Domain, bound: Duration) -> DnsWord {
        let context = &self.shared.context;
        let until = context.clock.moment() + bound;
        let resolver = context.network.resolver();
        let look_up = async {
            match resolver.mx(domain).await {
                Ok(answer) if answer.records.iter().all(|mx| mx.exchange.is_none()) => {
                    DnsWord::NullMx
                }
                Ok(_) => DnsWord::TakesMail,
                Err(DnsError::NoSuchDomain(_)) => DnsWord::Unknown,
                Err(DnsError::Temporary { .. }) => DnsWord::Failed,
                // Without MX the domain's own address counts. RFC 5321 §5.1.
                Err(DnsError::NoRecords(_)) => match resolver.addresses(domain).await {
                    Ok(_) => DnsWord::TakesMail,
                    Err(DnsError::NoSuchDomain(_) | DnsError::NoRecords(_)) => DnsWord::Unknown,
                    Err(DnsError::Temporary { .. }) => DnsWord::Failed,
                },
            }
        };
        // Boxed: a look-up is large and rare, a session small and one of thousands.
        Box::pin(context.clock.within(until, look_up))
            .await
            .unwrap_or(DnsWord::Slow)
    }
}

/// What DNS says about a domain.
#[derive(Clone, Copy)]
enum DnsWord {
    /// It has mail hosts, or an address of its own.
    TakesMail,
    /// For certain: it takes no mail. RFC 7505.
    NullMx,
    /// For certain: there is no such domain, or nothing in it that could take mail.
    Unknown,
    /// It cannot be found out now.
    Failed,
    /// No answer in time.
    Slow,
}
