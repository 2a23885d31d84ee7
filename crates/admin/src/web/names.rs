//! Names for people of what happened and of what somebody did, which have dotted names in files,
//! in the API and in the audit.

use crate::lang::Lang;
use crate::phrasebook::told_audit;

/// Everything that the audit tells of.
pub(super) const ACTS: [&str; 72] = [
    "address.erased",
    "admin.added",
    "admin.factor-off",
    "admin.factor-on",
    "admin.language",
    "admin.passkey-added",
    "admin.passkey-removed",
    "admin.password",
    "admin.recovery-code-used",
    "admin.removed",
    "admin.role",
    "admin.signed-in",
    "admin.signed-out",
    "alert.channel-added",
    "alert.channel-removed",
    "alert.quiet",
    "alert.rule",
    "alert.rule-removed",
    "api-key.added",
    "api-key.revoked",
    "attempts.ignored",
    "attempts.shown",
    "backup.created",
    "backup.restored",
    "card.link-made",
    "card.password-printed",
    "card.revoked",
    "card.sent",
    "content.read",
    "device.described",
    "dkim.changed",
    "dkim.generated",
    "domain.dns-changed",
    "domain.lapsing",
    "domain.pending",
    "domain.suspended",
    "domain.verified",
    "entity.released",
    "entity.restricted",
    "installation.began",
    "legal-hold.placed",
    "legal-hold.released",
    "queue.bounced",
    "queue.content-downloaded",
    "queue.content-read",
    "queue.deleted",
    "queue.headers-read",
    "queue.held",
    "queue.released",
    "queue.resent",
    "queue.resumed",
    "queue.retried",
    "queue.suspended",
    "report.asked-for",
    "report.scheduled",
    "report.unscheduled",
    "secret.bounce-key-rotated",
    "secret.forgotten",
    "secret.kept",
    "secret.key-rotated",
    "settings.changed",
    "setup-link.made",
    "sign-in.changed",
    "sign-in.drafted",
    "sign-in.removed",
    "suppression.added",
    "suppression.released",
    "webhook.added",
    "webhook.disabled",
    "webhook.enabled",
    "webhook.removed",
    "webhook.rotated",
];

/// What somebody did; its dotted name where a newer Relais wrote it.
pub(super) fn of_act(lang: Lang, act: &str) -> String {
    match ACTS.contains(&act) {
        true => lang.t(&key_of_act(act)),
        false => act.to_owned(),
    }
}

/// What happened, by the name of an event.
pub(super) fn of_event(lang: Lang, event: &str) -> String {
    lang.t(&key_of_event(event))
}

pub(super) fn key_of_act(act: &str) -> String {
    format!("act-name-{}", act.replace('.', "-"))
}

pub(super) fn key_of_event(event: &str) -> String {
    format!("event-name-{}", event.replace('.', "-"))
}

/// One line of what was changed: before → after.
pub(super) fn told_line(lang: Lang, line: &str) -> String {
    let line = told_audit(lang.0, line).replace(" -> ", " → ");
    line.replace("(default)", lang.0.pick("(default)", "(par défaut)"))
}
