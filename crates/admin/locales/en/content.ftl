# Content checks of an inbound connector.
form-content = Content checks
form-content-checks = Who is asked
form-content-checks-hint = Names of content checkers of relais.toml, one after the other, as “rspamd antivirus”; empty: nobody.
form-content-fault = If one does not answer
form-content-fault-refuse = The message is refused for now (451); the device must send again
form-content-fault-pass = The message is taken unchecked
form-content-finding = If one says no
form-content-refuse = The message is refused (550)
form-content-hold = The message is taken, and waits for a person
form-content-extensions = Attachments that do not pass, by ending
form-content-types = Attachments that do not pass, by declared type
form-content-types-hint = As “exe js” and “application/x-msdownload video/*”; empty: all pass.
form-word-wrong = “{ $value }” must be one word
settings-content = What strangers send to { $value }
settings-content-words = Content checks of mail that comes in for your domains. What your devices and applications send is checked by their inbound connectors.
