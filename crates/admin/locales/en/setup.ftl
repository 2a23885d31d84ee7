# The first steps, in English. Each key stands in ../fr too, at the same place.

setup-steps = First steps
setup-is-done = done
setup-later = Saved as you go. You can change this later.
setup-leave-now = Leave now, go on from Home
setup-next = Next
setup-save = Save
setup-skip = Skip for now
setup-finish = Finish
setup-minutes =
    { $count ->
        [one] about a minute
       *[other] about { $shown } minutes
    }
setup-you = You
setup-checks = Checks
setup-domain = Your domain
setup-leave = How mail leaves
setup-senders = Who may send
setup-prove = Prove it
setup-done = It works
setup-organisation = What your organisation is called
setup-postmaster = Whom Relais writes to
setup-postmaster-hint = An address of a person: gets alerts, and notices of devices that have no mailbox.
setup-language = Language of these messages
setup-hostname = Name that this server announces
setup-hostname-hint = Other servers expect the name that DNS gives its address. It stands in relais.toml:
setup-times = Time zone of these pages
account-zone = Time zone
setup-checks-running = Looking at everything; this takes up to 15 seconds.
setup-checks-so-far =
    { $count ->
        [one] One check is in.
       *[other] { $shown } checks are in.
    }
setup-checks-reload = Show what came in since
setup-checks-words = You need not wait, and nothing here has to be green to go on.
setup-domain-name = The domain that your mail comes from
setup-domain-hint = What stands behind the @ of your devices’ addresses. Any address of it may send then; it need not be a mailbox.
setup-verify-later = I will verify later
setup-unverified = Until the first record shows that the domain is yours, mail from it is refused. For a private name, on the server:
setup-record-advice = (advice)
setup-zone-file = As a zone file:
record-right = is there
record-absent = not there yet
record-differs = differs
record-unknown = not known
setup-leave-which = Mail leaves
setup-leave-recommended = fits your domain
setup-leave-elsewhere = needs a sign-in or a certificate: Outbound connectors
setup-smart-host = Smart host, if not the proposed one
setup-smart-host-hint = Name and port, such as smtp.contoso.com:587. Empty: the proposed one.
setup-user = User name, if it asks for one
setup-password = Password
setup-leave-test = Try it
setup-leave-made = Mail leaves by
setup-leave-test-words = The test talks to it as far as the recipient, and sends nothing.
setup-leave-test-button = Test now
setup-transcript = What was said
setup-networks = Networks of this server
setup-no-networks = None could be found.
setup-network-add = May send:
setup-more = Other addresses or networks
setup-more-hint = Addresses of printers, applications, or whole networks, apart by spaces.
setup-wait = Or wait for a device
setup-wait-words = Set its SMTP server to this server and press Scan: it is refused, appears here, and one click lets it in.
setup-prove-unverified = Nothing can be sent yet: the domain is not verified.
setup-prove-to = Send a test to
setup-prove-hint = An address outside, whose mailbox you can open.
setup-prove-send = Send
setup-prove-again = Send another test
setup-prove-story = What happens to it
setup-prove-waiting = On its way …
setup-prove-trace = In the message trace:
setup-prove-delivered = The other server accepted it.
setup-prove-arrived = Look into the mailbox: inbox, junk, or nothing? If it is in junk, the records of your domain and the checks say why.
setup-done-words = Devices send to this server:
setup-done-card = Set up a device
setup-done-card-words = what to type into it
setup-done-devices = See who asks to send
setup-done-devices-words = and let them in with a click
setup-done-alerts = Alerts
setup-done-alerts-words = whom Relais writes to
