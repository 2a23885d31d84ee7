//! The PROXY header in good and bad form, and over a stream.

use tokio::io::AsyncWriteExt;

use relais_smtp::time::Timestamp;

use super::*;

fn v2(version_command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a short body");
    let mut octets = V2_SIGNATURE.to_vec();
    octets.extend([version_command, family]);
    octets.extend(length.to_be_bytes());
    octets.extend(body);
    octets
}

/// 203.0.113.7:4000 → 192.0.2.1:25.
const FOUR: [u8; 12] = [203, 0, 113, 7, 192, 0, 2, 1, 0x0f, 0xa0, 0, 25];

fn six(source: &str, destination: &str) -> Vec<u8> {
    let octets = |text: &str| text.parse::<Ipv6Addr>().expect("an address").octets();
    let mut body = octets(source).to_vec();
    body.extend(octets(destination));
    body.extend([0x0f, 0xa0, 0, 25]);
    body
}

fn with(body: &[u8], extensions: &[u8]) -> Vec<u8> {
    [body, extensions].concat()
}

fn from(source: &str, destination: &str) -> Result<Proxied, HeaderFault> {
    Ok(Proxied::Client {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    })
}

fn whole(octets: &[u8]) -> Result<Proxied, HeaderFault> {
    match parse(octets)? {
        Progress::Done { proxied, length } => {
            assert_eq!(length, octets.len(), "the whole header, and no more");
            Ok(proxied)
        }
        Progress::Needs(_) => Err(HeaderFault::Truncated),
    }
}

#[test]
fn lines_of_version_1() {
    use HeaderFault::{Malformed, Missing, TooLong, Truncated, Unsupported};
    let four = || from("203.0.113.7:4000", "192.0.2.1:25");
    let six = || from("[2001:db8::7]:4000", "[2001:db8::1]:25");
    let long = format!("PROXY TCP4 {} 1.2.3.4 1 2\r\n", "1".repeat(107));
    let unknown = format!("PROXY UNKNOWN {}\r\n", "f".repeat(91));
    let unknown_long = format!("PROXY UNKNOWN {}\r\n", "f".repeat(92));
    let table: &[(&str, Result<Proxied, HeaderFault>)] = &[
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4000 25\r\n", four()),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 4000 25\r\n", six()),
        (
            "PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0007 2001:DB8::1 4000 25\r\n",
            six(),
        ),
        // One client has one name: the mapped form is the IPv4 address.
        (
            "PROXY TCP6 ::ffff:203.0.113.7 ::ffff:c000:201 4000 25\r\n",
            four(),
        ),
        (
            "PROXY TCP4 203.0.113.7 192.0.2.1 0 65535\r\n",
            from("203.0.113.7:0", "192.0.2.1:65535"),
        ),
        ("PROXY UNKNOWN\r\n", Ok(Proxied::Peer)),
        (
            "PROXY UNKNOWN ffff::1 whatever it says\r\n",
            Ok(Proxied::Peer),
        ),
        (&unknown, Ok(Proxied::Peer)),
        (&unknown_long, Err(TooLong)),
        (&long, Err(TooLong)),
        (
            "PROXY TCP4 203.0.113.7 192.0.2.1 04000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 203.0.113.007 192.0.2.1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 203.0.113.7 192.0.2.1 65536 25\r\n",
            Err(Malformed),
        ),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 -1 25\r\n", Err(Malformed)),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 +1 25\r\n", Err(Malformed)),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4000\r\n", Err(Malformed)),
        (
            "PROXY TCP4 203.0.113.7 192.0.2.1 4000 25 \r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 203.0.113.7  192.0.2.1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 203.0.113.7\t192.0.2.1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 203.0.113.256 192.0.2.1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP4 2001:db8::7 2001:db8::1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP6 203.0.113.7 192.0.2.1 4000 25\r\n",
            Err(Malformed),
        ),
        (
            "PROXY TCP6 fe80::1%eth0 2001:db8::1 4000 25\r\n",
            Err(Malformed),
        ),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4000 25\n", Err(Malformed)),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4000 25", Err(Truncated)),
        ("PROXY TCP4 203.0.113.7 192.0.2.1 4000 25\r", Err(Truncated)),
        (
            "PROXY UDP4 203.0.113.7 192.0.2.1 4000 25\r\n",
            Err(Unsupported),
        ),
        (
            "PROXY tcp4 203.0.113.7 192.0.2.1 4000 25\r\n",
            Err(Unsupported),
        ),
        ("PROXY \r\n", Err(Malformed)),
        ("proxy TCP4 203.0.113.7 192.0.2.1 4000 25\r\n", Err(Missing)),
        ("PROXYTCP4 203.0.113.7 192.0.2.1 4000 25\r\n", Err(Missing)),
        ("EHLO scan2\r\n", Err(Missing)),
        ("P", Err(Truncated)),
        ("", Err(Truncated)),
    ];
    for (line, expected) in table {
        assert_eq!(&whole(line.as_bytes()), expected, "{line:?}");
    }
}

#[test]
fn headers_of_version_2() {
    use HeaderFault::{Malformed, Missing, TooLong, Truncated, Unsupported};
    let four = || from("203.0.113.7:4000", "192.0.2.1:25");
    let mapped = six("::ffff:203.0.113.7", "::ffff:192.0.2.1");
    let real_six = six("2001:db8::7", "2001:db8::1");
    // NOOP of four octets, then a host name (authority).
    let good = [0x04, 0, 4, 0, 0, 0, 0, 0x02, 0, 2, b'm', b'x'];
    let too_long = with(&FOUR, &vec![0; V2_BODY_OCTETS_MAX]);
    let longest = {
        let value = u16::try_from(V2_BODY_OCTETS_MAX - FOUR.len() - 3).expect("short");
        let head = [&[0x04][..], &value.to_be_bytes()].concat();
        with(&with(&FOUR, &head), &vec![0; usize::from(value)])
    };
    let mut other_signature = v2(0x21, 0x11, &FOUR);
    other_signature[8] = b'q';
    let table: &[(&str, Vec<u8>, Result<Proxied, HeaderFault>)] = &[
        ("IPv4", v2(0x21, 0x11, &FOUR), four()),
        (
            "IPv6",
            v2(0x21, 0x21, &real_six),
            from("[2001:db8::7]:4000", "[2001:db8::1]:25"),
        ),
        ("mapped", v2(0x21, 0x21, &mapped), four()),
        ("extensions", v2(0x21, 0x11, &with(&FOUR, &good)), four()),
        ("as long as may be", v2(0x21, 0x11, &longest), four()),
        ("LOCAL", v2(0x20, 0x00, &[]), Ok(Proxied::Peer)),
        (
            "LOCAL with addresses",
            v2(0x20, 0x11, &FOUR),
            Ok(Proxied::Peer),
        ),
        (
            "LOCAL with whatever",
            v2(0x20, 0x31, &[1, 2, 3]),
            Ok(Proxied::Peer),
        ),
        ("UNSPEC", v2(0x21, 0x00, &[]), Ok(Proxied::Peer)),
        (
            "UNSPEC with whatever",
            v2(0x21, 0x00, &[9; 20]),
            Ok(Proxied::Peer),
        ),
        (
            "IPv4 too short",
            v2(0x21, 0x11, &FOUR[..11]),
            Err(Malformed),
        ),
        (
            "IPv4 addresses as IPv6",
            v2(0x21, 0x21, &FOUR),
            Err(Malformed),
        ),
        (
            "extension without length",
            v2(0x21, 0x11, &with(&FOUR, &[4, 0])),
            Err(Malformed),
        ),
        (
            "extension too long",
            v2(0x21, 0x11, &with(&FOUR, &[4, 0, 9, 1])),
            Err(Malformed),
        ),
        ("UDP", v2(0x21, 0x12, &FOUR), Err(Unsupported)),
        (
            "a Unix socket",
            v2(0x21, 0x31, &[b'/'; 216]),
            Err(Unsupported),
        ),
        (
            "no family of the table",
            v2(0x21, 0x41, &FOUR),
            Err(Unsupported),
        ),
        (
            "version 1 in binary",
            v2(0x11, 0x11, &FOUR),
            Err(Unsupported),
        ),
        ("version 3", v2(0x31, 0x11, &FOUR), Err(Unsupported)),
        ("command 2", v2(0x22, 0x11, &FOUR), Err(Unsupported)),
        ("too long", v2(0x21, 0x11, &too_long), Err(TooLong)),
        ("other signature", other_signature, Err(Missing)),
        ("signature alone", V2_SIGNATURE.to_vec(), Err(Truncated)),
        (
            "without its last octet",
            v2(0x21, 0x11, &FOUR)[..27].to_vec(),
            Err(Truncated),
        ),
    ];
    for (name, octets, expected) in table {
        assert_eq!(&whole(octets), expected, "{name}");
    }
}

#[test]
fn a_header_asks_for_its_own_octets_only_whatever_the_pieces() {
    let headers = [
        b"PROXY UNKNOWN\r\n".to_vec(),
        b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n".to_vec(),
        b"PROXY TCP6 2001:db8::7 2001:db8::1 4000 25\r\n".to_vec(),
        v2(0x20, 0x00, &[]),
        v2(0x21, 0x11, &with(&FOUR, &[4, 0, 1, 0])),
    ];
    for header in headers {
        for upto in 0..header.len() {
            let Ok(Progress::Needs(needs)) = parse(&header[..upto]) else {
                panic!("{upto} octets of {header:?} are a good beginning");
            };
            assert!(
                (1..=header.len() - upto).contains(&needs),
                "{upto}: {needs}"
            );
        }
        assert!(matches!(parse(&header), Ok(Progress::Done { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_header_in_the_same_segment_stays_in_the_stream() {
    let clock = Clock::simulated(Timestamp::from_millis(0));
    let headers = [
        b"PROXY TCP4 203.0.113.7 192.0.2.1 4000 25\r\n".to_vec(),
        v2(0x21, 0x11, &with(&FOUR, &[4, 0, 1, 0])),
    ];
    for header in headers {
        let (mut near, mut far) = Stream::pair();
        far.write_all(&with(&header, b"EHLO scan2\r\nQUIT\r\n"))
            .await
            .expect("there is room");
        let proxied = read_header(&mut near, &clock).await;
        assert_eq!(proxied, from("203.0.113.7:4000", "192.0.2.1:25"));
        drop(far);
        let mut rest = String::new();
        near.read_to_string(&mut rest).await.expect("it is there");
        assert_eq!(rest, "EHLO scan2\r\nQUIT\r\n");
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_that_does_not_come_whole_is_waited_for_five_seconds() {
    let clock = Clock::simulated(Timestamp::from_millis(0));
    for (sent, closes, expected) in [
        ("", true, HeaderFault::Silent),
        ("", false, HeaderFault::TimedOut),
        ("PROXY TCP4", true, HeaderFault::Truncated),
        ("PROXY TCP4", false, HeaderFault::TimedOut),
        ("EHLO", false, HeaderFault::Missing),
    ] {
        let (mut near, mut far) = Stream::pair();
        far.write_all(sent.as_bytes()).await.expect("there is room");
        let far = (!closes).then_some(far);
        let began = clock.moment();
        assert_eq!(
            read_header(&mut near, &clock).await,
            Err(expected),
            "{sent}"
        );
        let waited = clock.moment().duration_since(began);
        let whole = expected == HeaderFault::TimedOut;
        assert_eq!(waited >= HEADER_TIMEOUT, whole, "{sent}: {waited:?}");
        drop(far);
    }
}
