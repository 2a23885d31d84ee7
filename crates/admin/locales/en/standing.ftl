# How things stand and what is stopped: suspended mail, ways out, keys, certificates, what is
# ignored. Each key stands in ../fr too, at the same place.

queue-suspended =
    { $count ->
        [0] Suspended
       *[other] Suspended ({ $shown })
    }
queue-is-suspended = suspended
suspended-title = Suspended delivery
suspended-words = Suspended mail is accepted and waits; none of it is sent. It expires all the same: resume delivery in time.
suspended-empty = Nothing is suspended.
suspended-what = Suspended
suspended-all = all mail
suspended-to = mail to { $value }
suspended-of = mail of { $value }
suspended-of-to = mail of { $organisation } to { $destination }
suspended-until = Until
suspended-until-hint = 2h, 7d, a day or a time. Empty: until somebody resumes it.
suspended-until-resumed = until resumed
suspended-add = Suspend delivery
suspended-destination-hint = A domain, such as example.com, or an address in brackets, such as [192.0.2.1]. Empty: all destinations.
suspended-suspend = Suspend
suspended-resume = Resume
suspended-question = Suspend delivery: { $value }?
suspended-question-resume = Resume delivery: { $value }?
suspended-count =
    { $count ->
        [0] None of it waits now.
        [one] One message of it waits now.
       *[other] { $shown } messages of it wait now.
    }
suspended-done-suspend = Delivery is suspended: { $value }.
suspended-done-resume = Delivery is resumed: { $value }.

ignored-title = Ignored attempts
ignored-words = Refused attempts that somebody chose not to see. They are refused all the same; with another reason the address is shown again.
ignored-empty = Nothing is ignored.
ignored-for-good = until shown again
ignored-show = Show again
ignored-link =
    { $count ->
        [one] One group is ignored
       *[other] { $shown } groups are ignored
    }
ignored-done = Attempts of { $value } are shown again.

home-flowing = Everything is flowing.
home-today =
    { $count ->
        [0] No message yet today.
        [one] One message today.
       *[other] { $shown } messages today.
    }
home-end = Next to expire: { $what }, { $when } ({ $time }).
home-end-certificate = the certificate of { $value }
home-end-client = the client certificate { $value }
home-end-login = the sign-in of { $value }

standing-title = How it stands
standing-sign-in = Sign-in
standing-no-sign-in = none needed
standing-password = user and password
standing-oauth = OAuth
standing-certificate = certificate
standing-token = token valid until { $value }, renewed by itself
standing-ends-secret = the client secret ends { $value }
standing-ends-certificate = the certificate ends { $value }
standing-ends-sign-in = the sign-in ends { $value }
standing-limits = Limits
standing-no-limits = no limits
standing-per-minute = Messages in the last minute: { $used } of { $value }
standing-per-minute-most = Messages a minute: { $value } at most
standing-per-day = Recipients in 24 hours: { $used } of { $value }
standing-connections = Connections at a time: { $value } at most
standing-per-transaction = Recipients of one transaction: { $value } at most
standing-error = Last error
standing-no-error = none in 7 days
standing-failed = A delivery failed for good.
standing-deferred = A delivery did not succeed yet; it is tried again.
standing-days = The last 30 days
standing-day = Day
standing-days-none = No mail has left by it in 30 days.
standing-days-finding = Delivered { $delivered }, waiting { $deferred }, failed { $failed } in 30 days.

keys-title = DKIM keys
keys-no-users = none
keys-nothing = There is no key yet.
keys-waiting = waiting
keys-waiting-words = Publish its record, below. The key signs by itself once DNS shows it.
keys-active = signing
keys-active-words = Mail is signed with it since { $value }. Leave its record in place.
keys-missing = missing in DNS
keys-missing-words = DNS does not show it since { $value }: receivers cannot check what it signs. Publish its record, below, again.
keys-retiring = being replaced
keys-retiring-words = It signs no more. Leave its record in place until { $value }, for mail that is still under way.
keys-retired = out of use
keys-retired-words = Its record can be removed.
keys-generate = Make the keys
keys-rotate = Change the keys
keys-rotate-question = Make new keys for { $value }? The present ones go on signing until DNS shows the new ones.
keys-look = Look for them in DNS now
keys-retire = Take out of use
keys-retire-question = Take the key { $value } out of use at once? Mail that it signed and that is still under way fails the check once its record is gone.
keys-done-generate = The keys are made. Publish the records below.
keys-done-rotate = New keys are made. Publish their records below: they take over by themselves.
keys-done-look = DNS was asked just now.
keys-done-retire = The key is out of use.

certificates-accounts = Accounts
certificates-title = Client certificates
certificates-words = Certificates that connectors name, and those that clients have shown since Relais started.
certificates-empty = No connector names a certificate, and no client has shown one since Relais started.
certificates-subject = Subject
certificates-expected = Named by the connector, not shown since the start
certificates-no-connector = none
listeners-title = Listeners & certificates
listeners-words = What each listener with encryption shows. A file that changes takes effect by itself.
listeners-empty = No listener has encryption.
listeners-listener = Listener
listeners-source = Comes from
listeners-file = a file
listeners-acme = ACME, renewed by itself
listeners-own = made by Relais
listeners-none = none can be loaded
