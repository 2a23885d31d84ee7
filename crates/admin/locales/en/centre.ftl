# What the pages say, in English. Each key stands in ../fr too, at the same place.

skip = Skip to the content
navigation = Menu
search-label = Search everything
search-hint = Address, reference, queue id, name, SMTP code
search-button = Search
sign-out = Sign out
as-command = As a command:
back-home = Back to Home
files-label = Export
column-whole = Show
colon = :
older = Older
more = More

nav-home = Home
nav-trace = Message trace
nav-queue = Queue
nav-inbound = Inbound connectors
nav-outbound = Outbound connectors
nav-domains = Domains
nav-attempts = Refused attempts

error-title = That did not work
error-not-found = There is no such page, or what it showed is gone.
error-foreign = This form did not come from a page of this session. Open the page again and repeat.
error-form = The form arrived in pieces that do not fit together. Open the page again and repeat.
error-file-text = The file is no text in UTF-8. Save it as UTF-8 and send it again.
error-read-only = You may read everything and change nothing. Ask an owner.

sign-in-title = Sign in
sign-in-button = Sign in
sign-in-hint = No administrator yet, or password forgotten? On the server:
setup-title = The first administrator
setup-words = You become an owner of this installation. The link that led here works once.
setup-button = Create and sign in
field-name = Name
field-password = Password
field-new-password = New password
field-old-password = Current password
field-again = Repeat the new password
account-title = Your account
account-password = Change the password
account-button = Change and sign out everywhere
people-name = Up to { $count } of a-z, 0-9, dot, hyphen, underscore and @.
people-taken = There is an administrator of that name already.
people-password = At least { $count } characters; a sentence is good.
people-guessable = This password would be guessed: it is one of those that leaks are full of, or made of names of this place. Take a sentence of your own.
people-wrong = Name or password is wrong.
people-old-wrong = The current password is wrong.
people-slowed = Too many wrong passwords. Try again later.
people-link = This link was used, is older than 60 minutes, or was replaced by a newer one. Make a new one on the server: relais setup-link
people-differ = The two new passwords differ.

home-well = Relais takes mail.
home-in-queue =
    { $count ->
        [0] Nothing is waiting.
        [one] One recipient is waiting.
       *[other] { $shown } recipients are waiting.
    }
home-unwell = No mail is taken now. { $value }
home-not-yet = All mail is refused: no domain is verified yet.
home-queued = new in the queue
home-deferred = to be tried again
home-held = held
home-oldest = age of the oldest
home-refused = refused in 24 hours
home-steps = Left to set up
home-matters = Needs attention
home-no-matters = Nothing needs attention.
home-certificate-none = { $value } has no certificate.
home-certificate-ends = The certificate of { $value } ends soon.
home-domain-state = The domain { $value } is not verified.
home-domain-dns = The DNS of { $value } differs from the proposal.
home-suspended = Delivery is suspended: { $value }.

trace-search = Search
trace-empty = Nothing here. Send a test, or press Scan on a device: attempts appear within a second.
chip-all = Everything
chip-held = Held
chip-delivered = Delivered
filter-since = Since
filter-button = Show
filter-none = No filter
filter-any = Any
filter-destination = Destination
filter-sender = Sender
filter-organisation = Organisation
filter-older = Older than
filter-reason = Reply contains

column-time = Time
column-status = Status
column-client = Client
column-connector = Connector
column-from = From
column-to = To
column-subject = Subject
column-size = Size
column-name = Reference
column-attempts = Attempts
column-next = Next attempt
column-reply = Last reply
column-choose = Choose
column-accepted = Accepted
column-recipients = Recipients
column-domain = Domain
column-state = State
column-kind = Kind
column-checked = Last checked
column-wrong = Differs in DNS
column-identified = Identified by
column-senders = Sender domains
column-hosts = Leaves by
column-for = Recipient domains

status-delivered = Delivered
status-accepted = Accepted
status-deferred = Waiting
status-queued = New
status-active = Being delivered
status-held = Held
status-failed = Failed
status-refused = Refused by us
status-partly = Partly delivered
status-expired = Expired
status-discarded = Discarded
status-other = Other
step-attempted = Attempt
step-repaired = Repaired
step-notice-sent = Notice sent
step-notice-received = Notice came back
step-restricted = Restricted
step-released = Released
step-check = Check changed
step-alert = Alert
step-settings = Settings changed

fact-helo = Calls itself
fact-credential = Credential
fact-outbound = Left by
fact-tls = TLS
story-message = Message { $value }
story-refusal = Refusal { $value }
story-attempts = To the refused attempts
story-facts = What is known
story-steps = What happened
story-today = With today’s settings
today-permit = Would be accepted.

queue-empty = Nothing is waiting.
queue-nothing-fits = Nothing fits this filter.
queue-next = next attempt
queue-act = Action
queue-chosen = on the chosen messages
queue-all = on all that fit the filter
act-retry = Try now
act-hold = Hold
act-release = Release
act-bounce = Return to sender
act-delete = Delete
confirm-title = Please confirm
confirm-cancel = Cancel
confirm-retry =
    { $count ->
        [one] Try one message now?
       *[other] Try { $shown } messages now?
    }
confirm-hold =
    { $count ->
        [one] Hold one message? It waits until a person releases it.
       *[other] Hold { $shown } messages? They wait until a person releases them.
    }
confirm-release =
    { $count ->
        [one] Release one message?
       *[other] Release { $shown } messages?
    }
confirm-bounce =
    { $count ->
        [one] Return one message to its sender with a notice? It is not delivered any more.
       *[other] Return { $shown } messages to their senders with a notice? They are not delivered any more.
    }
confirm-delete =
    { $count ->
        [one] Delete one message without telling its sender? This cannot be undone.
       *[other] Delete { $shown } messages without telling their senders? This cannot be undone.
    }
done-retry =
    { $count ->
        [one] One recipient is tried now.
       *[other] { $shown } recipients are tried now.
    }
done-hold =
    { $count ->
        [one] One recipient is held.
       *[other] { $shown } recipients are held.
    }
done-release =
    { $count ->
        [one] One recipient is released.
       *[other] { $shown } recipients are released.
    }
done-bounce =
    { $count ->
        [one] Returned for one recipient.
       *[other] Returned for { $shown } recipients.
    }
done-delete =
    { $count ->
        [one] Deleted for one recipient.
       *[other] Deleted for { $shown } recipients.
    }

attempts-empty = No refusals in this time. A device that is refused appears here within a second.
attempts-count =
    { $count ->
        [one] once
       *[other] { $shown } times
    }
attempts-last = last
attempts-adopt = Adopt
attempts-self-test = Relais itself, looking whether strangers are refused: it is as it must be.
attempts-ignore = Ignore
attempts-block = Block the address
since-hour = Last hour
since-day = 24 hours
since-week = 7 days
since-month = 30 days
done-adopt = { $value } was made, observing: it explains, and delivers to test recipients only. Enable it with relais connector inbound enable.
done-adopt-user = The user { $value } may sign in from that address too, from now on.
done-ignore = Such attempts from this address are not shown any more.
done-block = { $value } is blocked.

domains-empty = Add the domain your mail comes from.
domain-verified = Verified
domain-pending = Not verified yet
domain-lapsing = Proof is gone, grace is running
domain-suspended = Suspended
kind-authoritative = authoritative: unknown recipients are refused
kind-internal-relay = internal relay: unknown recipients are passed on
domain-check = Check DNS now
domain-looked = DNS was asked just now.
domain-checks = What DNS shows
domain-records = To publish in DNS
domain-no-records = Nothing to publish.
check-ok = Right
check-unknown = Not known
check-wrong = Differs
record-name = Name
record-verification = Proof of ownership
record-bounce = { $value } of the return domain
record-type = Type
record-value = Value
record-copy = A click on a value chooses all of it, to be copied.

inbound-empty = Nobody may send yet. Add the first device here, or on the server: { $value }
outbound-empty = Mail goes straight to the recipients’ servers (MX). Add a way out where a provider is to take it.
inbound-last = Last message
inbound-untested = untested
inbound-clients = Clients in 24 hours
by-credential = credential
connector-enabled = Enabled
connector-observing = Observing
connector-draft = Draft
connector-disabled = Disabled
connector-activity = What it sent
connector-settings = Settings

span-seconds = { $count } s
span-minutes = { $count } min
span-hours = { $count } h
span-days = { $count } d
