//! The catalogue of refusals: every reason why we say no to a client, each with its one reply.
//!
//! A reason is made once, by the function that decides (`relais-policy`, the session machine, the
//! accepting code); reply, trace, page and command line print the same value. Form of the reply:
//! `code enhanced text (TOKEN REFERENCE)`; ASCII, the cause in the first 40 characters, at most 100
//! in all, long values cut with `...`.

mod catalogue;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use core::net::IpAddr;

use crate::domain::Domain;
use crate::identifier::Reference;
use crate::reply::{EnhancedStatus, Reply, ReplyCode};

pub use self::catalogue::{CATALOGUE, CatalogueEntry};

/// Longest reply text with token and reference, without the codes, in characters.
pub const REFUSAL_TEXT_CHARACTERS_MAX: usize = 100;

/// Why a client is refused. One cause, one token.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// CONN-LIMIT, 421 4.7.0: too many connections from this address, or in all.
    TooManyConnections,
    /// PROXY, 421 4.3.5: a peer of `proxy_protocol_from` without a good PROXY header.
    ProxyHeader,
    /// BUSY, 421 4.3.2: draining or shutting down.
    ShuttingDown,
    /// BUSY, 452 4.3.1: disk or queue below its reserve.
    NoRoom,
    /// IP-BLOCKED, 554 5.7.1 and close: the client's address is a restricted entity.
    AddressBlocked,
    /// LISTENER-SRC, 554 5.7.1 and close: a listener for named addresses only, and this is none.
    ListenerSource {
        /// The client's address.
        address: IpAddr,
    },
    /// LISTENER-EXPIRED, 554 5.7.1 and close: the day of a listener for old devices has passed.
    ListenerExpired {
        /// The day, `2027-12-31`.
        day: Box<str>,
    },
    /// LISTENER-DAY, 554 5.7.1 and close: the day to which a connector's devices may use it has
    /// passed.
    ListenerDay {
        /// Its last day, `2027-12-01`.
        day: Box<str>,
    },
    /// TIMEOUT, 421 4.4.2: no command or content within its time.
    Timeout,
    /// ERRORS, 421 4.7.0: too many errors or junk commands in this session.
    TooManyErrors,
    /// HELO-FORGED, 550 5.7.1: a stranger greets with our own name.
    HeloForged {
        /// The name it gave.
        name: Box<str>,
    },
    /// SYNTAX: a line that is no command, or out of order.
    Syntax(SyntaxFault),
    /// TLS-OLD, 421 4.7.0: the handshake failed, or its version is forbidden by policy. Where it
    /// failed nobody reads the reply: it is for the trace.
    TlsHandshake {
        /// What the client offered, and why that is not enough.
        fault: Box<str>,
    },
    /// TLS-TEMP, 454 4.7.0: there is no certificate to serve with. RFC 3207 §4.
    TlsUnavailable,
    /// TLS-REQUIRED, 530 5.7.0.
    TlsRequired,
    /// AUTH-REQUIRED, 530 5.7.0: submission listener without authentication.
    AuthRequired,
    /// AUTH-TLS, 538 5.7.11: authentication is for encrypted sessions here.
    AuthNeedsTls,
    /// AUTH-MECH, 504 5.5.4: a mechanism that is not offered.
    AuthMechanism,
    /// AUTH-SYNTAX: the exchange did not come to its end.
    AuthSyntax(AuthFault),
    /// AUTH-BAD, 535 5.7.8: wrong user, password or token. Never says which.
    AuthBad,
    /// AUTH-SRC, 535 5.7.1: right, but not from this address.
    AuthSource,
    /// AUTH-TLSLEVEL, 535 5.7.1: right, but not with so little encryption.
    AuthTlsLevel,
    /// AUTH-THROTTLE, 421 4.7.0: too many wrong guesses.
    AuthThrottled,
    /// AUTH-TEMP, 454 4.7.0: it cannot be found out now.
    AuthTemporary,
    /// SRC-UNKNOWN, 550 5.7.1: no connector for this source.
    SourceUnknown {
        /// The client's address, echoed: the key fact.
        address: IpAddr,
    },
    /// SRC-SHARED, 550 5.7.1: a further factor that the connector demands is missing.
    SourceShared,
    /// CERT-NOMATCH, 550 5.7.1: a certificate that is in order, but of nobody's connector, where
    /// nothing else identifies the client.
    CertificateNoMatch {
        /// Which name, or that there is none.
        reason: Box<str>,
    },
    /// CERT-EXPIRED, 550 5.7.1: a certificate outside its time, where nothing else identifies the
    /// client.
    CertificateExpired {
        /// Over, or not yet begun.
        reason: Box<str>,
    },
    /// CERT-UNTRUSTED, 550 5.7.1: a certificate of no trusted authority or for another use, where
    /// nothing else identifies the client.
    CertificateUntrusted {
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// CONN-OFF, 550 5.7.1: the connector is disabled or a draft.
    ConnectorDisabled,
    /// CONN-BLOCKED, 550 5.7.1: the connector is a restricted entity.
    ConnectorBlocked,
    /// TENANT-BLOCKED, 550 5.7.1: the organisation is a restricted entity.
    OrganisationBlocked,
    /// AUTH-DISABLED, 525 5.7.13: the credential is a restricted entity, disabled or expired.
    CredentialDisabled,
    /// FROM-SYNTAX, 501 5.1.7.
    SenderSyntax,
    /// FROM-DOMAIN, 550 5.7.1: not a verified domain of the organisation within `sender_domains`.
    SenderDomain {
        /// The domain, or the address literal, of the reverse-path.
        domain: Box<str>,
    },
    /// FROM-LAPSED, 550 5.7.1: the verification has lapsed.
    SenderDomainLapsed {
        /// The domain of the reverse-path.
        domain: Domain,
    },
    /// FROM-DNS, 550 5.1.8: a stranger's domain has neither mail hosts nor an address of its own.
    SenderDomainUnreachable,
    /// FROM-DNS, 550 5.7.27: a stranger's domain takes no mail. RFC 7505 §4.2.
    SenderNullMx,
    /// FROM-DNS, 451 4.4.3: DNS does not say now whether a stranger's domain takes mail.
    SenderDomainTemporary,
    /// FROM-DENIED, 550 5.7.1: this credential may not use that address.
    SenderDenied {
        /// The address refused.
        address: Box<str>,
    },
    /// FROM-UNLICENSED, 550 5.7.1: a person without a mailbox, and no seat is free.
    SenderUnlicensed {
        /// The address refused.
        address: Box<str>,
    },
    /// FROM-BLOCKED, 550 5.7.1: the sender's address or domain is a restricted entity.
    SenderBlocked,
    /// FROM-NULL, 550 5.7.1: the null reverse-path without a sufficient factor.
    NullSender,
    /// HOURS, 450 4.7.1: the connector may send at other times only.
    OutsideHours {
        /// When, as the settings say it.
        hours: Box<str>,
    },
    /// SIZE, 552 5.3.4: declared or real size above the limit.
    TooBig {
        /// The limit in octets.
        limit: u64,
    },
    /// EXT, 555 5.5.4: a parameter of MAIL or RCPT that is not known or not offered.
    Parameter {
        /// The parameter's keyword.
        keyword: Box<str>,
    },
    /// EXT, 550 5.6.7: an address with UTF-8 without SMTPUTF8. RFC 6531 §3.5.
    Utf8NotDeclared,
    /// EXT, 550 5.7.30: REQUIRETLS cannot be kept. RFC 8689 §4.2.1.
    RequireTlsUnavailable,
    /// RATE, 450 4.7.1: a limit's backlog is full.
    Rate {
        /// When to try again, in seconds.
        retry_seconds: u32,
        /// Which limit, and how much; empty where no limit of the settings says so.
        limit: Box<str>,
    },
    /// QUOTA-H, 450 4.7.1: a hard limit of recipients an hour.
    QuotaHour {
        /// How much.
        value: Box<str>,
        /// The time of day when there is room again, `14:05Z`.
        until: Box<str>,
        /// Whose limit.
        limit: Box<str>,
    },
    /// QUOTA-D, 451 4.7.1: a hard limit of recipients in 24 hours.
    QuotaDay {
        /// How many.
        value: u64,
        /// When there is room again, RFC 3339.
        until: Box<str>,
        /// Whose limit.
        limit: Box<str>,
    },
    /// RCPT-SYNTAX, 501 5.1.3.
    RecipientSyntax,
    /// RCPT-SCOPE, 550 5.7.1: outside the connector's `recipient_domains`.
    RecipientScope {
        /// The domain, or the address literal, of the forward-path.
        domain: Box<str>,
    },
    /// RCPT-DNS, 550 5.1.2: the domain does not exist.
    RecipientDomainUnknown {
        /// The domain of the forward-path.
        domain: Domain,
    },
    /// RCPT-DNS, 556 5.1.10: the domain takes no mail. RFC 7505 §4.2.
    RecipientNullMx {
        /// The domain of the forward-path.
        domain: Domain,
    },
    /// RCPT-UNKNOWN, 550 5.1.1: not in the directory of an authoritative domain.
    RecipientUnknown,
    /// RCPT-SUPPRESSED, 550 5.1.1: mail to it came back, or was complained of.
    RecipientSuppressed {
        /// `hard bounce on 2026-11-29`.
        after: Box<str>,
    },
    /// RCPT-BLOCKED, 550 5.7.1: the recipient's address or domain is a restricted entity.
    RecipientBlocked,
    /// HELD-FULL, 450 4.7.1: as much of the client's mail is held as may be.
    HeldFull,
    /// RCPT-MANY, 452 4.5.3.
    TooManyRecipients,
    /// SANDBOX, 550 5.7.1: the connector is observing, and this is no test recipient.
    Sandbox,
    /// HDR-FROM, 550 5.6.0: no From, several, or one that cannot be read.
    HeaderFrom,
    /// HDR-DOMAIN, 550 5.7.1: the header From lies outside the verified domains.
    HeaderDomain {
        /// The domain of the header From.
        domain: Box<str>,
    },
    /// DMARC, 550 5.7.1: a stranger's message fails, its author's domain asks for refusal, and the
    /// recipient's honours it.
    DmarcFailed {
        /// The author's domain.
        domain: Box<str>,
    },
    /// HDR-SIZE, 552 5.3.4: the header section is longer than we read.
    HeaderTooBig,
    /// HDR-BARELF, 550 5.6.0: bare CR, or bare LF that may not be repaired.
    BareLineEnd,
    /// HDR-BARELF, 521 5.5.2 and close: an end of data that others would read elsewhere.
    Smuggling,
    /// LOOP, 554 5.4.6: more than 50 Received fields.
    Loop,
    /// LOCAL, 451 4.3.0: the store could not make it durable. Never a 250 before that.
    Local,
    /// HDR-NUL, 550 5.6.0: a header line with a NUL that is no field.
    HeaderNul,
    /// CONTENT, 550 5.7.1: a scanner names what it found.
    Malware {
        /// As the scanner calls it.
        name: Box<str>,
    },
    /// CONTENT, 550 5.7.1: a content checker refuses it.
    ContentRefused {
        /// Which one, and its words.
        because: Box<str>,
    },
    /// CONTENT, 554 5.7.1: an attachment of a kind that does not pass here.
    AttachmentType {
        /// Its extension or its declared type.
        kind: Box<str>,
    },
    /// CHECK-LATER, 451 4.7.1: a content checker wants it later.
    ContentLater {
        /// Which one, and its words.
        because: Box<str>,
    },
    /// CHECK-LATER, 451 4.7.1: a content checker that must be asked does not answer.
    ContentUnchecked {
        /// Which one.
        checker: Box<str>,
    },
}

/// What is wrong with a line. All have the token SYNTAX.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SyntaxFault {
    /// 500 5.5.1: no such command.
    UnknownCommand,
    /// 500 5.5.2: the line is too long, or has a NUL or bare CR or LF.
    Line,
    /// 501 5.5.4: the arguments are not as they must be.
    Arguments,
    /// 502 5.5.1: a command that we know and do not offer (VRFY answers 252 instead).
    NotImplemented,
    /// 503 5.5.1: not now.
    Order,
}

/// Why AUTH did not come to its end. All have the token AUTH-SYNTAX.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AuthFault {
    /// 501 5.5.2: no base64, or not a message of the mechanism.
    Message,
    /// 501 5.7.0: the client sent `*`.
    Cancelled,
    /// 500 5.5.6: a line longer than RFC 4954 §4 allows.
    TooLong,
}

/// The fixed part of a reply, as a row of the table in [`Refusal::row`].
struct Form {
    token: &'static str,
    code: ReplyCode,
    status: EnhancedStatus,
    /// At most one value, with its placeholder in angle brackets: `<domain>`; where it has several
    /// parts, from the first placeholder to the last.
    pattern: &'static str,
}

impl Form {
    /// Reads `TOKEN code status pattern`; `None` where the row is not of this form.
    fn read(row: &'static str) -> Option<Self> {
        let mut words = row.splitn(4, ' ');
        Some(Self {
            token: words.next()?,
            code: ReplyCode::new(words.next()?.parse().ok()?)?,
            status: EnhancedStatus::parse(words.next()?)?,
            pattern: words.next()?,
        })
    }
}

impl Refusal {
    /// The token, as `FROM-DOMAIN`.
    pub fn token(&self) -> &'static str {
        self.form().token
    }

    /// The reply code.
    pub fn code(&self) -> ReplyCode {
        self.form().code
    }

    /// The enhanced status code.
    pub fn status(&self) -> EnhancedStatus {
        self.form().status
    }

    /// The text with its placeholder, as `Sender domain not verified: <domain>`.
    pub fn pattern(&self) -> &'static str {
        self.form().pattern
    }

    /// The reply with token and reference, at most [`REFUSAL_TEXT_CHARACTERS_MAX`] characters.
    pub fn reply(&self, reference: Reference) -> Reply {
        let ending = format!(" ({} {reference})", self.token());
        let (head, tail) = self.halves();
        let room =
            REFUSAL_TEXT_CHARACTERS_MAX.saturating_sub(head.len() + tail.len() + ending.len());
        let value = cut(self.safe_value(), room);
        let text = format!("{head}{value}{tail}{ending}");
        let reply = Reply::new(self.code(), self.status(), text);
        if self.closes() {
            reply.and_close()
        } else {
            reply
        }
    }

    /// The cause as in the reply, without token and reference, not cut. ASCII without controls.
    pub fn text(&self) -> String {
        let (head, tail) = self.halves();
        format!("{head}{}{tail}", self.safe_value())
    }

    /// Whether the session ends with this reply (421, 521, 554 at connect).
    pub fn closes(&self) -> bool {
        matches!(self.code().get(), 421 | 521)
            || matches!(
                self,
                Self::AddressBlocked
                    | Self::ListenerSource { .. }
                    | Self::ListenerExpired { .. }
                    | Self::ListenerDay { .. }
            )
    }

    /// The pattern before its first placeholder and behind its last one.
    fn halves(&self) -> (&'static str, &'static str) {
        let pattern = self.pattern();
        match (pattern.find('<'), pattern.rfind('>')) {
            (Some(open), Some(close)) => (&pattern[..open], &pattern[close + 1..]),
            _ => (pattern, ""),
        }
    }

    /// What stands in the place of the placeholder. A client chose it: whatever is not printable
    /// ASCII becomes `?`, so that no reply line can be forged and any display can show it.
    fn safe_value(&self) -> String {
        let printable = |c: char| {
            if c == ' ' || c.is_ascii_graphic() {
                c
            } else {
                '?'
            }
        };
        self.value().chars().map(printable).collect()
    }

    fn value(&self) -> Cow<'_, str> {
        match self {
            Self::HeloForged { name } | Self::Malware { name } => Cow::Borrowed(name),
            Self::TlsHandshake { fault } => Cow::Borrowed(fault),
            Self::CertificateNoMatch { reason }
            | Self::CertificateExpired { reason }
            | Self::CertificateUntrusted { reason } => Cow::Borrowed(reason),
            Self::ListenerExpired { day } | Self::ListenerDay { day } => Cow::Borrowed(day),
            Self::RecipientSuppressed { after } => Cow::Borrowed(after),
            Self::SourceUnknown { address } | Self::ListenerSource { address } => {
                Cow::Owned(address.to_canonical().to_string())
            }
            Self::SenderDomain { domain }
            | Self::RecipientScope { domain }
            | Self::HeaderDomain { domain }
            | Self::DmarcFailed { domain } => Cow::Borrowed(domain),
            Self::SenderDomainLapsed { domain }
            | Self::RecipientDomainUnknown { domain }
            | Self::RecipientNullMx { domain } => Cow::Borrowed(domain.as_str()),
            Self::SenderDenied { address } | Self::SenderUnlicensed { address } => {
                Cow::Borrowed(address)
            }
            Self::Parameter { keyword } => Cow::Borrowed(keyword),
            Self::ContentRefused { because } | Self::ContentLater { because } => {
                Cow::Borrowed(because)
            }
            Self::AttachmentType { kind } => Cow::Borrowed(kind),
            Self::OutsideHours { hours } => Cow::Borrowed(hours),
            Self::ContentUnchecked { checker } => Cow::Borrowed(checker),
            Self::TooBig { limit } => Cow::Owned(octets(*limit)),
            Self::Rate { .. } | Self::QuotaHour { .. } | Self::QuotaDay { .. } => {
                Cow::Owned(self.limit_words())
            }
            Self::TooManyConnections
            | Self::ProxyHeader
            | Self::ShuttingDown
            | Self::NoRoom
            | Self::AddressBlocked
            | Self::Timeout
            | Self::TooManyErrors
            | Self::Syntax(_)
            | Self::TlsUnavailable
            | Self::TlsRequired
            | Self::AuthRequired
            | Self::AuthNeedsTls
            | Self::AuthMechanism
            | Self::AuthSyntax(_)
            | Self::AuthBad
            | Self::AuthSource
            | Self::AuthTlsLevel
            | Self::AuthThrottled
            | Self::AuthTemporary
            | Self::SourceShared
            | Self::ConnectorDisabled
            | Self::ConnectorBlocked
            | Self::OrganisationBlocked
            | Self::CredentialDisabled
            | Self::SenderSyntax
            | Self::SenderDomainUnreachable
            | Self::SenderNullMx
            | Self::SenderDomainTemporary
            | Self::SenderBlocked
            | Self::NullSender
            | Self::Utf8NotDeclared
            | Self::RequireTlsUnavailable
            | Self::RecipientSyntax
            | Self::RecipientUnknown
            | Self::RecipientBlocked
            | Self::HeldFull
            | Self::TooManyRecipients
            | Self::Sandbox
            | Self::HeaderFrom
            | Self::HeaderTooBig
            | Self::BareLineEnd
            | Self::Smuggling
            | Self::Loop
            | Self::Local
            | Self::HeaderNul => Cow::Borrowed(""),
        }
    }

    /// How much a limit lets in, until when, and whose it is.
    fn limit_words(&self) -> String {
        match self {
            Self::Rate {
                retry_seconds,
                limit,
            } if limit.is_empty() => format!("{retry_seconds} s"),
            Self::Rate {
                retry_seconds,
                limit,
            } => format!("{retry_seconds} s: {limit}"),
            Self::QuotaHour {
                value,
                until,
                limit,
            } => format!("{value} until {until}, {limit}"),
            Self::QuotaDay {
                value,
                until,
                limit,
            } => format!("{value} reached, resets {until}, {limit}"),
            _ => String::new(),
        }
    }

    fn form(&self) -> Form {
        Form::read(self.row()).expect("each row is well formed: a test reads every one")
    }

    /// Token, code, enhanced status code, text: one row a refusal, in the order of a session. A
    /// test reads the row of every one.
    fn row(&self) -> &'static str {
        let rows = self.session_row().or_else(|| self.client_row());
        let rows = rows.or_else(|| self.sender_row());
        let rows = rows.or_else(|| self.recipient_row());
        rows.or_else(|| self.content_row()).unwrap_or_default()
    }

    /// From connect to AUTH.
    fn session_row(&self) -> Option<&'static str> {
        let row = match self {
            Self::Syntax(fault) => fault.row(),
            Self::TooManyConnections => "CONN-LIMIT 421 4.7.0 Too many connections, retry later",
            Self::ProxyHeader => "PROXY 421 4.3.5 PROXY header missing or malformed",
            Self::ShuttingDown => "BUSY 421 4.3.2 Service not available, retry later",
            Self::NoRoom => "BUSY 452 4.3.1 Insufficient storage, retry later",
            Self::AddressBlocked => "IP-BLOCKED 554 5.7.1 Client address blocked",
            Self::ListenerSource { .. } => {
                "LISTENER-SRC 554 5.7.1 Not allowed on this listener: <address>"
            }
            Self::ListenerExpired { .. } => {
                "LISTENER-EXPIRED 554 5.7.1 Listener for old TLS expired: <day>"
            }
            Self::ListenerDay { .. } => {
                "LISTENER-DAY 554 5.7.1 Old TLS was allowed here until: <day>"
            }
            Self::Timeout => "TIMEOUT 421 4.4.2 Timeout, closing",
            Self::TooManyErrors => "ERRORS 421 4.7.0 Too many errors, closing",
            Self::HeloForged { .. } => "HELO-FORGED 550 5.7.1 HELO name not yours: <name>",
            Self::TlsHandshake { .. } => "TLS-OLD 421 4.7.0 TLS not accepted: <fault>",
            Self::TlsUnavailable => "TLS-TEMP 454 4.7.0 TLS not available",
            Self::TlsRequired => "TLS-REQUIRED 530 5.7.0 Must issue STARTTLS first",
            Self::AuthRequired => "AUTH-REQUIRED 530 5.7.0 Authentication required",
            Self::AuthNeedsTls => "AUTH-TLS 538 5.7.11 Encryption required for this mechanism",
            Self::AuthMechanism => "AUTH-MECH 504 5.5.4 Mechanism not supported",
            Self::AuthSyntax(fault) => fault.row(),
            Self::AuthBad => "AUTH-BAD 535 5.7.8 Credentials invalid",
            Self::AuthSource => "AUTH-SRC 535 5.7.1 Credential not allowed from this source",
            Self::AuthTlsLevel => "AUTH-TLSLEVEL 535 5.7.1 Credential needs better encryption",
            Self::AuthThrottled => "AUTH-THROTTLE 421 4.7.0 Too many failures, retry later",
            Self::AuthTemporary => "AUTH-TEMP 454 4.7.0 Temporary authentication failure",
            _ => return None,
        };
        Some(row)
    }

    /// Who the client is.
    fn client_row(&self) -> Option<&'static str> {
        let row = match self {
            Self::SourceUnknown { .. } => {
                "SRC-UNKNOWN 550 5.7.1 Not registered for relay: <address>"
            }
            Self::SourceShared => {
                "SRC-SHARED 550 5.7.1 Shared address: authenticate or use client certificate"
            }
            Self::CertificateNoMatch { .. } => {
                "CERT-NOMATCH 550 5.7.1 Client certificate not accepted: <reason>"
            }
            Self::CertificateExpired { .. } => {
                "CERT-EXPIRED 550 5.7.1 Client certificate not accepted: <reason>"
            }
            Self::CertificateUntrusted { .. } => {
                "CERT-UNTRUSTED 550 5.7.1 Client certificate not accepted: <reason>"
            }
            Self::ConnectorDisabled => "CONN-OFF 550 5.7.1 Connector disabled",
            Self::ConnectorBlocked => {
                "CONN-BLOCKED 550 5.7.1 Connector blocked, contact your administrator"
            }
            Self::OrganisationBlocked => "TENANT-BLOCKED 550 5.7.1 Organization suspended",
            Self::CredentialDisabled => "AUTH-DISABLED 525 5.7.13 Credential disabled",
            _ => return None,
        };
        Some(row)
    }

    /// MAIL.
    fn sender_row(&self) -> Option<&'static str> {
        let row = match self {
            Self::SenderSyntax => "FROM-SYNTAX 501 5.1.7 Bad sender address syntax",
            Self::SenderDomain { .. } => {
                "FROM-DOMAIN 550 5.7.1 Sender domain not verified: <domain>"
            }
            Self::SenderDomainLapsed { .. } => {
                "FROM-LAPSED 550 5.7.1 Sender domain not verified: <domain>"
            }
            Self::SenderDomainUnreachable => "FROM-DNS 550 5.1.8 Sender domain cannot receive mail",
            Self::SenderNullMx => "FROM-DNS 550 5.7.27 Sender domain takes no mail",
            Self::SenderDomainTemporary => {
                "FROM-DNS 451 4.4.3 Sender domain cannot be looked up now"
            }
            Self::SenderDenied { .. } => "FROM-DENIED 550 5.7.1 Not allowed to send as <address>",
            Self::SenderUnlicensed { .. } => {
                "FROM-UNLICENSED 550 5.7.1 No licence left for <address>"
            }
            Self::SenderBlocked => "FROM-BLOCKED 550 5.7.1 Sender blocked",
            Self::NullSender => "FROM-NULL 550 5.7.1 Null sender not allowed from this source",
            Self::OutsideHours { .. } => "HOURS 450 4.7.1 Outside sending hours: <hours>",
            Self::TooBig { .. } => "SIZE 552 5.3.4 Message too big, limit <size>",
            Self::Parameter { .. } => "EXT 555 5.5.4 Parameter not supported: <keyword>",
            Self::Utf8NotDeclared => "EXT 550 5.6.7 Address needs SMTPUTF8",
            Self::RequireTlsUnavailable => "EXT 550 5.7.30 REQUIRETLS not possible",
            Self::Rate { .. } => "RATE 450 4.7.1 Rate limit, retry in <seconds> s: <limit>",
            _ => return None,
        };
        Some(row)
    }

    /// RCPT, and the content.
    fn recipient_row(&self) -> Option<&'static str> {
        let row = match self {
            Self::QuotaHour { .. } => {
                "QUOTA-H 450 4.7.1 Hourly recipient quota reached: <n> until <time>, <limit>"
            }
            Self::QuotaDay { .. } => {
                "QUOTA-D 451 4.7.1 Daily quota <n> reached, resets <time>, <limit>"
            }
            Self::RecipientSyntax => "RCPT-SYNTAX 501 5.1.3 Bad recipient address syntax",
            Self::RecipientScope { .. } => "RCPT-SCOPE 550 5.7.1 Destination not allowed: <domain>",
            Self::RecipientDomainUnknown { .. } => {
                "RCPT-DNS 550 5.1.2 Recipient domain does not exist: <domain>"
            }
            Self::RecipientNullMx { .. } => {
                "RCPT-DNS 556 5.1.10 Recipient domain takes no mail: <domain>"
            }
            Self::RecipientUnknown => "RCPT-UNKNOWN 550 5.1.1 No such recipient",
            Self::RecipientSuppressed { .. } => {
                "RCPT-SUPPRESSED 550 5.1.1 Recipient suppressed after <cause>"
            }
            Self::RecipientBlocked => "RCPT-BLOCKED 550 5.7.1 Recipient blocked by policy",
            Self::HeldFull => "HELD-FULL 450 4.7.1 Too much held mail waits, retry later",
            Self::TooManyRecipients => "RCPT-MANY 452 4.5.3 Too many recipients",
            Self::Sandbox => "SANDBOX 550 5.7.1 Test mode: only test recipients",
            Self::HeaderFrom => "HDR-FROM 550 5.6.0 Header From missing or invalid",
            Self::HeaderDomain { .. } => {
                "HDR-DOMAIN 550 5.7.1 Header From domain not verified: <domain>"
            }
            Self::DmarcFailed { .. } => "DMARC 550 5.7.1 Fails the DMARC policy of <domain>",
            Self::HeaderTooBig => "HDR-SIZE 552 5.3.4 Header section too big",
            Self::BareLineEnd => "HDR-BARELF 550 5.6.0 Bare line feed or carriage return",
            Self::Smuggling => "HDR-BARELF 521 5.5.2 Ambiguous end of data, closing",
            Self::Loop => "LOOP 554 5.4.6 Mail loop",
            Self::HeaderNul => "HDR-NUL 550 5.6.0 NUL in a header line",
            Self::Local => "LOCAL 451 4.3.0 Local error, not accepted",
            _ => return None,
        };
        Some(row)
    }

    /// What content checks say.
    fn content_row(&self) -> Option<&'static str> {
        let row = match self {
            Self::Malware { .. } => "CONTENT 550 5.7.1 Malware found: <name>",
            Self::ContentRefused { .. } => "CONTENT 550 5.7.1 Content refused by <checker>",
            Self::AttachmentType { .. } => {
                "CONTENT 554 5.7.1 Attachment type not allowed: <extension>"
            }
            Self::ContentLater { .. } => "CHECK-LATER 451 4.7.1 Content not taken now by <checker>",
            Self::ContentUnchecked { .. } => {
                "CHECK-LATER 451 4.7.1 Content cannot be checked now: <checker>"
            }
            _ => return None,
        };
        Some(row)
    }
}

impl SyntaxFault {
    fn row(self) -> &'static str {
        match self {
            Self::UnknownCommand => "SYNTAX 500 5.5.1 Unknown command",
            Self::Line => "SYNTAX 500 5.5.2 Line too long or not well formed",
            Self::Arguments => "SYNTAX 501 5.5.4 Syntax error in arguments",
            Self::NotImplemented => "SYNTAX 502 5.5.1 Command not implemented",
            Self::Order => "SYNTAX 503 5.5.1 Bad sequence of commands",
        }
    }
}

impl AuthFault {
    fn row(self) -> &'static str {
        match self {
            Self::Message => "AUTH-SYNTAX 501 5.5.2 Authentication message not well formed",
            Self::Cancelled => "AUTH-SYNTAX 501 5.7.0 Authentication cancelled",
            Self::TooLong => "AUTH-SYNTAX 500 5.5.6 Authentication line too long",
        }
    }
}

/// `value`, ASCII, in at most `room` characters.
fn cut(mut value: String, room: usize) -> String {
    if value.len() > room {
        value.truncate(room.saturating_sub(3));
        value.push_str("...");
    }
    value
}

/// Exact, in the greatest unit that divides it: `25 MiB`.
fn octets(octets: u64) -> String {
    const KIB: u64 = 1_024;
    const MIB: u64 = 1_024 * KIB;
    match octets {
        0 => "0 octets".into(),
        n if n % MIB == 0 => format!("{} MiB", n / MIB),
        n if n % KIB == 0 => format!("{} KiB", n / KIB),
        n => format!("{n} octets"),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn reference() -> Reference {
        "7F3K2".parse().expect("a reference")
    }

    fn wire(refusal: &Refusal) -> String {
        refusal.reply(reference()).to_string()
    }

    #[test]
    fn hostile_values_become_printable_ascii_on_one_line() {
        let name = "a\r\n250 ok\0\u{1b}[2J é\u{202e}\u{7f}".into();
        let refusal = Refusal::HeloForged { name };
        assert_eq!(refusal.text(), "HELO name not yours: a??250 ok??[2J ???");
        assert!(
            wire(&refusal)
                .bytes()
                .all(|byte| (b' '..=b'~').contains(&byte))
        );
    }

    #[test]
    fn long_values_are_cut_and_token_and_reference_stay() {
        for length in [1, 51, 52, 53, 54, 255, 70_000] {
            let refusal = Refusal::SenderDomain {
                domain: "x".repeat(length).into(),
            };
            let reply = refusal.reply(reference());
            assert!(reply.text().len() <= REFUSAL_TEXT_CHARACTERS_MAX, "{reply}");
            assert!(reply.text().ends_with(" (FROM-DOMAIN 7F3K2)"), "{reply}");
            assert_eq!(
                reply.text().contains("..."),
                length > 52,
                "{length}: {reply}"
            );
            assert!(refusal.text().ends_with(&"x".repeat(length)));
        }
    }

    #[test]
    fn a_refusal_is_written_in_the_form_of_the_catalogue() {
        let domain = "contoso.com".into();
        assert_eq!(
            wire(&Refusal::SenderDomain { domain }),
            "550 5.7.1 Sender domain not verified: contoso.com (FROM-DOMAIN 7F3K2)"
        );
        assert_eq!(
            wire(&Refusal::Rate {
                retry_seconds: 30,
                limit: "".into(),
            }),
            "450 4.7.1 Rate limit, retry in 30 s (RATE 7F3K2)"
        );
        assert_eq!(
            wire(&Refusal::QuotaDay {
                value: 2_000,
                until: "2026-11-25T14:05:00Z".into(),
                limit: "connector Printers".into(),
            }),
            "451 4.7.1 Daily quota 2000 reached, resets 2026-11-25T14:05:00Z, connector Printers \
             (QUOTA-D 7F3K2)"
        );
        assert_eq!(
            wire(&Refusal::Syntax(SyntaxFault::Order)),
            "503 5.5.1 Bad sequence of commands (SYNTAX 7F3K2)"
        );
    }

    #[test]
    fn an_ipv4_mapped_address_is_shown_as_ipv4() {
        let mapped = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201);
        let refusal = Refusal::SourceUnknown {
            address: mapped.into(),
        };
        assert_eq!(refusal.text(), "Not registered for relay: 192.0.2.1");
    }

    #[test]
    fn sizes_are_exact() {
        let text = |limit| Refusal::TooBig { limit }.text();
        assert_eq!(text(0), "Message too big, limit 0 octets");
        assert_eq!(text(1_000), "Message too big, limit 1000 octets");
        assert_eq!(text(10_240), "Message too big, limit 10 KiB");
        assert_eq!(text(25 << 20), "Message too big, limit 25 MiB");
    }

    #[test]
    fn only_421_and_521_and_a_blocked_address_close() {
        assert!(Refusal::Smuggling.closes() && Refusal::Timeout.closes());
        assert!(Refusal::AddressBlocked.closes() && !Refusal::Loop.closes());
        assert!(!Refusal::BareLineEnd.closes() && !Refusal::NoRoom.closes());
    }
}
