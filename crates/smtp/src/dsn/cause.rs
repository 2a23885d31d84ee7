//! Why a delivery did not succeed where no server's answer says so: status code and words.

use crate::reply::{EnhancedStatus, Reply};

use super::Language;

/// A cause that we found ourselves. The codes are registered (RFC 3463, RFC 5248 and the IANA
/// registry of enhanced status codes).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Cause {
    /// 4.4.1: the next hop refused the connection.
    ConnectionRefused,
    /// 4.4.1: the next hop did not answer in time.
    ConnectionTimedOut,
    /// 4.4.1: the network has no way to the next hop's address.
    Unreachable,
    /// 4.4.2: the connection broke off.
    ConnectionLost,
    /// 4.5.0: what the next hop said is no SMTP.
    Protocol,
    /// 4.4.3: DNS gave no usable answer.
    DnsTemporary,
    /// 4.7.5: the TLS that the route demands could not be had.
    TlsUnavailable,
    /// 4.7.8: the smart host did not let us log in, or we have nothing to log in with.
    LoginFailed,
    /// 5.1.2: the domain does not exist.
    DomainNotFound,
    /// 5.1.10: null MX, the domain takes no mail. RFC 7505 §3.
    NullMx,
    /// 5.4.4: the domain has neither mail exchanger nor address.
    NoMailServer,
    /// 5.4.4: every address of the domain's servers is loopback or private.
    PrivateDestination,
    /// 5.1.3: an address literal, which this relay does not deliver to.
    AddressLiteral,
    /// 5.1.1: at a bounce domain, and no address that we signed, or none that counts any more.
    BounceAddressUnknown,
    /// 5.4.6: only we ourselves are left as mail exchanger.
    NoRouteSelfMx,
    /// 5.4.6: too many Received fields.
    Loop,
    /// 5.4.7: not delivered within its lifetime. Where a server answered meanwhile, its code is the
    /// better status (RFC 3463 §3.5), and this is the explanation beside it.
    Expired,
    /// 5.3.4: larger than the next hop takes.
    TooBig,
    /// 5.6.7: UTF-8 addresses, and the next hop has no SMTPUTF8. RFC 6531 §3.5.
    SmtpUtf8,
    /// 5.7.30: REQUIRETLS was asked, and the next hop does not offer it. RFC 8689.
    RequireTls,
    /// 5.7.1: a person of the organisation stopped the delivery.
    Administrator,
}

impl Cause {
    /// Every cause, for tables and tests.
    pub const ALL: [Self; 21] = [
        Self::ConnectionRefused,
        Self::ConnectionTimedOut,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Protocol,
        Self::DnsTemporary,
        Self::TlsUnavailable,
        Self::LoginFailed,
        Self::DomainNotFound,
        Self::NullMx,
        Self::NoMailServer,
        Self::PrivateDestination,
        Self::AddressLiteral,
        Self::BounceAddressUnknown,
        Self::NoRouteSelfMx,
        Self::Loop,
        Self::Expired,
        Self::TooBig,
        Self::SmtpUtf8,
        Self::RequireTls,
        Self::Administrator,
    ];

    /// The enhanced status code. Class 4 for causes that a later attempt may overcome.
    pub const fn status(self) -> EnhancedStatus {
        let (class, subject, detail) = match self {
            Self::ConnectionRefused | Self::ConnectionTimedOut | Self::Unreachable => (4, 4, 1),
            Self::ConnectionLost => (4, 4, 2),
            Self::Protocol => (4, 5, 0),
            Self::DnsTemporary => (4, 4, 3),
            Self::TlsUnavailable => (4, 7, 5),
            Self::LoginFailed => (4, 7, 8),
            Self::DomainNotFound => (5, 1, 2),
            Self::NullMx => (5, 1, 10),
            Self::NoMailServer | Self::PrivateDestination => (5, 4, 4),
            Self::AddressLiteral => (5, 1, 3),
            Self::BounceAddressUnknown => (5, 1, 1),
            Self::NoRouteSelfMx | Self::Loop => (5, 4, 6),
            Self::Expired => (5, 4, 7),
            Self::TooBig => (5, 3, 4),
            Self::SmtpUtf8 => (5, 6, 7),
            Self::RequireTls => (5, 7, 30),
            Self::Administrator => (5, 7, 1),
        };
        EnhancedStatus::new(class, subject, detail)
    }

    /// One sentence for people, for [`super::RecipientStatus::explanation`].
    pub const fn text(self, language: Language) -> &'static str {
        match language {
            Language::English => self.english(),
            Language::French => self.french(),
        }
    }

    const fn english(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "The receiving mail server refused the connection.",
            Self::ConnectionTimedOut => "The receiving mail server did not answer in time.",
            Self::Unreachable => "The network found no way to the receiving mail server.",
            Self::ConnectionLost => "The connection to the receiving mail server broke off.",
            Self::Protocol => "The receiving mail server gave answers that make no sense.",
            Self::DnsTemporary => {
                "The name service (DNS) gave no usable answer about the recipient's domain."
            }
            Self::TlsUnavailable => {
                "The receiving mail server did not offer the protected connection that is required."
            }
            Self::LoginFailed => {
                "The mail server that passes this organisation's mail on did not let us log in."
            }
            Self::DomainNotFound => "The domain of the address does not exist.",
            Self::NullMx => "The domain of the address takes no mail.",
            Self::NoMailServer => "The domain of the address has no mail server.",
            Self::PrivateDestination => {
                "The domain of the address names only servers of a private network, which mail may \
                 not go to."
            }
            Self::AddressLiteral => {
                "The address names a server by its number; this is not delivered here."
            }
            Self::BounceAddressUnknown => {
                "The address only takes what comes back about mail of ours, and does not exist or \
                 does not count any more."
            }
            Self::NoRouteSelfMx => {
                "The domain of the address names this mail server itself, which has no mailboxes \
                 for it."
            }
            Self::Loop => "The message goes round in circles between mail servers.",
            Self::Expired => "The message could not be delivered within the time allowed.",
            Self::TooBig => "The message is bigger than the receiving mail server takes.",
            Self::SmtpUtf8 => {
                "The message has addresses with international characters, and the receiving mail \
                 server does not understand them."
            }
            Self::RequireTls => {
                "The sender demands protected connections all the way, and the receiving mail \
                 server does not promise them."
            }
            Self::Administrator => "An administrator stopped the delivery.",
        }
    }

    const fn french(self) -> &'static str {
        match self {
            Self::ConnectionRefused => "Le serveur de messagerie distant a refusé la connexion.",
            Self::ConnectionTimedOut => "Le serveur de messagerie distant n’a pas répondu à temps.",
            Self::Unreachable => {
                "Le réseau n’a trouvé aucun chemin vers le serveur de messagerie distant."
            }
            Self::ConnectionLost => {
                "La connexion avec le serveur de messagerie distant a été coupée."
            }
            Self::Protocol => {
                "Le serveur de messagerie distant a donné des réponses incompréhensibles."
            }
            Self::DnsTemporary => {
                "Le service de noms (DNS) n’a pas donné de réponse utilisable pour le domaine du \
                 destinataire."
            }
            Self::TlsUnavailable => {
                "Le serveur de messagerie distant n’a pas proposé la connexion protégée qui est \
                 exigée."
            }
            Self::LoginFailed => {
                "Le serveur de messagerie qui relaie le courrier de cette organisation n’a pas \
                 accepté notre identification."
            }
            Self::DomainNotFound => "Le domaine de l’adresse n’existe pas.",
            Self::NullMx => "Le domaine de l’adresse n’accepte aucun courrier.",
            Self::NoMailServer => "Le domaine de l’adresse n’a pas de serveur de messagerie.",
            Self::PrivateDestination => {
                "Le domaine de l’adresse ne désigne que des serveurs d’un réseau privé, vers \
                 lesquels le courrier ne doit pas partir."
            }
            Self::AddressLiteral => {
                "L’adresse désigne un serveur par son adresse IP\u{202f}; ce courrier n’est pas remis \
                 ici."
            }
            Self::BounceAddressUnknown => {
                "L’adresse ne reçoit que les retours de nos propres messages\u{202f}; elle n’existe \
                 pas ou n’est plus valable."
            }
            Self::NoRouteSelfMx => {
                "Le domaine de l’adresse désigne ce serveur de messagerie lui-même, qui n’a pas de \
                 boîtes aux lettres pour ce domaine."
            }
            Self::Loop => "Le message tourne en rond entre des serveurs de messagerie.",
            Self::Expired => "Le message n’a pas pu être remis dans le délai prévu.",
            Self::TooBig => {
                "Le message est plus volumineux que ce que le serveur de messagerie distant accepte."
            }
            Self::SmtpUtf8 => {
                "Le message comporte des adresses à caractères internationaux, que le serveur de \
                 messagerie distant ne comprend pas."
            }
            Self::RequireTls => {
                "L’expéditeur exige des connexions protégées sur tout le trajet, et le serveur de \
                 messagerie distant ne les garantit pas."
            }
            Self::Administrator => "Un administrateur a arrêté la remise.",
        }
    }
}

/// The status code of a server's answer: its own, or its class with "other" (`5.0.0`). RFC 3464
/// §2.3.4 wants one for every recipient.
pub fn status_of(reply: &Reply) -> EnhancedStatus {
    let class = match reply.code().get() {
        ..400 => 2,
        400..500 => 4,
        500.. => 5,
    };
    reply.status().unwrap_or(EnhancedStatus::new(class, 0, 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_code_and_a_sentence_in_each_language() {
        for cause in Cause::ALL {
            assert!(matches!(cause.status().class, 4 | 5), "{cause:?}");
            for language in [Language::English, Language::French] {
                let text = cause.text(language);
                assert!(text.ends_with('.') && !text.contains("  "), "{text}");
                assert!(!text.contains(" ;") && !text.contains(" :"), "{text}");
            }
            assert!(cause.text(Language::English).is_ascii());
        }
    }

    #[test]
    fn an_answer_without_status_gets_the_one_of_its_class() {
        for (stored, expected) in [
            ("550 5.1.1 no", "5.1.1"),
            ("550 no", "5.0.0"),
            ("421 busy", "4.0.0"),
            ("250", "2.0.0"),
        ] {
            let reply = Reply::parse_stored(stored).expect("a reply");
            assert_eq!(std::format!("{}", status_of(&reply)), expected);
        }
    }
}
