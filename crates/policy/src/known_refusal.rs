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
    /// It is put right in the DNS of the sender's domain, not at the connector.
    pub is_about_dns: bool,
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
        is_about_dns: false,
        cause,
        fix,
    }
}

/// One that the DNS of the sender's domain puts right.
const fn by_dns(
    status: &'static str,
    words: &'static str,
    cause: Words,
    fix: Words,
) -> KnownRefusal {
    KnownRefusal {
        is_about_dns: true,
        ..known((status, words, None), cause, fix)
    }
}

const fn both(en: &'static str, fr: &'static str) -> Words {
    Words { en, fr }
}

/// All of them, the particular before the general.
pub const KNOWN_REFUSALS: &[KnownRefusal] = &[
    // "550 5.7.30 Basic authentication is not supported for Client Submission."; without these words
    // it is the registered code of REQUIRETLS (RFC 8689 §5).
    // https://techcommunity.microsoft.com/blog/exchange/exchange-online-to-retire-basic-auth-for-client-submission-smtp-auth/4114750
    known(
        ("5.7.30", "basic authentication", None),
        both(
            "Microsoft 365 no longer accepts passwords for SMTP.",
            "Microsoft 365 n’accepte plus les mots de passe pour SMTP.",
        ),
        both(
            "Use the preset microsoft-365-oauth, or a connector by certificate or address.",
            "Utilisez le modèle microsoft-365-oauth, ou un connecteur par certificat ou adresse.",
        ),
    ),
    // "530 5.7.57 Client not authenticated to send mail.", in older texts "SMTP; Client was not
    // authenticated to send anonymous mail during MAIL FROM".
    // https://learn.microsoft.com/exchange/mail-flow-best-practices/fix-issues-with-printers-scanners-and-lob-applications-that-send-email-using-off
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
    // "550 5.7.60 SMTP; Client does not have permissions to send as this sender", at the end of
    // content; the same page.
    known(
        ("5.7.60", "", None),
        both(
            "The account may not send as this address.",
            "Le compte n’a pas le droit d’envoyer avec cette adresse.",
        ),
        both(
            "Give the account the Send As right for the sender, or use a connector by certificate.",
            "Donnez au compte le droit «\u{202f}Envoyer en tant que\u{202f}», ou utilisez un connecteur par certificat.",
        ),
    ),
    // An Exchange server of one's own: "550 5.7.1 Client does not have permissions to send as this
    // sender".
    // https://learn.microsoft.com/previous-versions/office/developer/exchange-server-2007/aa494038(v=exchg.80)
    known(
        ("5.7.1", "to send as this sender", None),
        both(
            "The account may not send as this address.",
            "Le compte n’a pas le droit d’envoyer avec cette adresse.",
        ),
        both(
            "Give the account the Send As right for the sender, or let us relay by our address.",
            "Donnez au compte le droit «\u{202f}Envoyer en tant que\u{202f}», ou autorisez notre adresse à relayer.",
        ),
    ),
    // "554 5.2.252 SendAsDenied; a@contoso.test not allowed to send as b@contoso.test".
    // https://learn.microsoft.com/exchange/troubleshoot/email-delivery/cannot-send-mail-mailbox-mapiexceptionsendasdenied
    known(
        ("5.2.252", "", None),
        both(
            "The account may not send as this address (SendAsDenied).",
            "Le compte n’a pas le droit d’envoyer avec cette adresse (SendAsDenied).",
        ),
        both(
            "Give the account the Send As right for the sender.",
            "Donnez au compte le droit «\u{202f}Envoyer en tant que\u{202f}» pour cet expéditeur.",
        ),
    ),
    // "550 5.7.64 TenantAttribution; Relay Access Denied", at RCPT.
    // https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/relay-access-denied-smtp
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
    // "550 5.7.68 TenantInboundAttribution; Direct Send not allowed for this organization from
    // unauthorized sources".
    // https://techcommunity.microsoft.com/blog/exchange/introducing-more-control-over-direct-send-in-exchange-online/4408790
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
    // "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect."
    // https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission
    known(
        ("5.7.139", "credentials were incorrect", None),
        both(
            "Microsoft 365 does not accept this user with this password or token.",
            "Microsoft 365 n’accepte pas cet utilisateur avec ce mot de passe ou ce jeton.",
        ),
        both(
            "Correct user or password, or sign in with OAuth; where sign-in takes a second step, a \
             password alone never works.",
            "Corrigez utilisateur ou mot de passe, ou identifiez-vous par OAuth\u{202f}; avec une seconde \
             étape de connexion, un mot de passe seul ne suffit jamais.",
        ),
    ),
    // "... SmtpClientAuthentication is disabled for the Tenant." (or Mailbox), "... basic
    // authentication is disabled", "... the request did not meet the criteria to be authenticated
    // successfully"; the same page, and https://aka.ms/smtp_auth_disabled.
    known(
        ("5.7.139", "", None),
        both(
            "Microsoft 365 refuses the login by policy: SMTP AUTH is off, security defaults, or \
             conditional access.",
            "Microsoft 365 refuse l’identification par une règle\u{202f}: SMTP AUTH désactivé, paramètres de \
             sécurité par défaut ou accès conditionnel.",
        ),
        both(
            "Turn SMTP AUTH on for that mailbox, or sign in with OAuth.",
            "Activez SMTP AUTH pour cette boîte, ou identifiez-vous par OAuth.",
        ),
    ),
    // "535 5.7.3 Authentication unsuccessful".
    // https://learn.microsoft.com/openspecs/windows_protocols/ms-smtpntlm/62888982-a911-40fa-b587-50b5c69f7334
    known(
        ("5.7.3", "", None),
        both(
            "Wrong user, password or token; or the account is barred from SMTP AUTH.",
            "Utilisateur, mot de passe ou jeton erroné\u{202f}; ou SMTP AUTH interdit au compte.",
        ),
        both(
            "Check user and password; with OAuth the scope must be SMTP.Send or SMTP.SendAsApp.",
            "Vérifiez utilisateur et mot de passe\u{202f}; avec OAuth, la portée doit être SMTP.Send ou \
             SMTP.SendAsApp.",
        ),
    ),
    // "451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35."
    // https://learn.microsoft.com/exchange/troubleshoot/email-delivery/wrong-office-365-region-exo
    known(
        ("4.4.62", "", None),
        both(
            "The mail went to the server of another tenant or region, or the tenant does not know us.",
            "Le courrier est allé au serveur d’un autre locataire ou d’une autre région, ou le \
             locataire ne nous connaît pas.",
        ),
        both(
            "Take the smart host from the MX record of your own domain; the inbound connector there \
             must name our egress address or certificate of today.",
            "Reprenez comme hôte intelligent l’enregistrement MX de votre propre domaine\u{202f}; le connecteur \
             entrant doit y nommer notre adresse de sortie ou notre certificat actuels.",
        ),
    ),
    // "550 5.4.1 Recipient address rejected: Access denied."
    // https://learn.microsoft.com/exchange/mail-flow-best-practices/use-directory-based-edge-blocking
    known(
        ("5.4.1", "recipient address rejected", None),
        both(
            "Microsoft 365 knows no such recipient in its directory.",
            "Microsoft 365 ne connaît pas ce destinataire dans son annuaire.",
        ),
        both(
            "Check the address; a recipient kept elsewhere needs the domain as internal relay there.",
            "Vérifiez l’adresse\u{202f}; un destinataire hébergé ailleurs demande le domaine en relais \
             interne là-bas.",
        ),
    ),
    // "550 5.7.606 Access denied, banned sending IP [192.0.2.1]."; 5.7.606 to 5.7.649.
    // https://learn.microsoft.com/defender-office-365/external-senders-use-the-delist-portal-to-unblock-yourself
    known(
        ("", "banned sending ip", None),
        both(
            "Microsoft 365 has blocked our egress address.",
            "Microsoft 365 a bloqué notre adresse de sortie.",
        ),
        both(
            "Find what was sent (relais trace), then ask for removal at https://sender.office.com.",
            "Cherchez ce qui est parti (relais trace), puis demandez la levée sur \
             https://sender.office.com.",
        ),
    ),
    // "421 4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade/update your client to support
    // TLS 1.2. Visit https://aka.ms/smtp_auth_tls."
    known(
        ("4.7.66", "", None),
        both(
            "The server refuses this version of TLS.",
            "Le serveur refuse cette version de TLS.",
        ),
        both(
            "Something between us ends TLS: let our connection pass unchanged.",
            "Un équipement intermédiaire termine TLS\u{202f}: laissez passer la connexion telle quelle.",
        ),
    ),
    // "550-5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all
    // senders to authenticate with either SPF or DKIM.", and "... does not pass DMARC ...". This and
    // the next: https://support.google.com/a/answer/3726730
    by_dns(
        "5.7.26",
        "",
        both(
            "Gmail found neither a valid SPF record nor a DKIM signature for the sender's domain.",
            "Gmail n’a trouvé ni enregistrement SPF valable ni signature DKIM pour le domaine de \
             l’expéditeur.",
        ),
        both(
            "Publish the SPF and DKIM records of the domain, as its page shows them.",
            "Publiez les enregistrements SPF et DKIM du domaine, comme sa page les indique.",
        ),
    ),
    // "550-5.7.27 Your email has been blocked because the sender is unauthenticated. ... SPF did not
    // pass".
    by_dns(
        "5.7.27",
        "spf",
        both(
            "Gmail did not find our address in the SPF record of the sender's domain.",
            "Gmail n’a pas trouvé notre adresse dans l’enregistrement SPF du domaine de l’expéditeur.",
        ),
        both(
            "Add our egress address to the SPF record of the domain, as its page shows it.",
            "Ajoutez notre adresse de sortie à l’enregistrement SPF du domaine, comme sa page l’indique.",
        ),
    ),
    // "550 5.7.23 The message was rejected because of Sender Policy Framework violation". A code
    // of IANA's registry for SPF.
    by_dns(
        "5.7.23",
        "",
        both(
            "The server did not find our address in the SPF record of the sender's domain.",
            "Le serveur n’a pas trouvé notre adresse dans l’enregistrement SPF du domaine de \
             l’expéditeur.",
        ),
        both(
            "Add our egress address to the SPF record of the domain, as its page shows it.",
            "Ajoutez notre adresse de sortie à l’enregistrement SPF du domaine, comme sa page l’indique.",
        ),
    ),
    // "550 5.7.509 Access denied, sending domain contoso.test does not pass DMARC verification".
    // https://learn.microsoft.com/exchange/troubleshoot/email-delivery/ndr/fix-error-code-550-5-7-509-in-exchange-online
    by_dns(
        "5.7.509",
        "",
        both(
            "Microsoft 365 refuses it: the sender's domain does not pass its own DMARC policy.",
            "Microsoft 365 le refuse : le domaine de l’expéditeur ne satisfait pas sa politique DMARC.",
        ),
        both(
            "Publish the SPF and DKIM records of the domain, as its page shows them.",
            "Publiez les enregistrements SPF et DKIM du domaine, comme sa page les indique.",
        ),
    ),
    // "550 5.7.0 Mail relay denied". This and the next six:
    // https://support.google.com/a/answer/3726730 and https://support.google.com/a/answer/6140680
    known(
        ("", "mail relay denied", None),
        both(
            "The Google relay does not know our address.",
            "Le relais Google ne connaît pas notre adresse.",
        ),
        both(
            "In the Google Admin console, SMTP relay service: add our egress address, or require \
             SMTP authentication and log in.",
            "Console d’administration Google, service de relais SMTP\u{202f}: ajoutez notre adresse de \
             sortie, ou exigez l’authentification et identifiez-vous.",
        ),
    ),
    // "550 5.7.1 Invalid credentials for relay".
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
    // "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error."
    known(
        ("", "peak smtp relay limit", None),
        both(
            "We send faster than the Google relay takes for this customer.",
            "Nous envoyons plus vite que le relais Google ne l’accepte pour ce client.",
        ),
        both(
            "Set pace.messages_per_minute; the mail waits meanwhile.",
            "Fixez pace.messages_per_minute\u{202f}; le courrier attend.",
        ),
    ),
    // "550 5.4.5 Daily SMTP relay limit exceeded for user.", "550 5.7.1 ... for customer."
    known(
        ("", "daily smtp relay", None),
        both(
            "The daily quota of the Google relay is used up.",
            "Le quota quotidien du relais Google est épuisé.",
        ),
        both(
            "Set pace.recipients_per_day below the quota, so that mail waits instead of failing.",
            "Fixez pace.recipients_per_day sous le quota\u{202f}: le courrier attendra au lieu d’échouer.",
        ),
    ),
    // "421 4.7.0 Try again later, closing connection. (EHLO)".
    known(
        (
            "4.7.0",
            "try again later, closing connection",
            Some(Stage::Hello),
        ),
        both(
            "Google closes at EHLO: our name there or our address does not say who we are.",
            "Google ferme dès EHLO\u{202f}: notre nom ou notre adresse ne dit pas qui nous sommes.",
        ),
        both(
            "Set hostname in relais.toml to the public name of this machine, and register the egress \
             address (IPv6 too) with the relay, or log in.",
            "Mettez dans hostname de relais.toml le nom public de cette machine, et inscrivez \
             l’adresse de sortie (IPv6 aussi) au relais, ou identifiez-vous.",
        ),
    ),
    // "501 5.5.4 HELO/EHLO argument is invalid".
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
    // "534 5.7.9 Application-specific password required."
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
    // "554 Message rejected: Email address is not verified. The following identities failed the check
    // in region eu-west-1: a@contoso.test". This and the next four:
    // https://docs.aws.amazon.com/ses/latest/dg/troubleshoot-smtp.html
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
    // "535 Authentication Credentials Invalid".
    known(
        ("", "authentication credentials invalid", None),
        both(
            "Amazon SES does not accept this user and password.",
            "Amazon SES n’accepte pas cet utilisateur et ce mot de passe.",
        ),
        both(
            "Use the SMTP credentials of SES in this region; access keys of AWS do not serve.",
            "Utilisez les identifiants SMTP de SES dans cette région\u{202f}; les clés d’accès AWS ne \
             servent pas.",
        ),
    ),
    // "554 Access denied: User ... is not authorized to perform ses:SendRawEmail on resource ...".
    known(
        ("", "ses:sendrawemail", None),
        both(
            "The user at Amazon may not send with this identity.",
            "L’utilisateur chez Amazon n’a pas le droit d’envoyer avec cette identité.",
        ),
        both(
            "Allow ses:SendRawEmail to the user who owns the SMTP credentials.",
            "Accordez ses:SendRawEmail à l’utilisateur des identifiants SMTP.",
        ),
    ),
    // "454 Throttling failure: Daily message quota exceeded".
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
    // "454 Throttling failure: Maximum sending rate exceeded".
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
    // "550 From header sender domain not verified". This and the next two:
    // https://support.smtp2go.com/hc/en-gb/articles/13990494697369-Common-Sending-Errors
    known(
        ("", "from header sender domain not verified", None),
        both(
            "SMTP2GO does not know the sender's domain.",
            "SMTP2GO ne connaît pas le domaine de l’expéditeur.",
        ),
        both(
            "Verify the domain under Sending > Verified Senders.",
            "Vérifiez le domaine sous Sending > Verified Senders.",
        ),
    ),
    // "550 Relay access denied - please authenticate".
    known(
        ("", "relay access denied - please authenticate", None),
        both(
            "SMTP2GO wants a login of an SMTP user, or our egress address by IP authentication.",
            "SMTP2GO exige l’identification d’un utilisateur SMTP, ou notre adresse de sortie par \
             authentification IP.",
        ),
        both(
            "Set auth of the connector, or add our egress address under Sending > IP Authentication.",
            "Renseignez auth du connecteur, ou ajoutez notre adresse sous Sending > IP \
             Authentication.",
        ),
    ),
    // "535 Incorrect authentication data": SMTP2GO, and Exim everywhere.
    known(
        ("", "incorrect authentication data", None),
        both(
            "The server does not accept this user with this password.",
            "Le serveur n’accepte pas cet utilisateur avec ce mot de passe.",
        ),
        both(
            "Correct user or password; at SMTP2GO take an SMTP user, not the account's own login.",
            "Corrigez utilisateur ou mot de passe\u{202f}; chez SMTP2GO, prenez un utilisateur SMTP, pas \
             l’identifiant du compte.",
        ),
    ),
    // "530 5.7.0 Must issue a STARTTLS command first." RFC 3207 §4.
    known(
        ("", "must issue a starttls command first", None),
        both(
            "The server wants TLS before anything else.",
            "Le serveur exige TLS avant toute chose.",
        ),
        both(
            "Set tls of the connector to encryption-only or more.",
            "Mettez tls du connecteur à encryption-only ou davantage.",
        ),
    ),
    // RFC 4954 §6.
    known(
        ("5.7.8", "", Some(Stage::Auth)),
        both(
            "The server does not accept this user with this password or token.",
            "Le serveur n’accepte pas cet utilisateur avec ce mot de passe ou ce jeton.",
        ),
        both(
            "Correct user or password: relais connector outbound set NAME --user … --password-stdin.",
            "Corrigez utilisateur ou mot de passe\u{202f}: relais connector outbound set NOM --user … \
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
            "Le serveur ne relaie pas pour nous\u{202f}: ni notre adresse ni une identification ne lui \
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
                "451 4.4.62 Mail sent to the wrong Office 365 region. ATTR35. For more information",
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
                "421 4.7.0 Try again later, closing connection. (EHLO) a1-20020a1.12 - gsmtp",
                "closes at EHLO",
            ),
            (
                Stage::Hello,
                "501 5.5.4 HELO/EHLO argument \"localhost\" invalid, closing connection.",
                "real host name",
            ),
            (
                Stage::Auth,
                "535 5.7.139 Authentication unsuccessful, the user credentials were incorrect.",
                "this password",
            ),
            (Stage::Sender, "550 5.7.30 REQUIRETLS support required", ""),
            (
                Stage::Content,
                "550 5.7.26 Your email has been blocked because the sender is unauthenticated.",
                "neither a valid SPF record nor a DKIM signature",
            ),
            (
                Stage::Content,
                "550 5.7.509 Access denied, sending domain contoso.test does not pass DMARC",
                "its own DMARC policy",
            ),
            (
                Stage::Content,
                "554 5.2.252 SendAsDenied; a@contoso.test not allowed to send as b@contoso.test",
                "SendAsDenied",
            ),
            (
                Stage::Content,
                "550 5.7.1 Client does not have permissions to send as this sender",
                "may not send as this address",
            ),
            (
                Stage::Recipient,
                "550 5.4.1 Recipient address rejected: Access denied. [AM0.EURPRD]",
                "no such recipient",
            ),
            (
                Stage::Recipient,
                "550 5.7.606 Access denied, banned sending IP [192.0.2.1].",
                "blocked our egress address",
            ),
            (
                Stage::Recipient,
                "550 5.4.5 Daily SMTP relay limit exceeded for user. For more information",
                "daily quota of the Google relay",
            ),
            (
                Stage::Recipient,
                "450 4.2.1 Peak SMTP relay limit exceeded for customer. This is a temporary error.",
                "faster than the Google relay",
            ),
            (
                Stage::Auth,
                "535 Authentication Credentials Invalid",
                "Amazon SES does not accept",
            ),
            (
                Stage::Content,
                "554 Access denied: User arn:aws:iam::1:user/x is not authorized to perform \
                 ses:SendRawEmail on resource arn:aws:ses:eu-west-1:1:identity/contoso.test",
                "may not send with this identity",
            ),
            (
                Stage::Sender,
                "454 Throttling failure: Daily message quota exceeded.",
                "daily quota of Amazon SES",
            ),
            (
                Stage::Content,
                "550 From header sender domain not verified (scan@contoso.test)",
                "SMTP2GO does not know the sender's domain",
            ),
            (
                Stage::Recipient,
                "550 Relay access denied - please authenticate",
                "SMTP2GO wants a login",
            ),
            (
                Stage::Auth,
                "535 Incorrect authentication data",
                "with this password",
            ),
            (
                Stage::Sender,
                "530 5.7.0 Must issue a STARTTLS command first.",
                "TLS before anything else",
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
