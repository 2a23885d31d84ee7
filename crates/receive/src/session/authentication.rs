//! AUTH in a session: takes the machine's questions to `login`, and learns who the client is.
//!
//! Not here: what is true (`crate::login`), and what was said (never kept).

use relais_smtp::refusal::Refusal;
use relais_smtp::reply::Reply;
use relais_smtp::sasl::Claim;
use relais_smtp::server::Answer;

use super::Session;
use crate::identity::Client;
use crate::login::NotLoggedIn;
use crate::refuse::say;
use crate::wire::Linger;

impl Session<'_> {
    /// What SCRAM is begun with.
    pub(super) fn verifier(&mut self, user: &str) -> Answer {
        let address = self.identity.facts().address;
        let logins = &self.shared.logins;
        match logins.verifier(&self.client.settings, address, user) {
            Ok((verifier, nonce)) => Answer::Verifier {
                verifier,
                nonce,
                channel: self.identity.channel(),
            },
            Err(no) => Answer::Refuse(self.login_refused(no, user)),
        }
    }

    /// The client is who it says, or not. From here on its credential decides before its
    /// certificate and its address.
    pub(super) async fn authenticate(&mut self, claim: Claim) -> Answer {
        if let Claim::Proved { user } = &claim {
            let address = self.identity.facts().address;
            return match self.shared.logins.may_know(user, address) {
                Ok(()) => Answer::Accept,
                Err(no) => Answer::Refuse(self.login_refused(no, user)),
            };
        }
        let settings = self.shared.context.store.settings();
        let facts = self.identity.facts();
        let logged_in = self.shared.logins.log_in(&settings, facts, &claim).await;
        match logged_in.and_then(|user| self.not_blocked(user)) {
            Ok(user) => {
                self.identity.authenticated(user);
                match self.know(Client::find(settings, &self.identity)) {
                    Ok(()) => Answer::Accept,
                    Err(full) => Answer::Refuse(self.no_place(full)),
                }
            }
            Err(no) => {
                let user = claim.user().unwrap_or_default();
                Answer::Refuse(self.login_refused(no, user))
            }
        }
    }

    /// Somebody may have stopped this credential.
    fn not_blocked(&self, user: String) -> Result<String, NotLoggedIn> {
        let context = &self.shared.context;
        let restrictions = context.store.restrictions();
        let in_force = restrictions.in_force(context.clock.steady_now());
        match in_force.of_credential(&user) {
            Some(_) => Err(Refusal::CredentialDisabled.into()),
            None => Ok(user),
        }
    }

    /// The machine refuses: the mechanism, the form, or clear text.
    pub(super) fn auth_refused(&mut self, refusal: &Refusal) -> Reply {
        self.login_refused(refusal.clone().into(), "")
    }

    fn login_refused(&mut self, no: NotLoggedIn, user: &str) -> Reply {
        let refusal = &no.refusal;
        if refusal.closes() {
            self.linger = Linger::Yes;
        }
        let context = &self.shared.context;
        if !no.news {
            return say(context, refusal);
        }
        self.refusals
            .login(context, &self.client, &self.identity, &no, user)
    }
}
