//! The keys of connectors as flags: those given are set, the others stay.

use clap::Args;

use relais_policy::preset::{OutboundPreset, outbound_presets};

use super::super::content_keys::ContentKeys;
use super::super::edit::Patch;
use super::ConnectorKeys;
use crate::failure::Failure;

/// `[[organisation.inbound_connector]]`
#[derive(Args, Debug)]
pub(super) struct InboundKeys {
    /// In use, or not
    #[arg(long, value_parser = ["draft", "observing", "enabled", "disabled"])]
    state: Option<String>,
    /// Addresses and networks of the clients; replaces the list
    #[arg(long, value_name = "NETWORK", value_delimiter = ',')]
    ip: Vec<String>,
    /// Name that the client's certificate must bear
    #[arg(long, value_name = "NAME")]
    certificate_name: Option<String>,
    /// SHA-256 of certificates that count whoever issued them; replaces the list
    #[arg(long, value_name = "SHA-256", value_delimiter = ',')]
    certificate_fingerprint: Vec<String>,
    /// Names whose addresses count, re-resolved
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    dns_name: Vec<String>,
    /// Whether one factor is enough
    #[arg(long, value_parser = ["any", "all"])]
    identified_by: Option<String>,
    /// The only recipients while observing; replaces the list
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    test_recipient: Vec<String>,
    /// AUTH without TLS, from private addresses
    #[arg(long)]
    cleartext_auth: Option<bool>,
    /// Domains that may be senders: *, or a list; replaces the list
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    sender_domain: Vec<String>,
    /// Only these senders, as scan@contoso.test or scan-*@contoso.test; replaces the list
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    sender_address: Vec<String>,
    /// Address that stands in the place of senders; an empty value: none is replaced
    #[arg(long, value_name = "ADDRESS")]
    sender_replacement: Option<String>,
    /// Which senders it stands for: root@ and names like nas.local, or all
    #[arg(long, value_parser = ["local", "all"])]
    sender_replaced: Option<String>,
    /// Whether the null sender is taken, of clients beyond doubt
    #[arg(long, value_name = "BOOL")]
    accept_null_sender: Option<bool>,
    /// Domains that may be sent to: *, own, or a list; replaces the list
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    recipient_domain: Vec<String>,
    /// TLS of the session
    #[arg(long, value_parser = ["off", "offered", "required"])]
    tls: Option<String>,
    /// Last day on which its devices may use the listener for old TLS, as 2027-12-01; an empty
    /// value: they may not
    #[arg(long, value_name = "DAY")]
    legacy_tls_until: Option<String>,
    /// Syntax
    #[arg(long, value_parser = ["strict", "tolerant"])]
    preset: Option<String>,
    /// What happens to a header From outside the verified domains
    #[arg(long, value_parser = ["refuse", "flag", "repair"])]
    header_from: Option<String>,
    /// Reverse-path of its mail: signed at the bounce domain, or as it came
    #[arg(long, value_parser = ["signed", "kept"])]
    envelope_sender: Option<String>,
    #[command(flatten)]
    content: ContentKeys,
    /// Whether subjects of its mail are written down, whatever the organisation says
    #[arg(long, value_parser = ["shown", "masked"])]
    subjects: Option<String>,
    /// Days that content of its mail is kept after the last outcome
    #[arg(long, value_name = "DAYS")]
    content_days: Option<u32>,
    /// Gets notices for senders without a mailbox
    #[arg(long, value_name = "ADDRESS")]
    owner: Option<String>,
    /// Largest message, as "25 MiB"
    #[arg(long, value_name = "SIZE")]
    message_size_max: Option<String>,
    /// When it may send, as "Mon-Fri 07:00-19:00 Europe/Paris"; an empty value: always
    #[arg(long, value_name = "HOURS")]
    sending_hours: Option<String>,
    /// By which its mail leaves; an empty value: as the recipient's domain says
    #[arg(long, value_name = "NAME")]
    outbound_connector: Option<String>,
    /// Gets a copy of each message; an empty value: nobody
    #[arg(long, value_name = "ADDRESS")]
    archive_address: Option<String>,
    /// Words by which people find it; replaces the list
    #[arg(long, value_name = "WORD", value_delimiter = ',')]
    tag: Vec<String>,
    /// Recipients of one message
    #[arg(long, value_name = "N")]
    recipients_per_message: Option<u32>,
    /// Messages per minute
    #[arg(long, value_name = "N")]
    messages_per_minute: Option<u64>,
    /// Recipients per hour
    #[arg(long, value_name = "N")]
    recipients_per_hour: Option<u64>,
    /// Recipients per sliding 24 hours
    #[arg(long, value_name = "N")]
    recipients_per_day: Option<u64>,
    /// Connections at the same time
    #[arg(long, value_name = "N")]
    connections: Option<u64>,
}

impl ConnectorKeys for InboundKeys {
    fn patch(&self) -> Patch {
        let mut patch = Patch::default();
        patch.set("state", self.state.as_ref());
        patch.list("sender_ip_addresses", &self.ip);
        patch.set(
            "tls_sender_certificate_name",
            self.certificate_name.as_ref(),
        );
        patch.list(
            "tls_sender_certificate_fingerprints",
            &self.certificate_fingerprint,
        );
        patch.list("sender_dns_names", &self.dns_name);
        patch.set("identified_by", self.identified_by.as_ref());
        patch.list("test_recipients", &self.test_recipient);
        patch.set("cleartext_auth", self.cleartext_auth);
        patch.list("sender_domains", &self.sender_domain);
        patch.list("sender_addresses", &self.sender_address);
        patch.set("sender_replacement", self.sender_replacement.as_ref());
        patch.set("sender_replaced", self.sender_replaced.as_ref());
        patch.set("accept_null_sender", self.accept_null_sender);
        patch.list("recipient_domains", &self.recipient_domain);
        patch.set("tls", self.tls.as_ref());
        patch.set("legacy_tls_until", self.legacy_tls_until.as_ref());
        patch.set("preset", self.preset.as_ref());
        patch.set("header_from", self.header_from.as_ref());
        patch.set("envelope_sender", self.envelope_sender.as_ref());
        self.content.put("content", &mut patch);
        patch.set("subjects", self.subjects.as_ref());
        patch.set("content_days", self.content_days);
        patch.set("owner", self.owner.as_ref());
        patch.limit("message_size_max", self.message_size_max.as_ref());
        patch.set("sending_hours", self.sending_hours.as_ref());
        patch.set("outbound_connector", self.outbound_connector.as_ref());
        patch.set("archive_address", self.archive_address.as_ref());
        patch.list("tags", &self.tag);
        patch.limit("recipients_per_message", self.recipients_per_message);
        patch.limit("messages_per_minute", self.messages_per_minute);
        patch.limit("recipients_per_hour", self.recipients_per_hour);
        patch.limit("recipients_per_day", self.recipients_per_day);
        patch.limit("connections", self.connections);
        patch
    }
}

/// `[[organisation.outbound_connector]]`
#[derive(Args, Debug)]
pub(super) struct OutboundKeys {
    /// In use, or not
    #[arg(long, value_parser = ["draft", "enabled", "disabled"])]
    state: Option<String>,
    /// Domains that leave by it: *, own, or a list; replaces the list
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    recipient_domain: Vec<String>,
    /// Only mail of senders in these domains; replaces the list; an empty value: of all
    #[arg(long, value_name = "DOMAIN", value_delimiter = ',')]
    sender_domain: Vec<String>,
    /// Only what came by these inbound connectors; replaces the list; an empty value: by any
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    inbound_connector: Vec<String>,
    /// Smart hosts in order of preference; none: by MX; replaces the list
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    smart_host: Vec<String>,
    /// The level of TLS demanded
    #[arg(long, value_parser = ["none", "opportunistic", "encryption-only", "certificate-validation", "domain-validation"])]
    tls: Option<String>,
    /// The name demanded by domain-validation
    #[arg(long, value_name = "NAME")]
    tls_domain: Option<String>,
    /// Reach smart hosts and issuers of tokens at public addresses only
    #[arg(long, value_name = "BOOL")]
    public_hosts_only: Option<bool>,
    /// Begin with the keys of a provider: relais connector outbound presets
    #[arg(long, value_name = "NAME")]
    preset: Option<String>,
    /// How to log in at the smart hosts
    #[arg(long, value_parser = ["none", "password", "xoauth2", "certificate"])]
    auth: Option<String>,
    /// As whom
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Further keys of the login, as client_id=…; an empty value removes one
    #[arg(long, value_name = "KEY=VALUE")]
    auth_parameter: Vec<String>,
    /// Read the password from standard input; it is kept encrypted and never shown
    #[arg(long, conflicts_with = "client_secret_stdin")]
    password_stdin: bool,
    /// Read the secret of our registration with an issuer of tokens from standard input
    #[arg(long)]
    client_secret_stdin: bool,
    /// Connections at the same time
    #[arg(long, value_name = "N")]
    connections: Option<u32>,
    /// Messages per minute
    #[arg(long, value_name = "N")]
    messages_per_minute: Option<u32>,
    /// Recipients per sliding 24 hours
    #[arg(long, value_name = "N")]
    recipients_per_day: Option<u32>,
    /// Recipients of one transaction
    #[arg(long, value_name = "N")]
    recipients_per_transaction: Option<u32>,
    /// Egress addresses; none: the server's; replaces the list
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    source_address: Vec<String>,
    /// Which versions of IP
    #[arg(long, value_parser = ["any", "4", "6", "prefer-4", "prefer-6"])]
    ip_version: Option<String>,
    /// Delay before the second attempt, as 1m
    #[arg(long, value_name = "SPAN")]
    retry_first: Option<String>,
    /// Longest delay between attempts, as 1h
    #[arg(long, value_name = "SPAN")]
    retry_max: Option<String>,
    /// When to give up, as 24h
    #[arg(long, value_name = "SPAN")]
    lifetime: Option<String>,
}

impl OutboundKeys {
    /// The preset that was named.
    pub(super) fn preset(&self) -> Result<Option<OutboundPreset>, Failure> {
        let Some(name) = &self.preset else {
            return Ok(None);
        };
        let presets = outbound_presets();
        let names: Vec<_> = presets.iter().map(|one| one.name.clone()).collect();
        let found = presets.into_iter().find(|one| one.name == *name);
        found.map(Some).ok_or_else(|| {
            let names = names.join(", ");
            Failure::Usage(format!("there is no preset {name}; there are {names}"))
        })
    }

    /// The secret that standard input brings, if one was announced: its kind, and it.
    pub(super) fn secret(&self) -> Result<Option<(&'static str, String)>, Failure> {
        let kind = match (self.password_stdin, self.client_secret_stdin) {
            (true, _) => "password",
            (false, true) => "client-secret",
            (false, false) => return Ok(None),
        };
        let mut line = String::new();
        std::io::stdin()
            .read_line(&mut line)
            .map_err(|error| Failure::Failed(format!("standard input cannot be read: {error}")))?;
        let secret = line.trim_end_matches(['\r', '\n']).to_owned();
        if secret.is_empty() {
            return Err(Failure::Usage("standard input brings no secret".to_owned()));
        }
        Ok(Some((kind, secret)))
    }
}

impl ConnectorKeys for OutboundKeys {
    fn patch(&self) -> Patch {
        let mut patch = Patch::default();
        patch.set("state", self.state.as_ref());
        patch.list("recipient_domains", &self.recipient_domain);
        patch.list("sender_domains", &self.sender_domain);
        patch.list("inbound_connectors", &self.inbound_connector);
        patch.list("smart_hosts", &self.smart_host);
        patch.set("public_hosts_only", self.public_hosts_only);
        patch.set("tls", self.tls.as_ref());
        patch.set("tls_domain", self.tls_domain.as_ref());
        patch.within("auth", "method", self.auth.as_ref());
        patch.within("auth", "user", self.user.as_ref());
        for parameter in &self.auth_parameter {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            patch.parameter(key, value);
        }
        let pace = [
            ("connections", self.connections),
            ("messages_per_minute", self.messages_per_minute),
            ("recipients_per_day", self.recipients_per_day),
            (
                "recipients_per_transaction",
                self.recipients_per_transaction,
            ),
        ];
        patch.list("source_addresses", &self.source_address);
        patch.set("ip_version", self.ip_version.as_ref());
        for (key, value) in pace {
            patch.within("pace", key, value);
        }
        patch.within("retry", "first", self.retry_first.as_ref());
        patch.within("retry", "max", self.retry_max.as_ref());
        patch.within("retry", "lifetime", self.lifetime.as_ref());
        patch
    }
}
