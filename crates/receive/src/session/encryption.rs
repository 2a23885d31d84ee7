//! The handshake of a session, whether it comes first or behind STARTTLS, and what is learnt of it:
//! who the client is, why there is none, and that a certificate ends soon.
//!
//! Not here: the handshake itself (`relais_net::tls`); what STARTTLS ends (`relais_smtp::server`).

use std::sync::Arc;

use relais_net::tls::{
    ClientChain, HandshakeFault, PresentedCertificate, ReadCertificate, SeenCertificate, ServerTls,
};
use relais_smtp::refusal::Refusal;
use relais_store::trace::{Event, EventKind};

use super::{Over, Session};
use crate::identity::Client;
use crate::refuse::{About, say};
use crate::shared::ListenerTls;
use crate::wire::NoTls;

impl Session<'_> {
    pub(super) fn server_tls(&self) -> Option<ServerTls> {
        match &self.tls {
            ListenerTls::None => None,
            ListenerTls::StartTls(tls) | ListenerTls::Implicit(tls) => Some(tls.clone()),
        }
    }

    /// 220 was said: sends it, and does the handshake.
    pub(super) async fn start_tls(&mut self) -> Result<(), Over> {
        self.wire
            .send(self.machine.output())
            .await
            .map_err(|_| Over)?;
        let tls = self.server_tls().ok_or(Over)?;
        self.transaction = None;
        self.reception = None;
        self.handshake(&tls).await?;
        self.machine.secured();
        Ok(())
    }

    /// Whoever is there is looked at anew, by what the handshake has proved.
    pub(super) async fn handshake(&mut self, tls: &ServerTls) -> Result<(), Over> {
        let session = match self.wire.start_tls(tls).await {
            Ok(session) => session,
            Err(no) => {
                self.no_tls(no);
                return Err(Over);
            }
        };
        let now = self.shared.context.clock.now();
        let judge = |chain| tls.authorities().judge(chain, now);
        if tls.is_legacy() {
            let address = self.identity.address();
            let context = &self.shared.context;
            context
                .old_clients
                .saw(address, session.version, session.cipher, now);
        }
        let judged = session.certificates.as_ref().map(judge);
        self.identity.secured(&session, judged);
        let settings = self.shared.context.store.settings();
        if let Err(full) = self.know(Client::find(settings, &self.identity)) {
            self.turn_away(full);
        }
        if let Some(chain) = &session.certificates {
            self.show_certificate(chain);
        }
        self.watch_certificate();
        Ok(())
    }

    /// Somebody may wait for a device to show its certificate.
    fn show_certificate(&self, chain: &ClientChain) {
        let Some(certificate) = ReadCertificate::of_client(chain) else {
            return;
        };
        let context = &self.shared.context;
        let facts = self.identity.facts();
        context.certificates.presented().saw(PresentedCertificate {
            certificate,
            fault: facts.certificate.as_ref().and_then(|one| one.fault()),
            client: self.identity.address(),
            organisation: self.client.organisation.clone(),
            connector: self.client.connector.clone(),
            time: context.clock.now(),
        });
    }

    /// Nobody reads a reply now, but a person can find out why: of each address once a minute, as
    /// scanners and broken devices come back at once.
    fn no_tls(&mut self, no: NoTls) {
        let (refusal, detail) = match no {
            NoTls::Fault(HandshakeFault::Silent) => return,
            NoTls::Fault(HandshakeFault::NoCertificate) => (Refusal::TlsUnavailable, None),
            NoTls::Fault(HandshakeFault::Failed { fault, offer }) => {
                let fault = fault.into();
                (Refusal::TlsHandshake { fault }, offer.map(Into::into))
            }
            NoTls::TimedOut => {
                let fault = "the handshake took too long".into();
                (Refusal::TlsHandshake { fault }, None)
            }
        };
        let reply = match self.place.is_news(self.shared.context.clock.moment()) {
            true => {
                let about = About {
                    detail,
                    ..About::default()
                };
                self.refuse_attempt(&refusal, about)
            }
            false => say(&self.shared.context, &refusal),
        };
        // Whoever waits for the device is told what it was not.
        let (hearing, speaker) = (self.hearing.take(), self.speaker());
        self.hearing = match hearing {
            Some(mut hearing) => {
                hearing.note(speaker, &reply.to_string());
                Some(hearing)
            }
            None => {
                speaker.tell_unsaid(&reply.to_string());
                None
            }
        };
    }

    /// Somebody is told in good time that a device's certificate ends.
    fn watch_certificate(&self) {
        let facts = self.identity.facts();
        let fingerprint = facts.certificate.as_ref().and_then(|one| one.fingerprint());
        let (Some(name), Some(fingerprint), Some(not_after)) = (
            &self.client.certificate_name,
            fingerprint,
            self.identity.certificate_ends(),
        ) else {
            return;
        };
        let context = &self.shared.context;
        let seen = SeenCertificate {
            name: name.clone(),
            fingerprint: fingerprint.into(),
            not_after,
            last_seen: context.clock.now(),
        };
        let Some(days) = context.certificates.saw(seen) else {
            return;
        };
        let mut event = Event::new(context.clock.now(), EventKind::CheckChanged);
        event.organisation = self.client.organisation.clone();
        event.inbound_connector = self.client.connector.clone();
        event.client = Some(Arc::clone(self.identity.client()));
        let day = not_after.day();
        let words = format!("client certificate {name} expires on {day}, within {days} days");
        event.detail = Some(words.into());
        context.store.record(event);
    }
}
