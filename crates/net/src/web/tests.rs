//! A real HTTPS server on loopback, with a certificate of an authority of its own.

use std::net::{Ipv4Addr, SocketAddr};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use relais_policy::document::OutboundConnector;

use crate::dns_server::{DnsServer, ZoneRecord};
use crate::oauth::{Registration, TokenClient};
use crate::resolver::ResolverOptions;

use super::*;

const POLICY: &str = "version: STSv1\nmode: enforce\nmx: mx.b.test\nmax_age: 86400\n";

/// Answers everything with one page; what it was asked is told.
struct Server {
    port: u16,
    roots: Arc<RootCertStore>,
    task: tokio::task::JoinHandle<Vec<u8>>,
}

impl Server {
    /// For one request.
    async fn start(certificate_name: &str, page: String) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = authority.self_signed(&key).expect("a root");
        let mut roots = RootCertStore::empty();
        roots.add(root.der().clone()).expect("a root");
        let issuer = Issuer::new(authority, key);
        let key = KeyPair::generate().expect("a key");
        let names = vec![certificate_name.to_owned()];
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &issuer))
            .expect("a certificate");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let secret = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], secret)
            .expect("a server");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback works");
        let port = listener.local_addr().expect("it is bound").port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let task = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.expect("a client");
            let mut asked = Vec::new();
            let Ok(mut stream) = acceptor.accept(stream).await else {
                return asked;
            };
            let mut buffer = [0; 4_096];
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                asked.extend_from_slice(&buffer[..count]);
                if asked.windows(4).any(|four| four == b"\r\n\r\n") {
                    break;
                }
            }
            stream.write_all(page.as_bytes()).await.expect("written");
            let _ = stream.shutdown().await;
            asked
        });
        Self {
            port,
            roots: Arc::new(roots),
            task,
        }
    }
}

fn page(status: &str, media_type: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\
         Location: https://mta-sts.b.test/else\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn web(server: &Server, allow_private: bool) -> (DnsServer, Web) {
    let records = vec![(
        "mta-sts.b.test".to_owned(),
        ZoneRecord::Address(Ipv4Addr::LOCALHOST.into()),
    )];
    let dns = DnsServer::start(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), records)
        .await
        .expect("loopback works");
    let resolver = Resolver::new(&ResolverOptions {
        nameservers: vec![dns.address()],
        trusted: false,
    })
    .expect("a resolver");
    let options = WebOptions {
        roots: server.roots.clone(),
        port: server.port,
        allow_private,
    };
    (dns, Web::new(resolver, options).expect("a client"))
}

async fn fetched(certificate_name: &str, page: String) -> Result<Vec<u8>, WebError> {
    let server = Server::start(certificate_name, page).await;
    let (_dns, web) = web(&server, true).await;
    let domain = Domain::parse("b.test").expect("a domain");
    web.sts_policy(&domain, 1_000).await
}

#[tokio::test]
async fn a_policy_comes_over_https_from_the_one_place_for_it() {
    let page = page("200 OK", "text/plain; charset=utf-8", POLICY);
    let server = Server::start("mta-sts.b.test", page).await;
    let (_dns, web) = web(&server, true).await;
    let domain = Domain::parse("b.test").expect("a domain");
    let found = web.sts_policy(&domain, 1_000).await;
    assert_eq!(found, Ok(POLICY.as_bytes().to_vec()));
    let asked = String::from_utf8(server.task.await.expect("it served")).expect("text");
    assert!(
        asked.starts_with("GET /.well-known/mta-sts.txt HTTP/1.1\r\n"),
        "{asked}"
    );
}

#[tokio::test]
async fn what_is_no_good_answer_is_none() {
    let text = "text/plain";
    let name = "mta-sts.b.test";
    for (certificate, page, error) in [
        (
            "other.test",
            page("200 OK", text, POLICY),
            WebError::Certificate,
        ),
        (
            name,
            page("404 Not Found", text, POLICY),
            WebError::Status(404),
        ),
        (name, page("301 Moved", text, POLICY), WebError::Status(301)),
        (
            name,
            page("200 OK", "text/html", POLICY),
            WebError::MediaType,
        ),
        (
            name,
            page("200 OK", text, &"#".repeat(1_001)),
            WebError::TooLong,
        ),
        (
            name,
            page("200 OK", text, POLICY).replace("Length: 5", "Length: 9"),
            WebError::Broken,
        ),
    ] {
        assert_eq!(
            fetched(certificate, page.clone()).await,
            Err(error),
            "{page}"
        );
    }
}

#[tokio::test]
async fn an_issuer_that_is_held_to_public_addresses_is_not_reached_at_others() {
    let token = r#"{"access_token":"a","expires_in":60}"#;
    let answer = page("200 OK", "application/json", token);
    for (allow_private, literal, is_reached) in [
        (false, false, false),
        (false, true, false),
        (true, false, true),
    ] {
        let server = Server::start("mta-sts.b.test", answer.clone()).await;
        let (dns, _web) = web(&server, false).await;
        let resolver = Resolver::new(&ResolverOptions {
            nameservers: vec![dns.address()],
            trusted: false,
        });
        let resolver = resolver.expect("a resolver");
        let host = if literal {
            "127.0.0.1"
        } else {
            "mta-sts.b.test"
        };
        let mut connector = OutboundConnector::new("Out");
        connector.public_hosts_only = true;
        let parameters = &mut connector.auth.parameters;
        parameters.insert("client_id".to_owned(), "relais".to_owned());
        let url = format!("https://{host}:{}/token", server.port);
        parameters.insert("token_url".to_owned(), url);
        let at = Registration::of(&connector).expect("a registration");
        let roots = server.roots.clone();
        let client = TokenClient::new(roots, &resolver, allow_private).expect("a client");
        let granted = client.by_client(&at, None).await;
        assert_eq!(granted.is_ok(), is_reached, "{granted:?}");
        if literal {
            let said = granted.expect_err("not reached").to_string();
            assert!(said.contains("public_hosts_only forbids"), "{said}");
        }
    }
}

#[tokio::test]
async fn private_addresses_that_strangers_name_are_not_reached() {
    let server = Server::start("mta-sts.b.test", page("200 OK", "text/plain", POLICY)).await;
    let (_dns, web) = web(&server, false).await;
    let domain = Domain::parse("b.test").expect("a domain");
    assert_eq!(
        web.sts_policy(&domain, 1_000).await,
        Err(WebError::NoConnection)
    );
    for address in [
        "https://127.0.0.1/r",
        "https://[::1]/r",
        "https://10.1.2.3:8443/",
        "http://reports.example/",
        "https://",
        "file:///etc/passwd",
    ] {
        let posted = web
            .post(address, "application/tlsrpt+gzip", Vec::new())
            .await;
        assert_eq!(posted, Err(WebError::Address), "{address}");
    }
}
