//! From a status code to a cause in plain words, who can mend it, and how.

use super::{Language, RecipientStatus};

/// What a status code means to a person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Situation {
    UnknownAddress,
    UnknownDomain,
    TakesNoMail,
    NoRoute,
    SenderRefused,
    MailboxOff,
    MailboxFull,
    TooBig,
    ServerTrouble,
    NoAnswer,
    ConnectionLost,
    NameService,
    Loop,
    Expired,
    TooManyRecipients,
    Protocol,
    Content,
    International,
    Authentication,
    Protection,
    Policy,
    Refused,
    NotNow,
    /// Decided here, without a server's answer to look at.
    Ours,
}

/// What is said of one [`Situation`], in one language.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advice {
    pub(super) cause: &'static str,
    pub(super) who: Who,
    pub(super) remedy: &'static str,
}

/// Cause and remedy of one [`Situation`] in each language.
struct Texts {
    english: [&'static str; 2],
    french: [&'static str; 2],
}

/// Who can mend it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Who {
    Sender,
    Recipient,
    OurAdministrator,
    TheirAdministrator,
}

impl Who {
    /// `on_behalf`: the notice goes to somebody who is not the sender.
    pub(super) fn text(self, language: Language, on_behalf: bool) -> &'static str {
        match (self, language) {
            (Self::Sender, Language::English) if on_behalf => "The person who sent the message.",
            (Self::Sender, Language::French) if on_behalf => "La personne qui a envoyé le message.",
            (Self::Sender, Language::English) => "You, the sender.",
            (Self::Sender, Language::French) => "Vous, l’expéditeur.",
            (Self::Recipient, Language::English) => "The recipient.",
            (Self::Recipient, Language::French) => "Le destinataire.",
            (Self::OurAdministrator, Language::English) => "Your mail administrator.",
            (Self::OurAdministrator, Language::French) => "Votre administrateur de messagerie.",
            (Self::TheirAdministrator, Language::English) => {
                "The administrator of the recipient's mail server."
            }
            (Self::TheirAdministrator, Language::French) => {
                "L’administrateur du serveur de messagerie du destinataire."
            }
        }
    }
}

impl Situation {
    /// Expired says little; the server's last answer says more.
    pub(super) fn of(recipient: &RecipientStatus) -> Self {
        let status = recipient.status;
        let last_answer = recipient.diagnostic.as_ref().map(super::status_of);
        let situation = match last_answer.filter(|_| (status.subject, status.detail) == (4, 7)) {
            Some(answer) => Self::of_code(answer.class, answer.subject, answer.detail),
            None => Self::of_code(status.class, status.subject, status.detail),
        };
        let needs_answer = matches!(
            situation,
            Self::Policy | Self::Protocol | Self::Content | Self::Refused | Self::NotNow
        );
        if needs_answer && last_answer.is_none() {
            Self::Ours
        } else {
            situation
        }
    }

    /// RFC 3463 §3, with the later entries of the IANA registry.
    fn of_code(class: u8, subject: u16, detail: u16) -> Self {
        match (subject, detail) {
            (1, 2) => Self::UnknownDomain,
            (1, 7 | 8) | (7, 27) => Self::SenderRefused,
            (1, 10) => Self::TakesNoMail,
            (1, 0 | 1 | 3 | 4 | 5 | 6 | 9) => Self::UnknownAddress,
            (2, 2) => Self::MailboxFull,
            (2, 3) | (3, 4) => Self::TooBig,
            (2, _) => Self::MailboxOff,
            (3, _) | (4, 5) => Self::ServerTrouble,
            (4, 2) => Self::ConnectionLost,
            (4, 3) => Self::NameService,
            (4, 4) => Self::NoRoute,
            (4, 6) => Self::Loop,
            (4, 7) => Self::Expired,
            (4, _) => Self::NoAnswer,
            (5, 3) => Self::TooManyRecipients,
            (5, _) => Self::Protocol,
            (6, 7..=10) => Self::International,
            (6, _) => Self::Content,
            (7, 4 | 5 | 10 | 11 | 30) => Self::Protection,
            (7, 20..=29) => Self::Authentication,
            (7, _) => Self::Policy,
            _ if class == 4 => Self::NotNow,
            _ => Self::Refused,
        }
    }

    fn who(self) -> Who {
        match self {
            Self::UnknownAddress
            | Self::UnknownDomain
            | Self::TakesNoMail
            | Self::TooBig
            | Self::TooManyRecipients
            | Self::Expired
            | Self::NotNow
            | Self::NoRoute
            | Self::International => Who::Sender,
            Self::MailboxOff | Self::MailboxFull => Who::Recipient,
            Self::SenderRefused
            | Self::Ours
            | Self::Loop
            | Self::Protocol
            | Self::Content
            | Self::Authentication
            | Self::Protection
            | Self::Policy
            | Self::Refused => Who::OurAdministrator,
            Self::ServerTrouble | Self::NoAnswer | Self::ConnectionLost | Self::NameService => {
                Who::TheirAdministrator
            }
        }
    }

    pub(super) fn advice(self, language: Language) -> Advice {
        let texts = self.texts();
        let [cause, remedy] = match language {
            Language::English => texts.english,
            Language::French => texts.french,
        };
        Advice {
            cause,
            who: self.who(),
            remedy,
        }
    }

    fn texts(self) -> &'static Texts {
        match self {
            Self::UnknownAddress => &UNKNOWN_ADDRESS,
            Self::UnknownDomain => &UNKNOWN_DOMAIN,
            Self::TakesNoMail => &TAKES_NO_MAIL,
            Self::NoRoute => &NO_ROUTE,
            Self::SenderRefused => &SENDER_REFUSED,
            Self::MailboxOff => &MAILBOX_OFF,
            Self::MailboxFull => &MAILBOX_FULL,
            Self::TooBig => &TOO_BIG,
            Self::ServerTrouble => &SERVER_TROUBLE,
            Self::NoAnswer => &NO_ANSWER,
            Self::ConnectionLost => &CONNECTION_LOST,
            Self::NameService => &NAME_SERVICE,
            Self::Loop => &LOOP,
            Self::Expired => &EXPIRED,
            Self::TooManyRecipients => &TOO_MANY_RECIPIENTS,
            Self::Protocol => &PROTOCOL,
            Self::Content => &CONTENT,
            Self::International => &INTERNATIONAL,
            Self::Authentication => &AUTHENTICATION,
            Self::Protection => &PROTECTION,
            Self::Policy => &POLICY,
            Self::Refused => &REFUSED,
            Self::NotNow => &NOT_NOW,
            Self::Ours => &OURS,
        }
    }
}

const UNKNOWN_ADDRESS: Texts = Texts {
    english: [
        "The recipient's address does not exist.",
        "Compare the address letter by letter, also in the address book of your device or \
         program, and send the message again. If it is right, ask the recipient for the address \
         that is valid now.",
    ],
    french: [
        "L’adresse du destinataire n’existe pas.",
        "Comparez l’adresse lettre par lettre, y compris dans le carnet d’adresses de votre \
         appareil ou logiciel, puis renvoyez le message. Si elle est exacte, demandez au \
         destinataire son adresse actuelle.",
    ],
};

const UNKNOWN_DOMAIN: Texts = Texts {
    english: [
        "The part of the address behind the @ does not exist.",
        "Look for a typing error behind the @, correct it, and send the message again.",
    ],
    french: [
        "La partie de l’adresse qui suit le signe @ n’existe pas.",
        "Cherchez une faute de frappe après le signe @, corrigez-la, puis renvoyez le message.",
    ],
};

const TAKES_NO_MAIL: Texts = Texts {
    english: [
        "The domain of the address takes no mail at all.",
        "Ask the recipient for another address, and send the message there.",
    ],
    french: [
        "Le domaine de l’adresse n’accepte aucun courrier.",
        "Demandez une autre adresse au destinataire et envoyez-y le message.",
    ],
};

const NO_ROUTE: Texts = Texts {
    english: [
        "No way to the mail server of the recipient was found.",
        "Look for a typing error in the address, and send the message again. If it is right, your \
         mail administrator must look at the way by which mail goes to this domain.",
    ],
    french: [
        "Aucun chemin vers le serveur de messagerie du destinataire n’a été trouvé.",
        "Cherchez une faute de frappe dans l’adresse, puis renvoyez le message. Si elle est \
         exacte, votre administrateur de messagerie doit vérifier le chemin que prend le courrier \
         vers ce domaine.",
    ],
};

const SENDER_REFUSED: Texts = Texts {
    english: [
        "The receiving server does not accept the sender's address.",
        "Check that the sender's domain exists in the DNS and can receive mail.",
    ],
    french: [
        "Le serveur distant n’accepte pas l’adresse de l’expéditeur.",
        "Vérifiez que le domaine de l’expéditeur existe dans le DNS et peut recevoir du courrier.",
    ],
};

const MAILBOX_OFF: Texts = Texts {
    english: [
        "The recipient's mailbox takes no mail at present.",
        "Tell the recipient by another way that the mailbox takes no mail.",
    ],
    french: [
        "La boîte aux lettres du destinataire n’accepte pas de courrier actuellement.",
        "Prévenez le destinataire par un autre moyen que sa boîte aux lettres n’accepte pas de \
         courrier.",
    ],
};

const MAILBOX_FULL: Texts = Texts {
    english: [
        "The recipient's mailbox is full.",
        "Ask the recipient by another way to make room, then send the message again.",
    ],
    french: [
        "La boîte aux lettres du destinataire est pleine.",
        "Demandez au destinataire, par un autre moyen, de faire de la place, puis renvoyez le \
         message.",
    ],
};

const TOO_BIG: Texts = Texts {
    english: [
        "The message is too big for the recipient.",
        "Make the message smaller, for instance with fewer pages or a lower resolution of the \
         scan, or send a link instead of the file.",
    ],
    french: [
        "Le message est trop volumineux pour le destinataire.",
        "Réduisez le message, par exemple avec moins de pages ou une numérisation moins fine, ou \
         envoyez un lien à la place du fichier.",
    ],
};

const SERVER_TROUBLE: Texts = Texts {
    english: [
        "The receiving mail server has a fault.",
        "Send the message again later. If it fails again, pass this notice on to the recipient.",
    ],
    french: [
        "Le serveur de messagerie distant est en panne.",
        "Renvoyez le message plus tard. S’il échoue encore, transmettez cet avis au destinataire.",
    ],
};

const NO_ANSWER: Texts = Texts {
    english: [
        "The receiving mail server does not answer.",
        "Send the message again later. If mail to other domains fails too, your own mail \
         administrator should check the way out to the internet.",
    ],
    french: [
        "Le serveur de messagerie distant ne répond pas.",
        "Renvoyez le message plus tard. Si le courrier vers d’autres domaines échoue aussi, votre \
         propre administrateur de messagerie devrait vérifier l’accès à internet.",
    ],
};

const CONNECTION_LOST: Texts = Texts {
    english: [
        "The connection to the receiving mail server broke off.",
        "Send the message again later; a smaller message may get through sooner.",
    ],
    french: [
        "La connexion avec le serveur de messagerie distant a été coupée.",
        "Renvoyez le message plus tard\u{202f}; un message plus petit passera peut-être plus vite.",
    ],
};

const NAME_SERVICE: Texts = Texts {
    english: [
        "The name service (DNS) of the recipient's domain has a fault.",
        "Send the message again later. If it fails again, pass this notice on to the recipient.",
    ],
    french: [
        "Le service de noms (DNS) du domaine du destinataire est en panne.",
        "Renvoyez le message plus tard. S’il échoue encore, transmettez cet avis au destinataire.",
    ],
};

const LOOP: Texts = Texts {
    english: [
        "The message goes round in circles between mail servers.",
        "A forwarding or a mail server's setting points back to where the message came from; it \
         must be corrected.",
    ],
    french: [
        "Le message tourne en rond entre des serveurs de messagerie.",
        "Un renvoi automatique ou le réglage d’un serveur ramène le message à son point de \
         départ\u{202f}; il doit être corrigé.",
    ],
};

const EXPIRED: Texts = Texts {
    english: [
        "The message could not be delivered within the time allowed.",
        "Send the message again later, or reach the recipient by another way.",
    ],
    french: [
        "Le message n’a pas pu être remis dans le délai prévu.",
        "Renvoyez le message plus tard, ou joignez le destinataire par un autre moyen.",
    ],
};

const TOO_MANY_RECIPIENTS: Texts = Texts {
    english: [
        "The message has more recipients than the receiving server takes at once.",
        "Send the message to fewer recipients at a time.",
    ],
    french: [
        "Le message a plus de destinataires que le serveur distant n’en accepte à la fois.",
        "Envoyez le message à moins de destinataires à la fois.",
    ],
};

const PROTOCOL: Texts = Texts {
    english: [
        "The two mail servers did not understand each other.",
        "The server's answer below shows what went wrong.",
    ],
    french: [
        "Les deux serveurs de messagerie ne se sont pas compris.",
        "La réponse du serveur, ci-dessous, montre ce qui n’a pas fonctionné.",
    ],
};

const CONTENT: Texts = Texts {
    english: [
        "The receiving server cannot deal with the form of the message.",
        "Send the message in a simpler form, for instance with another type of file. If it fails \
         again, the server's answer below shows what went wrong.",
    ],
    french: [
        "Le serveur distant ne sait pas traiter la forme du message.",
        "Envoyez le message sous une forme plus simple, par exemple avec un autre type de \
         fichier. S’il échoue encore, la réponse du serveur, ci-dessous, montre ce qui n’a pas \
         fonctionné.",
    ],
};

const INTERNATIONAL: Texts = Texts {
    english: [
        "The receiving server does not understand international characters in addresses.",
        "Use addresses with plain letters only, for the sender and for every recipient.",
    ],
    french: [
        "Le serveur distant ne comprend pas les caractères internationaux dans les adresses.",
        "Utilisez des adresses sans accents ni caractères spéciaux, pour l’expéditeur comme pour \
         chaque destinataire.",
    ],
};

const AUTHENTICATION: Texts = Texts {
    english: [
        "The receiving server could not verify that the message truly comes from its sender's \
         domain.",
        "The SPF, DKIM and DMARC records of the sender's domain must allow this mail server.",
    ],
    french: [
        "Le serveur distant n’a pas pu vérifier que le message vient vraiment du domaine de son \
         expéditeur.",
        "Les enregistrements SPF, DKIM et DMARC du domaine de l’expéditeur doivent autoriser ce \
         serveur de messagerie.",
    ],
};

const PROTECTION: Texts = Texts {
    english: [
        "A connection as protected as required could not be made.",
        "The protection (TLS) that one side demands and the other offers must be made to fit.",
    ],
    french: [
        "Le niveau de protection exigé pour la connexion n’a pas pu être atteint.",
        "La protection (TLS) exigée d’un côté et celle offerte de l’autre doivent être mises en accord.",
    ],
};

const POLICY: Texts = Texts {
    english: [
        "The receiving server refused the message by its rules, for instance as suspected spam or \
         because the sender is not allowed.",
        "The server's answer below names the reason. Often the sender's domain lacks an SPF or \
         DKIM record, or the address of the sending server is on a block list.",
    ],
    french: [
        "Le serveur distant a refusé le message selon ses règles, par exemple parce qu’il le \
         prend pour un courrier indésirable ou n’autorise pas l’expéditeur.",
        "La réponse du serveur, ci-dessous, en donne la raison. Souvent, il manque un \
         enregistrement SPF ou DKIM au domaine de l’expéditeur, ou l’adresse du serveur d’envoi \
         figure sur une liste de blocage.",
    ],
};

const REFUSED: Texts = Texts {
    english: [
        "The receiving server refused the message for good.",
        "The server's answer, if there is one below, names the reason.",
    ],
    french: [
        "Le serveur distant a refusé définitivement le message.",
        "La réponse du serveur, si elle figure ci-dessous, en donne la raison.",
    ],
};

const NOT_NOW: Texts = Texts {
    english: [
        "The receiving server did not take the message for the time being.",
        "Send the message again later, or reach the recipient by another way.",
    ],
    french: [
        "Le serveur distant n’accepte pas le message pour le moment.",
        "Renvoyez le message plus tard, ou joignez le destinataire par un autre moyen.",
    ],
};

const OURS: Texts = Texts {
    english: [
        "The message was not delivered.",
        "Ask your mail administrator, who finds the message by its queue id.",
    ],
    french: [
        "Le message n’a pas été remis.",
        "Adressez-vous à votre administrateur de messagerie, qui retrouvera le message grâce à \
         son identifiant.",
    ],
};

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::string::String;

    /// Every situation that a code can lead to, with its texts.
    fn all() -> HashMap<String, Situation> {
        let details = (0..=9).flat_map(|subject| (0..=40).map(move |detail| (subject, detail)));
        let mut all: HashMap<String, Situation> = details
            .flat_map(|(subject, detail)| {
                [4, 5].map(|class| Situation::of_code(class, subject, detail))
            })
            .map(|situation| (std::format!("{situation:?}"), situation))
            .collect();
        all.insert("Ours".into(), Situation::Ours);
        all
    }

    #[test]
    fn every_situation_says_cause_person_and_remedy_in_whole_sentences() {
        assert_eq!(all().len(), 24);
        for situation in all().values() {
            for language in [Language::English, Language::French] {
                let advice = situation.advice(language);
                let who = advice.who.text(language, false);
                for text in [advice.cause, who, advice.remedy] {
                    assert!(text.ends_with('.') && !text.contains("  "), "{text}");
                }
            }
            let english = situation.advice(Language::English);
            assert!(english.cause.is_ascii() && english.remedy.is_ascii());
        }
    }

    #[test]
    fn french_has_its_narrow_spaces_and_curved_apostrophes() {
        for situation in all().values() {
            let advice = situation.advice(Language::French);
            for text in [advice.cause, advice.remedy] {
                assert!(!text.contains('\''), "{text}");
                for mark in [':', ';', '!', '?'] {
                    for (at, _) in text.match_indices(mark) {
                        assert!(text[..at].ends_with('\u{202f}'), "{text}");
                    }
                }
            }
        }
    }
}
