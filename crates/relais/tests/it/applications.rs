//! Applications as administrators set them up against an encrypted listener: PHPMailer with a
//! credential, msmtp with a certificate. Both verify who we are.
//!
//! A program that is not installed skips its test, and says so: `./ci` installs them all.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::authority::Wanted;
use crate::receiver::Receiver;
use crate::support::{is_installed, run};
use crate::tls::Encrypted;

/// Debian's libphp-phpmailer.
const PHPMAILER: &str = "/usr/share/php/libphp-phpmailer/autoload.php";

const PHP: &str = r#"<?php
require $argv[1];
use PHPMailer\PHPMailer\PHPMailer;
$mail = new PHPMailer(true);
$mail->isSMTP();
$mail->Host = '127.0.0.1';
$mail->Port = (int)$argv[2];
$mail->SMTPSecure = $argv[3];
$mail->SMTPOptions = ['ssl' => ['cafile' => $argv[4], 'peer_name' => 'relay.contoso.test']];
$mail->SMTPAuth = true;
$mail->Username = 'crm';
$mail->Password = $argv[5];
$mail->CharSet = 'UTF-8';
$mail->setFrom('crm@contoso.test', 'CRM');
$mail->addAddress('anna@example.org');
$mail->Subject = 'Facture n° 7';
$mail->Body = "Déjà payée.\n.\nMerci";
$mail->addStringAttachment(str_repeat('x', 100000), 'facture.pdf');
$mail->send();
echo "sent\n";
"#;

#[test]
fn phpmailer_logs_in_over_starttls_and_over_implicit_tls_and_its_letters_arrive() {
    if !is_installed("php") {
        return;
    }
    if !Path::new(PHPMAILER).exists() {
        eprintln!("SKIPPED: libphp-phpmailer is not installed");
        return;
    }
    let receiver = Receiver::start();
    let connector =
        "[[organisation.inbound_connector]]\nname = \"Applications\"\ntls = \"required\"\n";
    let encrypted = Encrypted::start(connector, receiver.address());
    let made = encrypted
        .server
        .relais(&[
            "--json",
            "credential",
            "add",
            "--connector",
            "Applications",
            "--user",
            "crm",
            "--may-send-as",
            "crm@contoso.test",
        ])
        .expect(0)
        .json();
    let script = encrypted.server.place.path("send.php");
    fs::write(&script, PHP).expect("a file");
    for (port, security) in [
        (encrypted.starttls.port(), "tls"),
        (encrypted.implicit.port(), "ssl"),
    ] {
        let mut php = Command::new("php");
        php.arg(&script).arg(PHPMAILER).arg(port.to_string());
        php.arg(security).arg(encrypted.authority.file());
        php.arg(made["password"].as_str().expect("a password"));
        let answer = run(php, "");
        assert_eq!(answer.out, "sent\n", "{security}: {answer:?}");
        let arrival = receiver.wait_for_recipient("anna@example.org");
        let content = String::from_utf8_lossy(&arrival.content).into_owned();
        assert!(content.contains(" with ESMTPSA "), "{content}");
        assert!(content.contains("facture.pdf"), "{content}");
    }
}

#[test]
fn msmtp_with_a_certificate_needs_no_password() {
    if !is_installed("msmtp") {
        return;
    }
    let receiver = Receiver::start();
    let connector = "[[organisation.inbound_connector]]\nname = \"Applications\"\n\
                     tls_sender_certificate_name = \"erp.contoso.test\"\ntls = \"required\"\n";
    let encrypted = Encrypted::start(connector, receiver.address());
    let own = encrypted
        .authority
        .issue("erp", &Wanted::client("DNS:erp.contoso.test"));
    let mut msmtp = Command::new("msmtp");
    msmtp.args(["--file=/dev/null", "--host=127.0.0.1", "--tls=on"]);
    msmtp.arg(format!("--port={}", encrypted.starttls.port()));
    msmtp.arg(format!(
        "--tls-trust-file={}",
        encrypted.authority.file().display()
    ));
    msmtp.arg("--tls-host-override=relay.contoso.test");
    msmtp.arg(format!("--tls-cert-file={}", own.certificate.display()));
    msmtp.arg(format!("--tls-key-file={}", own.key.display()));
    msmtp.args(["--from=erp@contoso.test", "anna@example.org"]);
    let letter = "From: erp@contoso.test\nTo: anna@example.org\nSubject: order\n\nhello\n";
    let answer = run(msmtp, letter);
    assert_eq!(answer.code, 0, "{answer:?}");
    let arrival = receiver.wait_for_recipient("anna@example.org");
    let content = String::from_utf8_lossy(&arrival.content).into_owned();
    assert!(content.contains(" with ESMTPS "), "{content}");
    let trace = encrypted
        .server
        .relais(&["--json", "trace", "event:message.accepted"])
        .expect(0);
    let certificate = &trace.json_lines()[0]["client"]["certificate"];
    assert_eq!(certificate, "erp.contoso.test");
}
