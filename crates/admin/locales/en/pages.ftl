# Ways to look at lists, and what is done to them. Each key stands in ../fr too, at the same place.

views = Ways to look at this
time-ago = { $value } ago
time-ahead = in { $value }

queue-messages = Messages
queue-by-destination = By destination
queue-by-reason = By reason
queue-why = Why they wait
queue-never-tried = Not tried yet
queue-oldest = Oldest
queue-expires = Given up
queue-recipients =
    { $count ->
        [one] one recipient
       *[other] { $shown } recipients
    }
queue-partly-read = There is more: these are the largest groups of the { $shown } oldest messages. A filter narrows it.

domains-used = Connectors
domains-add = Add a domain
domains-add-words = It counts once a record in its DNS shows that it is yours; the next page says which.
domains-add-button = Add
domains-added = It is added. Publish the first record below: it is looked for by itself.
domains-changed = It is changed.
domains-removed = { $value } is removed.
domains-subdomains = Its subdomains too
domains-edit = What { $value } does with mail to it
domains-edit-button = Change
domains-mailbox-host = Mailbox host
domains-mailbox-host-hint = Where mail for it goes, whoever sends: mail.contoso.com:25 or lmtp:mail.contoso.com:24. Empty: by the outbound connectors.
domains-bounce = Bounce domain
domains-bounce-hint = For signed envelope senders, such as bounce.contoso.com. Empty: senders stay as they are.
domains-remove-words = Mail from it is refused from then on, and mail to it is no longer taken from strangers. Mail that was accepted is still delivered.
domains-signing = DKIM
domains-signed = Mail of it is signed.
domains-unsigned = Mail of it is not signed.
domains-signing-missing = Mail of it is signed, but DNS does not show the key any more: receivers cannot check it.
domains-signing-waits = Mail of it is signed once DNS shows the key.

connector-reverted = The change is taken back.

devices-tags = Tags
devices-tags-hint = For searching, parted by commas: printer, lyon.
devices-owner = Looked after by
devices-place = Place
devices-note = Note
devices-write = Write
devices-maker = perhaps { $value }
devices-about = About { $value }
devices-about-words = What is written here is for people: it decides nothing about mail.
devices-written = What is written about { $value } is kept.

attempts-block-question = Block { $value }? It is refused at once, whatever it sends, until somebody releases it on the page Restricted.

home-login-ends = The sign-in of { $value } ends soon.
home-login-fault = The sign-in of { $value } fails.
