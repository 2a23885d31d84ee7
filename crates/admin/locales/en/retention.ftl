# Retention and privacy. Each key stands in ../fr too, at the same place.

nav-retention = Retention & privacy
retention-whose = Of
retention-subjects = Subjects
retention-content = Content after delivery
retention-kept = Kept now
retention-most = of { $value } at most; then the oldest goes
retention-empty = There is no organisation yet. What is kept of its mail is said here once there is one.
retention-trace-words =
    { $count ->
        [one] Trace: who wrote to whom and what became of it is kept for one day. It answers most questions about mail that did not arrive; by default 90 days.
       *[other] Trace: who wrote to whom and what became of it is kept for { $shown } days. It answers most questions about mail that did not arrive; by default 90 days.
    }
retention-dialogue-words =
    { $count ->
        [0] Conversations with devices and next hops are not kept.
        [one] Conversations with devices and next hops, without passwords and content, are kept for one day. They are for setting devices up; by default 7 days.
       *[other] Conversations with devices and next hops, without passwords and content, are kept for { $shown } days. They are for setting devices up; by default 7 days.
    }
retention-content-words =
    { $count ->
        [0] Content: a message goes when its last recipient is done, unless an organisation or a connector says otherwise below. That is the default: what is not kept cannot leak.
        [one] Content: a message is kept for one day after its last recipient is done, unless an organisation or a connector says otherwise below. By default it is not kept.
       *[other] Content: a message is kept for { $shown } days after its last recipient is done, unless an organisation or a connector says otherwise below. By default it is not kept.
    }
retention-where = These days are the same for all; they stand under [retention] in relais.toml on the server, and count from its next start on.
retention-shown = written down
retention-masked = masked
retention-inherited = as the organisation
retention-not-kept = not kept
retention-nothing = nothing
retention-days =
    { $count ->
        [one] one day
       *[other] { $shown } days
    }
retention-messages =
    { $count ->
        [one] one message
       *[other] { $shown } messages
    }
retention-of = Mail of { $value }
retention-subjects-hint = Masked: *** stands for the subject in queue, trace, exports, API, webhooks and logs, for everybody. It counts for mail that comes from now on; the message itself is not changed.
retention-content-days = Days that content is kept
retention-content-days-hint = 0 to 366 after the last outcome; empty: as the server says. Whoever may read content can then open the message from the trace, and each look is in the audit log. When the disk runs short, the oldest goes first.
retention-of-connector = One connector of { $value }
retention-of-connector-words = For a device whose mail is more delicate, or has to be kept longer. Both fields are set; what is left empty is as the organisation says.
retention-as-organisation = as the organisation
retention-connector-days-hint = 0 to 366; empty: as the organisation says.
retention-days-wrong = { $value } is no number of days from 0 to 366.

retention-view-days = What is kept
retention-view-holds = Legal holds
hold-title = Legal holds
hold-words = While a legal hold stands, no day of the trace and of conversations is removed, of anybody, because they go by whole days. Kept content that it covers stays beyond its days and when the disk runs short, and an address whose mail it covers is not erased. It keeps nothing that would not have been kept: content is kept where its days are more than 0.
hold-none = No legal hold stands. Everything goes when its days are over.
hold-what = What
hold-why = Why
hold-by = Placed by
hold-since = Since
hold-until = Until
hold-on-address = Mail from or to { $value }
hold-on-connector = Mail by the connector { $value }
hold-of-all = All organisations
hold-for-good = until it is released
hold-release = Release
hold-release-question = Release the legal hold: { $value }?
hold-release-words = What it covers goes within the hour if its days are over and no other hold stands.
hold-place = Place the hold
hold-place-title = Place a legal hold
hold-place-words = On an address or on a connector: fill in one of the two. It counts at once, and is in the audit log.
hold-address = Address
hold-address-hint = One whole address, as anna@contoso.com: mail from or to it.
hold-organisation-hint = For an address: only the mail of this organisation.
hold-connector = Inbound connector
hold-no-connector = none
hold-reason = Reason
hold-end = Ends by itself
hold-end-hint = 90d, or a day such as 2027-03-31; empty: when somebody releases it.
hold-done-placed = The legal hold stands: { $value }.
hold-done-released = The legal hold is released: { $value }.

erase-title = Erase an address
erase-words = Takes an address out of the trace, of conversations and of kept content, when a person asks for it. Mail that still waits is not touched and is delivered; nor are settings, the directory, suppressed recipients and the audit log. Backups keep it until they are deleted.
erase-address = Address
erase-address-hint = One whole address, as anna@contoso.com. Whatever its case, wherever it stands.
erase-everywhere = All organisations
erase-button = Erase
erase-wrong = Write one whole address, as anna@contoso.com.
erase-question = Erase { $value } from what is kept of mail?
erase-events =
    { $count ->
        [0] no event of the trace
        [one] one event of the trace
       *[other] { $shown } events of the trace
    }
erase-conversations =
    { $count ->
        [0] no conversation
        [one] one conversation
       *[other] { $shown } conversations
    }
erase-contents =
    { $count ->
        [0] no kept message
        [one] one kept message
       *[other] { $shown } kept messages
    }
erase-more = There is more: repeat it afterwards.
erase-unread = These days of the trace cannot be read, and keep it: { $value }.
erase-unread-conversations = Conversations of these days cannot be read, and keep it: { $value }.
erase-unwritten = Events that wait because the trace cannot be written may have it: { $value }. Repeat it when that is mended.
erase-for-good = In its place stands erased@erased.invalid. This cannot be taken back, and nobody finds these messages by the address any more.
erase-typed = Type the address once more
erase-typed-wrong = That is another address. Nothing was erased.
erase-done = Erased: { $value }.

content-title = Content
content-of = Content of { $value }
content-kept = It is kept until { $value }.
content-audited = Each look is written into the audit log.
content-show = Show the message
content-download = Download as .eml
content-cut = It goes on; the file has all of it.

report-schedules = Reports by e-mail
report-schedules-words = They are sent at 6:00 UTC through the relay's own queue, as text with each table as a CSV file. One that was missed while the server was off is made up once.
report-none = No report is sent by e-mail yet. Choose below which ones go to whom.
report-which = Reports
report-every = When
report-every-day = every day
report-every-week = every Monday
report-every-month = on the first of each month
report-to = To
report-to-hint = Up to 20 addresses, with commas or line breaks between.
report-next = Next
report-sent = Sent last
report-never = not yet
report-send = Send now
report-remove = Remove
report-remove-question = Send no more reports to { $value }?
report-add = Send reports
report-add-button = Add
report-done-add = Reports go to { $value } from now on.
report-done-send = It is sent to { $value } within seconds.
report-done-remove = No more reports go to { $value }.
report-mail-day = { $place }: report of the day, { $day }
report-mail-week = { $place }: report of the week, { $day }
report-mail-month = { $place }: report of the month, { $day }
report-mail-end = Relais on { $value } sends this by itself. Who runs it takes you off under Reports, Reports by e-mail.

nav-settings-file = Import / export
file-words = The settings as one file: organisations, domains, connectors, credentials, directory. Passwords stand in it as hashes, secrets of outbound connectors not at all. It is the file of relais export and relais apply.
file-export = Download settings.toml
file-export-words = The settings are at version { $value }.
file-import = Import a settings file
file-import-words = First you see what it would change. Then all of it is changed at once, or nothing. What the file does not name stays.
file-file = File
file-file-hint = What another Relais exported, or a part of it with [[organisation]] and its name.
file-text = Or its contents
file-text-hint = Pasted here instead of choosing a file.
file-prune = Remove what the file does not name
file-prune-hint = Then the settings are exactly the file.
file-look = Show what would change
file-apply = Change the settings
file-would-change =
    { $count ->
        [0] Nothing would change.
        [one] One object would change.
       *[other] { $shown } objects would change.
    }
file-default = (default)
file-wrong = The file cannot be read: { $value }
file-none = Choose a file, or paste its contents.
file-both = A file is chosen and contents are pasted: send one of them.
file-done = Done. The settings are at version { $value }.

import-title = Take over from the relay before
import-words = First you see what would be added and what works in another way here. Then all of it is added at once, disabled: nothing sends or is sent by it until you enable it. What is here already stays as it is. Passwords are never taken over.
import-view-file = Settings file
import-source = The relay before
import-exchange = Exchange Server
import-online = Exchange Online
import-postfix = Postfix
import-iis = IIS SMTP
import-csv = List of devices
import-exchange-words = In the Exchange Management Shell of the old server. It writes a file with its connectors and accepted domains.
import-online-words = In Exchange Online PowerShell, after Connect-ExchangeOnline. It writes a file with connectors and accepted domains.
import-postfix-words = On the old server, as root. It writes a file with what is set and with the maps that are there, without passwords.
import-iis-words = On the old server, as administrator. It copies the settings of IIS.
import-csv-words = A list with these columns, saved as CSV from a spreadsheet: name and address are needed, the others may be empty.
import-there = On the old side
import-here = Here
import-copy = Copy
import-copied = Copied
import-file = The file
import-text = Or its contents
import-text-hint = Pasted here instead of choosing a file; 4 MB at most. Tables beside a main.cf are read in the terminal by relais import.
import-look = Show what would be added
import-review = What would be added
import-would-add =
    { $count ->
        [0] There is nothing to add.
        [one] One object would be added, disabled.
       *[other] { $shown } objects would be added, all disabled.
    }
import-created = Added, disabled ({ $shown })
import-changed = Works in another way here ({ $shown })
import-unsupported = Not taken over ({ $shown })
import-dangerous = Dangerous as it was ({ $shown })
import-proposal = Add it
import-proposal-open = As a settings file
import-add = Add all, disabled
import-done = Added. The settings are at version { $value }; look through the connectors, and enable what is right.
import-from = Import from Exchange, IIS or Postfix
import-from-words = its connectors, added disabled
import-begin-device-words = step by step, with a test
