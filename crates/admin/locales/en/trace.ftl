# Message trace, and the story of one message.

search-failed-today = Failed today
search-waiting = Waiting now
search-refused = Refused by us
search-slow = Slow (over 5 minutes)
search-legacy-tls = Legacy TLS
search-biggest = Biggest senders
filter-until = Until
since-hint = 90s, 30m, 24h, 7d, today, a day such as 2026-11-24, or a time such as 2026-11-24T10:00:00Z
trace-add = Token
trace-value = Value of the token
trace-add-button = Add
trace-built-in = Predefined searches
trace-ranges = Range
trace-terms = Tokens of this search
trace-remove = remove
trace-live-on = Live view
trace-live-off = End live view
trace-live-starts = Listening…
trace-live-new = # new since this page was opened
trace-live-lost = The connection is lost; trying again.
trace-live-pause = Pause
trace-live-script = Live view needs JavaScript. Reload the page to see what is new.
trace-newest = To the newest
trace-not-yet = Nothing found so far. What is rare is looked for a part at a time: go on with “Older”.
trace-not-all = There may be more further back.
trace-saved = Saved searches
trace-saved-none = None yet. A saved search keeps its relative range.
trace-save-as = Save this search as
trace-save = Save
trace-forget = Delete
trace-columns = Columns and time zone
trace-zone = Time zone, of what is shown and of days in the search
trace-columns-keep = Show these
as-api = As API call:
column-next-hop = Next hop
column-answer = Reply
column-duration = Duration
story-only-queued = The trace of this message is gone; it is still in the queue.
story-all-delivered =
    { $count ->
        [one] Delivered.
       *[other] Delivered to all { $shown } recipients.
    }
story-partly = Delivered to { $delivered } of { $all } recipients.
story-recipients = Recipients
story-delivered-means = “Delivered” means that the next server accepted it. What happens in the mailbox is beyond our sight.
story-said = SMTP conversations
story-said-none = Nothing is kept of it. Conversations are kept for some days, without secrets and content, and only in part when there are very many.
story-with-client = With the client { $value }
story-with-hop = With the next hop { $value }
story-related = Related
story-same-client = Same client, 10 minutes before and after
story-same-sender = Same sender
story-same-subject = Same subject
story-same-reason = Refused for the same reason
story-support = Text for support
story-support-hint = No content and no secrets; to be copied into a mail or a ticket.
fact-header-from = From in the header
fact-envelope-sender = Sender before and after
fact-certificate = Certificate
fact-tls-in = TLS with the client
fact-tls-out = TLS with the next hop
fact-repairs = Repairs
fact-signed-by = DKIM signatures
fact-noted = Noted at acceptance
fact-settings = Version of the settings
fact-expires = This record is kept until

resend-label = Send it to another address too
resend-button = Send
resend-done = It is on its way to { $value }: this is the new message.
alert-from = Alert me of such messages
