nav-group-mail = Mail
nav-group-who = Who and where to
nav-group-house = This server
records-done = Done
records-none = Nothing fits this filter.
records-sought = Contains
column-acts = Actions

nav-audit = Audit log
audit-empty = Nothing was changed yet. The first change will be the first entry.
audit-none = No entry fits this filter.
audit-intact = The chain of hashes is whole: nobody has changed this record.
audit-broken = The chain of hashes is broken at entry { $value }: somebody has changed the record outside of Relais.
audit-actor = Who
audit-act = Action
audit-detail = Detail, before → after
audit-text = Contains
audit-via = By
audit-from = From address
audit-time = When
audit-hash = hash
audit-revert = Take back
audit-revert-question = Take back what version { $value } of the settings changed? What was changed elsewhere since stays.
audit-revert-nothing = Nothing is left of the change of version { $value } that could be taken back.
audit-reverted = The change of version { $value } is taken back.
audit-door-web = admin centre
audit-door-api = API key
audit-door-socket = command line
audit-door-folder = data folder
audit-door-start = Relais itself

nav-credentials = Credentials
credentials-empty = No device signs in with a password. Give each device its own: one that is lost or stolen is then revoked alone, and the trace tells which one sent what.
credentials-none = No credential fits this filter.
credentials-sought = User or address
credentials-user = User
credentials-password = Password
credentials-connector = Inbound connector
credentials-may-send-as = May send as
credentials-sources = Used from
credentials-last = Used last
credentials-expires = Expires
credentials-expires-hint = A day, as 2027-12-31, or a time. Empty: never.
credentials-any-address = any address of its connector
credentials-anywhere = everywhere
credentials-on = in use
credentials-off = off
credentials-until = until { $value }
credentials-never = never used
credentials-previous = the old password stays valid until { $value }
credentials-rotate = New password
credentials-enable = Enable
credentials-disable = Disable
credentials-revoke = Revoke
credentials-rotate-question = Give { $value } a new password?
credentials-revoke-question = Revoke { $value }? The device is refused from its next connection on.
credentials-done-revoke = { $value } is revoked.
credentials-done-enable = { $value } may sign in again.
credentials-done-disable = { $value } is off: it is refused from its next connection on.
credentials-overlap = The old password stays valid for another
credentials-overlap-hint = 24h, 7d; 0s: not at all.
credentials-add = A new credential
credentials-user-hint = At most 20 of a-z, 0-9 and hyphen: devices take little more.
credentials-may-hint = Addresses or *@domain, with commas between. Empty: any address of the connector.
credentials-sources-hint = Addresses or networks, with commas between. Empty: everywhere.
credentials-make = Create
credentials-once = Enter these two in the device now: the password is shown this once.

nav-directory = Directory
directory-empty = No address is listed. Import your mailboxes below, or add them one by one: the directory tells who is a person of yours, and who has a mailbox.
directory-none = No address contains that.
directory-total =
    { $count ->
        [one] One address.
       *[other] { $shown } addresses.
    }
directory-address = Address
directory-kind = Kind
directory-mailbox = mailbox
directory-person = person without a mailbox
directory-is-person = A person without a mailbox
directory-add = Add an address
directory-add-button = Add
directory-remove = Remove
directory-remove-question = Remove { $value } from the directory?
directory-import = Import from CSV
directory-import-button = Import
directory-csv = Lines of a CSV file
directory-csv-hint = Columns address and mailbox (true or false), separated by comma, semicolon or tab. You see what would change before anything does.
directory-prune = Remove addresses that the file does not name
directory-look = See what would change
directory-would-change =
    { $count ->
        [0] Nothing would change.
        [one] One entry would change:
       *[other] { $shown } entries would change:
    }
directory-done =
    { $count ->
        [0] Nothing had to be changed.
        [one] One entry was changed.
       *[other] { $shown } entries were changed.
    }

nav-licences = Licences
licences-empty = In 30 days no sender counts for a seat or is missing in the directory.
licences-seats = { $organisation } – seats in use: { $used } of { $seats }; mailboxes: { $mailboxes }; people without a mailbox: { $people }; { $policy }.
licences-address = Sender
licences-kind = Kind
licences-last = Sent last
licences-person = person
licences-unlisted = not in the directory
licences-off = seats are not counted
licences-report = seats are counted and reported
licences-enforce = people without a seat are refused
licences-policy = When seats are used up
licences-policy-of = Seats of { $value }
licences-policy-words = Devices and applications need no seat. A person counts from the first message on, for 30 days after the last.
licences-seats-field = Seats
licences-done = The seats of { $value } are changed.

nav-restricted = Restricted
restricted-words = What is listed here is turned away at once, whatever else the settings permit.
restricted-empty = Nothing is restricted.
restricted-what = What
restricted-kind = Kind
restricted-value = Value
restricted-reason = Reason
restricted-by = By
restricted-until = Until
restricted-until-hint = 1h, 7d, a day or a time. Empty: until it is released.
restricted-for-good = until released
restricted-release = Release
restricted-block = Add a restriction
restricted-block-button = Restrict
restricted-done-block = { $value } is restricted.
restricted-done-release = { $value } is released.
restricted-ip = address or network
restricted-address = sender’s address
restricted-domain = sender’s domain
restricted-connector = inbound connector
restricted-credential = credential
restricted-organisation = organisation
restricted-device = device (address by connector)
restricted-hold = Accept its mail and hold it, instead of refusing it
restricted-holds = its mail is held

nav-suppression = Suppressed recipients
suppression-words = Mail to these recipients is not sent: their servers said that the address does not exist, or they asked for it.
suppression-empty = No recipient is suppressed.
suppression-address = Recipient
suppression-bounce = no such mailbox
suppression-complaint = complained
suppression-request = by request
suppression-add = Send a recipient nothing any more
suppression-add-button = Suppress
suppression-done-add = { $value } is sent nothing any more.
suppression-done-release = { $value } may be sent to again.

programs-name = Name
programs-all = all organisations

nav-api-keys = API keys
keys-empty = No program has a key. Give each program its own, with no more rights than it needs.
keys-scopes = May do
keys-scopes-hint = queue:read, messages:write … with commas between; *:read is to read everything; content and erase only by name. Nouns: { $value }
keys-made = Made by
keys-last = Used last
keys-on = in use
keys-over = over
keys-credential = Hands mail in as
keys-credential-hint = A credential’s user, for keys that send. May stay empty.
keys-expires = Expires
keys-expires-hint = 90d, a day or a time. Empty: never.
keys-key = Key
keys-add = A new key
keys-make = Create the key
keys-once = Put this key into the program now: it is shown this once.
keys-revoke-question = Revoke the key { $value }? Its program is refused at once.
keys-revoked = The key { $value } is revoked.

nav-webhooks = Webhooks
hooks-empty = Nobody is told of events. A webhook posts each event to an address of yours as it happens, signed.
hooks-address = Address
hooks-address-hint = https://…
hooks-events = Events
hooks-event = Event
hooks-all-events = all but single attempts
hooks-events-hint = None ticked: all but single attempts.
hooks-on = on
hooks-off = off
hooks-key = Key that signs
hooks-add = A new webhook
hooks-make = Create
hooks-once = Give this key to whoever receives the posts: it is shown this once.
hooks-test = Test
hooks-enable = Switch on
hooks-disable = Switch off
hooks-rotate = New key
hooks-remove = Remove
hooks-rotate-question = Make a new key for { $value }? For a day the old one signs beside it.
hooks-remove-question = Remove the webhook { $value }? What waits for it is dropped.
hooks-done-test = A test is on its way to { $value }.
hooks-done-enable = { $value } is on.
hooks-done-disable = { $value } is off.
hooks-done-remove = { $value } is removed.
hooks-done-resend = It is posted to { $value } again.
hooks-nothing-posted = Nothing was posted to it yet.
hooks-delivered = taken
hooks-failed = given up
hooks-waiting = waiting
hooks-body = What was posted
hooks-resend = Post again

nav-settings = Settings
settings-words = Version { $value } of the settings. Every key that has a value stands here, those without a page of their own too; they are changed on their page, or with relais apply.
settings-more = The first { $shown } keys; search for others.
settings-empty = Nothing is set yet.
settings-object = Of
settings-key = Key
settings-value = Value
settings-name = Short name
settings-about = About { $value }
settings-display-name = Display name
settings-postmaster = Postmaster
settings-postmaster-hint = Gets alerts, and notices that have no mailbox.
settings-language = Language
settings-language-hint = Of notices and of alerts by mail.
settings-done = { $value } is changed.

nav-organisations = Organisations
organisations-empty = There is no organisation yet: no mail is taken until there is one.
organisations-add = A new organisation
organisations-make = Create
organisations-name-hint = a-z, 0-9 and hyphen; it stays as it is.
organisations-done = { $value } is there. Its first domain comes next.
