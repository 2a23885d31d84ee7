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
setup-domain-other = Another domain
setup-domain-other-hint = It takes the place of
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
setup-wait-nobody = Nobody has knocked in the last 24 hours.
setup-prove-unverified = Nothing can be sent yet: the domain is not verified.
setup-prove-to = Send a test to
setup-prove-hint = An address outside, whose mailbox you can open.
setup-prove-send = Send
setup-prove-again = Send another test
setup-prove-story = What happens to it
setup-prove-waiting = On its way …
setup-prove-trace = In the message trace:
setup-prove-delivered = The other server accepted it.
setup-prove-arrived = Look into the mailbox. Where is it?
arrived-inbox = In the inbox: finish
arrived-junk = In junk
arrived-nothing = Nowhere
arrived-nothing-words = Wait a few minutes, and look into the quarantine too. The other server took it, so it knows what became of it: give whoever runs it the last line of the conversation above.
arrived-paste = Header fields of the message
arrived-paste-hint = In Outlook: View message details; in Gmail: Show original. Paste all of it. It is read on this server and not kept.
arrived-explain = Explain
arrived-unread = There is no Authentication-Results in it: paste all header fields, as the receiver shows them.
arrived-all-good = The records are right, so it is the sender’s reputation or the content: a new server needs some days of ordinary mail. Mark it as not junk.
arrived-spf-pass = This server may send for the domain.
arrived-spf-fail = The domain’s SPF record does not name this server: add it as step 3 says.
arrived-dkim-pass = The signature is right.
arrived-dkim-fail = No signature that holds: publish the DKIM record of step 3, and wait until it is there.
arrived-dmarc-pass = The sender that readers see is proved.
arrived-dmarc-fail = Neither SPF nor DKIM proves the domain that readers see: mend the DKIM record first.
setup-done-words = Devices send to this server:
setup-done-card = Print a device card
setup-done-card-words = what to type into the printer
setup-done-import = Take over from the old relay
setup-done-import-words = from Exchange, IIS, Postfix or a list of devices
setup-done-devices = See who asks to send
setup-done-devices-words = and let them in with a click
setup-done-alerts = Set the alert address
setup-done-alerts-words = whom Relais writes to
