//! The table itself, section by section, in the order of the types.

use super::DefaultValue::{Absent, Required, Toml};
use super::{DefaultValue, Kind, Section, Setting};

/// Every section, in the order of the reference.
pub(super) const SECTIONS: &[Section] = &[
    Section {
        path: "",
        keys: ROOT,
    },
    Section {
        path: "organisation",
        keys: ORGANISATION,
    },
    Section {
        path: "organisation.limits",
        keys: LIMITS,
    },
    Section {
        path: "organisation.limits_per_sender",
        keys: LIMITS_OF_SENDERS,
    },
    Section {
        path: "organisation.licences",
        keys: LICENCES,
    },
    Section {
        path: "organisation.triggers",
        keys: TRIGGERS,
    },
    Section {
        path: "organisation.triggers.volume",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.from_mismatch",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.unverified_domain",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.unknown_recipients",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.complaints",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.new_network",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.triggers.content",
        keys: TRIGGER,
    },
    Section {
        path: "organisation.inbound_content",
        keys: CONTENT,
    },
    Section {
        path: "organisation.domain",
        keys: DOMAIN,
    },
    Section {
        path: "organisation.domain.dkim",
        keys: DKIM,
    },
    Section {
        path: "organisation.domain.mta_sts",
        keys: MTA_STS,
    },
    Section {
        path: "organisation.domain.limits",
        keys: LIMITS_OF_SENDERS,
    },
    Section {
        path: "organisation.recipient",
        keys: RECIPIENT,
    },
    Section {
        path: "organisation.inbound_connector",
        keys: INBOUND,
    },
    Section {
        path: "organisation.inbound_connector.content",
        keys: CONTENT,
    },
    Section {
        path: "organisation.inbound_connector.limits",
        keys: LIMITS,
    },
    Section {
        path: "organisation.inbound_connector.limits_per_device",
        keys: LIMITS,
    },
    Section {
        path: "organisation.outbound_connector",
        keys: OUTBOUND,
    },
    Section {
        path: "organisation.outbound_connector.auth",
        keys: AUTH,
    },
    Section {
        path: "organisation.outbound_connector.pace",
        keys: PACE,
    },
    Section {
        path: "organisation.outbound_connector.retry",
        keys: RETRY,
    },
    Section {
        path: "organisation.credential",
        keys: CREDENTIAL,
    },
    Section {
        path: "organisation.credential.limits",
        keys: LIMITS,
    },
];

const EMPTY: DefaultValue = Toml("\"\"");
const NONE: DefaultValue = Toml("[]");
const ANY: DefaultValue = Toml("[\"*\"]");
const DEFAULT_TABLE: DefaultValue = Toml("{}");
const LIMIT_BOUND: &str = "1 to 1,000,000,000,000";
const SUBJECTS: &[&str] = &["shown", "masked"];
const STATES: &[&str] = &["draft", "observing", "enabled", "disabled"];
const OUTBOUND_STATES: &[&str] = &["draft", "enabled", "disabled"];
const IP_VERSIONS: &[&str] = &["any", "4", "6", "prefer-4", "prefer-6"];
const OUTBOUND_TLS: &[&str] = &[
    "none",
    "opportunistic",
    "encryption-only",
    "certificate-validation",
    "domain-validation",
];

const fn key(name: &'static str, kind: Kind, default: DefaultValue) -> Setting {
    Setting {
        key: name,
        kind,
        default,
        bound: "",
        doc: "",
        always_written: false,
    }
}

impl Setting {
    const fn bound(self, bound: &'static str) -> Self {
        Self { bound, ..self }
    }

    const fn doc(self, doc: &'static str) -> Self {
        Self { doc, ..self }
    }

    /// Export writes it even where it equals its default.
    const fn always(self) -> Self {
        Self {
            always_written: true,
            ..self
        }
    }
}

const ROOT: &[Setting] = &[key("organisation", Kind::Blocks, NONE)
    .bound("LAN mode: at most one")
    .doc("A set of accepted domains, connectors, credentials and recipients.")];

const ORGANISATION: &[Setting] = &[
    key("name", Kind::Text, Required)
        .always()
        .bound("1 to 63 of a-z, 0-9, -; unique")
        .doc("Its short name."),
    key("display_name", Kind::Text, EMPTY)
        .always()
        .bound("at most 200 characters")
        .doc("Its name for people; empty: the short name."),
    key("language", Kind::Choice(&["en", "fr"]), Toml("\"en\""))
        .always()
        .doc("Language of notices and alert mail."),
    key("postmaster", Kind::Text, EMPTY)
        .always()
        .bound("an address")
        .doc(
            "Gets alerts, mail to <Postmaster>, and notices that have no mailbox; \
             empty: such notices end with an event.",
        ),
    key("limits", Kind::Table, DEFAULT_TABLE).doc("Limits of the whole organisation."),
    key("limits_per_sender", Kind::Table, DEFAULT_TABLE).doc("Limits of each envelope sender."),
    key("licences", Kind::Table, DEFAULT_TABLE).doc("Seats for senders without a mailbox."),
    key("triggers", Kind::Table, DEFAULT_TABLE)
        .doc("What makes a device's mail be held by itself."),
    key("inbound_content", Kind::Table, DEFAULT_TABLE)
        .doc("Who looks at mail that strangers send to its domains, and what follows."),
    key("subjects", Kind::Choice(SUBJECTS), Toml("\"shown\"")).doc(
        "Whether subjects are written down in queue and trace; masked: *** stands for them, \
         everywhere.",
    ),
    key("content_days", Kind::Integer, Absent)
        .bound("0 to 366")
        .doc(
            "Days that content is kept after the last outcome; absent: as [retention] of \
             relais.toml says.",
        ),
    key("content_max", Kind::Octets, Toml("\"10 GiB\""))
        .bound("0 to 1,024 GiB; set by whoever runs the installation")
        .doc(
            "Octets of content that are kept of all its mail: where more would be kept, the \
             oldest goes first.",
        ),
    key("domain", Kind::Blocks, NONE)
        .bound("at most 10,000")
        .doc("An accepted domain: its addresses may be senders, mail to it is taken."),
    key("recipient", Kind::Blocks, NONE)
        .bound("at most 500,000")
        .doc("An entry of the directory."),
    key("inbound_connector", Kind::Blocks, NONE)
        .bound("at most 10,000")
        .doc("Who may send through us."),
    key("outbound_connector", Kind::Blocks, NONE)
        .bound("at most 1,000")
        .doc("How mail leaves."),
    key("credential", Kind::Blocks, NONE)
        .bound("at most 100,000")
        .doc("One per device."),
];

const LIMITS: &[Setting] = &[
    key("messages_per_minute", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc("Messages per minute; beyond it the queue slows down, and hard limits refuse."),
    key("recipients_per_hour", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc("Recipients per hour."),
    key("external_recipients_per_hour", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc("Recipients outside the accepted domains per hour."),
    key("recipients_per_day", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc("Recipients per sliding 24 hours."),
    key("new_recipients_per_day", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc(
            "Recipients to whom the organisation did not write in the last 90 days, per sliding \
             24 hours.",
        ),
    key("message_size_max", Kind::Octets, Absent)
        .bound("1 octet to 1,024 GiB; the server's own limit holds too")
        .doc("Largest message; larger ones are always refused."),
    key("recipients_per_message", Kind::Integer, Absent)
        .bound("1 to 1,000")
        .doc("Recipients of one message; the client is to send the rest in the next one (452)."),
    key("connections", Kind::Limit, Absent)
        .bound(LIMIT_BOUND)
        .doc("Connections at the same time."),
];

/// What a sender or a domain may be limited in: a connection is nobody's of these.
const LIMITS_OF_SENDERS: &[Setting] = LIMITS.split_at(LIMITS.len() - 1).0;

const LICENCES: &[Setting] = &[
    key("seats", Kind::Integer, Toml("0"))
        .bound("at most 4,294,967,295")
        .doc("How many seats there are."),
    key(
        "policy",
        Kind::Choice(&["off", "report", "enforce"]),
        Toml("\"off\""),
    )
    .doc(
        "What happens beyond the seats: nothing is counted, it is shown, or it is \
             refused.",
    ),
];

const TRIGGERS: &[Setting] = &[
    key("volume", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 30, 4")
        .doc("More recipients in an hour than is usual for the device; judged from the fourth day."),
    key("from_mismatch", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 20, 4")
        .doc("Messages in an hour whose From is of another domain than MAIL FROM."),
    key("unverified_domain", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 20, 4")
        .doc("Attempts in an hour to send as a domain that is not verified."),
    key("unknown_recipients", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 25, 4")
        .doc("Recipients in an hour that do not exist: refused here, or by their own server."),
    key("complaints", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 3, 2")
        .doc("Complaints of recipients within 24 hours."),
    key("new_network", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: off")
        .doc("A credential used from a network (/16 of IPv4, /32 of IPv6) where it never was; numbers do not count."),
    key("content", Kind::Table, DEFAULT_TABLE)
        .bound("as long as nothing is said: hold, 2, 1")
        .doc("Messages in an hour that a content check found bad."),
];

const TRIGGER: &[Setting] = &[
    key("mode", Kind::Choice(&["off", "hold", "block"]), Absent).doc(
        "Nothing (it goes on learning); the device's mail is held and people hear of it; the \
         same, and refused where it goes on.",
    ),
    key("minimum", Kind::Integer, Absent)
        .bound("at most 4,294,967,295")
        .doc("So many within the trigger's time are never too many."),
    key("factor", Kind::Integer, Absent)
        .bound("at most 4,294,967,295")
        .doc("So many times what is usual for the device at this hour are not too many."),
];

const DOMAIN: &[Setting] = &[
    key("name", Kind::Text, Required)
        .always()
        .bound("a domain name; unique over all organisations")
        .doc("The domain."),
    key(
        "kind",
        Kind::Choice(&["authoritative", "internal-relay"]),
        Toml("\"authoritative\""),
    )
    .always()
    .doc("Unknown recipients are refused, or passed on to the mailbox host."),
    key(
        "verification",
        Kind::Choice(&["dns", "assumed"]),
        Toml("\"dns\""),
    )
    .always()
    .bound("assumed: over the local socket only")
    .doc(
        "How ownership is proved; until then the domain is pending and affects \
             nothing.",
    ),
    key("subdomains", Kind::Boolean, Toml("false")).doc("Whether its subdomains are covered too."),
    key("mailbox_host", Kind::Text, EMPTY)
        .always()
        .bound("host:port, [address]:port, lmtp:host:port")
        .doc(
            "Where mail for it goes, whoever sends; empty: by outbound connectors, \
             then MX without ourselves.",
        ),
    key("public_hosts_only", Kind::Boolean, Toml("false")).doc(
        "The mailbox host is reached at public addresses only; set by itself where whoever names \
             it has a say over one organisation only.",
    ),
    key("bounce_domain", Kind::Text, EMPTY)
        .bound("below the domain, as bounce.contoso.test")
        .doc(
            "Domain of signed envelope senders, whose MX is this relay; what comes back there \
             is matched to its message. Empty: none.",
        ),
    key(
        "passed_on_sender",
        Kind::Choice(&["auto", "kept", "rewritten"]),
        Toml("\"auto\""),
    )
    .doc(
        "The reverse-path of strangers' mail on its way to the mailbox host, where the domain has a \
             bounce_domain: a signed address there, so that SPF holds at the next server and \
             bounces find their sender; auto: unless that server has a private address or \
             speaks LMTP.",
    ),
    key(
        "dmarc",
        Kind::Choice(&["record", "reject"]),
        Toml("\"record\""),
    )
    .doc(
        "Strangers' mail for this domain that fails DMARC where its author's domain asks for \
             reject: taken with the result in Authentication-Results, or refused.",
    ),
    key("dkim", Kind::Table, DEFAULT_TABLE).doc("Signing; takes effect once DNS shows the key."),
    key("mta_sts", Kind::Table, DEFAULT_TABLE).doc(
        "What senders to this domain are to demand of TLS, where this relay is its MX; shown at \
             the address of `[mta_sts]` in the bootstrap file.",
    ),
    key("limits", Kind::Table, DEFAULT_TABLE)
        .doc("Limits of all its senders together."),
];

const MTA_STS: &[Setting] = &[
    key(
        "mode",
        Kind::Choice(&["off", "testing", "enforce", "none"]),
        Toml("\"off\""),
    )
    .doc(
        "No policy; failures are only reported; mail waits rather than come unprotected; the \
             policy is taken back.",
    ),
    key("max_age", Kind::Span, Toml("\"7d\""))
        .bound("1d to 365d")
        .doc("How long senders keep it."),
    key("mx", Kind::TextList, NONE)
        .bound("at most 20 host names, *. may lead")
        .doc("The domain's mail exchangers; empty: this relay alone."),
];

const DKIM: &[Setting] = &[
    key("enabled", Kind::Boolean, Toml("true")).doc("Whether to sign."),
    key(
        "algorithms",
        Kind::ChoiceList(&["rsa2048", "ed25519"]),
        Toml("[\"rsa2048\", \"ed25519\"]"),
    )
    .bound("at least one, each once")
    .doc("Signature algorithms."),
    key("rotate_days", Kind::Integer, Toml("180"))
        .bound("1 to 3,650")
        .doc("Days between two rotations of the key."),
];

const RECIPIENT: &[Setting] = &[
    key("address", Kind::Text, Required)
        .always()
        .bound("an address in an accepted domain; unique")
        .doc("The address."),
    key("mailbox", Kind::Boolean, Toml("true"))
        .doc("False: a person without mailbox; mail to the address is refused."),
];

const INBOUND: &[Setting] = &[
    key("name", Kind::Text, Required)
        .always()
        .bound("1 to 64 characters; unique in the organisation")
        .doc("Its name."),
    key(
        "kind",
        Kind::Choice(&["on-premises"]),
        Toml("\"on-premises\""),
    )
    .doc("A device or server of the organisation; there is no other kind yet."),
    key("state", Kind::Choice(STATES), Toml("\"enabled\""))
        .always()
        .doc("Not in use; answers but takes only test recipients; in use; switched off."),
    key("sender_ip_addresses", Kind::Networks, NONE)
        .always()
        .bound("hosted: public, IPv4 /24 to /32, IPv6 /64 to /128; equal networks only once")
        .doc("Factor: the client's address; the longest prefix wins."),
    key("tls_sender_certificate_name", Kind::Text, EMPTY)
        .bound("a host name, *. may lead")
        .doc("Factor: the name in the client's certificate."),
    key("tls_sender_certificate_fingerprints", Kind::TextList, NONE)
        .bound("64 hexadecimal digits, colons allowed")
        .doc(
            "Factor: SHA-256 of the client's certificate, whoever issued it; within its time \
         only.",
        ),
    key("sender_dns_names", Kind::TextList, NONE)
        .bound("host names")
        .doc(
            "Factor: names whose addresses are the client's, resolved again as their \
             TTL says.",
        ),
    key(
        "identified_by",
        Kind::Choice(&["any", "all"]),
        Toml("\"any\""),
    )
    .doc("One factor is enough, or every factor given must hold."),
    key("test_recipients", Kind::TextList, NONE)
        .bound("addresses")
        .doc("The only recipients while the connector is observing."),
    key("cleartext_auth", Kind::Boolean, Toml("false"))
        .bound("private source addresses only")
        .doc("Whether AUTH is allowed without TLS."),
    key("sender_domains", Kind::TextList, ANY)
        .always()
        .bound("*, a domain, *.domain")
        .doc("Domains of reverse-paths; * is every verified domain of the organisation."),
    key("sender_addresses", Kind::TextList, NONE)
        .bound("an address, or with one * before the @: scan-*@contoso.test; at most 1,000")
        .doc("Only these reverse-paths and header Froms; empty: every address of sender_domains."),
    key("sender_replacement", Kind::Text, EMPTY)
        .bound("an ASCII address; in force only in a verified domain of the organisation")
        .doc(
            "Stands in the place of senders, envelope and header From; a readable From goes to \
             Reply-To; empty: no sender is replaced. The null reverse-path stays.",
        ),
    key(
        "sender_replaced",
        Kind::Choice(&["local", "all"]),
        Toml("\"local\""),
    )
    .doc(
        "Which senders sender_replacement stands for: root@ and those in domains that mean \
             nothing outside (nas, nas.local, an address literal); every one.",
    ),
    key("accept_null_sender", Kind::Boolean, Toml("true")).doc(
        "Whether the null reverse-path, of notices and receipts, is taken where it is beyond \
         doubt whose client it is; false: never.",
    ),
    key("recipient_domains", Kind::TextList, ANY)
        .always()
        .bound("*, own, a domain, *.domain, [address]")
        .doc(
            "Domains of recipients; own is the accepted domains; an address literal \
             only where it is named.",
        ),
    key(
        "tls",
        Kind::Choice(&["off", "offered", "required"]),
        Toml("\"offered\""),
    )
    .doc("TLS of the session."),
    key("legacy_tls_until", Kind::Text, EMPTY)
        .bound(
            "2027-12-01; at most two years ahead; needs sender_ip_addresses, none wider than /8, \
             IPv6 /32",
        )
        .doc(
            "To the end of this day (UTC) its devices may use [legacy_listener] of relais.toml, \
             whose own `expires` stays the end for everybody; empty, or a day that is over: they \
             may not.",
        ),
    key("preset", Kind::Choice(&["strict", "tolerant"]), Absent)
        .doc("How much syntax is forgiven; absent: as the listener says."),
    key(
        "header_from",
        Kind::Choice(&["refuse", "flag", "repair"]),
        Absent,
    )
    .doc(
        "What happens to a header From outside the verified domains; absent: \
             refuse when hosted, flag in LAN mode.",
    ),
    key(
        "envelope_sender",
        Kind::Choice(&["signed", "kept"]),
        Toml("\"signed\""),
    )
    .doc(
        "The reverse-path that its mail leaves with: a signed address at the domain's \
             bounce_domain, or as it came (lists and devices that recognise mail by it).",
    ),
    key("sending_hours", Kind::Text, EMPTY)
        .bound("07:00-19:00, Mon-Fri 07:00-19:00, Mon-Fri 07:00-19:00 Europe/Paris; else UTC")
        .doc("When it may send; at other times it is told to come back (450); empty: always."),
    key("outbound_connector", Kind::Text, EMPTY)
        .bound("name of an outbound connector of the organisation")
        .doc(
            "By which all its mail leaves, but for what a mailbox host takes; as long as that one \
             is enabled. Empty: the recipient's domain says.",
        ),
    key("archive_address", Kind::Text, EMPTY)
        .bound("an ASCII address in an accepted domain of the organisation")
        .doc(
            "Gets a copy of each message of an enabled connector, as a recipient of its own of \
             which the others do not learn; the sender hears nothing of its fate; empty: no copy.",
        ),
    key("content", Kind::Table, DEFAULT_TABLE)
        .doc("Who looks at the content of its mail, and what follows."),
    key("subjects", Kind::Choice(SUBJECTS), Absent)
        .doc("Whether subjects of its mail are written down; absent: as the organisation says."),
    key("content_days", Kind::Integer, Absent)
        .bound("0 to 366")
        .doc("Days that content of its mail is kept; absent: as the organisation says."),
    key("limits", Kind::Table, DEFAULT_TABLE).doc("Limits of this connector."),
    key("limits_per_device", Kind::Table, DEFAULT_TABLE)
        .doc("Limits of each of its devices: of each credential, else of each client address."),
    key("owner", Kind::Text, EMPTY)
        .bound("an address")
        .doc("Gets notices for senders without a mailbox."),
    key("tags", Kind::TextList, NONE)
        .bound("at most 20, of at most 32 characters, without spaces and commas")
        .doc("Words by which people find it in the list."),
];

const CONTENT: &[Setting] = &[
    key("checks", Kind::TextList, NONE)
        .bound("names of [[content_checker]] in relais.toml; at most 8")
        .doc("Who is asked, all at once, before the message is taken; empty: nobody."),
    key("timeout", Kind::Span, Toml("\"20s\""))
        .bound("1s to 2m")
        .doc("How long all of them together get."),
    key(
        "on_fault",
        Kind::Choice(&["refuse", "pass", "hold"]),
        Toml("\"refuse\""),
    )
    .doc(
        "What happens when one does not answer in time: refused for now with 451, taken \
             unchecked, or taken and held for a person.",
    ),
    key(
        "on_finding",
        Kind::Choice(&["refuse", "hold"]),
        Toml("\"refuse\""),
    )
    .doc("What happens when one says no, or an attachment is forbidden."),
    key("forbidden_extensions", Kind::TextList, NONE)
        .bound("at most 200")
        .doc("Endings of names of attachments that do not pass, as \"exe\"."),
    key("forbidden_types", Kind::TextList, NONE)
        .bound("at most 200")
        .doc("Declared types of parts that do not pass, as \"video/mp4\" or \"video/*\"."),
];

const OUTBOUND: &[Setting] = &[
    key("name", Kind::Text, Required)
        .always()
        .bound("1 to 64 characters; unique in the organisation")
        .doc("Its name."),
    key("state", Kind::Choice(OUTBOUND_STATES), Toml("\"enabled\""))
        .doc("Only enabled ones are used."),
    key("recipient_domains", Kind::TextList, ANY)
        .always()
        .bound("*, own, a domain, *.domain")
        .doc("Which recipients leave this way: exact before *.domain before own before *."),
    key("sender_domains", Kind::TextList, NONE)
        .bound("a domain, *.domain, *; verified domains of the organisation")
        .doc(
            "Only mail of senders there leaves this way, before a connector for everybody; empty: \
             of all senders.",
        ),
    key("inbound_connectors", Kind::TextList, NONE)
        .bound("names of inbound connectors of the organisation")
        .doc("Only what came by these leaves this way, before all others; empty: by any."),
    key("smart_hosts", Kind::TextList, NONE)
        .always()
        .bound("host, host:port, [address]:port; at most 20")
        .doc("Next hops in order of preference; empty: by MX."),
    key("public_hosts_only", Kind::Boolean, Toml("false")).doc(
        "Smart hosts and issuers of tokens are reached at public addresses only; set by itself \
             where whoever names them has a say over one organisation only.",
    ),
    key("tls", Kind::Choice(OUTBOUND_TLS), Toml("\"opportunistic\""))
        .always()
        .doc(
            "The level of TLS that must hold; where it logs in, opportunistic asks for a \
             certificate for the smart host.",
        ),
    key("tls_domain", Kind::Text, EMPTY)
        .bound("a domain name; needed for domain-validation")
        .doc("The name that the next hop's certificate must bear."),
    key("auth", Kind::Table, DEFAULT_TABLE).doc("How we identify ourselves."),
    key("source_addresses", Kind::TextList, NONE)
        .bound("addresses of this machine")
        .doc(
            "Egress addresses of this connector; empty: the server's. A host sees always the same.",
        ),
    key("ip_version", Kind::Choice(IP_VERSIONS), Absent)
        .doc("Which versions of IP; absent: as `[deliver] ip_version` says."),
    key("pace", Kind::Table, DEFAULT_TABLE).doc("How fast; absent keys: no limit but our own."),
    key("retry", Kind::Table, DEFAULT_TABLE).doc("How long and how often."),
];

const AUTH: &[Setting] = &[
    key(
        "method",
        Kind::Choice(&["none", "password", "xoauth2", "certificate"]),
        Toml("\"none\""),
    )
    .doc("The method."),
    key("user", Kind::Text, EMPTY)
        .bound("needed for password and xoauth2")
        .doc("User name."),
    key("password_file", Kind::Text, EMPTY)
        .bound("a path, or env:NAME")
        .doc("Where the password is; it never stands here."),
    key("parameters", Kind::TextTable, DEFAULT_TABLE).doc("Further keys of a method."),
];

const PACE: &[Setting] = &[
    key("connections", Kind::Integer, Absent)
        .bound("1 to 1,000")
        .doc("Connections at the same time."),
    key("messages_per_minute", Kind::Integer, Absent)
        .bound("at least 1")
        .doc("Messages per minute."),
    key("recipients_per_day", Kind::Integer, Absent)
        .bound("at least 1")
        .doc("Recipients per sliding 24 hours."),
    key("recipients_per_transaction", Kind::Integer, Absent)
        .bound("at least 1")
        .doc("Recipients of one transaction."),
];

const RETRY: &[Setting] = &[
    key("first", Kind::Span, Toml("\"1m\""))
        .bound("at least 1s, at most max")
        .doc("Delay before the second attempt; it doubles from there."),
    key("max", Kind::Span, Toml("\"1h\""))
        .bound("at most lifetime")
        .doc("Longest delay."),
    key("lifetime", Kind::Span, Toml("\"24h\""))
        .bound("12h to 5d")
        .doc("After this time the sender is told that delivery failed."),
];

const CREDENTIAL: &[Setting] = &[
    key("user", Kind::Text, Required)
        .bound("1 to 20 of a-z, 0-9, -; unique over all organisations")
        .doc("The user name of the device."),
    key("password_hash", Kind::Text, EMPTY)
        .bound("Argon2id, PHC form")
        .doc("The password's hash; made by: relais credential add."),
    key("scram_sha_256", Kind::Text, EMPTY)
        .bound("RFC 5803 form")
        .doc("The SCRAM verifier; empty: SCRAM fails."),
    key("previous_password_hash", Kind::Text, EMPTY)
        .bound("Argon2id, PHC form")
        .doc("The hash before the last rotation; made by: relais credential rotate."),
    key("previous_scram_sha_256", Kind::Text, EMPTY)
        .bound("RFC 5803 form")
        .doc("The verifier before the last rotation."),
    key("previous_until", Kind::Text, EMPTY)
        .bound("RFC 3339, as 2026-11-29T12:00:00Z")
        .doc("Until then the previous password counts too; empty: no longer."),
    key("enabled", Kind::Boolean, Toml("true")).doc("False: the right password is refused too."),
    key("expires", Kind::Text, EMPTY)
        .bound("RFC 3339, as 2026-11-29T12:00:00Z")
        .doc("From then on it is refused; empty: never."),
    key("source_addresses", Kind::Networks, NONE)
        .doc("From where it may be used; empty: from everywhere."),
    key(
        "tls_min",
        Kind::Choice(&["none", "1.2", "1.3"]),
        Toml("\"1.2\""),
    )
    .doc(
        "The least TLS with which it may be used; where its connector has cleartext_auth, clear \
         text is below 1.3 only.",
    ),
    key("inbound_connector", Kind::Text, Required)
        .always()
        .bound("an inbound connector of the organisation")
        .doc("The connector it belongs to."),
    key("may_send_as", Kind::TextList, NONE)
        .bound("addresses, *@domain")
        .doc("Addresses it may use; empty: any within the connector's sender_domains."),
    key("limits", Kind::Table, DEFAULT_TABLE)
        .doc("Its own limits; a key that is absent here: as `limits_per_device` of its connector."),
];
