# Limits, in English. Each key stands in ../fr too.

nav-limits = Limits
limits-words = A soft limit takes everything in and lets it leave at its pace. A hard one refuses, and says until when. Windows slide: an hour is the last 60 minutes, a day the last 24 hours.
limits-empty = Nobody has a limit. See what limits could be, by what was sent.
limits-owner = Of
limits-limit = Limit
limits-used = Used
limits-waiting = Waiting
limits-kind = Kind
limits-hard = hard
limits-soft = soft
limits-forecast = At this pace
limits-reached = reached: { $value }
limits-at-this-pace = { $value } in a window
limits-of-organisation = the organisation
limits-of-connector = connector { $value }
limits-of-device = device { $value }
limits-of-each-device = each device of { $value }
limits-of-credential = credential { $value }
limits-of-domain = domain { $value }
limits-of-sender = sender { $value }
limits-of-each-sender = each sender
limits-messages-per-minute = messages a minute
limits-recipients-per-hour = recipients an hour
limits-external-recipients-per-hour = external recipients an hour
limits-recipients-per-day = recipients a day
limits-new-recipients-per-day = new recipients a day
limits-proposals = Proposed limits
limits-proposals-words = Twice the most that any window of the last 30 days held: a busy day passes, a hijacked device does not. Nothing is set by itself.
limits-proposals-empty = Nothing was sent in the last 30 days: there is nothing to learn from.
limits-learnt = { $count ->
    [one] Learnt from one message.
   *[other] Learnt from { $shown } messages.
}
limits-organisation = Organisation
limits-peak = Peak
limits-current = Now
limits-proposed = Proposed
limits-none = none
