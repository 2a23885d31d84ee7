//! Fields that several operations take.

use super::super::fields::{Field, flag, number, object, text, wanted};

pub(super) const ORGANISATION: Field = text(
    "organisation",
    "Its name; may be left out where there is only one.",
);
pub(super) const SINCE: Field = text("since", "`24h`, `7d`, a day or an RFC 3339 time.");
pub(super) const UNTIL: Field = text(
    "until",
    "`1h`, `7d`, a day or an RFC 3339 time; absent: for good.",
);
pub(super) const LIMIT: Field = number("limit", "Rows of a page at most.");
pub(super) const ALERT_SCOPE: Field = object(
    "scope",
    "Of which mail: `organisation`, `connector`, `from`, `client`, `to`, as tokens of the trace.",
);
pub(super) const DRY_RUN: Field = flag("dry_run", "Only tell what would change.");
pub(super) const NAME: Field = wanted(text("name", "The connector's name."));
pub(super) const SEARCH: [Field; 3] = [
    text(
        "q",
        "Tokens: `to:` `from:` `client:` `connector:` `status:` `code:` `ref:` …",
    ),
    SINCE,
    text("until", "Not after this time."),
];
pub(super) const SELECTION: &[Field] = &[
    text("queue_id", "One message."),
    text("destination", "Its queue."),
    ORGANISATION,
    text(
        "older",
        "Accepted longer ago than this span, or before this time.",
    ),
    text("state", "`queued`, `active`, `deferred`, `held`."),
    text("sender", "Reverse-path: an address, a domain, or `<>`."),
    text("reason", "Part of the last reply."),
    text("up_to", "Not newer than this message."),
    text("cursor", "`next_cursor` of the page before."),
    LIMIT,
];
pub(super) const KEYS: Field = object(
    "keys",
    "`kind`, `subdomains`, `mailbox_host`, `bounce_domain`, as in a settings file.",
);
pub(super) const GROUPING: &[Field] = &[
    wanted(text("by", "`destination` or `reason`.")),
    SELECTION[1],
    SELECTION[2],
    SELECTION[3],
    SELECTION[4],
    SELECTION[5],
    SELECTION[6],
];
pub(super) const BLOCK: [Field; 2] = [
    wanted(text(
        "kind",
        "`ip`, `address`, `domain`, `connector`, `device`, `credential`, `organisation`.",
    )),
    wanted(text("value", "Which.")),
];

pub(super) const TRIGGER: Field = wanted(text(
    "trigger",
    "`volume`, `from-mismatch`, `unverified-domain`, `unknown-recipients`, `complaints`, \
     `new-network`, `content`.",
));
pub(super) const MINIMUM: Field = number("minimum", "So many are never too many.");
pub(super) const FACTOR: Field = number("factor", "So many times what is usual are not too many.");

pub(super) const CARD: &[Field] = &[
    NAME,
    ORGANISATION,
    text(
        "maker",
        "Of the device, in any case; without it the general terms.",
    ),
    text("language", "`en` or `fr`; else the organisation's."),
    text(
        "format",
        "`text`, `pdf` or `png` (the two as Base64), beside the parts.",
    ),
    text("server", "What to type; else our name."),
    text("ip", "Our address, for devices without DNS."),
    text("port", "Else 587 with a user, 25 without."),
    text("user", "Else the connector's first credential."),
    text("sender", "Else scan@ the first verified domain."),
    text("site", "Where the device stands."),
    text("contact", "Whom to ask; else the postmaster."),
    text("paper", "`a4` or `letter`; else `a4`."),
];
/// Of a card that somebody gets, beside [`CARD`].
pub(super) const CARD_ORIGIN: Field = text(
    "origin",
    "`https://relay.example.com`: how its code begins; else as other machines reach the admin centre.",
);
pub(super) const CARD_DEVICE: Field = text("device", "Of which device alone its code tells.");
pub(super) const CARD_DAYS: Field = number(
    "days",
    "How long its code leads somewhere: 1 to 30, else 7.",
);
pub(super) const CARD_CODE: &[Field] = &[
    NAME,
    ORGANISATION,
    CARD[2],
    CARD[3],
    CARD[4],
    CARD[5],
    CARD[6],
    CARD[7],
    CARD[8],
    CARD[9],
    CARD[10],
    CARD[11],
    CARD[12],
    CARD_ORIGIN,
    CARD_DEVICE,
    CARD_DAYS,
];
pub(super) const CARD_SENT: &[Field] = &[
    NAME,
    ORGANISATION,
    wanted(text("to", "To whom.")),
    CARD[2],
    CARD[3],
    CARD[5],
    CARD[6],
    CARD[7],
    CARD[8],
    CARD[9],
    CARD[10],
    CARD[11],
    CARD[12],
    CARD_ORIGIN,
    CARD_DEVICE,
    CARD_DAYS,
];
pub(super) const CARD_WITH_PASSWORD: &[Field] = &[
    NAME,
    ORGANISATION,
    wanted(text("user", "Whose password.")),
    wanted(text("password", "As it was shown when it was made.")),
    CARD[2],
    CARD[3],
    CARD[4],
    CARD[5],
    CARD[6],
    CARD[7],
    CARD[9],
    CARD[10],
    CARD[11],
    CARD[12],
    CARD_ORIGIN,
    CARD_DEVICE,
    CARD_DAYS,
];
pub(super) const PUT: &[Field] = &[
    wanted(text("organisation", "Whose.")),
    wanted(object("connector", "As in a settings file, in JSON.")),
    text("revision", "Of the one that is changed; absent: it is new."),
    DRY_RUN,
];
pub(super) const PUT_WITH_SECRET: &[Field] = &[
    PUT[0],
    PUT[1],
    PUT[2],
    DRY_RUN,
    object(
        "secret",
        "`kind` and `value` of what it logs in with, kept in the same transaction.",
    ),
];

pub(super) const REMOVE: &[Field] = &[
    wanted(text("organisation", "Whose.")),
    NAME,
    wanted(text("revision", "The one that was seen.")),
];
