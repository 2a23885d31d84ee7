//! The rules: each route of the API with its action, and whose things it is about.

use axum::http::Method;

use crate::permission::Action::{self, *};

/// One route.
pub(super) struct Rule {
    pub(super) method: &'static Method,
    pub(super) path: &'static str,
    pub(super) action: Action,
    pub(super) whose: Whose,
}

/// Whose things a route is about, and where the request says so.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Whose {
    /// The machine's: only for whoever reaches all.
    Installation,
    /// Nobody's: the same for all.
    Nobody,
    /// The handler itself holds the caller to their reach.
    Handler,
    /// A list; each line names its organisation in this field.
    Lines(&'static str, &'static str),
    /// The same, and the handler selects by `?organisation=`.
    Selected(&'static str),
    /// `?organisation=` says which one the answer is for.
    Query,
    /// `organisation` in the body does.
    Body,
    /// The first part of the path is a domain; the organisation stands in the query or the body.
    Domain,
    /// The first part of the path is a credential.
    Credential,
    /// The first part of the path is a message of the queue.
    Message,
    /// The answer is a story: its events say whose it is.
    Story,
    /// What was said about a message or a refusal.
    Dialogues,
    /// Sums of an organisation; those of the queue are the installation's.
    Report,
    /// Events, one after the other, selected by tokens.
    Trace,
    /// Events as they come.
    Live,
    /// Groups of refused attempts.
    Attempts,
    /// Refused attempts as they come.
    LiveAttempts,
    /// The first part of the path is a refused attempt.
    Attempt,
    /// The selection in the body.
    QueueAct,
    /// Counts of the installation.
    Status,
    /// The whole settings document.
    Document,
    /// What an imagined message would meet.
    Simulation,
    /// A restricted entity in the body, or the list of them.
    Entities,
    /// Certificates that clients showed; those of strangers are everybody's on a server of one.
    Certificates,
    /// The conversation of one connector, named in the query.
    Conversation,
    /// Suspended destinations.
    Suspensions,
}

const fn rule(method: &'static Method, path: &'static str, action: Action, whose: Whose) -> Rule {
    Rule {
        method,
        path,
        action,
        whose,
    }
}

const GET: &Method = &Method::GET;
const POST: &Method = &Method::POST;
const PUT: &Method = &Method::PUT;

/// One line a route.
pub(super) const RULES: &[Rule] = &[
    rule(GET, "/status", SeeState, Whose::Status),
    rule(GET, "/health", SeeState, Whose::Nobody),
    rule(GET, "/store", Maintain, Whose::Installation),
    rule(GET, "/trace", ReadMail, Whose::Trace),
    rule(GET, "/trace/live", ReadMail, Whose::Live),
    rule(POST, "/trace/erase", Erase, Whose::Body),
    rule(POST, "/trace/{id}/content", ReadContent, Whose::Handler),
    rule(POST, "/trace/{id}/raw", ReadContent, Whose::Handler),
    rule(
        GET,
        "/retention",
        ReadSettings,
        Whose::Lines("organisations", "name"),
    ),
    rule(
        GET,
        "/retention/holds",
        ReadSettings,
        Whose::Lines("holds", "organisation"),
    ),
    rule(POST, "/retention/holds", Erase, Whose::Installation),
    rule(
        POST,
        "/retention/holds/{id}/release",
        Erase,
        Whose::Installation,
    ),
    rule(GET, "/why/{name}", ReadMail, Whose::Story),
    rule(GET, "/why/{name}/dialogues", ReadMail, Whose::Dialogues),
    rule(GET, "/reports", ReadMail, Whose::Report),
    rule(
        GET,
        "/reports/schedules",
        ReadMail,
        Whose::Lines("schedules", "organisation"),
    ),
    rule(POST, "/reports/schedules", ChangeSettings, Whose::Body),
    rule(
        POST,
        "/reports/schedules/{id}/send",
        ChangeSettings,
        Whose::Handler,
    ),
    rule(
        POST,
        "/reports/schedules/{id}/remove",
        ChangeSettings,
        Whose::Handler,
    ),
    rule(GET, "/devices", ReadMail, Whose::Selected("devices")),
    rule(POST, "/devices/set", ChangeSettings, Whose::Body),
    rule(GET, "/queue", ReadMail, Whose::Selected("messages")),
    rule(GET, "/queue/count", ReadMail, Whose::Query),
    rule(GET, "/queue/groups", ReadMail, Whose::Query),
    rule(GET, "/queue/{id}", ReadMail, Whose::Message),
    rule(POST, "/queue/act", ActOnMail, Whose::QueueAct),
    rule(POST, "/queue/{id}/resend", ActOnMail, Whose::Message),
    rule(POST, "/queue/{id}/headers", ReadContent, Whose::Message),
    rule(POST, "/queue/{id}/content", ReadContent, Whose::Message),
    rule(GET, "/queue/suspended", ReadMail, Whose::Suspensions),
    rule(POST, "/queue/suspended", ActOnMail, Whose::Suspensions),
    rule(GET, "/attempts", ReadMail, Whose::Attempts),
    rule(GET, "/attempts/live", ReadMail, Whose::LiveAttempts),
    rule(GET, "/attempts/ignored", ReadMail, Whose::Installation),
    rule(POST, "/attempts/unignore", Restrict, Whose::Installation),
    rule(
        POST,
        "/attempts/{reference}/ignore",
        Restrict,
        Whose::Installation,
    ),
    rule(
        POST,
        "/attempts/{reference}/block",
        Restrict,
        Whose::Installation,
    ),
    rule(
        POST,
        "/attempts/{reference}/adopt",
        ChangeSettings,
        Whose::Attempt,
    ),
    rule(
        GET,
        "/suppression",
        ReadMail,
        Whose::Lines("suppressed", "organisation"),
    ),
    rule(POST, "/suppression/add", ActOnMail, Whose::Body),
    rule(POST, "/suppression/release", ActOnMail, Whose::Body),
    rule(GET, "/restricted", ReadMail, Whose::Entities),
    rule(GET, "/restricted/history", ReadAudit, Whose::Installation),
    rule(POST, "/restricted/block", Restrict, Whose::Entities),
    rule(POST, "/restricted/release", Restrict, Whose::Entities),
    rule(
        GET,
        "/triggers",
        ReadSettings,
        Whose::Lines("triggers", "organisation"),
    ),
    rule(POST, "/triggers/set", ChangeSettings, Whose::Body),
    rule(POST, "/triggers/simulate", ReadMail, Whose::Body),
    rule(
        GET,
        "/limits",
        ReadSettings,
        Whose::Lines("limits", "organisation"),
    ),
    rule(
        GET,
        "/limits/proposals",
        ReadSettings,
        Whose::Lines("proposals", "organisation"),
    ),
    rule(POST, "/limits/set", ChangeSettings, Whose::Body),
    rule(
        GET,
        "/organisations",
        SeeState,
        Whose::Lines("organisations", "name"),
    ),
    rule(POST, "/organisations", ChangeSettings, Whose::Installation),
    rule(
        POST,
        "/organisations/{name}/set",
        ChangeSettings,
        Whose::Handler,
    ),
    rule(GET, "/licences", ReadSettings, Whose::Selected("licences")),
    rule(POST, "/simulate", Simulate, Whose::Simulation),
    rule(GET, "/settings", ReadSettings, Whose::Document),
    rule(PUT, "/settings", ChangeSettings, Whose::Handler),
    rule(POST, "/apply", ChangeSettings, Whose::Handler),
    rule(POST, "/settings/revert", ChangeSettings, Whose::Handler),
    rule(
        GET,
        "/domains",
        ReadSettings,
        Whose::Lines("domains", "organisation"),
    ),
    rule(POST, "/domains", ChangeSettings, Whose::Body),
    rule(POST, "/domains/{name}/set", ChangeSettings, Whose::Domain),
    rule(
        POST,
        "/domains/{name}/remove",
        ChangeSettings,
        Whose::Domain,
    ),
    rule(GET, "/domains/{name}/records", ReadSettings, Whose::Domain),
    rule(
        POST,
        "/domains/{name}/verify",
        ChangeSettings,
        Whose::Domain,
    ),
    rule(POST, "/domains/{name}/check", ReadSettings, Whose::Domain),
    rule(
        GET,
        "/dkim",
        ReadSettings,
        Whose::Lines("domains", "organisation"),
    ),
    rule(
        POST,
        "/dkim/{domain}/generate",
        ChangeSettings,
        Whose::Domain,
    ),
    rule(POST, "/dkim/{domain}/rotate", ChangeSettings, Whose::Domain),
    rule(
        POST,
        "/dkim/{domain}/activate",
        ChangeSettings,
        Whose::Domain,
    ),
    rule(POST, "/dkim/{domain}/retire", ChangeSettings, Whose::Domain),
    rule(
        GET,
        "/connectors/inbound",
        ReadCards,
        Whose::Lines("connectors", "organisation"),
    ),
    rule(
        GET,
        "/connectors/inbound/check/{address}",
        ReadSettings,
        Whose::Query,
    ),
    rule(
        GET,
        "/connectors/inbound/certificates",
        ReadSettings,
        Whose::Certificates,
    ),
    rule(
        GET,
        "/connectors/inbound/card",
        ReadCards,
        Whose::Conversation,
    ),
    rule(
        GET,
        "/connectors/inbound/card/issued",
        ReadSettings,
        Whose::Conversation,
    ),
    rule(
        POST,
        "/connectors/inbound/card/code",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/inbound/card/send",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/inbound/card/password",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/inbound/card/revoke",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        GET,
        "/connectors/inbound/listen",
        ReadCards,
        Whose::Conversation,
    ),
    rule(
        GET,
        "/connectors/outbound",
        ReadSettings,
        Whose::Lines("connectors", "organisation"),
    ),
    rule(
        GET,
        "/connectors/outbound/standing",
        ReadSettings,
        Whose::Selected("connectors"),
    ),
    rule(POST, "/connectors/inbound/put", ChangeSettings, Whose::Body),
    rule(
        POST,
        "/connectors/inbound/remove",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/put",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/remove",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/secret",
        ChangeSecrets,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/test",
        ChangeSettings,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/login",
        ChangeSecrets,
        Whose::Body,
    ),
    rule(
        POST,
        "/connectors/outbound/login/poll",
        ChangeSecrets,
        Whose::Body,
    ),
    rule(
        GET,
        "/connectors/outbound/presets",
        ReadSettings,
        Whose::Nobody,
    ),
    rule(
        GET,
        "/credentials",
        ReadSettings,
        Whose::Lines("credentials", "organisation"),
    ),
    rule(POST, "/credentials", ChangeSettings, Whose::Body),
    rule(
        POST,
        "/credentials/{user}/rotate",
        ChangeSettings,
        Whose::Credential,
    ),
    rule(
        POST,
        "/credentials/{user}/revoke",
        ChangeSettings,
        Whose::Credential,
    ),
    rule(
        POST,
        "/credentials/{user}/enable",
        ChangeSettings,
        Whose::Credential,
    ),
    rule(
        POST,
        "/credentials/{user}/disable",
        ChangeSettings,
        Whose::Credential,
    ),
    rule(
        GET,
        "/directory",
        ReadSettings,
        Whose::Selected("recipients"),
    ),
    rule(POST, "/directory/import", ChangeSettings, Whose::Body),
    rule(POST, "/import/{source}", ChangeSettings, Whose::Body),
    rule(POST, "/directory/remove", ChangeSettings, Whose::Body),
    rule(
        GET,
        "/secrets",
        ReadSecrets,
        Whose::Lines("secrets", "organisation"),
    ),
    rule(POST, "/secrets/rotate-key", Maintain, Whose::Installation),
    rule(
        POST,
        "/secrets/rotate-bounce-key",
        ChangeSecrets,
        Whose::Body,
    ),
    rule(POST, "/secrets/forget", ChangeSecrets, Whose::Body),
    rule(GET, "/audit", ReadAudit, Whose::Handler),
    rule(GET, "/audit/verify", ReadAudit, Whose::Nobody),
    rule(POST, "/setup-link", ManagePeople, Whose::Installation),
    rule(GET, "/sign-in", ReadPeople, Whose::Installation),
    rule(POST, "/sign-in/draft", ManagePeople, Whose::Installation),
    rule(POST, "/sign-in/adopt", ManagePeople, Whose::Installation),
    rule(POST, "/sign-in/remove", ManagePeople, Whose::Installation),
    rule(GET, "/admins", ReadPeople, Whose::Handler),
    rule(POST, "/admins", ManagePeople, Whose::Handler),
    rule(POST, "/admins/{name}/reset", ManagePeople, Whose::Handler),
    rule(POST, "/admins/{name}/role", ManagePeople, Whose::Handler),
    rule(POST, "/admins/{name}/remove", ManagePeople, Whose::Handler),
    rule(GET, "/sessions", ReadPeople, Whose::Handler),
    rule(POST, "/sessions/end", ManagePeople, Whose::Handler),
    rule(GET, "/api-keys", ReadPeople, Whose::Installation),
    rule(POST, "/api-keys", ManagePeople, Whose::Installation),
    rule(
        POST,
        "/api-keys/{id}/revoke",
        ManagePeople,
        Whose::Installation,
    ),
    rule(POST, "/messages", SendMail, Whose::Handler),
    rule(GET, "/alerts", SeeState, Whose::Installation),
    rule(POST, "/alerts/rules", ChangeSettings, Whose::Installation),
    rule(
        POST,
        "/alerts/rules/remove",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(POST, "/alerts/quiet", ChangeSettings, Whose::Installation),
    rule(
        POST,
        "/alerts/channels",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/alerts/channels/{id}/test",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/alerts/channels/{id}/remove",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(GET, "/webhooks", ReadSettings, Whose::Installation),
    rule(POST, "/webhooks", ChangeSettings, Whose::Installation),
    rule(
        GET,
        "/webhooks/{id}/deliveries",
        ReadMail,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/test",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/resend",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/rotate",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/enable",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/disable",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/webhooks/{id}/remove",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(GET, "/checks", SeeState, Whose::Installation),
    rule(POST, "/checks", ChangeSettings, Whose::Installation),
    rule(POST, "/test", SendMail, Whose::Installation),
    rule(GET, "/first-steps", ReadSettings, Whose::Installation),
    rule(
        POST,
        "/first-steps/you",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/first-steps/domain",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(GET, "/first-steps/ways", ReadSettings, Whose::Installation),
    rule(
        POST,
        "/first-steps/ways",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/first-steps/senders",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(
        POST,
        "/first-steps/prove",
        ChangeSettings,
        Whose::Installation,
    ),
    rule(POST, "/backup", Maintain, Whose::Installation),
];
