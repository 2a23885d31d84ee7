//! What refusals of well-known smart hosts mean: cause and fix, for the person who set up the
//! outbound connector.
//!
//! Found by code, enhanced status and words of the reply; the first entry that fits is meant. Not
//! here: what becomes of the mail ([`crate::outcome`]).

use relais_smtp::client::Stage;
use relais_smtp::reply::Reply;

/// One known refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KnownRefusal {
    /// `5.7.64`; empty: any.
    status: &'static str,
    /// The words of the reply hold this, in lower case; empty: any.
    words: &'static str,
    /// Only at this stage.
    stage: Option<Stage>,
    /// What is the matter.
    pub cause: Words,
    /// What to do.
    pub fix: Words,
}

/// The same in both languages.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Words {
    /// In English.
    pub en: &'static str,
    /// In French.
    pub fr: &'static str,
}

const fn known(
    (status, words, stage): (&'static str, &'static str, Option<Stage>),
    cause: Words,
    fix: Words,
) -> KnownRefusal {
    KnownRefusal {
        status,
        words,
        stage,
        cause,
        fix,
    }
}

const fn both(en: &'static str, fr: &'static str) -> Words {
    Words { en, fr }
}

/// All of them, the particular before the general.
pub const KNOWN_REFUSALS: &[KnownRefusal] = &[
    known(
        ("5.7.30", "", None),
        both(
            "Microsoft 365 no longer accepts passwords for SMTP.",
            "Microsoft 365 n’accepte plus les mots de passe pour SMTP.",
        ),
        both(
            "Use the preset microsoft-365-oauth, or a connector by certificate or address.",
            "Utilisez le modèle microsoft-365-oauth, ou un connecteur par certificat ou adresse.",
        ),
    ),
    known(
        ("5.7.57", "", None),
        both(
            "The submission server wants a login before MAIL.",
            "Le serveur de soumission exige une identification avant MAIL.",
        ),
        both(
            "Set auth of the connector, or send to the tenant's MX host on port 25.",
            "Renseignez auth du connecteur, ou envoyez à l’hôte MX du locataire, port 25.",
        ),
    ),
    known(
        ("5.7.60", "", None),
        both(
            "The account may not send as this address.",
            "Le compte n’a pas le droit d’envoyer avec cette adresse.",
        ),
        both(
            "Give the account the Send As right for the sender, or use a connector by certificate.",
            "Donnez au compte le droit « Envoyer en tant que », ou utilisez un connecteur par certificat.",
        ),
    ),
    known(
        ("5.2.252", "", None),
        both(
            "The account may not send as this address (SendAsDenied).",
            "Le compte n’a pas le droit d’envoyer avec cette adresse (SendAsDenied).",
        ),
        both(
            "Give the account the Send As right for the sender.",
            "Donnez au compte le droit « Envoyer en tant que » pour cet expéditeur.",
        ),
    ),
    known(
        ("5.7.64", "", None),
        both(
            "No inbound connector of the Microsoft 365 tenant knows us, or the sender's domain is \
             not accepted there.",
            "Aucun connecteur entrant du locataire Microsoft 365 ne nous reconnaît, ou le domaine \
             de l’expéditeur n’y est pas accepté.",
        ),
        both(
            "In the Exchange admin centre, add an inbound connector (on-premises) with our \
             certificate's name or our egress address.",
            "Dans le centre d’administration Exchange, ajoutez un connecteur entrant (local) avec \
             le nom de notre certificat ou notre adresse de sortie.",
        ),
    ),
    known(
        ("5.7.68", "", None),
        both(
            "The tenant refuses direct send: mail of its own domain from unknown senders.",
            "Le locataire refuse l’envoi direct de son propre domaine par des inconnus.",
        ),
        both(
            "Create an inbound connector in Microsoft 365 that names our certificate or address.",
            "Créez dans Microsoft 365 un connecteur entrant qui nomme notre certificat ou notre \
             adresse.",
        ),
    ),
    known(
        ("5.7.139", "", None),
        both(
            "Microsoft 365 refuses the login by policy: SMTP AUTH is off, security defaults, or \
             conditional access.",
            "Microsoft 365 refuse l’identification par règle : SMTP AUTH désactivé, paramètres de \
             sécurité par défaut ou accès conditionnel.",
        ),
        both(
            "Turn SMTP AUTH on for that mailbox, or sign in with OAuth.",
            "Activez SMTP AUTH pour cette boîte, ou identifiez-vous par OAuth.",
        ),
    ),
    known(
        ("5.7.3", "", None),
        both(
            "Wrong user, password or token; or the account is barred from SMTP AUTH.",
            "Utilisateur, mot de passe ou jeton erroné ; ou SMTP AUTH interdit au compte.",
        ),
        both(
            "Check user and password; with OAuth the scope must be SMTP.Send or SMTP.SendAsApp.",
            "Vérifiez utilisateur et mot de passe ; avec OAuth, la portée doit être SMTP.Send ou \
             SMTP.SendAsApp.",
        ),
    ),
    known(
        ("4.4.62", "", None),
        both(
            "The mail went to the server of another tenant or region.",
            "Le courrier est allé au serveur d’un autre locataire ou d’une autre région.",
        ),
        both(
            "Take the smart host from the MX record of your own domain.",
            "Reprenez comme hôte relais l’enregistrement MX de votre propre domaine.",
        ),
    ),
    known(
        ("4.7.66", "", None),
        both(
            "The server refuses this version of TLS.",
            "Le serveur refuse cette version de TLS.",
        ),
        both(
            "Something between us ends TLS: let our connection pass unchanged.",
            "Un équipement intermédiaire termine TLS : laissez passer la connexion telle quelle.",
        ),
    ),
    known(
        ("", "mail relay denied", None),
        both(
            "The Google relay does not know our address.",
            "Le relais Google ne connaît pas notre adresse.",
        ),
        both(
            "In the Google Admin console, SMTP relay service: add our egress address, or require \
             SMTP authentication and log in.",
            "Console d’administration Google, service de relais SMTP : ajoutez notre adresse de \
             sortie, ou exigez l’authentification et identifiez-vous.",
        ),
    ),
    known(
        ("", "invalid credentials for relay", None),
        both(
            "The Google relay does not accept the sender's domain from our address.",
            "Le relais Google n’accepte pas le domaine de l’expéditeur depuis notre adresse.",
        ),
        both(
            "Register the sender's domain with Google Workspace, and our address with the relay.",
            "Inscrivez le domaine de l’expéditeur dans Google Workspace et notre adresse au relais.",
        ),
    ),
    known(
        ("", "daily smtp relay", None),
        both(
            "The daily quota of the Google relay is used up.",
            "Le quota quotidien du relais Google est épuisé.",
        ),
        both(
            "Set pace.recipients_per_day below the quota; the mail waits until tomorrow.",
            "Fixez pace.recipients_per_day sous le quota ; le courrier attend demain.",
        ),
    ),
    known(
        ("5.5.4", "ehlo", None),
        both(
            "Google wants a real host name in EHLO.",
            "Google veut un vrai nom d’hôte dans EHLO.",
        ),
        both(
            "Set hostname in relais.toml to the public name of this machine.",
            "Mettez dans hostname de relais.toml le nom public de cette machine.",
        ),
    ),
    known(
        ("", "application-specific password required", None),
        both(
            "Google wants an app password for this account.",
            "Google veut un mot de passe d’application pour ce compte.",
        ),
        both(
            "Make an app password, or sign in with OAuth.",
            "Créez un mot de passe d’application, ou identifiez-vous par OAuth.",
        ),
    ),
    known(
        ("", "email address is not verified", None),
        both(
            "Amazon SES does not know the sender, or the account is in the sandbox.",
            "Amazon SES ne connaît pas l’expéditeur, ou le compte est dans le bac à sable.",
        ),
        both(
            "Verify the domain in SES in this region, and ask for production access.",
            "Vérifiez le domaine dans SES, dans cette région, et demandez l’accès en production.",
        ),
    ),
    known(
        ("", "daily message quota exceeded", None),
        both(
            "The daily quota of Amazon SES is used up.",
            "Le quota quotidien d’Amazon SES est épuisé.",
        ),
        both(
            "Set pace.recipients_per_day to the quota, or ask Amazon for more.",
            "Fixez pace.recipients_per_day au quota, ou demandez plus à Amazon.",
        ),
    ),
    known(
        ("", "maximum sending rate exceeded", None),
        both(
            "We send faster than Amazon SES allows.",
            "Nous envoyons plus vite qu’Amazon SES ne le permet.",
        ),
        both(
            "Set pace.messages_per_minute to the rate of the account.",
            "Fixez pace.messages_per_minute au débit du compte.",
        ),
    ),
    known(
        ("5.7.8", "", Some(Stage::Auth)),
        both(
            "The server does not accept this user with this password or token.",
            "Le serveur n’accepte pas cet utilisateur avec ce mot de passe ou ce jeton.",
        ),
        both(
            "Correct user or password: relais connector outbound set NAME --user … --password-stdin.",
            "Corrigez utilisateur ou mot de passe : relais connector outbound set NOM --user … \
             --password-stdin.",
        ),
    ),
    known(
        ("", "authentication required", None),
        both(
            "The server wants a login.",
            "Le serveur exige une identification.",
        ),
        both(
            "Set auth of the connector.",
            "Renseignez auth du connecteur.",
        ),
    ),
    known(
        ("", "relay", Some(Stage::Recipient)),
        both(
            "The server does not relay for us: it knows neither our address nor a login.",
            "Le serveur ne relaie pas pour nous : ni notre adresse ni une identification ne lui \
             sont connues.",
        ),
        both(
            "Have our egress address allowed there, or set auth of the connector.",
            "Faites-y autoriser notre adresse de sortie, ou renseignez auth du connecteur.",
        ),
    ),
];

/// What a refusal at a stage means, if it is known.
pub fn known_refusal(stage: Stage, reply: &Reply) -> Option<&'static KnownRefusal> {
    let status = reply.status().map(|status| status.to_string());
    let text = reply.to_string().to_ascii_lowercase();
    KNOWN_REFUSALS.iter().find(|known| {
        (known.status.is_empty() || status.as_deref() == Some(known.status))
            && text.contains(known.words)
            && known.stage.is_none_or(|only| only == stage)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cause(stage: Stage, line: &str) -> Option<&'static str> {
        let reply = Reply::parse_stored(line).expect("a reply");
        known_refusal(stage, &reply).map(|known| known.cause.en)
    }

    #[test]
    fn replies_of_providers_are_told_apart() {
        for (stage, line, part) in [
            (
                Stage::Auth,
                "550 5.7.30 Basic authentication is not supported for Client Submission.",
                "no longer accepts passwords",
            ),
            (
                Stage::Sender,
                "530 5.7.57 Client not authenticated to send mail. [AM0.EURPRD]",
                "wants a login before MAIL",
            ),
            (
                Stage::Data,
                "554 5.7.60 SMTP; Client does not have permissions to send as this sender",
                "may not send as this address",
            ),
            (
                Stage::Recipient,
                "550 5.7.64 TenantAttribution; Relay Access Denied [AM0.EURPRD]",
                "knows us",
            ),
            (
                Stage::Recipient,
                "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization",
                "direct send",
            ),
            (
                Stage::Auth,
                "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.",
                "by policy",
            ),
            (
                Stage::Auth,
                "535 5.7.3 Authentication unsuccessful [PR0]",
                "Wrong user",
            ),
            (
                Stage::Sender,
                "421 4.4.62 Mail sent to the wrong Office 365 region.",
                "another tenant or region",
            ),
            (
                Stage::Recipient,
                "550 5.7.1 Invalid credentials for relay [192.0.2.1]. The IP address you've registered",
                "does not accept the sender's domain",
            ),
            (
                Stage::Sender,
                "550 5.7.0 Mail relay denied [192.0.2.1]. Invalid credentials for relay",
                "does not know our address",
            ),
            (
                Stage::Hello,
                "421 4.7.0 Try again later, closing connection. (EHLO) 5.5.4",
                "",
            ),
            (
                Stage::Auth,
                "534 5.7.9 Application-specific password required.",
                "app password",
            ),
            (
                Stage::Content,
                "554 Message rejected: Email address is not verified. The following identities failed",
                "Amazon SES does not know the sender",
            ),
            (
                Stage::Sender,
                "454 Throttling failure: Maximum sending rate exceeded.",
                "faster",
            ),
            (
                Stage::Auth,
                "535 5.7.8 Error: authentication failed",
                "does not accept this user",
            ),
            (
                Stage::Recipient,
                "554 5.7.1 <a@b.example>: Relay access denied",
                "does not relay for us",
            ),
            (Stage::Recipient, "550 5.1.1 no such user", ""),
        ] {
            let found = cause(stage, line);
            if part.is_empty() {
                assert_eq!(found, None, "{line}");
            } else {
                assert!(
                    found.is_some_and(|found| found.contains(part)),
                    "{line}: {found:?}"
                );
            }
        }
    }

    #[test]
    fn each_has_words_in_both_languages() {
        for known in KNOWN_REFUSALS {
            for words in [known.cause, known.fix] {
                assert!(
                    words.en.is_ascii() || words.en.contains('…'),
                    "{}",
                    words.en
                );
                assert!(
                    words.en.ends_with('.') && words.fr.ends_with('.'),
                    "{}",
                    words.en
                );
                assert!(!words.en.contains("  ") && !words.fr.contains("  "));
            }
            assert!(known.words.chars().all(|one| !one.is_ascii_uppercase()));
            assert!(!known.status.is_empty() || !known.words.is_empty());
        }
    }
}
