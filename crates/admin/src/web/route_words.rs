//! What is to be done on a provider's side, as numbered tasks, with the lines of PowerShell where
//! Microsoft 365 is the way out. What is known of this server stands in them already.

use super::ask::Centre;
use crate::lang::Lang;

/// The provider's side.
pub(super) struct Tasks {
    pub(super) steps: Vec<String>,
    /// Empty: none.
    pub(super) powershell: String,
}

/// Of one way out, by its name.
pub(super) fn tasks(centre: &Centre, lang: Lang, way: &str) -> Tasks {
    let site = &centre.context.site;
    let egress: Vec<_> = site.egress().map(|one| one.to_string()).collect();
    let addresses = match egress.as_slice() {
        [] => "OUR-EGRESS-ADDRESS".to_owned(),
        known => known.join(","),
    };
    let keys: &[&str] = match way {
        "microsoft-365-certificate" => &[
            "task-365-mx",
            "task-365-certificate",
            "task-365-connector",
            "task-spf-365",
        ],
        "microsoft-365-address" => &["task-365-mx", "task-365-connector", "task-spf-365"],
        "microsoft-365-oauth" => &[
            "task-365-application",
            "task-365-permission",
            "task-365-mailbox",
        ],
        "google-relay" => &[
            "task-google-relay",
            "task-google-address",
            "task-spf-google",
        ],
        "amazon-ses" => &["task-ses-domain", "task-ses-user", "task-ses-region"],
        "smtp2go" => &["task-smtp2go-domain", "task-smtp2go-user"],
        _ => &["task-plain"],
    };
    let host = site.hostname.as_str();
    let known = [("host", host), ("addresses", addresses.as_str())];
    let words = |key: &&str| lang.fill(key, &known);
    let named =
        "New-InboundConnector -Name \"Relais\" -ConnectorType OnPremises -SenderDomains \"*\"";
    let powershell = match way {
        "microsoft-365-certificate" => format!(
            "Connect-ExchangeOnline\n{named} -RequireTls $true -TlsSenderCertificateName \"{host}\""
        ),
        "microsoft-365-address" => {
            format!("Connect-ExchangeOnline\n{named} -SenderIPAddresses {addresses}")
        }
        "microsoft-365-oauth" => "Connect-ExchangeOnline\n\
             New-ServicePrincipal -AppId APPLICATION-ID -ObjectId OBJECT-ID\n\
             Add-MailboxPermission -Identity MAILBOX -User OBJECT-ID -AccessRights FullAccess\n\
             Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false"
            .to_owned(),
        _ => String::new(),
    };
    Tasks {
        steps: keys.iter().map(words).collect(),
        powershell,
    }
}
/// A step of a walk to a smart host, in words with the protocol's own beside them.
pub(super) fn step(lang: Lang, step: &str) -> String {
    let key = match step {
        "tcp" => "walk-tcp",
        "tls" => "walk-tls",
        "ehlo" => "walk-ehlo",
        "auth" => "walk-auth",
        "mail" => "walk-mail",
        "rcpt" => "walk-rcpt",
        "rset" => "walk-rset",
        _ => return step.to_owned(),
    };
    lang.t(key)
}
