# Administrators and roles. Each key stands in ../fr too, at the same place.

nav-people = Administrators & roles
people-empty = Nobody may sign in yet. On the server:
people-second = There is one owner. A second one helps when the first is away or has lost their password.
people-column-role = Role
people-column-reach = Sees
people-column-since = Since
people-all = the whole installation
people-you = you
people-add = Add somebody
people-add-button = Add
people-role = Role
people-organisation = Organisation
people-organisation-hint = Only this organisation is seen. Empty: all of them, and the server.
people-connector = Inbound connector
people-connector-hint = For an installer: whose device cards.
people-change = Change { $value }
people-change-button = Change role
people-reset-button = New password
people-remove-button = Remove
people-remove-question = Remove { $value }? They are signed out at once and cannot come back.
people-reset-question = Give { $value } a new password? They are signed out everywhere.
people-confirm = Confirm
people-cancel = Cancel
people-secret = The password of { $value }, shown this once:
people-secret-hint = Hand it over by another way than mail. They change it under their name, top right.
people-done-role = The role of { $value } is changed; they are signed out and sign in again.
people-done-remove = { $value } is removed.
people-last-owner = The last owner of the installation cannot be removed or given another role. Make another owner first.
people-place = There is no such organisation or connector. An installer needs both.
role-owner = Owner
role-owner-words = everything, people included
role-operator = Operator
role-operator-words = mail and all its settings, not people
role-helpdesk = Helpdesk
role-helpdesk-words = finds mail, sees no subject and changes nothing
role-auditor = Auditor
role-auditor-words = reads everything, the audit log included, and changes nothing
role-installer = Installer
role-installer-words = the device cards of one connector
people-roles = What the roles may do

account-factor = Second factor
account-factor-on = A code of your telephone is asked for beside the password.
account-factor-must = A second factor is demanded here. Set one up below to go on.
account-factor-off = The password alone lets you in. With a second factor a stolen password is not enough.
account-factor-begin = Set up a second factor
account-factor-anew = Set up a new one
account-factor-remove = Remove the second factor
account-codes-left =
    { $count ->
        [one] One recovery code is left.
       *[other] { $shown } recovery codes are left.
    }
account-done-factor-off = The second factor is removed.
account-done-sessions = That session is ended.
account-sessions = Where you are signed in
account-browser = Browser
account-from = From
account-began = Signed in
account-seen = Seen last
account-here = here
account-end = Sign out
account-end-all = Sign out everywhere
factor-title = Second factor
factor-words = Open an authenticator app on your telephone, add an account, and point the camera at this picture.
factor-picture = A QR code that the app reads
factor-typed = No camera? Type this key into the app:
factor-code = Code of the app
factor-button = Confirm
factor-wrong = This code is not valid now. Wait for the next one, and check the clock of the telephone.
factor-late = That took too long. Begin again.
factor-recovery = Six digits, or one of your recovery codes.
factor-lost = Telephone and codes lost? On the server:
factor-codes-title = Recovery codes
factor-codes-words = Each of these lets you in once without the telephone. They are shown this once: print them, and keep them where nobody else looks.
account-factor-passkey = A passkey is asked for beside the password. Codes of a telephone can stand beside it.
account-passkeys = Passkeys
account-passkeys-words = A passkey lets you in without a password: your telephone, your computer or a security key asks for your finger, your face or its PIN. It counts as both factors, and no false page can get hold of it.
account-done-passkey = The passkey is added. The sign-in page offers it from now on.
account-done-passkey-removed = The passkey is removed. Remove it from your device too.
passkey-title = New passkey
passkey-words = Press the button, and your browser asks which device keeps the passkey.
passkey-name = Name:
passkey-button = Create the passkey
passkey-known = This device has a passkey for this account already.
passkey-ended = The browser ended it: it was cancelled, took too long, no passkey for this name was found, or the certificate of this page is not trusted.
passkey-without = This browser has no passkeys here. Use a code of your telephone instead.
passkey-script = Passkeys need JavaScript, which is off in this browser. Codes of a telephone work without it.
passkey-sign-in = Sign in with a passkey
passkey-now = The password is right. Show one of your passkeys now.
passkey-lost = Passkeys lost? On the server:
passkey-column-name = Name of the passkey
passkey-column-place = Shown at
passkey-column-since = Added
passkey-column-used = Used last
passkey-which = Which one
passkey-remove-one = Remove a passkey
passkey-remove = Remove this passkey
passkey-add = Add a passkey
passkey-name-example = So that you know it again: “Telephone”, “Key in the safe”.
passkey-name-hint =
    { $count ->
       *[other] A passkey has a name of 1 to { $shown } characters.
    }
passkeys-full =
    { $count ->
       *[other] There are { $shown } passkeys already. Remove one first.
    }
passkey-refused = This passkey does not count: it is not known here, was made for another name, or its device was copied. Sign in with your password; which of them it was stands in the message trace, as SIGN-IN.
passkeys-need-name = Passkeys need a name: this page was opened by an IP address, and a passkey belongs to a name such as relay.example.com.
passkeys-need-tls = Passkeys need https: this page was opened without encryption, and browsers offer no passkeys there.
people-sessions = Who is signed in
people-acts = Actions
people-done-sign-out = That session of { $value } is ended.
people-factor = Second factor
people-factor-on = on
people-reset-factor = Forget the second factor and the passkeys too: telephone, recovery codes or keys are lost

nav-sso = Single sign-on
sso-empty = Local sign-in only. With an issuer such as Microsoft Entra people use the account that they have, and whoever leaves the organisation loses access here too.
sso-in-force = In force
sso-issuer = Issuer
sso-issuer-hint = For Entra: https://login.microsoftonline.com/TENANT-ID/v2.0
sso-client = Client ID
sso-secret = Client secret
sso-secret-hint = Empty: the one that is kept stays.
sso-redirect = Redirect URI
sso-redirect-words = Register this redirect URI (kind: web) with the issuer, exactly:
sso-claim = Claim that gives the role
sso-centre = Address of this admin centre
sso-meanings = What its values mean here
sso-meanings-hint = One a line: value = role, organisation, connector. Without an organisation all are seen. The first line that fits counts; whoever fits none is not let in.
sso-draft = Set up
sso-save-draft = Keep as draft
sso-try = Try the draft
sso-try-button = Sign in to try it
sso-untried = Sign in with the issuer once before the draft can come into force. A try changes nothing.
sso-tried = The try succeeded.
sso-adopt = Put into force
sso-remove = Remove
sso-break-glass = Local accounts stay valid: keep one owner with a long password in a safe, for the day on which the issuer does not answer.
sso-done-adopted = People sign in with the issuer from now on.
sso-done-removed = Only local accounts count now. Whoever came in by the issuer is signed out.
sso-sign-in = Sign in with your organisation’s account
sso-back-title = Signing in
sso-go-on = Go on
sso-other-browser = This sign-in was not begun in this browser, or too long ago. Begin again.
sso-no-code = The issuer did not let you in. { $value }
sso-incomplete = Fill in every field, with at least one line of roles.
sso-not-https = Issuer and admin centre must be reached by https.
sso-no-local-owner = Make a local owner of the installation first.
sso-no-role = { $value } is known to the issuer, but has no role here. Ask an owner.
sso-failed = That did not work: { $value }
signed-out-title = Signed out
signed-out-here = You are signed out here.
signed-out-there = The issuer still knows this browser, and would let you in without asking. On a shared computer sign out there too; other programs that use that account end with it.
signed-out-leave = Sign out at the issuer too
signed-out-again = Sign in again
account-region = Language and region
account-language = Language of the pages
account-done-region = Language and time zone are kept under your name.
you-factor = Your own sign-in can have a second factor:
you-factor-link = a passkey or a code of your telephone
sign-in-ended =
    { $count ->
       *[other] Your session has ended: it ends after { $shown } minutes without a click, and when it is ended elsewhere. Sign in to go on.
    }
people-unknown = There is no administrator of that name any more.
people-too-many =
    { $count ->
       *[other] There are { $shown } administrators already. Remove one first.
    }
