//! Refresh tokens that an issuer has changed and the store has not taken yet: the new one works
//! from memory, and is stored again and again until it stands, so that a restart does not lose it.
//! Until then that is told (`grants` in `relais-deliver`).
//!
//! Not here: asking the issuer ([`super::Logins`]).

use std::sync::{Arc, Weak};
use std::time::Duration;

use relais_smtp::secret::Secret;

use super::{Inner, KeptName, Tokens};

/// Between two tries to store it, at first; twice as long each time.
const AGAIN_FIRST: Duration = Duration::from_secs(1);
/// The longest wait between two tries: a restart comes when it likes.
const AGAIN_MAX: Duration = Duration::from_secs(60);

/// A refresh token that the store has not taken.
#[derive(Clone)]
pub(super) struct Unkept {
    pub(super) refresh: Secret,
    /// What the store held when the issuer gave it. Something else there is a person's.
    pub(super) instead_of: Option<Secret>,
    /// Why the store did not take it.
    pub(super) because: String,
}

/// Refresh tokens that an issuer has given, or has been shown.
pub(super) struct Owned {
    issuer: String,
    /// The newest last.
    tokens: Vec<Secret>,
}

/// Refresh tokens of an issuer that are remembered: what the store holds while it takes none, and
/// what came since.
const OWNED_MAX: usize = 4;

impl Tokens {
    /// This issuer knows this refresh token from now on.
    pub(super) fn own(&mut self, issuer: &str, refresh: &Secret) {
        let owned = self.owned.take().filter(|owned| owned.issuer == issuer);
        let mut owned = owned.unwrap_or_else(|| Owned {
            issuer: issuer.to_owned(),
            tokens: Vec::new(),
        });
        owned.tokens.retain(|one| one != refresh);
        if owned.tokens.len() >= OWNED_MAX {
            // The first is what the store holds while it takes none.
            owned.tokens.remove(1);
        }
        owned.tokens.push(refresh.clone());
        self.owned = Some(owned);
    }

    /// Which other issuer this refresh token is of, if that is known.
    pub(super) fn owner_other_than(&self, issuer: &str, refresh: &Secret) -> Option<&str> {
        let owned = self.owned.as_ref().filter(|owned| owned.issuer != issuer);
        let owned = owned.filter(|owned| owned.tokens.contains(refresh));
        owned.map(|owned| owned.issuer.as_str())
    }

    /// Forgets what was not stored, if a person has kept or forgotten a token since.
    pub(super) fn yield_to(&mut self, kept: Option<&Secret>) {
        let is_replaced = |unkept: &Unkept| unkept.instead_of.as_ref() != kept;
        if self.unkept.as_ref().is_some_and(is_replaced) {
            self.unkept = None;
        }
    }

    /// What somebody should know while it lasts.
    pub(super) fn warning(&self) -> Option<String> {
        let because = &self.unkept.as_ref()?.because;
        Some(format!(
            "a new refresh token is not stored yet, and a restart would lose it: {because}"
        ))
    }
}

impl Inner {
    /// Stores a new refresh token; one that the store does not take works from memory.
    pub(super) async fn keep_refresh(
        self: &Arc<Self>,
        name: &KeptName,
        (refresh, instead_of): (Secret, Option<Secret>),
        tokens: &mut Tokens,
    ) {
        let Err(because) = self.vault.keep(name, refresh.clone()).await else {
            tokens.unkept = None;
            return;
        };
        tracing::error!("a new refresh token is not stored yet: {because}");
        let is_new = tokens.unkept.is_none();
        let instead_of = match tokens.unkept.take() {
            Some(before) => before.instead_of,
            None => instead_of,
        };
        tokens.unkept = Some(Unkept {
            refresh,
            instead_of,
            because,
        });
        if is_new {
            self.noticed.notify_one();
            tokio::spawn(keep_again(Arc::downgrade(self), name.clone()));
        }
    }

    /// Tries once more; whether nothing is left to do.
    async fn keep_once_more(&self, name: &KeptName) -> bool {
        let key = (Arc::clone(&name.organisation), Arc::clone(&name.connector));
        let tokens = self.all_tokens().get(&key).cloned();
        let Some(tokens) = tokens else {
            return true;
        };
        let mut tokens = tokens.lock().await;
        match self.vault.kept(name).await {
            Ok(kept) => tokens.yield_to(kept.as_ref()),
            // What a person may have kept meanwhile is not written over unseen.
            Err(_) => return false,
        }
        let Some(unkept) = tokens.unkept.clone() else {
            return true;
        };
        match self.vault.keep(name, unkept.refresh).await {
            Ok(()) => {
                tracing::info!("the new refresh token is stored");
                tokens.unkept = None;
                true
            }
            Err(because) => {
                if let Some(unkept) = &mut tokens.unkept {
                    unkept.because = because;
                }
                false
            }
        }
    }
}

/// Until it is stored, or nobody needs it any more.
async fn keep_again(inner: Weak<Inner>, name: KeptName) {
    let mut wait = AGAIN_FIRST;
    loop {
        let Some(clock) = inner.upgrade().map(|inner| inner.clock.clone()) else {
            return;
        };
        clock.sleep(wait).await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        if inner.keep_once_more(&name).await {
            inner.noticed.notify_one();
            return;
        }
        wait = (wait * 2).min(AGAIN_MAX);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicBool, Ordering};

    use relais_policy::document::{AuthMethod, OutboundConnector};
    use relais_smtp::time::Timestamp;

    use super::super::{Coming, Kept, Logins, Vault};
    use super::*;
    use crate::clock::Clock;
    use crate::oauth::TokenClient;
    use crate::resolver::{Resolver, ResolverOptions};

    /// A store of refresh tokens that is ill for some writes.
    #[derive(Clone, Default)]
    struct IllVault(Arc<Mutex<(Option<Secret>, u32)>>, Arc<AtomicBool>);

    impl IllVault {
        fn holds(&self) -> String {
            let held = self.0.lock().unwrap().0.clone();
            let held = held.as_ref().and_then(Secret::expose_text);
            held.unwrap_or_default().to_owned()
        }

        /// Whether it cannot be read.
        fn shut(&self, is_shut: bool) {
            self.1.store(is_shut, Ordering::Relaxed);
        }

        fn set(&self, refresh: &str, ill_writes: u32) {
            *self.0.lock().unwrap() = (Some(Secret::from(refresh.to_owned())), ill_writes);
        }
    }

    impl Vault for IllVault {
        fn file<'a>(&'a self, path: &'a str, _octets_max: usize) -> Coming<'a, Secret> {
            Box::pin(async move { Err(format!("{path}: there are no files")) })
        }

        fn kept<'a>(&'a self, name: &'a KeptName) -> Coming<'a, Option<Secret>> {
            let is_refresh = name.what == Kept::RefreshToken;
            Box::pin(async move {
                if is_refresh && self.1.load(Ordering::Relaxed) {
                    return Err("the vault is locked".to_owned());
                }
                let held = self.0.lock().unwrap().0.clone();
                Ok(held.filter(|_| is_refresh))
            })
        }

        fn keep<'a>(&'a self, _name: &'a KeptName, secret: Secret) -> Coming<'a, ()> {
            let mut held = self.0.lock().unwrap();
            let is_ill = held.1 > 0;
            held.1 = held.1.saturating_sub(1);
            if !is_ill {
                held.0 = Some(secret);
            }
            Box::pin(async move {
                if is_ill {
                    Err("the disk is full".to_owned())
                } else {
                    Ok(())
                }
            })
        }
    }

    /// An issuer that gives another refresh token for each; an old one is good no more. Tells
    /// where it is.
    async fn rotating_issuer() -> String {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let mut good = 1;
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut asked, mut buffer) = (String::new(), [0; 4_096]);
                while !asked.contains("refresh_token=refresh-") {
                    let count = stream.read(&mut buffer).await.unwrap();
                    assert!(count > 0, "{asked}");
                    asked.push_str(&String::from_utf8_lossy(&buffer[..count]));
                }
                let body = if asked.contains(&format!("refresh_token=refresh-{good}&")) {
                    good += 1;
                    format!(
                        "{{\"access_token\":\"access-{good}\",\"refresh_token\":\"refresh-{good}\",\
                         \"expires_in\":0}}"
                    )
                } else {
                    "{\"error\":\"invalid_grant\"}".to_owned()
                };
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        format!("http://{address}/token")
    }

    async fn by_tokens() -> (IllVault, OutboundConnector, impl Fn() -> Logins) {
        let mut connector = OutboundConnector::new("Out");
        connector.auth.method = AuthMethod::Xoauth2;
        let parameters = &mut connector.auth.parameters;
        parameters.insert("client_id".to_owned(), "relais".to_owned());
        parameters.insert("token_url".to_owned(), rotating_issuer().await);
        let vault = IllVault::default();
        let of_vault = vault.clone();
        let logins = move || {
            let options = ResolverOptions {
                nameservers: vec![(std::net::Ipv4Addr::LOCALHOST, 9).into()],
                trusted: false,
            };
            let resolver = Resolver::new(&options).unwrap();
            let roots = Arc::new(rustls::RootCertStore::empty());
            let issuers = TokenClient::new(roots, &resolver, false).unwrap();
            let clock = Clock::simulated(Timestamp::default());
            Logins::with_issuers(of_vault.clone(), clock, Some(issuers))
        };
        (vault, connector, logins)
    }

    #[tokio::test]
    async fn a_refresh_token_that_was_not_stored_works_and_is_stored_as_soon_as_that_is_possible() {
        let (vault, connector, start) = by_tokens().await;
        let organisation: Arc<str> = "contoso".into();
        vault.set("refresh-1", 3);
        let logins = start();
        // The store is ill, and the old token is good no more: the new one works from memory.
        for _ in 0..2 {
            assert!(logins.of(&organisation, &connector).await.is_ok());
        }
        logins.noticed().await;
        assert_eq!(vault.holds(), "refresh-1");
        let told = logins.tokens_of(&organisation, &connector).unwrap();
        let warning = told.lock().await.warning().unwrap();
        assert!(
            warning.ends_with("a restart would lose it: the disk is full"),
            "{warning}"
        );
        // Without any more mail it is stored in time, though the next try fails too.
        tokio::time::pause();
        logins.noticed().await;
        assert_eq!(vault.holds(), "refresh-3");
        assert_eq!(told.lock().await.warning(), None);
        tokio::time::resume();
        // After a restart.
        assert!(start().of(&organisation, &connector).await.is_ok());
        assert_eq!(vault.holds(), "refresh-4");
    }

    #[tokio::test]
    async fn what_a_person_keeps_meanwhile_is_not_overwritten() {
        let (vault, connector, start) = by_tokens().await;
        let organisation: Arc<str> = "contoso".into();
        vault.set("refresh-1", 1);
        let logins = start();
        assert!(logins.of(&organisation, &connector).await.is_ok());
        logins.noticed().await;
        vault.set("a person's", 0);
        tokio::time::pause();
        logins.noticed().await;
        assert_eq!(vault.holds(), "a person's");
    }

    /// An issuer that must not be asked: it tells what it was shown.
    async fn other_issuer() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
        use tokio::io::AsyncReadExt;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, shown) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut asked = Vec::new();
                while !String::from_utf8_lossy(&asked).contains("refresh_token=") {
                    if stream.read_buf(&mut asked).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                let asked = String::from_utf8_lossy(&asked).into_owned();
                if tell.send(asked).is_err() {
                    return;
                }
            }
        });
        (format!("http://{address}/token"), shown)
    }

    #[tokio::test]
    async fn no_issuer_is_shown_the_refresh_token_of_another_one() {
        let (vault, connector, start) = by_tokens().await;
        let organisation: Arc<str> = "contoso".into();
        vault.set("refresh-1", 2);
        let logins = start();
        assert!(logins.of(&organisation, &connector).await.is_ok());
        assert_eq!(vault.holds(), "refresh-1");
        let (address, mut shown) = other_issuer().await;
        let mut elsewhere = connector.clone();
        let parameters = &mut elsewhere.auth.parameters;
        parameters.insert("token_url".to_owned(), address);
        // Neither what is kept, nor what is to be kept in its place, whatever can be read.
        for is_shut in [true, false] {
            vault.shut(is_shut);
            // What failed a moment ago is not tried.
            tokio::time::pause();
            tokio::time::advance(Duration::from_secs(60)).await;
            tokio::time::resume();
            let refused = logins.of(&organisation, &elsewhere).await;
            let because = refused.expect_err("nobody has signed in there").to_string();
            assert!(because.contains("sign in anew"), "{because}");
        }
        vault.shut(false);
        assert!(shown.try_recv().is_err(), "the other issuer was asked");
        // It is not lost: back at its own issuer it is good.
        assert!(logins.of(&organisation, &connector).await.is_ok());
        // Somebody's sign-in at the other one is shown to that one.
        vault.set("refresh-of-the-other", 0);
        assert!(logins.of(&organisation, &elsewhere).await.is_err());
        let asked = shown.recv().await.expect("it is asked");
        assert!(
            asked.contains("refresh_token=refresh-of-the-other"),
            "{asked}"
        );
    }
}
