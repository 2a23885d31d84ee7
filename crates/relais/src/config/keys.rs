//! Every key of `relais.toml`, once: section, kind, default, bound and words. The reader, the
//! environment overrides, the reference and the JSON schema all use this table.

/// A section of the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Section {
    /// `admin`; empty for the top of the file.
    pub(crate) name: &'static str,
    /// How often it may stand there.
    pub(crate) form: Form,
    /// One line for people.
    pub(crate) words: &'static str,
    /// Its keys, in the order of the reference.
    pub(crate) keys: &'static [Key],
}

/// How often a section may stand in the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// `[admin]`, once; its keys have defaults where it is absent.
    Table,
    /// `[legacy_listener]`, once or not at all.
    OptionalTable,
    /// `[[listener]]`, any number of times.
    Blocks,
}

/// One key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Key {
    /// `address`.
    pub(crate) name: &'static str,
    /// What may be written.
    pub(crate) kind: Kind,
    /// What holds when it is absent.
    pub(crate) default: Fallback,
    /// One line for people.
    pub(crate) words: &'static str,
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fallback {
    /// This value, as TOML.
    Toml(&'static str),
    /// Found at start; described for people.
    Found(&'static str),
    /// The key must be there.
    Required,
}

/// What may be written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// A host name.
    Name,
    /// A path; empty where the default is empty.
    Path,
    /// Paths.
    Paths,
    /// `host address:port`; empty where the words allow it.
    Socket,
    /// Addresses, with or without port.
    Servers,
    /// Names or addresses with a port.
    Targets,
    /// Domain names.
    Names,
    /// Addresses.
    Addresses,
    /// Addresses and networks.
    Networks,
    /// One of these.
    Choice(&'static [&'static str]),
    /// A number from, to.
    Integer(i64, i64),
    /// `true` or `false`.
    Boolean,
    /// `"50 MiB"` or a number.
    Octets,
    /// `"2027-12-31"`.
    Date,
}

impl Kind {
    /// For people, in the reference and in errors.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Text => "text".to_owned(),
            Self::Name => "host name".to_owned(),
            Self::Path => "path".to_owned(),
            Self::Paths => "list of paths".to_owned(),
            Self::Socket => "address with port, as \"127.0.0.1:8025\" or \"[::1]:8025\"".to_owned(),
            Self::Servers => {
                "list of addresses, as \"192.0.2.53\" or \"127.0.0.1:5353\"".to_owned()
            }
            Self::Names => "list of domain names, as \"list.example.net\"".to_owned(),
            Self::Targets => "list of hosts with port, as \"mx.example.org:25\"".to_owned(),
            Self::Addresses => "list of addresses".to_owned(),
            Self::Networks => "list of addresses and networks, as \"10.1.2.0/24\"".to_owned(),
            Self::Choice(choices) => choices
                .iter()
                .map(|choice| format!("\"{choice}\""))
                .collect::<Vec<_>>()
                .join(" | "),
            Self::Integer(least, most) => format!("number from {least} to {most}"),
            Self::Boolean => "true | false".to_owned(),
            Self::Octets => "size, as \"50 MiB\"".to_owned(),
            Self::Date => "date, as \"2027-12-31\"".to_owned(),
        }
    }
}

const fn key(name: &'static str, kind: Kind, default: Fallback, words: &'static str) -> Key {
    Key {
        name,
        kind,
        default,
        words,
    }
}

use Fallback::{Found, Required, Toml};

/// Ports that may be written.
const PORT: Kind = Kind::Integer(1, 65_535);
const EMPTY: Fallback = Toml("\"\"");
const NONE: Fallback = Toml("[]");

/// The whole file, in the order of the reference.
pub(crate) const SECTIONS: &[Section] = &[
    Section {
        name: "",
        form: Form::Table,
        words: "The server itself.",
        keys: TOP,
    },
    Section {
        name: "listener",
        form: Form::Blocks,
        words: "A door for mail. Without any: one on 127.0.0.1:2525.",
        keys: LISTENER,
    },
    Section {
        name: "legacy_listener",
        form: Form::OptionalTable,
        words: "A separate door for devices with old TLS; only in builds with `legacy-tls`.",
        keys: LEGACY_LISTENER,
    },
    Section {
        name: "acme",
        form: Form::Table,
        words: "A certificate by ACME for `hostname`, shown by listeners that name none.",
        keys: ACME,
    },
    Section {
        name: "mta_sts",
        form: Form::Table,
        words: "Our domains' policies of MTA-STS, for whoever sends to them by HTTPS; off while \
                `address` is empty.",
        keys: MTA_STS,
    },
    Section {
        name: "admin",
        form: Form::Table,
        words: "The admin centre, probes and metrics.",
        keys: ADMIN,
    },
    Section {
        name: "store",
        form: Form::Table,
        words: "Where everything is kept.",
        keys: STORE,
    },
    Section {
        name: "dns",
        form: Form::Table,
        words: "Whom we ask.",
        keys: DNS,
    },
    Section {
        name: "authoritative_dns",
        form: Form::Table,
        words: "A name server for a delegated zone of our own, so that customers change their DNS \
                once; off while `address` is empty.",
        keys: AUTHORITATIVE_DNS,
    },
    Section {
        name: "deliver",
        form: Form::Table,
        words: "How mail leaves.",
        keys: DELIVER,
    },
    Section {
        name: "limits",
        form: Form::Table,
        words: "Bounds of the server.",
        keys: LIMITS,
    },
    Section {
        name: "retention",
        form: Form::Table,
        words: "How long things are kept.",
        keys: RETENTION,
    },
    Section {
        name: "oidc",
        form: Form::Blocks,
        words: "Issuers whose tokens count as logins (XOAUTH2, OAUTHBEARER); later for sign-in too.",
        keys: OIDC,
    },
    Section {
        name: "content_checker",
        form: Form::Blocks,
        words: "A program that looks at content before it is taken; connectors name it in `content`.",
        keys: CONTENT_CHECKER,
    },
    Section {
        name: "log",
        form: Form::Table,
        words: "What is written to standard output.",
        keys: LOG,
    },
    Section {
        name: "syslog",
        form: Form::Table,
        words: "Events by syslog over TLS (RFC 5424, RFC 5425).",
        keys: SYSLOG,
    },
    Section {
        name: "otlp",
        form: Form::Table,
        words: "Traces for OpenTelemetry, by OTLP over HTTP in JSON.",
        keys: OTLP,
    },
];

const CONTENT_CHECKER: &[Key] = &[
    key(
        "name",
        Kind::Text,
        Fallback::Required,
        "By which `content` of a connector names it: a-z, 0-9, -.",
    ),
    key(
        "kind",
        Kind::Choice(&["rspamd", "clamav", "milter"]),
        Fallback::Required,
        "What it speaks: Rspamd's HTTP, clamd's INSTREAM, or the milter protocol.",
    ),
    key(
        "address",
        Kind::Text,
        Fallback::Required,
        "Where it is: `host:port`, or `unix:/path/of/the/socket`.",
    ),
];

const TOP: &[Key] = &[
    key(
        "hostname",
        Kind::Name,
        Found("the machine's own full name"),
        "Our name in banner, EHLO and Received.",
    ),
    key(
        "data_dir",
        Kind::Path,
        Found("\"/var/lib/relais\" as root, else \"./relais-data\""),
        "Queue, settings, trace and the control socket.",
    ),
    key(
        "mode",
        Kind::Choice(&["lan", "hosted"]),
        Toml("\"lan\""),
        "One organisation, or many that are kept apart.",
    ),
];

const LISTENER: &[Key] = &[
    key(
        "address",
        Kind::Socket,
        Toml("\"127.0.0.1:2525\""),
        "Where to listen.",
    ),
    key(
        "role",
        Kind::Choice(&["relay", "submission"]),
        Toml("\"relay\""),
        "`submission`: AUTH is required.",
    ),
    key(
        "tls",
        Kind::Choice(&["none", "starttls", "implicit"]),
        Toml("\"starttls\""),
        "`starttls`: when the client asks for it; `implicit`: from the first octet, as on port 465.",
    ),
    key(
        "preset",
        Kind::Choice(&["strict", "tolerant"]),
        Toml("\"strict\""),
        "Syntax for clients whose connector names no preset.",
    ),
    key(
        "proxy_protocol_from",
        Kind::Networks,
        NONE,
        "Only these peers may, and must, say by the PROXY protocol (version 1 or 2) who their \
         client is. Leave their own addresses out of inbound connectors.",
    ),
    key(
        "certificate",
        Kind::Path,
        EMPTY,
        "PEM chain, read again when it changes. Empty: a self-signed one, made at the first start \
         and kept in the data folder.",
    ),
    key(
        "private_key",
        Kind::Path,
        EMPTY,
        "Its key; empty: beside the certificate as `.key`, or in the same file.",
    ),
    key(
        "client_ca",
        Kind::Paths,
        NONE,
        "Further roots for client certificates; those of the system count too.",
    ),
    key(
        "certificate_common_name",
        Kind::Boolean,
        Toml("false"),
        "The subject's common name counts where a client certificate has no alternative name.",
    ),
];

const LEGACY_LISTENER: &[Key] = &[
    key("address", Kind::Socket, Required, "Where to listen."),
    key(
        "source_addresses",
        Kind::Networks,
        Required,
        "Who may use it.",
    ),
    key(
        "expires",
        Kind::Date,
        Required,
        "The day from which it stays closed.",
    ),
    key(
        "tls",
        Kind::Choice(&["starttls", "implicit"]),
        Toml("\"starttls\""),
        "When TLS begins.",
    ),
    key(
        "certificate",
        Kind::Path,
        EMPTY,
        "PEM chain; empty: a self-signed one with an RSA key, which old devices need.",
    ),
    key(
        "private_key",
        Kind::Path,
        EMPTY,
        "Its key; empty: beside the certificate as `.key`, or in the same file.",
    ),
];

const ACME: &[Key] = &[
    key(
        "directory",
        Kind::Text,
        EMPTY,
        "Address of the ACME server; empty: no ACME.",
    ),
    key(
        "contact",
        Kind::Text,
        EMPTY,
        "As \"mailto:it@contoso.test\".",
    ),
    key(
        "challenge",
        Kind::Choice(&["http-01", "tls-alpn-01"]),
        Toml("\"http-01\""),
        "How the name is proved.",
    ),
    key(
        "http_address",
        Kind::Socket,
        Toml("\"0.0.0.0:80\""),
        "Where http-01 is answered.",
    ),
    key(
        "tls_address",
        Kind::Socket,
        Toml("\"0.0.0.0:443\""),
        "Where tls-alpn-01 is answered.",
    ),
    key(
        "extra_ca",
        Kind::Path,
        EMPTY,
        "PEM with the root of a private ACME server; then no other is believed.",
    ),
];

const MTA_STS: &[Key] = &[
    key(
        "address",
        Kind::Socket,
        EMPTY,
        "As \"0.0.0.0:443\"; senders know no other port.",
    ),
    key(
        "certificate",
        Kind::Path,
        EMPTY,
        "PEM chain for mta-sts.DOMAIN of each domain with a policy; read again when it changes.",
    ),
    key(
        "private_key",
        Kind::Path,
        EMPTY,
        "Empty: beside the certificate, or in it.",
    ),
];

const ADMIN: &[Key] = &[
    key(
        "address",
        Kind::Socket,
        Toml("\"127.0.0.1:8025\""),
        "The admin centre, /metrics, /livez and /readyz; empty: closed.",
    ),
    key(
        "tls",
        Kind::Choice(&["none", "self-signed", "file"]),
        Toml("\"none\""),
        "`none` only on a loopback address. `self-signed`: until there is a certificate by ACME, a \
         self-signed one is shown.",
    ),
    key(
        "certificate",
        Kind::Path,
        EMPTY,
        "For `file`: PEM chain, read again when it changes.",
    ),
    key(
        "private_key",
        Kind::Path,
        EMPTY,
        "For `file`; empty: beside the certificate as `.key`, or in it.",
    ),
    key(
        "allow_private_issuer",
        Kind::Boolean,
        Toml("false"),
        "Single sign-on may ask an issuer on loopback or at a private address.",
    ),
    key(
        "second_factor",
        Kind::Choice(&["optional", "required"]),
        Toml("\"optional\""),
        "`required`: whoever signs in with a password sets a second factor up before anything else.",
    ),
];

const STORE: &[Key] = &[
    key(
        "url",
        Kind::Text,
        Toml("\"sqlite\""),
        "`sqlite`: embedded, in the data folder. PostgreSQL comes later.",
    ),
    key(
        "content",
        Kind::Text,
        Toml("\"inline\""),
        "`inline`: in the data folder. S3 comes later.",
    ),
    key(
        "require_synchronous",
        Kind::Boolean,
        Toml("false"),
        "Refuse a database server that does not replicate synchronously. Takes effect with \
         PostgreSQL.",
    ),
];

const DNS: &[Key] = &[
    key("nameservers", Kind::Servers, NONE, "Empty: the system's."),
    key(
        "trusted",
        Kind::Boolean,
        Toml("false"),
        "The AD bit of these servers is believed (that of loopback servers always is): what they \
         say that DNSSEC proves counts, for DANE.",
    ),
    key(
        "authoritative_port",
        PORT,
        Toml("53"),
        "Where the servers named by NS records are asked.",
    ),
    key(
        "blocklists",
        Kind::Names,
        NONE,
        "DNS blocklists that `connector inbound check` asks about an address (RFC 5782); mind the \
         terms of each.",
    ),
    key(
        "port25_probes",
        Kind::Targets,
        Toml(
            "[\"gmail-smtp-in.l.google.com:25\", \"outlook-com.olc.protection.outlook.com:25\", \
             \"mx01.mail.icloud.com:25\"]",
        ),
        "Servers of three operators that the self-checks greet, to see whether port 25 is open on \
         the way out and which address they see; empty: no check.",
    ),
    key(
        "time_servers",
        Kind::Targets,
        NONE,
        "Time servers that the self-checks compare the clock with, as \"ntp.contoso.test:123\"; \
         empty: what the system says of itself, or a mail server's greeting.",
    ),
];

const AUTHORITATIVE_DNS: &[Key] = &[
    key(
        "address",
        Kind::Socket,
        EMPTY,
        "Where it answers over UDP and TCP, as \"0.0.0.0:53\"; empty: off. Strangers may ask: it \
         gives nothing but its zone, and answers none too often.",
    ),
    key(
        "zone",
        Kind::Text,
        EMPTY,
        "The zone that is delegated to it, as \"relay.provider.example\": DKIM keys of all domains, \
         our addresses for SPF (`spf.`), where bounces go (`bounce.`).",
    ),
    key(
        "name_servers",
        Kind::Names,
        NONE,
        "Names in its NS records, the first of which is the primary; empty: `hostname`.",
    ),
    key(
        "addresses",
        Kind::Addresses,
        NONE,
        "Addresses of `hostname` and of name servers where they lie in the zone; empty: \
         `deliver.source_addresses`.",
    ),
];

const DELIVER: &[Key] = &[
    key("smtp_port", PORT, Toml("25"), "Port of delivery by MX."),
    key(
        "tls_reports",
        Kind::Boolean,
        Toml("true"),
        "Domains that ask for it are told once a day of TLS with their mail servers (RFC 8460).",
    ),
    key(
        "tls_report_organisation",
        Kind::Text,
        EMPTY,
        "In whose name, from its postmaster; empty: the first organisation that has one.",
    ),
    key(
        "https_port",
        PORT,
        Toml("443"),
        "Where web servers of mail domains are asked (MTA-STS); tests use another.",
    ),
    key(
        "allow_private_destinations",
        Kind::Boolean,
        Toml("false"),
        "Loopback and private addresses found by MX are allowed; for tests and closed networks.",
    ),
    key(
        "extra_ca",
        Kind::Paths,
        NONE,
        "Further authorities for TLS with next hops and for HTTPS, beside the system's. PEM.",
    ),
    key(
        "source_addresses",
        Kind::Addresses,
        NONE,
        "Egress addresses, IPv4 and IPv6. A host sees always the same of them, until that one rests.",
    ),
    key(
        "ip_version",
        Kind::Choice(&["any", "4", "6", "prefer-4", "prefer-6"]),
        Toml("\"any\""),
        "Which versions of IP next hops are reached by; `any`: both, in turns.",
    ),
    key(
        "reply_rules",
        Kind::Path,
        EMPTY,
        "A file that says what next hops' replies mean beyond their code; read again when it changes. \
         Empty: our own rules alone.",
    ),
];

const LIMITS: &[Key] = &[
    key(
        "message_size_max",
        Kind::Octets,
        Toml("\"50 MiB\""),
        "Largest message, 64 KiB to 2 GiB.",
    ),
    key(
        "connections_max",
        Kind::Integer(1, 1_000_000),
        Toml("10000"),
        "SMTP connections at the same time.",
    ),
    key(
        "disk_reserve",
        Kind::Octets,
        Toml("\"1 GiB\""),
        "Below this much free space new mail gets 452.",
    ),
];

const RETENTION: &[Key] = &[
    key(
        "trace_days",
        Kind::Integer(1, 3_650),
        Toml("90"),
        "Days that the trace is kept.",
    ),
    key(
        "dialogue_days",
        Kind::Integer(0, 3_650),
        Toml("7"),
        "Days that the conversations with clients and next hops are kept, without secrets and \
         content; 0: none.",
    ),
    key(
        "content_days",
        Kind::Integer(0, 366),
        Toml("0"),
        "Days that content is kept after the last outcome, where the settings say nothing; 0: it \
         goes with the last outcome.",
    ),
];

const OIDC: &[Key] = &[
    key("name", Kind::Text, Required, "Its short name."),
    key("issuer", Kind::Text, Required, "Address of the issuer."),
    key(
        "client_id",
        Kind::Text,
        Required,
        "Our name there: `aud` of its tokens.",
    ),
    key(
        "organisation",
        Kind::Text,
        EMPTY,
        "Whose credentials its tokens stand for; required when hosted.",
    ),
    key(
        "client_secret_file",
        Kind::Path,
        EMPTY,
        "A file that holds the secret.",
    ),
];

const LOG: &[Key] = &[
    key(
        "format",
        Kind::Choice(&["json", "ecs", "text", "postfix"]),
        Toml("\"json\""),
        "Of events and messages; `ecs`: JSON with the names of the Elastic Common Schema. At a \
         terminal, `text` unless something is written here.",
    ),
    key(
        "compat_tag",
        Kind::Choice(&["relais", "postfix"]),
        Toml("\"relais\""),
        "The program's name in lines of format `postfix`; `postfix`: for fail2ban's own filter and \
         pflogsumm.",
    ),
    key(
        "level",
        Kind::Choice(&["error", "warn", "info", "debug"]),
        Toml("\"info\""),
        "Of the program's own messages; events are always written.",
    ),
];

const SYSLOG: &[Key] = &[
    key(
        "address",
        Kind::Text,
        Toml("\"\""),
        "`host:port` of the server, 6514 without port; it must prove this name. Empty: no syslog.",
    ),
    key(
        "format",
        Kind::Choice(&["json", "ecs", "text"]),
        Toml("\"json\""),
        "Of the message behind syslog's own fields.",
    ),
];

const OTLP: &[Key] = &[key(
    "endpoint",
    Kind::Text,
    Toml("\"\""),
    "Where a collector takes traces: `http://127.0.0.1:4318/v1/traces`. Empty: no traces.",
)];

/// The section of that name.
pub(crate) fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

impl Section {
    /// The key of that name.
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }

    /// As it is headed in the file: `[admin]`, `[[listener]]`.
    pub(crate) fn heading(&self) -> String {
        match (self.name, self.form) {
            ("", _) => "top of the file".to_owned(),
            (name, Form::Blocks) => format!("[[{name}]]"),
            (name, Form::Table | Form::OptionalTable) => format!("[{name}]"),
        }
    }
}

/// The known name nearest to a mistyped one, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong; more is another word.
    let distance_max = (name.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, _)| *distance <= distance_max)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
