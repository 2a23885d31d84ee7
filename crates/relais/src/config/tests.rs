//! The bootstrap file: defaults, mistakes with their places, overrides.

use super::*;

fn bare() -> Surroundings {
    Surroundings {
        variables: Vec::new(),
        machine_name: Some("relay.contoso.test".to_owned()),
        root: false,
    }
}

fn mistakes(text: &str) -> Vec<String> {
    let mistakes = Config::parse(text, &bare()).expect_err(text);
    mistakes.iter().map(ToString::to_string).collect()
}

#[test]
fn a_mistake_is_named_with_line_column_and_the_nearest_known_name() {
    for (text, expected) in [
        (
            "hostnme = \"a.test\"",
            "line 1, column 1: unknown key \"hostnme\"; did you mean \"hostname\"?",
        ),
        (
            "[admin]\n  adress = \"\"",
            "line 2, column 3: unknown key \"adress\"; did you mean \"address\"?",
        ),
        (
            "[[listner]]\n",
            "line 1, column 3: unknown key \"listner\"; did you mean \"listener\"?",
        ),
        (
            "[listener]\naddress = \"0.0.0.0:25\"",
            "listener is written as [[listener]]",
        ),
        ("[[admin]]\n", "admin is written as [admin]"),
        (
            "xyzzy = 1",
            "unknown key \"xyzzy\"; see `relais schema config`",
        ),
        (
            "mode = \"hostd\"",
            "line 1, column 8: mode: \"hostd\" is not known; did you mean \"hosted\"?",
        ),
        (
            "[[listener]]\naddress = \"localhost:25\"",
            "line 2, column 11: listener.address: \"localhost:25\" does not fit",
        ),
        (
            "[[listener]]\naddress = 25",
            "listener.address: \"25\" does not fit: write address with port",
        ),
        (
            "[limits]\nmessage_size_max = \"50 Mib/s\"",
            "limits.message_size_max",
        ),
        ("[limits]\nmessage_size_max = 1000", "write 64 KiB to 2 GiB"),
        (
            "[limits]\nconnections_max = 0",
            "write number from 1 to 1000000",
        ),
        (
            "[limits]\nconnections_max = \"many\"",
            "\"many\" does not fit",
        ),
        ("[dns]\ntrusted = \"yes\"", "write true | false"),
        (
            "[dns]\nnameservers = \"192.0.2.1\"",
            "write list of addresses",
        ),
        (
            "[dns]\nnameservers = [\"ns.example\"]",
            "line 2, column 16: dns.nameservers: \"ns.example\" does not fit",
        ),
        (
            "[deliver]\nsmtp_port = 70000",
            "write number from 1 to 65535",
        ),
        ("[admin]\naddress = \"0.0.0.0:8025\"", "no loopback address"),
        ("[admin]\ntls = \"file\"", "needs a certificate"),
        (
            "[store]\nurl = \"postgres://db/relais\"",
            "line 2, column 7: store.url: PostgreSQL is not there yet",
        ),
        ("[store]\ncontent = \"s3://bucket\"", "S3 is not there yet"),
        (
            "[legacy_listener]\naddress = \"10.1.0.5:2525\"",
            "[legacy_listener] needs the key \"expires\"",
        ),
        (
            "[legacy_listener]\naddress = \"10.1.0.5:2525\"\nexpires = 2027-12-31",
            "put it in quotes",
        ),
        (
            "[[listener]]\nprivate_key = \"/etc/relais/tls.key\"",
            "listener.private_key: its certificate is missing",
        ),
        (
            "hostname = \"a b\"",
            "hostname: \"a b\" does not fit: write host name",
        ),
        ("mode = ", "line 1"),
        ("mode = \"lan\"\nmode = \"lan\"", "line 2"),
    ] {
        let found = mistakes(text);
        assert!(
            found.iter().any(|found| found.contains(expected)),
            "{text}\n{found:?}"
        );
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let text = "hostnme = \"a.test\"\n[limits]\nconnections_max = 0\ndisk_reserv = \"1 GiB\"\n";
    assert_eq!(mistakes(text).len(), 3);
}

#[test]
fn an_empty_file_gives_the_defaults_and_one_listener_on_loopback() {
    let config = Config::parse("", &bare()).expect("an empty file is right");
    assert_eq!(config.hostname, "relay.contoso.test");
    assert_eq!(config.data_dir, Path::new("relais-data"));
    assert_eq!(config.mode, Mode::Lan);
    assert_eq!(
        config.listeners,
        [ListenerConfig {
            address: "127.0.0.1:2525".parse().expect("an address"),
            submission: false,
            preset: Preset::Strict,
            proxies: Vec::new(),
            tls: TlsMode::StartTls,
            certificate: None,
            private_key: None,
            client_ca: Vec::new(),
            certificate_common_name: false,
            legacy: None,
        }]
    );
    let admin = config.admin.expect("open");
    assert_eq!(admin.address, "127.0.0.1:8025".parse().expect("an address"));
    assert_eq!(admin.tls, AdminTls::None);
    assert_eq!(config.message_size_max, 50 << 20);
    assert_eq!(config.connections_max, 10_000);
    assert_eq!(config.disk_reserve, 1 << 30);
    assert_eq!(config.trace_days, 90);
    assert_eq!(config.deliver.smtp_port, 25);
    assert!(!config.deliver.allow_private_destinations);
    assert_eq!(
        config.log,
        LogConfig {
            compat_tag: CompatTag::Relais,
            format: None,
            level: LogLevel::Info
        }
    );
    assert_eq!(config.warnings, Vec::<String>::new());
    let root = Config::parse(
        "",
        &Surroundings {
            root: true,
            ..bare()
        },
    )
    .expect("right");
    assert_eq!(root.data_dir, Path::new("/var/lib/relais"));
}

#[test]
fn every_key_of_the_table_is_accepted() {
    for section in keys::SECTIONS {
        // In other builds the whole section is a mistake.
        if section.name == "legacy_listener" && cfg!(not(feature = "legacy-tls")) {
            continue;
        }
        for key in section.keys {
            let keys::Fallback::Toml(value) = key.default else {
                continue;
            };
            let rest: String = section
                .keys
                .iter()
                .filter(|other| other.default == keys::Fallback::Required)
                .map(|other| match other.kind {
                    keys::Kind::Socket => format!("{} = \"127.0.0.1:1\"\n", other.name),
                    keys::Kind::Text if other.name == "issuer" => {
                        "issuer = \"https://login.example\"\n".to_owned()
                    }
                    keys::Kind::Networks => format!("{} = [\"10.1.2.0/24\"]\n", other.name),
                    keys::Kind::Date => format!("{} = \"2027-12-31\"\n", other.name),
                    _ => format!("{} = \"text\"\n", other.name),
                })
                .collect();
            let head = if section.name.is_empty() {
                String::new()
            } else {
                section.heading()
            };
            let text = format!("{head}\n{rest}{} = {value}\n", key.name);
            if let Err(mistakes) = Config::parse(&text, &bare()) {
                panic!("{text}: {mistakes:?}");
            }
        }
    }
}

#[test]
fn the_environment_overrides_the_file_and_unknown_variables_only_warn() {
    let variables = [
        ("RELAIS_ADMIN__ADDRESS", "127.0.0.1:9999"),
        ("RELAIS_LISTENER__0__ADDRESS", "127.0.0.1:2626"),
        ("RELAIS_LISTENER__0__TLS", "none"),
        ("RELAIS_DNS__NAMESERVERS", "127.0.0.1:5353, 192.0.2.53"),
        ("RELAIS_DELIVER__SMTP_PORT", "2525"),
        ("RELAIS_DELIVER__ALLOW_PRIVATE_DESTINATIONS", "true"),
        ("RELAIS_LIMITS__DISK_RESERVE", "10 MiB"),
        ("RELAIS_LIMITZ__DISK_RESERVE", "1"),
        ("RELAIS_CONFIG", "/nowhere"),
    ];
    let variables = variables
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let surroundings = Surroundings {
        variables,
        ..bare()
    };
    let config = Config::parse("[deliver]\nsmtp_port = 26\n", &surroundings).expect("right");
    let admin = config.admin.expect("open");
    assert_eq!(admin.address, "127.0.0.1:9999".parse().expect("an address"));
    assert_eq!(config.listeners.len(), 1);
    assert_eq!(config.listeners[0].address.port(), 2626);
    assert_eq!(
        config.nameservers,
        ["127.0.0.1:5353", "192.0.2.53:53"].map(|text| text.parse().expect("an address"))
    );
    assert_eq!(config.deliver.smtp_port, 2525);
    assert!(config.deliver.allow_private_destinations);
    assert_eq!(config.disk_reserve, 10 << 20);
    assert_eq!(
        config.warnings,
        ["the environment variable RELAIS_LIMITZ__DISK_RESERVE names no known key"]
    );
}

#[test]
fn a_wrong_variable_is_named_in_the_mistake() {
    let variables = vec![("RELAIS_DELIVER__SMTP_PORT".to_owned(), "smtp".to_owned())];
    let mistakes = Config::parse(
        "",
        &Surroundings {
            variables,
            ..bare()
        },
    )
    .expect_err("wrong");
    assert_eq!(
        mistakes[0].to_string(),
        "RELAIS_DELIVER__SMTP_PORT: deliver.smtp_port: \"smtp\" does not fit: write number from 1 to 65535"
    );
}

#[test]
fn what_has_no_effect_is_said_in_one_sentence() {
    let text = "[[listener]]\naddress = \"127.0.0.1:25\"\ntls = \"none\"\ncertificate = \"/a.pem\"\n\
                [[listener]]\naddress = \"127.0.0.1:26\"\ntls = \"none\"\n\
                proxy_protocol_from = [\"10.0.0.10\"]\n";
    let config = Config::parse(text, &bare()).expect("right");
    assert_eq!(config.listeners.len(), 2);
    let expected = "127.0.0.1:25 has tls = \"none\": its certificate";
    let mut warnings = config.warnings.iter();
    assert!(warnings.any(|warning| warning.contains(expected)));
}

#[test]
fn acme_needs_an_address_of_https_a_mailto_and_a_name_that_a_certificate_can_be_for() {
    let mistakes = Config::parse(
        "hostname = \"relay\"\n[acme]\ndirectory = \"http://acme.example\"\ncontact = \"it@a.test\"\n",
        &bare(),
    )
    .expect_err("wrong");
    let said: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    for expected in [
        "must begin with https://",
        "\"mailto:it@a.test\"",
        "\"relay\" is no name",
    ] {
        assert!(
            said.iter().any(|one| one.contains(expected)),
            "{expected}: {said:?}"
        );
    }
}

#[test]
fn acme_answers_its_challenge_at_the_address_of_that_challenge() {
    let of = |more: &str| {
        let text = format!(
            "hostname = \"relay.contoso.test\"\n[acme]\ndirectory = \"https://acme.example\"\n{more}"
        );
        Config::parse(&text, &bare()).expect("right").acme
    };
    assert_eq!(of("").map(|acme| acme.address.port()), Some(80));
    let alpn = of("challenge = \"tls-alpn-01\"\n");
    assert_eq!(alpn.map(|acme| acme.address.port()), Some(443));
    assert_eq!(Config::parse("", &bare()).expect("right").acme, None);
}

#[cfg(not(feature = "legacy-tls"))]
#[test]
fn without_old_tls_its_listener_is_a_mistake_that_names_the_build() {
    let text = "[legacy_listener]\naddress = \"10.1.0.5:2525\"\n\
                source_addresses = [\"10.1.2.0/24\"]\nexpires = \"2027-12-31\"\n";
    let mistakes = Config::parse(text, &bare()).expect_err("wrong");
    assert!(
        mistakes[0].to_string().contains("--features legacy-tls"),
        "{}",
        mistakes[0]
    );
}

#[test]
fn policies_are_shown_only_with_a_certificate_that_somebody_named() {
    let parsed = |more: &str| {
        let text = format!("[mta_sts]\naddress = \"127.0.0.1:443\"\n{more}");
        Config::parse(&text, &bare())
    };
    let shown = parsed("certificate = \"/etc/relais/sts.pem\"\n")
        .expect("right")
        .mta_sts;
    assert_eq!(shown.map(|it| it.private_key), Some(None));
    let mistakes = parsed("").expect_err("a mistake");
    let words: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
    assert!(
        words.join("\n").contains("mta_sts.certificate"),
        "{words:?}"
    );
    assert_eq!(Config::parse("", &bare()).expect("right").mta_sts, None);
}
