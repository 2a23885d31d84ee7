//! What may be asked over the network: one table, from which the door decides which keys may (noun,
//! access, whether one of an organisation), which bounds hold, and from which the OpenAPI document
//! is written. How each is held to one organisation is the gate's, for keys as for people. What
//! does not stand here cannot be reached but by the local socket: set-up links, administrators,
//! backups, the key of secrets at rest, new keys of the API.

mod parts;

use self::parts::{
    ALERT_SCOPE, BLOCK, CARD, CARD_CODE, CARD_SENT, CARD_WITH_PASSWORD, DRY_RUN, FACTOR, GROUPING,
    KEYS, LIMIT, MINIMUM, NAME, ORGANISATION, PUT, PUT_WITH_SECRET, REMOVE, SEARCH, SELECTION,
    SINCE, TRIGGER, UNTIL,
};
use super::fields::{
    Body, Field, flag, number, object, objects, text, text_or_texts, texts, wanted,
};
use crate::scope::Access;

/// Largest JSON body of an operation, in octets, unless it says otherwise.
const BODY_OCTETS_MAX: usize = 1 << 20;
/// A directory of 500,000 recipients has about 40 MB.
const LARGE_BODY_OCTETS_MAX: usize = 256 << 20;

/// As JSON a text is three times as long at most, but for control characters, which none has.
const IMPORT_OCTETS_MAX: usize = 3 * relais_policy::migration::TEXT_OCTETS_MAX;

/// One thing that may be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// Below `/api/v1`, with `{names}` of segments.
    pub(crate) path: &'static str,
    pub(crate) noun: &'static str,
    pub(crate) access: Access,
    /// Whether a key that is bound to an organisation may ask it; how it is held to that says the
    /// gate, which all pass (`access/rules.rs`).
    pub(crate) is_for_organisations: bool,
    /// One line.
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [Field],
    pub(crate) body: Body,
    /// The key of the answer's list, which the door gives in pages.
    pub(crate) list: Option<&'static str>,
    /// `application/x-ndjson` without an end.
    pub(crate) is_stream: bool,
    /// Its `ETag` and `If-Match` are those of the settings.
    pub(crate) has_tag: bool,
    pub(crate) success: u16,
    pub(crate) body_octets_max: usize,
}

impl Operation {
    const fn new(method: &'static str, path: &'static str, noun: &'static str) -> Self {
        Self {
            method,
            path,
            noun,
            access: Access::Read,
            is_for_organisations: false,
            summary: "",
            query: &[],
            body: Body::None,
            list: None,
            is_stream: false,
            has_tag: false,
            success: 200,
            body_octets_max: BODY_OCTETS_MAX,
        }
    }

    const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    const fn for_organisations(mut self) -> Self {
        self.is_for_organisations = true;
        self
    }

    const fn writes(mut self) -> Self {
        self.access = Access::Write;
        self
    }

    const fn query(mut self, query: &'static [Field]) -> Self {
        self.query = query;
        self
    }

    const fn body(mut self, fields: &'static [Field]) -> Self {
        self.body = Body::Fields(fields);
        self
    }

    const fn list(mut self, key: &'static str) -> Self {
        self.list = Some(key);
        self
    }

    const fn stream(mut self) -> Self {
        self.is_stream = true;
        self
    }

    const fn octets(mut self, most: usize) -> Self {
        self.body_octets_max = most;
        self
    }

    const fn large(mut self) -> Self {
        self.body_octets_max = LARGE_BODY_OCTETS_MAX;
        self
    }

    const fn tagged(mut self) -> Self {
        self.has_tag = true;
        self
    }

    const fn document(mut self) -> Self {
        self.body = Body::Settings;
        self
    }

    const fn message(mut self, fields: &'static [Field]) -> Self {
        self.body = Body::Message(fields);
        self.success = 202;
        self
    }

    /// Segments below `/api/v1`.
    fn segments(&self) -> impl Iterator<Item = &'static str> {
        self.path.split('/').skip(1)
    }

    /// Names of the path's variable segments.
    pub(crate) fn path_names(&self) -> impl Iterator<Item = &'static str> {
        let name = |segment: &'static str| segment.strip_prefix('{')?.strip_suffix('}');
        self.segments().filter_map(name)
    }

    /// Whether the path, below `/api/v1`, is this one's; how many of its segments are names.
    fn fits(&self, path: &str) -> Option<usize> {
        let mut given = path.split('/').skip(1);
        let mut names = 0;
        for segment in self.segments() {
            let found = given.next()?;
            if segment.starts_with('{') {
                names += 1;
                if found.is_empty() {
                    return None;
                }
            } else if segment != found {
                return None;
            }
        }
        given.next().is_none().then_some(names)
    }
}

const fn read(path: &'static str, noun: &'static str) -> Operation {
    Operation::new("GET", path, noun)
}

/// A question with a body.
const fn ask(path: &'static str, noun: &'static str) -> Operation {
    Operation::new("POST", path, noun)
}

const fn act(path: &'static str, noun: &'static str) -> Operation {
    Operation::new("POST", path, noun).writes()
}

/// Everything.
pub(crate) const OPERATIONS: &[Operation] = &[
    read("/status", "status").says("How the server is, on one screen"),
    read("/health", "health")
        .for_organisations()
        .says("Whether it is well, and why not"),
    read("/store", "status").says("How the store is"),
    read("/checks", "checks").says("What the self-checks found last, and since when"),
    act("/checks", "checks")
        .body(&[texts(
            "groups",
            "`machine`, `way-out`, `world`, `safety`; none: all.",
        )])
        .says("Look at everything now; takes up to 15 seconds"),
    act("/test", "test")
        .body(&[
            wanted(text("to", "Whom it goes to.")),
            text("from", "An address of a verified domain."),
        ])
        .says("Send one test message of our own"),
    read("/settings", "settings")
        .tagged()
        .says("The settings document"),
    Operation::new("PUT", "/settings", "settings")
        .writes()
        .tagged()
        .large()
        .query(&[DRY_RUN])
        .document()
        .says("Replace the settings that have this tag"),
    act("/apply", "settings")
        .large()
        .body(&[
            wanted(object("document", "As a settings file, in JSON.")),
            flag("prune", "What the document does not name goes."),
            DRY_RUN,
        ])
        .says("Apply settings; tells what changes"),
    act("/import/{source}", "settings")
        .for_organisations()
        .octets(IMPORT_OCTETS_MAX)
        .body(&[
            ORGANISATION,
            wanted(text(
                "text",
                "What the old relay exported; files behind lines of `==> name <==`.",
            )),
            flag("apply", "Add what is proposed, disabled; else it is only told."),
        ])
        .says("Take over from `exchange`, `exchange-online`, `postfix`, `iis`, or a list as `csv`"),
    act("/settings/revert", "settings")
        .body(&[wanted(number("version", "That the change made.")), DRY_RUN])
        .says("Take a change back, where nothing of it was changed since"),
    ask("/simulate", "simulate")
        .body(&[
            wanted(text("ip", "The client's address.")),
            text("helo", "Its greeting."),
            text("certificate_name", "A name of its certificate."),
            text("credential", "Whom it logged in as."),
            wanted(text("from", "The reverse-path; empty for the null one.")),
            wanted(text("to", "A recipient.")),
            text("header_from", "Of the header section."),
            number("size", "Octets."),
            text("tls", "`1.2`, `1.3`, `none`."),
            flag("submission", "Through a listener that demands a login."),
        ])
        .says("Explain what would happen to a message"),
    read("/why/{name}", "trace").says("Explain one refusal by its reference, or one message"),
    read("/why/{name}/dialogues", "trace").says("What was said with the client and with next hops"),
    read("/trace", "trace")
        .for_organisations()
        .query(&[
            SEARCH[0],
            SEARCH[1],
            SEARCH[2],
            LIMIT,
            number("cursor", "`next_cursor` of the page before."),
        ])
        .says("What happened, newest first"),
    read("/trace/live", "trace")
        .for_organisations()
        .query(&SEARCH)
        .stream()
        .says("What happens, one event a line"),
    read("/reports/schedules", "reports")
        .for_organisations()
        .list("schedules")
        .says("Reports that are sent by e-mail"),
    act("/reports/schedules", "reports")
        .for_organisations()
        .body(&[
            text("organisation", "Whose mail it tells of; absent: the only one."),
            texts(
                "reports",
                "`mail`, `queue`, `delay`, `clients`, `refusals`, `security`, `routes`, \
                 `destinations`; none: all.",
            ),
            wanted(text("every", "`day`, `week`, `month`.")),
            wanted(texts("to", "Addresses.")),
            text("language", "`en`, `fr`; absent: the organisation's."),
        ])
        .says("Send reports by e-mail from now on"),
    act("/reports/schedules/{id}/send", "reports")
        .for_organisations()
        .says("Send one now, within seconds"),
    act("/reports/schedules/{id}/remove", "reports")
        .for_organisations()
        .says("Send one no more"),
    act("/trace/{id}/content", "content")
        .for_organisations()
        .says("Read content that is kept of a message; each look is in the audit log"),
    act("/trace/erase", "erase")
        .for_organisations()
        .body(&[
            wanted(text("address", "One whole address.")),
            text("organisation", "Only of what is this one's."),
            DRY_RUN,
        ])
        .says("Erase an address from trace, conversations and kept content"),
    read("/retention", "settings")
        .for_organisations()
        .says("What is kept of mail, and for how long"),
    read("/retention/holds", "settings")
        .for_organisations()
        .list("holds")
        .says("Legal holds that stand, the newest first"),
    act("/retention/holds", "erase")
        .body(&[
            text("address", "Mail from or to it; or:"),
            text("connector", "Mail that came by this inbound connector."),
            text("organisation", "Only of what is this one's."),
            wanted(text("reason", "Why.")),
            UNTIL,
        ])
        .says("Place a legal hold: nothing that it covers goes by age or is erased"),
    act("/retention/holds/{id}/release", "erase").says("Release a legal hold"),
    read("/queue", "queue")
        .for_organisations()
        .query(SELECTION)
        .says("Messages that are accepted and unfinished"),
    read("/queue/count", "queue")
        .for_organisations()
        .query(SELECTION.split_at(SELECTION.len() - 2).0)
        .says("How many they are, and which is the newest"),
    read("/queue/groups", "queue")
        .for_organisations()
        .query(GROUPING)
        .says("The same in groups: how many, how old, when next, until when"),
    read("/queue/{id}", "queue")
        .for_organisations()
        .says("One of them"),
    act("/queue/act", "queue")
        .for_organisations()
        .body(&[
            wanted(text(
                "act",
                "`retry`, `hold`, `release`, `bounce`, `delete`.",
            )),
            object("selection", "Which: the parameters of the list."),
            flag("all", "Demanded where nothing is selected."),
        ])
        .says("Retry, hold, release, give up with a notice, or delete"),
    act("/queue/{id}/resend", "queue")
        .for_organisations()
        .body(&[wanted(text("to", "Another address."))])
        .says("Send a copy of a message in the queue to another address"),
    act("/queue/{id}/headers", "content")
        .for_organisations()
        .says("Read the header section of a message in the queue; each look is in the audit log"),
    act("/queue/{id}/content", "content")
        .for_organisations()
        .body(&[number("octets_max", "From its beginning; 26214400 at most.")])
        .says("Read a message in the queue, in base64; each look is in the audit log"),
    read("/queue/suspended", "queue")
        .for_organisations()
        .says("What nothing is sent to"),
    act("/queue/suspended", "queue")
        .for_organisations()
        .body(&[
            text("destination", "A domain."),
            ORGANISATION,
            flag("all", "Demanded where neither of the two is named."),
            wanted(flag("suspended", "Suspend, or resume.")),
            UNTIL,
            text("reason", "Why."),
        ])
        .says("Suspend or resume a destination"),
    read("/attempts", "attempts")
        .for_organisations()
        .query(&[SINCE, LIMIT, flag("all", "Ignored ones too.")])
        .says("What was turned away, grouped"),
    read("/attempts/live", "attempts")
        .query(&[flag("all", "Ignored ones too.")])
        .stream()
        .says("What is turned away, one a line"),
    read("/attempts/ignored", "attempts")
        .list("ignored")
        .says("Groups that are not shown"),
    act("/attempts/unignore", "attempts")
        .body(&[
            wanted(text("address", "Of the group.")),
            wanted(text("token", "Its reason, as `GET /attempts/ignored` tells.")),
        ])
        .says("Show an ignored group again"),
    act("/attempts/{reference}/ignore", "attempts")
        .body(&[UNTIL])
        .says("Show a group no more"),
    act("/attempts/{reference}/block", "attempts")
        .body(&[UNTIL])
        .says("Block its address"),
    act("/attempts/{reference}/adopt", "attempts")
        .body(&[
            wanted(text("name", "Of what is made.")),
            ORGANISATION,
            DRY_RUN,
        ])
        .says("Make a connector or a credential of it"),
    read("/restricted", "restricted")
        .for_organisations()
        .list("restricted")
        .says("What is blocked or held"),
    act("/restricted/block", "restricted")
        .body(&[
            BLOCK[0],
            BLOCK[1],
            wanted(text("reason", "Why; shown to whoever looks.")),
            texts("evidence", "What was seen, one thing each."),
            text(
                "effect",
                "`refuse` (as long as nothing is said) or `hold`: new mail is accepted and waits.",
            ),
            UNTIL,
        ])
        .says("Block, at once; its mail in the queue waits"),
    read("/restricted/history", "restricted")
        .list("history")
        .says("Blocks and releases of the past"),
    act("/restricted/release", "restricted")
        .body(&[
            BLOCK[0],
            BLOCK[1],
            text(
                "since",
                "Only what is restricted since then, as the list says it: what somebody restricts \
                 anew meanwhile stays.",
            ),
        ])
        .says("Release"),
    read("/triggers", "triggers")
        .for_organisations()
        .list("triggers")
        .says("What makes a device's mail be held by itself"),
    act("/triggers/set", "triggers")
        .for_organisations()
        .body(&[
            ORGANISATION,
            TRIGGER,
            text("mode", "`off`, `hold` or `block`."),
            MINIMUM,
            FACTOR,
            DRY_RUN,
        ])
        .says("Change one trigger"),
    ask("/triggers/simulate", "triggers")
        .for_organisations()
        .body(&[
            ORGANISATION,
            TRIGGER,
            MINIMUM,
            FACTOR,
            number("days", "How far back in the trace: 1 to 30."),
        ])
        .says("What a trigger would have found"),
    read("/suppression", "suppression")
        .for_organisations()
        .list("suppressed")
        .says("Recipients that are sent nothing"),
    act("/suppression/add", "suppression")
        .for_organisations()
        .body(&[
            wanted(text("address", "The recipient.")),
            ORGANISATION,
            wanted(text("reason", "Why.")),
        ])
        .says("Send a recipient nothing any more"),
    act("/suppression/release", "suppression")
        .for_organisations()
        .body(&[wanted(text("address", "The recipient.")), ORGANISATION])
        .says("Send it something again"),
    read("/audit", "audit")
        .query(&[
            LIMIT,
            number("before", "`next_cursor` of the page before."),
            text("actor", "A part of who."),
            text("act", "The beginning of what: `settings`, `queue.deleted`."),
            text("via", "`web`, `api`, `socket`, `data-folder`, `start`."),
            text("from", "A part of the client's address."),
            text("q", "A part of what is told."),
            SINCE,
            text("until", "Not after this time."),
        ])
        .says("Who changed what, newest first"),
    read("/audit/verify", "audit").says("Whether the chain of entries is whole"),
    read("/organisations", "organisations")
        .for_organisations()
        .list("organisations")
        .says("Organisations at a glance"),
    act("/organisations", "organisations")
        .body(&[
            wanted(text("name", "a-z, 0-9 and hyphen.")),
            text("display_name", "For people."),
            text(
                "postmaster",
                "Gets alerts, and notices that have no mailbox.",
            ),
            text("language", "`en`, `fr`."),
        ])
        .says("Make an organisation"),
    act("/organisations/{name}/set", "organisations")
        .body(&[
            wanted(object(
                "keys",
                "Of its keys without lists below: `display_name`, `postmaster`, `language`, \
                 `limits`, `licences`, `inbound_content`, `subjects`, `content_days`, \
                 `content_max`.",
            )),
            DRY_RUN,
        ])
        .says("Change keys of an organisation, and nothing else"),
    read("/limits", "limits")
        .for_organisations()
        .query(&[LIMIT])
        .list("limits")
        .says("Limits, how much of them is used, what waits, and when they are reached"),
    read("/limits/proposals", "limits")
        .for_organisations()
        .query(&[SINCE])
        .list("proposals")
        .says("Limits as they could be, learnt from what was sent: twice the peak"),
    act("/limits/set", "limits")
        .body(&[
            ORGANISATION,
            wanted(text(
                "kind",
                "Whose: `organisation`, `connector`, `device`, `credential`, `domain`, `sender`.",
            )),
            text(
                "whose",
                "Its name; for `device` that of the inbound connector: each of its devices; none for \
                 `organisation`, and for `sender`: each sender.",
            ),
            wanted(text(
                "limit",
                "`messages_per_minute`, `recipients_per_hour`, `external_recipients_per_hour`, \
                 `recipients_per_day`, `new_recipients_per_day`, `connections`, \
                 `message_size_max`.",
            )),
            number("value", "How much; absent: no limit."),
            flag("hard", "Refuse instead of delaying."),
            DRY_RUN,
        ])
        .says("Set one limit, or take it away"),
    read("/licences", "licences")
        .for_organisations()
        .query(&[ORGANISATION])
        .says("Seats, and who counts for one"),
    read("/devices", "devices")
        .for_organisations()
        .query(&[SINCE, ORGANISATION])
        .says("Who sent, by observation"),
    act("/devices/set", "devices")
        .for_organisations()
        .body(&[
            wanted(text("organisation", "Whose.")),
            wanted(text("address", "Of the device.")),
            texts("tags", "For searching, at most ten."),
            text("owner", "Who looks after it."),
            text("place", "Where it stands."),
            text("note", "Anything else."),
        ])
        .says("Write about a device; what is not given goes"),
    read("/reports", "reports")
        .for_organisations()
        .query(&[SINCE, ORGANISATION])
        .says("Counts for charts"),
    read("/domains", "domains")
        .for_organisations()
        .list("domains")
        .says("Accepted domains"),
    act("/domains", "domains")
        .for_organisations()
        .body(&[wanted(text("name", "The domain.")), ORGANISATION, KEYS, DRY_RUN])
        .says("Add a domain; it counts once it is proved"),
    act("/domains/{name}/set", "domains")
        .for_organisations()
        .body(&[ORGANISATION, KEYS, DRY_RUN])
        .says("Change a domain"),
    act("/domains/{name}/remove", "domains")
        .for_organisations()
        .body(&[ORGANISATION, DRY_RUN])
        .says("Remove a domain: mail from it is refused from then on"),
    read("/domains/{name}/records", "domains")
        .for_organisations()
        .query(&[ORGANISATION])
        .says("What to publish in DNS"),
    act("/domains/{name}/check", "domains")
        .for_organisations()
        .query(&[ORGANISATION])
        .says("Look at what is published"),
    act("/domains/{name}/verify", "domains")
        .for_organisations()
        .body(&[ORGANISATION])
        .says("Look for the proof of ownership"),
    read("/dkim", "dkim")
        .for_organisations()
        .query(&[text("domain", "Of this domain only."), ORGANISATION])
        .says("Keys that sign"),
    act("/dkim/{domain}/generate", "dkim")
        .for_organisations()
        .body(&[ORGANISATION, text("algorithm", "`rsa2048`, `ed25519`.")])
        .says("Make a key"),
    act("/dkim/{domain}/rotate", "dkim")
        .for_organisations()
        .body(&[ORGANISATION, text("algorithm", "`rsa2048`, `ed25519`.")])
        .says("Make the key that follows"),
    act("/dkim/{domain}/activate", "dkim")
        .for_organisations()
        .body(&[ORGANISATION, text("selector", "Which.")])
        .says("Sign with a key, once DNS shows it"),
    act("/dkim/{domain}/retire", "dkim")
        .for_organisations()
        .body(&[ORGANISATION, text("selector", "Which.")])
        .says("Sign with a key no more"),
    read("/connectors/inbound", "connectors")
        .for_organisations()
        .list("connectors")
        .says("Who may send through us"),
    read("/connectors/inbound/check/{address}", "connectors")
        .query(&[ORGANISATION])
        .says("Which connector an address has"),
    read("/connectors/inbound/certificates", "connectors")
        .for_organisations()
        .query(&[ORGANISATION, SINCE])
        .list("certificates")
        .says("Certificates that clients showed lately"),
    read("/connectors/inbound/card", "connectors")
        .for_organisations()
        .query(CARD)
        .says("Its device card, in words, as text, as PDF or as a picture"),
    read("/connectors/inbound/card/issued", "connectors")
        .for_organisations()
        .query(&[NAME, ORGANISATION])
        .says("Its cards that somebody has: with a code, sent, or with a password"),
    act("/connectors/inbound/card/code", "connectors")
        .for_organisations()
        .body(CARD_CODE)
        .says("A code that leads to the page that waits for its device; told once"),
    act("/connectors/inbound/card/send", "connectors")
        .for_organisations()
        .body(CARD_SENT)
        .says("Send its device card by mail, without the password"),
    act("/connectors/inbound/card/password", "connectors")
        .for_organisations()
        .body(CARD_WITH_PASSWORD)
        .says("Its device card with the password that was made just now"),
    act("/connectors/inbound/card/revoke", "connectors")
        .for_organisations()
        .body(&[NAME, ORGANISATION, wanted(text("token", "Its `id`."))])
        .says("End a card: its code, and the password that stands on it"),
    read("/connectors/inbound/listen", "connectors")
        .for_organisations()
        .query(&[NAME, ORGANISATION])
        .stream()
        .says("What its clients say, as they say it"),
    act("/connectors/inbound/put", "connectors")
        .for_organisations()
        .body(PUT)
        .says("Make an inbound connector, or change the one of this revision"),
    act("/connectors/outbound/put", "connectors")
        .for_organisations()
        .body(PUT_WITH_SECRET)
        .says("Make an outbound connector, or change the one of this revision"),
    act("/connectors/inbound/remove", "connectors")
        .for_organisations()
        .body(REMOVE)
        .says("Remove the inbound connector of this revision"),
    act("/connectors/outbound/remove", "connectors")
        .for_organisations()
        .body(REMOVE)
        .says("Remove the outbound connector of this revision"),
    read("/connectors/outbound", "connectors")
        .for_organisations()
        .list("connectors")
        .says("How mail leaves"),
    read("/connectors/outbound/standing", "connectors")
        .for_organisations()
        .query(&[ORGANISATION, text("name", "This one only.")])
        .list("connectors")
        .says("How they stand: limits, sign-in, last error, the last 30 days"),
    read("/connectors/outbound/presets", "connectors")
        .for_organisations()
        .list("presets")
        .says("Providers with their settings"),
    act("/connectors/outbound/secret", "connectors")
        .for_organisations()
        .body(&[
            NAME,
            ORGANISATION,
            wanted(text(
                "kind",
                "`password`, `client-secret`, `refresh-token`.",
            )),
            wanted(text(
                "value",
                "The secret; kept encrypted, never told again.",
            )),
        ])
        .says("Keep what a smart host is logged in at with"),
    act("/connectors/outbound/test", "connectors")
        .for_organisations()
        .body(&[
            NAME,
            ORGANISATION,
            wanted(text("to", "A recipient.")),
            text("from", "The reverse-path; absent: the postmaster."),
        ])
        .says("Walk to a smart host, and send nothing"),
    act("/connectors/outbound/login", "connectors")
        .for_organisations()
        .body(&[NAME, ORGANISATION])
        .says("Begin a sign-in on another device"),
    act("/connectors/outbound/login/poll", "connectors")
        .for_organisations()
        .body(&[NAME, ORGANISATION, wanted(text("device_code", "As told."))])
        .says("Whether it is done"),
    read("/credentials", "credentials")
        .for_organisations()
        .list("credentials")
        .says("Users of devices and applications"),
    act("/credentials", "credentials")
        .for_organisations()
        .body(&[
            ORGANISATION,
            wanted(text("user", "1 to 20 of a-z, 0-9 and hyphen.")),
            wanted(text("inbound_connector", "Whose client it is.")),
            texts("may_send_as", "Addresses, or `*@domain`."),
            texts("source_addresses", "From where it may log in."),
            text("tls_min", "`none`, `1.2`, `1.3`."),
            text("expires", "A day or an RFC 3339 time."),
        ])
        .says("Make one; its password is told this once"),
    act("/credentials/{user}/rotate", "credentials")
        .for_organisations()
        .body(&[wanted(text(
            "overlap",
            "For so long the old password counts too: `7d`.",
        ))])
        .says("Give it a new password, told this once"),
    act("/credentials/{user}/revoke", "credentials")
        .for_organisations()
        .says("Let it log in no more"),
    act("/credentials/{user}/enable", "credentials")
        .for_organisations()
        .says("Let it log in again"),
    act("/credentials/{user}/disable", "credentials")
        .for_organisations()
        .says("Let it log in no more until it is enabled"),
    read("/directory", "directory")
        .for_organisations()
        .query(&[ORGANISATION, text("q", "A part of the address.")])
        .list("recipients")
        .says("Recipients and people"),
    act("/directory/import", "directory")
        .for_organisations()
        .large()
        .body(&[
            ORGANISATION,
            wanted(text("csv", "Columns `address` and `mailbox`.")),
            flag("prune", "Entries that the file does not name go."),
            DRY_RUN,
        ])
        .says("Import a CSV"),
    act("/directory/remove", "directory")
        .for_organisations()
        .body(&[ORGANISATION, wanted(text("address", "Whose."))])
        .says("Take an address away"),
    act("/messages", "messages")
        .for_organisations()
        .large()
        .query(&[
            text("from", "The reverse-path, for `message/rfc822`."),
            texts(
                "to",
                "A recipient, for `message/rfc822`; repeated for several.",
            ),
        ])
        .message(&[
            wanted(text(
                "from",
                "`erp@contoso.test`, or `ERP <erp@contoso.test>`.",
            )),
            text_or_texts("to", "Recipients."),
            text_or_texts("cc", "More of them."),
            text_or_texts("bcc", "More, whom nobody sees."),
            text("reply_to", "Where answers go."),
            text("envelope_from", "The reverse-path, where it is not `from`."),
            text("subject", "One line."),
            text("text", "The body."),
            text("html", "The same for who reads HTML."),
            objects(
                "attachments",
                "`{\"name\", \"type\", \"content\" (base64)}` each.",
            ),
        ])
        .says("Hand a message in; 202 when it is on stable storage"),
    read("/webhooks", "webhooks")
        .list("webhooks")
        .says("Where events are posted to"),
    act("/webhooks", "webhooks")
        .body(&[
            wanted(text("name", "For people.")),
            wanted(text("address", "`https://…`.")),
            texts("events", "Names of events; none: all but each attempt."),
            text("organisation", "Only events of this organisation."),
            flag("allow_private", "Only on the server's machine."),
        ])
        .says("Add one; the key that signs its posts is told this once"),
    act("/webhooks/{id}/rotate", "webhooks").says("A new key, told this once"),
    act("/webhooks/{id}/enable", "webhooks").says("Post to it again"),
    act("/webhooks/{id}/disable", "webhooks").says("Post nothing to it"),
    act("/webhooks/{id}/remove", "webhooks").says("Take it away"),
    act("/webhooks/{id}/test", "webhooks").says("Post something to it now"),
    read("/webhooks/{id}/deliveries", "webhooks")
        .query(&[LIMIT])
        .says("What was posted to it, newest first"),
    act("/webhooks/{id}/resend", "webhooks")
        .body(&[wanted(text("delivery", "`msg_…`."))])
        .says("Post one of them again"),
    read("/alerts", "alerts").says("What is raised, the rules, quiet hours and channels"),
    act("/alerts/rules", "alerts")
        .body(&[
            wanted(text("rule", "Its name.")),
            ALERT_SCOPE,
            flag("enabled", "Judged at all."),
            number(
                "threshold",
                "From which value on; of what ends or runs out: up to which.",
            ),
            number(
                "for_seconds",
                "So long before it is raised, and before it is cleared.",
            ),
            flag("urgent", "Told in quiet hours too."),
        ])
        .says("Change a rule, or add one for some mail only"),
    act("/alerts/rules/remove", "alerts")
        .body(&[wanted(text("rule", "Its name.")), wanted(ALERT_SCOPE)])
        .says("Take away a rule for some mail only"),
    act("/alerts/quiet", "alerts")
        .body(&[
            text("from", "`22:00`, UTC; absent: no quiet hours."),
            text("until", "`06:00`."),
        ])
        .says("When only what is urgent is told"),
    act("/alerts/channels", "alerts")
        .body(&[
            wanted(text("name", "For people.")),
            wanted(text("kind", "`webhook`, `slack`, `teams`, `ntfy`, `mail`.")),
            wanted(text(
                "address",
                "`https://…`; kept encrypted, never told again.",
            )),
            texts("to", "Recipients of mail."),
            flag("allow_private", "Only on the server's machine."),
            text("language", "`en`, `fr`."),
        ])
        .says("Add a channel"),
    act("/alerts/channels/{id}/test", "alerts").says("Tell something by it now"),
    act("/alerts/channels/{id}/remove", "alerts").says("Take it away"),
    read("/secrets", "secrets").says("Which secrets are kept; none is told"),
    read("/api-keys", "api-keys")
        .list("keys")
        .says("Keys of this API; none is told"),
];

/// What a request asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found {
    Operation(&'static Operation),
    /// There is such a path, but it takes other methods.
    OtherMethod,
    Nothing,
}

/// The operations of a path below `/api/v1`; of two that fit, that with fewer names.
fn of_path(path: &str) -> Vec<&'static Operation> {
    let fitting = OPERATIONS
        .iter()
        .filter_map(|one| Some((one.fits(path)?, one)));
    let fitting: Vec<_> = fitting.collect();
    let fewest = fitting.iter().map(|(names, _)| *names).min();
    let best = fitting.iter().filter(|(names, _)| Some(*names) == fewest);
    best.map(|(_, one)| *one).collect()
}

/// The operation of that method and path below `/api/v1`.
pub(crate) fn find(method: &str, path: &str) -> Found {
    let of_path = of_path(path);
    if of_path.is_empty() {
        return Found::Nothing;
    }
    let found = of_path.into_iter().find(|one| one.method == method);
    found.map_or(Found::OtherMethod, Found::Operation)
}

/// Methods that the path takes, for `Allow`.
pub(crate) fn methods_of(path: &str) -> String {
    let methods: Vec<_> = of_path(path).iter().map(|one| one.method).collect();
    methods.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access;

    #[test]
    fn what_keys_of_an_organisation_may_ask_the_gate_can_hold_to_one() {
        let asked = OPERATIONS.iter().filter(|one| one.is_for_organisations);
        for one in asked {
            assert!(
                access::is_for_organisations(one.method, one.path),
                "{} {}",
                one.method,
                one.path
            );
        }
        assert!(!access::is_for_organisations("POST", "/alerts/rules"));
        assert!(!access::is_for_organisations("GET", "/nowhere"));
    }
}
