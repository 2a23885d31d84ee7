//! The catalogue as documentation: what each refusal means, and what to do, in English and French.
//!
//! The generated reference of replies and the pages print this table. Codes, tokens and texts are
//! not repeated here: each entry has a sample [`Refusal`] and asks that.

use core::net::{IpAddr, Ipv4Addr};

use super::{AuthFault, Refusal, SyntaxFault};
use crate::domain::Domain;
use crate::reply::{EnhancedStatus, ReplyCode};

/// One refusal, explained.
#[derive(Clone, Copy, Debug)]
pub struct CatalogueEntry {
    /// The command at which it happens: `connect`, `EHLO`, `STARTTLS`, `MAIL`, `RCPT`, `DATA` or
    /// `any`.
    pub stage: &'static str,
    /// Why it happens, one English sentence.
    pub cause_en: &'static str,
    /// What to do, in English.
    pub fix_en: &'static str,
    /// Why it happens, one French sentence.
    pub cause_fr: &'static str,
    /// What to do, in French.
    pub fix_fr: &'static str,
    /// An example of it.
    pub sample: fn() -> Refusal,
}

impl CatalogueEntry {
    /// `FROM-DOMAIN`.
    pub fn token(&self) -> &'static str {
        (self.sample)().token()
    }

    /// `550`.
    pub fn code(&self) -> ReplyCode {
        (self.sample)().code()
    }

    /// `5.7.1`.
    pub fn status(&self) -> EnhancedStatus {
        (self.sample)().status()
    }

    /// `Sender domain not verified: <domain>`.
    pub fn pattern(&self) -> &'static str {
        (self.sample)().pattern()
    }
}

fn sample_domain() -> Domain {
    Domain::parse("fabrikam.test").expect("the sample is a domain")
}

/// Every refusal, in the order of [`Refusal`]: by stage, one entry for each variant.
pub const CATALOGUE: &[CatalogueEntry] = &[
    CatalogueEntry {
        stage: "connect",
        cause_en: "This address, or all clients together, hold as many connections as the limits \
            allow.",
        fix_en: "Let the device reuse one connection, or raise the connector's limit of \
            connections.",
        cause_fr: "Cette adresse, ou l’ensemble des clients, occupe déjà toutes les connexions \
            autorisées.",
        fix_fr: "Réglez l’appareil pour qu’il réutilise une seule connexion, ou relevez la limite \
            de connexions du connecteur.",
        sample: || Refusal::TooManyConnections,
    },
    CatalogueEntry {
        stage: "connect",
        cause_en: "A load balancer named in `proxy_protocol_from` did not say who its client is.",
        fix_en: "Switch the PROXY protocol on in the load balancer (HAProxy: `send-proxy-v2`), or \
            take it off the listener's list.",
        cause_fr: "Un répartiteur de charge nommé dans «\u{202f}proxy_protocol_from\u{202f}» n’a \
            pas indiqué qui est son client.",
        fix_fr: "Activez le protocole PROXY dans le répartiteur (HAProxy\u{202f}: \
            «\u{202f}send-proxy-v2\u{202f}»), ou retirez-le de la liste du port d’écoute.",
        sample: || Refusal::ProxyHeader,
    },
    CatalogueEntry {
        stage: "connect",
        cause_en: "The relay is stopping or being updated.",
        fix_en: "Nothing: the device tries again by itself. If it does not, send again in a \
            minute.",
        cause_fr: "Le relais s’arrête ou se met à jour.",
        fix_fr: "Rien à faire\u{202f}: l’appareil réessaie de lui-même. Sinon, renvoyez le \
            message dans une minute.",
        sample: || Refusal::ShuttingDown,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The disk or the queue of the relay is below its reserve, so nothing new is \
            taken in.",
        fix_en: "Free space in the data folder, or see in the queue which destination holds mail \
            back.",
        cause_fr: "Le disque ou la file d’attente du relais est sous sa réserve\u{202f}: rien de \
            nouveau n’est accepté.",
        fix_fr: "Libérez de l’espace dans le dossier de données, ou cherchez dans la file la \
            destination qui bloque.",
        sample: || Refusal::NoRoom,
    },
    CatalogueEntry {
        stage: "connect, MAIL",
        cause_en: "Somebody has blocked this client's address, or a network around it.",
        fix_en: "See who, why and until when with `relais restricted list`, and release it once \
            the cause is gone.",
        cause_fr: "L’adresse de ce client, ou un réseau qui la contient, a été bloquée.",
        fix_fr: "Voyez par qui, pourquoi et jusqu’à quand avec «\u{202f}relais restricted \
            list\u{202f}», puis levez le blocage une fois la cause disparue.",
        sample: || Refusal::AddressBlocked,
    },
    CatalogueEntry {
        stage: "connect",
        cause_en: "This listener speaks old TLS, and only the addresses in its `source_addresses` \
            and the devices of connectors with `legacy_tls_until` may use it.",
        fix_en: "Let the device use another listener, with TLS 1.2. If it cannot, allow old TLS \
            until a day in its connector (legacy_tls_until), or add its address to \
            legacy_listener.source_addresses and restart.",
        cause_fr: "Ce point d’écoute parle l’ancien TLS\u{202f}; seules les adresses de ses \
            source_addresses et les appareils des connecteurs avec legacy_tls_until peuvent s’en \
            servir.",
        fix_fr: "Faites utiliser à l’appareil un autre point d’écoute, en TLS 1.2. S’il ne le \
            peut pas, autorisez l’ancien TLS jusqu’à une date dans son connecteur \
            (legacy_tls_until), ou ajoutez son adresse à legacy_listener.source_addresses et \
            redémarrez.",
        sample: || Refusal::ListenerSource {
            address: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 9)),
        },
    },
    CatalogueEntry {
        stage: "connect",
        cause_en: "The listener for old TLS was opened until a day that has passed.",
        fix_en: "Replace or update the devices that still use it; or set legacy_listener.expires \
            to a later day and restart. legacy_tls_until of a connector cannot go beyond it.",
        cause_fr: "Le point d’écoute pour l’ancien TLS était ouvert jusqu’à une date qui est \
            passée.",
        fix_fr: "Remplacez ou mettez à jour les appareils qui s’en servent encore\u{202f}; ou \
            reportez legacy_listener.expires et redémarrez. Le legacy_tls_until d’un connecteur \
            ne peut pas aller au-delà.",
        sample: || Refusal::ListenerExpired {
            day: "2027-12-31".into(),
        },
    },
    CatalogueEntry {
        stage: "connect",
        cause_en: "The connector of this device allowed old TLS until a day that has passed.",
        fix_en: "Replace or update the device; or set legacy_tls_until of its connector to a later \
            day: on the page of the connector, under Security.",
        cause_fr: "Le connecteur de cet appareil autorisait l’ancien TLS jusqu’à une date qui est \
            passée.",
        fix_fr: "Remplacez ou mettez à jour l’appareil\u{202f}; ou reportez legacy_tls_until de \
            son connecteur\u{202f}: sur la page du connecteur, sous Sécurité.",
        sample: || Refusal::ListenerDay {
            day: "2027-12-01".into(),
        },
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The client sent no complete command, or no content, within the time allowed.",
        fix_en: "Check the network between device and relay; firewalls that inspect SMTP are a \
            frequent cause.",
        cause_fr: "Le client n’a envoyé ni commande complète ni contenu dans le délai prévu.",
        fix_fr: "Vérifiez le réseau entre l’appareil et le relais\u{202f}; les pare-feu qui \
            inspectent SMTP sont souvent en cause.",
        sample: || Refusal::Timeout,
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The session had too many refused or unknown commands, or commands without any \
            message.",
        fix_en: "Look in the trace at the first refusal of the session: it names the true cause.",
        cause_fr: "La session a comporté trop de commandes refusées ou inconnues, ou trop de \
            commandes sans aucun message.",
        fix_fr: "Regardez dans le suivi le premier refus de la session\u{202f}: il donne la vraie \
            cause.",
        sample: || Refusal::TooManyErrors,
    },
    CatalogueEntry {
        stage: "EHLO",
        cause_en: "An unknown client greets with the relay's own name.",
        fix_en: "Give the device a name of its own, or register its address in an inbound \
            connector.",
        cause_fr: "Un client inconnu se présente sous le nom du relais lui-même.",
        fix_fr: "Donnez à l’appareil un nom qui lui est propre, ou déclarez son adresse dans un \
            connecteur entrant.",
        sample: || Refusal::HeloForged {
            name: "relay.contoso.test".into(),
        },
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The line is no SMTP command.",
        fix_en: "Check that the program speaks SMTP here, and not HTTP or TLS on a clear-text \
            port.",
        cause_fr: "La ligne n’est pas une commande SMTP.",
        fix_fr: "Vérifiez que le programme parle bien SMTP ici, et non HTTP ou TLS sur un port en \
            clair.",
        sample: || Refusal::Syntax(SyntaxFault::UnknownCommand),
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The line is too long, or has a NUL, a bare CR or a bare LF.",
        fix_en: "Update the program that sends, or give the device a connector with the tolerant \
            preset.",
        cause_fr: "La ligne est trop longue, ou contient un NUL, un CR seul ou un LF seul.",
        fix_fr: "Mettez à jour le programme émetteur, ou rattachez l’appareil à un connecteur au \
            profil tolérant.",
        sample: || Refusal::Syntax(SyntaxFault::Line),
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The command is known, but what follows it is not well formed.",
        fix_en: "Compare the command in the trace with RFC 5321; a connector with the tolerant \
            preset forgives more.",
        cause_fr: "La commande est connue, mais ce qui la suit est mal formé.",
        fix_fr: "Comparez la commande, dans le suivi, avec la RFC 5321\u{202f}; un connecteur au \
            profil tolérant est plus indulgent.",
        sample: || Refusal::Syntax(SyntaxFault::Arguments),
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The command is known, but the relay does not offer it here.",
        fix_en: "Switch the option off in the device, or use a listener that offers the command.",
        cause_fr: "La commande est connue, mais le relais ne la propose pas ici.",
        fix_fr: "Désactivez l’option sur l’appareil, ou utilisez un port d’écoute qui propose \
            cette commande.",
        sample: || Refusal::Syntax(SyntaxFault::NotImplemented),
    },
    CatalogueEntry {
        stage: "any",
        cause_en: "The command came at the wrong moment, for instance RCPT before MAIL was \
            accepted.",
        fix_en: "Look at the refusal before this one: mostly it follows from a MAIL or RCPT that \
            was refused.",
        cause_fr: "La commande est arrivée au mauvais moment, par exemple RCPT avant que MAIL \
            soit accepté.",
        fix_fr: "Regardez le refus précédent\u{202f}: celui-ci découle le plus souvent d’un MAIL \
            ou d’un RCPT refusé.",
        sample: || Refusal::Syntax(SyntaxFault::Order),
    },
    CatalogueEntry {
        stage: "STARTTLS",
        cause_en: "The TLS handshake failed: mostly the client knows only old versions or ciphers, or does not trust \
            our certificate.",
        fix_en: "Update the client or its list of authorities, or give the listener a certificate that it \
            trusts; see what it offered in the trace. One with old TLS only can be allowed on the \
            listener for old devices (legacy_tls_until of its connector).",
        cause_fr: "La négociation TLS a échoué\u{202f}: le plus souvent, le client ne connaît que d’anciennes versions \
            ou d’anciens chiffrements, ou ne fait pas confiance à notre certificat.",
        fix_fr: "Mettez à jour le client ou sa liste d’autorités, ou donnez à l’écoute un certificat auquel \
            il fait confiance\u{202f}; la trace montre ce qu’il proposait. S’il ne connaît que \
            d’anciens TLS, il peut être autorisé sur le port d’écoute des anciens appareils \
            (legacy_tls_until de son connecteur).",
        sample: || Refusal::TlsHandshake {
            fault: "only TLS 1.0 offered".into(),
        },
    },
    CatalogueEntry {
        stage: "STARTTLS",
        cause_en: "The relay has no certificate that it can use at the moment.",
        fix_en: "Look at `relais health` for the certificate file that cannot be read; try again later.",
        cause_fr: "Le relais n’a en ce moment aucun certificat utilisable.",
        fix_fr: "Cherchez avec «\u{202f}relais health\u{202f}» le fichier de certificat illisible\u{202f}; réessayez ensuite.",
        sample: || Refusal::TlsUnavailable,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The inbound connector asks for encryption, and the session is in clear text.",
        fix_en: "Switch on STARTTLS in the device, or set TLS to `offered` in the connector.",
        cause_fr: "Le connecteur entrant exige le chiffrement, et la session est en clair.",
        fix_fr: "Activez STARTTLS sur l’appareil, ou réglez TLS sur «\u{202f}offered\u{202f}» \
            dans le connecteur.",
        sample: || Refusal::TlsRequired,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "This port is for client submission, and the client has not signed in.",
        fix_en: "Enter a credential in the device and switch on STARTTLS or SSL/TLS, without which \
            none is asked for; or use port 25 with an address known to a connector.",
        cause_fr: "Ce port est réservé à l’envoi authentifié, et le client ne s’est pas \
            identifié.",
        fix_fr: "Saisissez un identifiant sur l’appareil et activez STARTTLS ou SSL/TLS, sans quoi \
            aucun n’est demandé\u{202f}; ou utilisez le port 25 depuis une adresse connue d’un \
            connecteur.",
        sample: || Refusal::AuthRequired,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "The session is in clear text, and a password is not to be read on the way.",
        fix_en: "Switch on STARTTLS or TLS in the device; on a private network `cleartext_auth` \
            of the connector permits it without.",
        cause_fr: "La session est en clair, et un mot de passe ne doit pas être lu en chemin.",
        fix_fr: "Activez STARTTLS ou TLS sur l’appareil\u{202f}; sur un réseau privé, \
            «\u{202f}cleartext_auth\u{202f}» du connecteur permet de s’en passer.",
        sample: || Refusal::AuthNeedsTls,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "The device wants to sign in by a method that the relay does not offer here.",
        fix_en: "Choose LOGIN or PLAIN in the device, or let it choose by itself.",
        cause_fr: "L’appareil veut s’identifier par une méthode que le relais ne propose pas ici.",
        fix_fr: "Choisissez LOGIN ou PLAIN sur l’appareil, ou laissez-le choisir.",
        sample: || Refusal::AuthMechanism,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "What the client sent to sign in is not base64, or not of the method's form.",
        fix_en: "Enter user and password anew, without special characters; else update the \
            program.",
        cause_fr: "Ce que le client a envoyé pour s’identifier n’est pas du base64, ou n’a pas la \
            forme voulue par la méthode.",
        fix_fr: "Ressaisissez utilisateur et mot de passe, sans caractères spéciaux\u{202f}; \
            sinon, mettez à jour le programme.",
        sample: || Refusal::AuthSyntax(AuthFault::Message),
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "The client broke off signing in.",
        fix_en: "Enter user and password in the device; without them it has nothing to send.",
        cause_fr: "Le client a interrompu l’identification.",
        fix_fr: "Saisissez utilisateur et mot de passe sur l’appareil\u{202f}; sans eux, il n’a \
            rien à envoyer.",
        sample: || Refusal::AuthSyntax(AuthFault::Cancelled),
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "A line of signing in is longer than 12,288 octets.",
        fix_en: "Ask the issuer of the token for a shorter one; no password is so long.",
        cause_fr: "Une ligne de l’identification dépasse 12\u{202f}288 octets.",
        fix_fr: "Demandez à l’émetteur du jeton qu’il soit plus court\u{202f}; aucun mot de passe \
            n’est si long.",
        sample: || Refusal::AuthSyntax(AuthFault::TooLong),
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "No credential has this user and this password, or the token is not valid.",
        fix_en: "Enter both anew, letter by letter; a lost password is replaced by `relais \
            credential rotate`.",
        cause_fr: "Aucun identifiant n’a cet utilisateur et ce mot de passe, ou le jeton n’est pas \
            valable.",
        fix_fr: "Ressaisissez les deux, lettre par lettre\u{202f}; un mot de passe perdu se \
            remplace par «\u{202f}relais credential rotate\u{202f}».",
        sample: || Refusal::AuthBad,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "User and password are right, but the credential may not be used from this \
            address.",
        fix_en: "Add the address to `source_addresses` of the credential, if the device is yours.",
        cause_fr: "Utilisateur et mot de passe sont justes, mais l’identifiant ne peut pas servir \
            depuis cette adresse.",
        fix_fr: "Si l’appareil est à vous, ajoutez l’adresse à «\u{202f}source_addresses\u{202f}» \
            de l’identifiant.",
        sample: || Refusal::AuthSource,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "User and password are right, but the credential demands a newer TLS than this \
            session has.",
        fix_en: "Update the device's TLS, or lower `tls_min` of the credential.",
        cause_fr: "Utilisateur et mot de passe sont justes, mais l’identifiant exige un TLS plus \
            récent que celui de la session.",
        fix_fr: "Mettez à jour le TLS de l’appareil, ou abaissez «\u{202f}tls_min\u{202f}» de \
            l’identifiant.",
        sample: || Refusal::AuthTlsLevel,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "Too many wrong passwords came for this user from this network, or from this \
            network for many users.",
        fix_en: "Correct the password in the device and wait an hour; look in the attempts for who \
            is guessing.",
        cause_fr: "Trop de mots de passe faux sont venus de ce réseau pour cet utilisateur, ou \
            pour beaucoup d’utilisateurs.",
        fix_fr: "Corrigez le mot de passe sur l’appareil et attendez une heure\u{202f}; cherchez \
            dans les tentatives qui devine.",
        sample: || Refusal::AuthThrottled,
    },
    CatalogueEntry {
        stage: "AUTH",
        cause_en: "The relay cannot check the password or the token at this moment.",
        fix_en: "Nothing, if it passes; else look whether the relay is busy, and whether the issuer \
            of tokens answers.",
        cause_fr: "Le relais ne peut pas vérifier le mot de passe ou le jeton en ce moment.",
        fix_fr: "Rien, si cela passe\u{202f}; sinon, regardez si le relais est surchargé, et si \
            l’émetteur des jetons répond.",
        sample: || Refusal::AuthTemporary,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "No inbound connector knows the address that the message came from.",
        fix_en: "Add the address shown to an inbound connector, or adopt the attempt from the \
            list.",
        cause_fr: "Aucun connecteur entrant ne connaît l’adresse d’où vient le message.",
        fix_fr: "Ajoutez l’adresse indiquée à un connecteur entrant, ou adoptez la tentative \
            depuis la liste.",
        sample: || Refusal::SourceUnknown {
            address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The address alone does not say who it is; the connector demands a further \
            factor.",
        fix_en: "Let the device sign in with a credential, or present a client certificate.",
        cause_fr: "L’adresse seule ne dit pas de qui il s’agit\u{202f}; le connecteur exige un \
            facteur de plus.",
        fix_fr: "Réglez l’appareil pour qu’il s’identifie, ou pour qu’il présente un certificat \
            client.",
        sample: || Refusal::SourceShared,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The client certificate is in order, but no connector names it, and nothing else identifies the \
            client.",
        fix_en: "Enter one of its names as certificate name in the inbound connector.",
        cause_fr: "Le certificat client est en règle, mais aucun connecteur n’en porte le nom, et rien d’autre \
            n’identifie le client.",
        fix_fr: "Saisissez l’un de ses noms comme nom de certificat dans le connecteur entrant.",
        sample: || Refusal::CertificateNoMatch {
            reason: "no connector names scan.fabrikam.test".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The client certificate is outside its period of validity, and nothing else identifies the client.",
        fix_en: "Renew the certificate in the device, and check the clocks of the device and of this machine.",
        cause_fr: "Le certificat client est hors de sa période de validité, et rien d’autre n’identifie le client.",
        fix_fr: "Renouvelez le certificat de l’appareil, et vérifiez l’heure de l’appareil et de cette machine.",
        sample: || Refusal::CertificateExpired {
            reason: "expired".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The client certificate comes from no authority that the relay trusts, or is made for another \
            use, and nothing else identifies the client.",
        fix_en: "Add the authority to `client_ca` of the listener, or issue a certificate for client \
            authentication.",
        cause_fr: "Le certificat client ne vient d’aucune autorité reconnue par le relais, ou est prévu pour un \
            autre usage, et rien d’autre n’identifie le client.",
        fix_fr: "Ajoutez l’autorité à `client_ca` dans l’écoute, ou émettez un certificat prévu pour \
            l’authentification du client.",
        sample: || Refusal::CertificateUntrusted {
            reason: "not issued by a trusted authority".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The inbound connector of this client is disabled, or still a draft.",
        fix_en: "Enable the connector, or let it observe first.",
        cause_fr: "Le connecteur entrant de ce client est désactivé, ou encore à l’état de \
            brouillon.",
        fix_fr: "Activez le connecteur, ou mettez-le d’abord en observation.",
        sample: || Refusal::ConnectorDisabled,
    },
    CatalogueEntry {
        stage: "MAIL, RCPT",
        cause_en: "Somebody has blocked the inbound connector that covers this client.",
        fix_en: "See who, why and until when with `relais restricted list`; release it with \
            `relais restricted release connector`.",
        cause_fr: "Le connecteur entrant qui couvre ce client a été bloqué.",
        fix_fr: "Voyez par qui, pourquoi et jusqu’à quand avec «\u{202f}relais restricted \
            list\u{202f}»\u{202f}; levez le blocage avec «\u{202f}relais restricted release \
            connector\u{202f}».",
        sample: || Refusal::ConnectorBlocked,
    },
    CatalogueEntry {
        stage: "MAIL, RCPT",
        cause_en: "The whole organisation is suspended.",
        fix_en: "The operator of the relay releases it with `relais restricted release \
            organisation`.",
        cause_fr: "L’organisation entière est suspendue.",
        fix_fr: "L’exploitant du relais lève la suspension avec «\u{202f}relais restricted release \
            organisation\u{202f}».",
        sample: || Refusal::OrganisationBlocked,
    },
    CatalogueEntry {
        stage: "AUTH, MAIL",
        cause_en: "Somebody has blocked the credential, or it is disabled or expired.",
        fix_en: "See `relais restricted list` and `relais credential list`; release it, or give \
            the device a new one.",
        cause_fr: "L’identifiant a été bloqué, ou il est désactivé ou expiré.",
        fix_fr: "Consultez «\u{202f}relais restricted list\u{202f}» et «\u{202f}relais credential \
            list\u{202f}»\u{202f}; levez le blocage, ou donnez un nouvel identifiant à l’appareil.",
        sample: || Refusal::CredentialDisabled,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The address behind MAIL FROM is missing or not well formed.",
        fix_en: "Enter a complete address, such as scanner@contoso.test, as the device's sender.",
        cause_fr: "L’adresse après MAIL FROM manque ou est mal formée.",
        fix_fr: "Saisissez comme expéditeur de l’appareil une adresse complète, par exemple \
            scanner@contoso.test.",
        sample: || Refusal::SenderSyntax,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The sender's domain is not a verified domain of the organisation, or not one \
            this connector may use.",
        fix_en: "Change the sender's address in the device, or add and verify the domain.",
        cause_fr: "Le domaine de l’expéditeur n’est pas un domaine vérifié de l’organisation, ou \
            ce connecteur ne peut pas l’utiliser.",
        fix_fr: "Changez l’adresse d’expéditeur de l’appareil, ou ajoutez et vérifiez le domaine.",
        sample: || Refusal::SenderDomain {
            domain: "fabrikam.test".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The proof of ownership of the sender's domain has vanished from DNS, and its \
            grace is over.",
        fix_en: "Publish the verification record again; the next check restores the domain.",
        cause_fr: "La preuve de propriété du domaine de l’expéditeur a disparu du DNS, et le \
            délai de grâce est passé.",
        fix_fr: "Republiez l’enregistrement de vérification\u{202f}; le contrôle suivant rétablit \
            le domaine.",
        sample: || Refusal::SenderDomainLapsed {
            domain: sample_domain(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "No connector covers the client, and DNS has neither a mail host (MX) nor an \
            address for the sender's domain: no answer could reach the sender.",
        fix_en: "Correct the sender's address, or let its domain publish an MX record. If the \
            client is a device of yours, give it a connector.",
        cause_fr: "Aucun connecteur ne couvre ce client, et le DNS ne connaît ni serveur de \
            courrier (MX) ni adresse pour le domaine de l’expéditeur\u{202f}: aucune réponse ne \
            pourrait lui parvenir.",
        fix_fr: "Corrigez l’adresse de l’expéditeur, ou faites publier un enregistrement MX pour \
            son domaine. Si le client est un de vos appareils, créez-lui un connecteur.",
        sample: || Refusal::SenderDomainUnreachable,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "No connector covers the client, and the sender's domain says in DNS that it \
            takes no mail (null MX): no answer could reach the sender.",
        fix_en: "Send from an address that can be answered. If the client is a device of yours, \
            give it a connector.",
        cause_fr: "Aucun connecteur ne couvre ce client, et le domaine de l’expéditeur déclare \
            dans le DNS qu’il ne reçoit pas de courrier (MX nul)\u{202f}: aucune réponse ne \
            pourrait parvenir à l’expéditeur.",
        fix_fr: "Envoyez depuis une adresse à laquelle on peut répondre. Si le client est un de \
            vos appareils, créez-lui un connecteur.",
        sample: || Refusal::SenderNullMx,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "No connector covers the client, and DNS did not say in time whether the \
            sender's domain takes mail. Mail servers try again by themselves.",
        fix_en: "If it lasts, check the name servers of the sender's domain, and those that this \
            relay asks.",
        cause_fr: "Aucun connecteur ne couvre ce client, et le DNS n’a pas dit à temps si le \
            domaine de l’expéditeur reçoit du courrier. Les serveurs de messagerie réessaient \
            d’eux-mêmes.",
        fix_fr: "Si cela dure, vérifiez les serveurs de noms du domaine de l’expéditeur, et ceux \
            qu’interroge ce relais.",
        sample: || Refusal::SenderDomainTemporary,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The credential, or its connector, is limited to other addresses than this one.",
        fix_en: "Use an address listed under `may_send_as` of the credential and \
            `sender_addresses` of the connector, or add this one there.",
        cause_fr: "L’identifiant, ou son connecteur, est limité à d’autres adresses que celle-ci.",
        fix_fr: "Utilisez une adresse des listes «\u{202f}may_send_as\u{202f}» de l’identifiant \
            et «\u{202f}sender_addresses\u{202f}» du connecteur, ou ajoutez-y celle-ci.",
        sample: || Refusal::SenderDenied {
            address: "ceo@contoso.test".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The directory lists the sender as a person without a mailbox, and all seats of \
            the organisation's licences are held by others.",
        fix_en: "See who holds them with `relais licences`; add seats, give the person a mailbox, \
            or set the policy to `report`.",
        cause_fr: "L’annuaire connaît l’expéditeur comme une personne sans boîte aux lettres, et \
            toutes les licences de l’organisation sont déjà occupées.",
        fix_fr: "Voyez qui les occupe avec «\u{202f}relais licences\u{202f}»\u{202f}; ajoutez \
            des licences, donnez une boîte aux lettres à cette personne, ou réglez la stratégie \
            sur «\u{202f}report\u{202f}».",
        sample: || Refusal::SenderUnlicensed {
            address: "door@contoso.test".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "Somebody has blocked the sender's address or domain.",
        fix_en: "See who, why and until when with `relais restricted list`, and release it once \
            the cause is gone, or send from another address.",
        cause_fr: "L’adresse ou le domaine de l’expéditeur a été bloqué.",
        fix_fr: "Voyez par qui, pourquoi et jusqu’à quand avec «\u{202f}relais restricted \
            list\u{202f}»\u{202f}; levez le blocage, ou envoyez depuis une autre adresse.",
        sample: || Refusal::SenderBlocked,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The empty sender is for notices, and only clients that are surely the \
            organisation's may use it.",
        fix_en: "Set a sender's address in the device, or give it a credential or a certificate.",
        cause_fr: "L’expéditeur vide est réservé aux avis, et seuls les clients dont \
            l’appartenance à l’organisation est certaine peuvent l’employer.",
        fix_fr: "Réglez une adresse d’expéditeur sur l’appareil, ou donnez-lui un identifiant ou \
            un certificat.",
        sample: || Refusal::NullSender,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The connector may send at certain hours only, and this is another one.",
        fix_en: "Mail servers try again by themselves; else send within the hours, or change \
            `sending_hours` of the connector.",
        cause_fr: "Le connecteur ne peut envoyer qu’à certaines heures, et ce n’est pas le moment.",
        fix_fr: "Les serveurs de messagerie réessaient d’eux-mêmes\u{202f}; sinon, envoyez pendant \
            ces heures, ou changez «\u{202f}sending_hours\u{202f}» du connecteur.",
        sample: || Refusal::OutsideHours {
            hours: "Mon-Fri 07:00-19:00".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL, DATA",
        cause_en: "The message is larger than the relay, or this connector, accepts.",
        fix_en: "Scan with a lower resolution or split the job; or raise `message_size_max`.",
        cause_fr: "Le message dépasse la taille qu’accepte le relais, ou ce connecteur.",
        fix_fr: "Numérisez en moindre résolution ou en plusieurs fois, ou relevez \
            «\u{202f}message_size_max\u{202f}».",
        sample: || Refusal::TooBig { limit: 25 << 20 },
    },
    CatalogueEntry {
        stage: "MAIL, RCPT",
        cause_en: "The client uses a parameter that the relay did not offer.",
        fix_en: "Switch the option off in the program; the trace shows the whole command.",
        cause_fr: "Le client emploie un paramètre que le relais n’a pas proposé.",
        fix_fr: "Désactivez l’option dans le programme\u{202f}; le suivi montre la commande \
            entière.",
        sample: || Refusal::Parameter {
            keyword: "XVERP".into(),
        },
    },
    CatalogueEntry {
        stage: "MAIL, RCPT",
        cause_en: "The address has letters outside ASCII, and the client did not say SMTPUTF8.",
        fix_en: "Use an address in ASCII, or a program that knows internationalised addresses.",
        cause_fr: "L’adresse contient des lettres hors ASCII, et le client n’a pas annoncé \
            SMTPUTF8.",
        fix_fr: "Utilisez une adresse en ASCII, ou un programme qui connaît les adresses \
            internationalisées.",
        sample: || Refusal::Utf8NotDeclared,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "The client demands encryption all the way, which cannot be promised for this \
            session.",
        fix_en: "Send over TLS, or without REQUIRETLS.",
        cause_fr: "Le client exige le chiffrement de bout en bout, ce qui ne peut être promis \
            dans cette session.",
        fix_fr: "Envoyez par TLS, ou sans REQUIRETLS.",
        sample: || Refusal::RequireTlsUnavailable,
    },
    CatalogueEntry {
        stage: "MAIL",
        cause_en: "More messages than the limit's pace can release are already waiting, or a hard \
            limit on messages a minute is used up.",
        fix_en: "Let the program send more slowly, or raise the limit that the reply names.",
        cause_fr: "Les messages en attente dépassent déjà ce que le rythme autorisé laisse \
            partir, ou une limite stricte de messages par minute est atteinte.",
        fix_fr: "Ralentissez l’envoi dans le programme, ou relevez la limite que la réponse \
            nomme.",
        sample: || Refusal::Rate {
            retry_seconds: 60,
            limit: "30 messages a minute, connector Printers".into(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "A hard limit on recipients an hour is used up: the reply names how many, and \
            whose limit it is.",
        fix_en: "Wait until the time that the reply names, or raise the limit; a soft one takes \
            everything in and sends it at its pace.",
        cause_fr: "Une limite stricte de destinataires par heure est atteinte\u{202f}: la réponse dit \
            combien, et à qui est la limite.",
        fix_fr: "Attendez l’heure que la réponse indique, ou relevez la limite\u{202f}; une limite souple \
            accepte tout et envoie à son rythme.",
        sample: || Refusal::QuotaHour {
            value: "100 external".into(),
            until: "14:05Z".into(),
            limit: "connector ERP".into(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "A hard limit on recipients, or on recipients who are new, in 24 hours is used \
            up: the reply names how many, and whose limit it is.",
        fix_en: "Wait until the time that the reply names, or raise the limit.",
        cause_fr: "Une limite stricte de destinataires, ou de nouveaux destinataires, en 24 heures \
            est atteinte\u{202f}: la réponse dit combien, et à qui est la limite.",
        fix_fr: "Attendez l’heure que la réponse indique, ou relevez la limite.",
        sample: || Refusal::QuotaDay {
            value: 2_000,
            until: "2026-11-25T14:05:00Z".into(),
            limit: "connector Printers".into(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "The address behind RCPT TO is missing or not well formed.",
        fix_en: "Correct the address in the device's address book.",
        cause_fr: "L’adresse après RCPT TO manque ou est mal formée.",
        fix_fr: "Corrigez l’adresse dans le carnet d’adresses de l’appareil.",
        sample: || Refusal::RecipientSyntax,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "The inbound connector does not allow mail to this domain.",
        fix_en: "Add the domain to `recipient_domains` of the connector, or `*` for all.",
        cause_fr: "Le connecteur entrant n’autorise pas les messages vers ce domaine.",
        fix_fr: "Ajoutez le domaine à «\u{202f}recipient_domains\u{202f}» du connecteur, ou \
            «\u{202f}*\u{202f}» pour tous.",
        sample: || Refusal::RecipientScope {
            domain: "example.org".into(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "DNS says that the recipient's domain does not exist.",
        fix_en: "Look for a typing error behind the @.",
        cause_fr: "Le DNS indique que le domaine du destinataire n’existe pas.",
        fix_fr: "Cherchez une faute de frappe après le @.",
        sample: || Refusal::RecipientDomainUnknown {
            domain: sample_domain(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "The recipient's domain says in DNS that it takes no mail.",
        fix_en: "Ask the recipient for another address.",
        cause_fr: "Le domaine du destinataire déclare dans le DNS qu’il ne reçoit pas de \
            courrier.",
        fix_fr: "Demandez une autre adresse au destinataire.",
        sample: || Refusal::RecipientNullMx {
            domain: sample_domain(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "The domain is ours, and its directory has no such recipient.",
        fix_en: "Correct the address, or add the recipient to the directory.",
        cause_fr: "Le domaine est le nôtre, et son annuaire ne connaît pas ce destinataire.",
        fix_fr: "Corrigez l’adresse, ou ajoutez le destinataire à l’annuaire.",
        sample: || Refusal::RecipientUnknown,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "An earlier message to this recipient came back because the address takes no \
            mail, or the recipient complained of it.",
        fix_en: "Correct the address; if it is right again, `relais suppression release` it. See \
            why with `relais suppression list`.",
        cause_fr: "Un message précédent vers ce destinataire est revenu parce que l’adresse ne \
            reçoit pas de courrier, ou le destinataire s’en est plaint.",
        fix_fr: "Corrigez l’adresse\u{202f}; si elle est de nouveau bonne, libérez-la avec \
            «\u{202f}relais suppression release\u{202f}». «\u{202f}relais suppression \
            list\u{202f}» dit pourquoi.",
        sample: || Refusal::RecipientSuppressed {
            after: "hard bounce on 2026-11-29".into(),
        },
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "Somebody has blocked mail to this recipient or to its domain.",
        fix_en: "See why with `relais restricted list`; the other recipients of the message are \
            not concerned.",
        cause_fr: "Les messages vers ce destinataire, ou vers son domaine, ont été bloqués.",
        fix_fr: "Voyez pourquoi avec «\u{202f}relais restricted list\u{202f}»\u{202f}; les autres \
            destinataires du message ne sont pas concernés.",
        sample: || Refusal::RecipientBlocked,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "Mail of this client, or for this recipient, is held, and as much of it waits \
            already as Relais keeps.",
        fix_en: "See why it is held with `relais restricted list`. Release it, or delete what \
            waits; the client tries again by itself.",
        cause_fr: "Les messages de ce client, ou vers ce destinataire, sont retenus, et il en \
            attend déjà autant que Relais en garde.",
        fix_fr: "Voyez pourquoi avec «\u{202f}relais restricted list\u{202f}». Levez la retenue, \
            ou supprimez ce qui attend\u{202f}; le client réessaie de lui-même.",
        sample: || Refusal::HeldFull,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "One message may have only so many recipients at once.",
        fix_en: "Most programs send the rest by themselves; else send in several parts.",
        cause_fr: "Un message ne peut avoir qu’un nombre limité de destinataires à la fois.",
        fix_fr: "La plupart des programmes envoient le reste d’eux-mêmes\u{202f}; sinon, envoyez \
            en plusieurs fois.",
        sample: || Refusal::TooManyRecipients,
    },
    CatalogueEntry {
        stage: "RCPT",
        cause_en: "The inbound connector is observing: it delivers to its test recipients only.",
        fix_en: "Enable the connector, or add the address to its test recipients.",
        cause_fr: "Le connecteur entrant est en observation\u{202f}: il ne remet qu’à ses \
            destinataires de test.",
        fix_fr: "Activez le connecteur, ou ajoutez l’adresse à ses destinataires de test.",
        sample: || Refusal::Sandbox,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The content has no From field, several of them, or one that cannot be read.",
        fix_en: "Set the sender's address in the program; the tolerant preset adds a missing From.",
        cause_fr: "Le contenu n’a pas de champ From, en a plusieurs, ou en a un qui est \
            illisible.",
        fix_fr: "Réglez l’adresse d’expéditeur dans le programme\u{202f}; le profil tolérant \
            ajoute un From manquant.",
        sample: || Refusal::HeaderFrom,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The From field shows a domain that is not verified for the organisation.",
        fix_en: "Change From in the program, verify the domain, or set `header_from` to `repair`.",
        cause_fr: "Le champ From montre un domaine qui n’est pas vérifié pour l’organisation.",
        fix_fr: "Changez From dans le programme, vérifiez le domaine, ou réglez \
            «\u{202f}header_from\u{202f}» sur «\u{202f}repair\u{202f}».",
        sample: || Refusal::HeaderDomain {
            domain: "fabrikam.test".into(),
        },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The message proves by neither SPF nor DKIM that it comes from the domain in \
            From, and that domain asks for refusal.",
        fix_en: "The sender's administrator: sign with DKIM for that domain, or add the sending \
            server to its SPF record. Ours: `dmarc = \"record\"` takes such mail.",
        cause_fr: "Le message ne prouve ni par SPF ni par DKIM qu’il vient du domaine du champ \
            From, et ce domaine demande son refus.",
        fix_fr: "Côté expéditeur\u{202f}: signez avec DKIM pour ce domaine, ou ajoutez le \
            serveur à son enregistrement SPF. De notre côté\u{202f}: «\u{202f}dmarc = \
            \"record\"\u{202f}» accepte ces messages.",
        sample: || Refusal::DmarcFailed {
            domain: "example.org".into(),
        },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The header section is larger than any mail program makes it.",
        fix_en: "Look in the program for a list of recipients or a text that landed in the header.",
        cause_fr: "La section d’en-tête est plus grande que ce que produit un programme de \
            messagerie.",
        fix_fr: "Cherchez dans le programme une liste de destinataires ou un texte égaré dans \
            l’en-tête.",
        sample: || Refusal::HeaderTooBig,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The content has a carriage return or a line feed alone, instead of both \
            together.",
        fix_en: "Update the program; the tolerant preset completes line feeds, but never carriage \
            returns.",
        cause_fr: "Le contenu a un retour chariot ou un saut de ligne seul, au lieu des deux \
            ensemble.",
        fix_fr: "Mettez à jour le programme\u{202f}; le profil tolérant complète les sauts de \
            ligne, jamais les retours chariot.",
        sample: || Refusal::BareLineEnd,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The content has a dot between line ends of a wrong form: others might see a \
            second message in it.",
        fix_en: "Treat it as an attack unless the program is yours; then let it end each line with \
            CR LF.",
        cause_fr: "Le contenu a un point entre des fins de ligne non conformes\u{202f}: d’autres \
            pourraient y voir un second message.",
        fix_fr: "Considérez-le comme une attaque, sauf si le programme est le vôtre\u{202f}: \
            faites-lui terminer chaque ligne par CR LF.",
        sample: || Refusal::Smuggling,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The message has passed so many servers that it must be going round in circles.",
        fix_en: "See in its Received fields which two servers send it to one another.",
        cause_fr: "Le message est passé par tant de serveurs qu’il doit tourner en rond.",
        fix_fr: "Voyez dans ses champs Received quels serveurs se le renvoient.",
        sample: || Refusal::Loop,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The relay could not store the message safely, and so has not accepted it.",
        fix_en: "Look at `relais health`; the device may send again, nothing was kept.",
        cause_fr: "Le relais n’a pas pu enregistrer le message de façon sûre\u{202f}: il ne l’a \
            donc pas accepté.",
        fix_fr: "Consultez «\u{202f}relais health\u{202f}»\u{202f}; l’appareil peut renvoyer le \
            message, rien n’a été conservé.",
        sample: || Refusal::Local,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "A line of the header section has a NUL octet and is no field: servers that drop \
            NUL would read another header than we do.",
        fix_en: "Update the program; a field name has letters, digits and hyphens only.",
        cause_fr: "Une ligne de la section d’en-tête contient un octet NUL et n’est pas un champ\u{202f}: \
            les serveurs qui ignorent NUL y liraient un autre en-tête que nous.",
        fix_fr: "Mettez à jour le programme\u{202f}; un nom de champ n’a que des lettres, des \
            chiffres et des traits d’union.",
        sample: || Refusal::HeaderNul,
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "A virus scanner that the connector asks found something in the message.",
        fix_en: "Clean the machine that sent it; `relais why` shows which scanner, and what it \
            found.",
        cause_fr: "Un antivirus consulté par le connecteur a trouvé quelque chose dans le message.",
        fix_fr: "Nettoyez la machine qui l’a envoyé\u{202f}; «\u{202f}relais why\u{202f}» montre \
            quel antivirus, et ce qu’il a trouvé.",
        sample: || Refusal::Malware {
            name: "Win.Test.EICAR_HDB-1".into(),
        },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "A content check of the connector refuses the message: it looks like unwanted \
            mail.",
        fix_en: "See with `relais why` what the checker said; change the message, or the rules of \
            the checker.",
        cause_fr: "Un contrôle de contenu du connecteur refuse le message\u{202f}: il ressemble à \
            du courrier indésirable.",
        fix_fr: "Voyez avec «\u{202f}relais why\u{202f}» ce qu’a dit le contrôle\u{202f}; changez \
            le message, ou les règles du contrôle.",
        sample: || Refusal::ContentRefused {
            because: "rspamd".into(),
        },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "The message has an attachment of a kind that the connector does not take.",
        fix_en: "Send it another way, or take the kind out of the connector's `content`.",
        cause_fr: "Le message a une pièce jointe d’un type que le connecteur n’accepte pas.",
        fix_fr: "Envoyez-la autrement, ou retirez ce type de «\u{202f}content\u{202f}» du \
            connecteur.",
        sample: || Refusal::AttachmentType { kind: "exe".into() },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "A content check of the connector wants the message later.",
        fix_en: "Mail servers try again by themselves; if it lasts, look at the checker's log.",
        cause_fr: "Un contrôle de contenu du connecteur demande de présenter le message plus tard.",
        fix_fr: "Les serveurs de messagerie réessaient d’eux-mêmes\u{202f}; si cela dure, voyez le \
            journal du contrôle.",
        sample: || Refusal::ContentLater {
            because: "rspamd".into(),
        },
    },
    CatalogueEntry {
        stage: "DATA",
        cause_en: "A content check that the connector demands does not answer, or not in time.",
        fix_en: "Start the checker again, or set `on_fault` of the connector's `content` to pass \
            or hold.",
        cause_fr: "Un contrôle de contenu exigé par le connecteur ne répond pas, ou pas à temps.",
        fix_fr: "Redémarrez le contrôle, ou réglez «\u{202f}on_fault\u{202f}» dans \
            «\u{202f}content\u{202f}» du connecteur sur «\u{202f}pass\u{202f}» ou \
            «\u{202f}hold\u{202f}».",
        sample: || Refusal::ContentUnchecked {
            checker: "antivirus".into(),
        },
    },
];

#[cfg(test)]
mod tests;
