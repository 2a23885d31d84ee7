# The device card, its page, and the page that its code leads to, in English. Each key stands in
# ../fr too, at the same place.

card-of = Device card of { $value }
card-button = Device card
card-show = Show
card-add-code = Add a code to the test page, valid for 7 days
card-code-words = The code leads to a page that shows, without a login, what all devices of this connector say, senders and recipients included. It begins with when it is opened. Whoever has the card can read it for 7 days; give the address of one device to keep the others out.
card-code-of = The code leads to a page that shows, without signing in, what { $value } says, senders and recipients included, and nothing of other devices, from when it is opened on. Whoever has the card can read it for 7 days.
card-any-maker = Any maker
card-ask-maker = Maker
card-ask-language = Language of the card
card-ask-server = Server name
card-ask-ip = Its IP address
card-ask-port = Port
card-ask-user = User
card-ask-sender = Sender
card-ask-site = Site
card-ask-contact = Questions to
card-ask-device = Address of the device (for the code)
card-source = Labels of { $models }; source: { $source } ({ $day }). Other fields have general terms.
card-host-long = The server’s name has more than { $count } characters: hard to type on a panel.
card-host-too-long = The server’s name has more than { $count } characters: many devices cannot take it. Use the IP address or a shorter name.
card-no-ip = Give the server’s IP address too: some devices have no DNS.
card-field-short = A field of this device takes { $count } characters only: one of the values is longer.

card-title = Scan to e-mail
card-edition = Card v{ $version } · { $day } · questions: { $contact }
card-server = SMTP server
card-port = Port
card-encryption = Encryption (TLS/SSL)
card-authentication = SMTP authentication
card-user = User name
card-password = Password
card-sender = Sender address (From)
card-size = Largest message
card-pop = POP before SMTP
card-on = on
card-off = off
card-separately = given separately
card-or-ip = { $server } (or { $ip })
card-also = Also set: DNS server, gateway, date and time (certificates need them).
card-leave = Leave as it is: splitting of messages (off), server certificate check (as delivered).
card-reach-says = “Connection failed”, “server not found”
card-reach-means = The device did not reach the server.
card-reach-do = Check DNS, gateway and port, or type the IP address.
card-login-says = “Authentication failed”
card-login-means = User or password are wrong, or the device signs in before it encrypts.
card-login-do = Type both anew; switch encryption on.
card-refused-says = “Rejected”, or a code like 550
card-refused-means = The server was reached and says why.
card-refused-do = Write down the letters and digits in parentheses: they are the reference.

waiting-now = Waiting for your device. Press Scan now.
waiting-since = Shown here: what comes since
waiting-over = This code leads nowhere any more. Ask for a new card.
