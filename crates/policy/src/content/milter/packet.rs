//! Packets of the milter protocol: four octets of length, one of command, data.

use std::collections::VecDeque;
use std::net::IpAddr;

use super::Stage;
use crate::content::{CheckFacts, CheckFault};

/// Longest packet that a milter sends: a replaced body comes in pieces of 64 KiB.
const PACKET_OCTETS_MAX: usize = 128 << 10;

/// What came, and is not yet a whole packet.
#[derive(Debug, Default)]
pub(super) struct Packets(Vec<u8>);

impl Packets {
    pub(super) fn add(&mut self, octets: &[u8]) {
        self.0.extend_from_slice(octets);
    }

    /// The next packet, if it is there whole: its command, and its data.
    pub(super) fn next(&mut self) -> Result<Option<(u8, Vec<u8>)>, CheckFault> {
        let Some((length, rest)) = self.0.split_first_chunk::<4>() else {
            return Ok(None);
        };
        let length = u32::from_be_bytes(*length) as usize;
        if !(1..=PACKET_OCTETS_MAX).contains(&length) {
            let words = format!("it sends a packet of {length} octets");
            return Err(CheckFault::Protocol(words));
        }
        let Some((&command, data)) = rest.get(..length).and_then(<[u8]>::split_first) else {
            return Ok(None);
        };
        let data = data.to_vec();
        self.0.drain(..4 + length);
        Ok(Some((command, data)))
    }
}

/// Appends a packet.
pub(super) fn push(out: &mut Vec<u8>, command: u8, data: &[u8]) {
    let length = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.push(command);
    out.extend_from_slice(data);
}

/// The data of SMFIC_OPTNEG.
pub(super) fn negotiation(version: u32, actions: u32, protocol: u32) -> Vec<u8> {
    [version, actions, protocol].map(u32::to_be_bytes).concat()
}

/// Its first three numbers.
pub(super) fn numbers(data: &[u8]) -> Option<[u32; 3]> {
    let mut words = data.chunks_exact(4).map(|word| {
        let word: [u8; 4] = word.try_into().unwrap_or_default();
        u32::from_be_bytes(word)
    });
    Some([words.next()?, words.next()?, words.next()?])
}

/// Texts, each ended by NUL; a NUL within would end it early, and is left out.
pub(super) fn ended(texts: &[&str]) -> Vec<u8> {
    let mut data = Vec::new();
    for text in texts {
        data.extend(text.bytes().filter(|octet| *octet != 0));
        data.push(0);
    }
    data
}

/// Host name, family, port, address. We look nobody up: the name is the address in brackets.
pub(super) fn connection(address: IpAddr) -> Vec<u8> {
    let mut data = ended(&[&format!("[{address}]")]);
    data.push(if address.is_ipv4() { b'4' } else { b'6' });
    data.extend_from_slice(&[0, 0]);
    data.extend(ended(&[&address.to_string()]));
    data
}

/// Name and value, lines parted by line feeds alone.
pub(super) fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let kept = |octet: &&u8| !matches!(octet, 0 | b'\r');
    let mut data: Vec<u8> = name.iter().filter(kept).copied().collect();
    data.push(0);
    data.extend(value.iter().filter(kept));
    data.push(0);
    data
}

/// Takes the one space behind the colon away, for milters that do not want it.
pub(super) fn without_leading_space(told: &mut VecDeque<(Stage, Vec<u8>)>) {
    for (stage, data) in told {
        let value = data.iter().position(|octet| *octet == 0);
        if *stage == Stage::Field
            && let Some(value) = value
            && data.get(value + 1) == Some(&b' ')
        {
            data.remove(value + 1);
        }
    }
}

/// `name\0value\0`.
pub(super) fn pair(data: &[u8]) -> Option<(String, String)> {
    let mut parts = data.split(|octet| *octet == 0);
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    Some((text(parts.next()?), text(parts.next()?)))
}

/// `text\0`.
pub(super) fn text(data: &[u8]) -> Option<String> {
    let first = data.split(|octet| *octet == 0).next()?;
    Some(String::from_utf8_lossy(first).into_owned())
}

/// SMFIC_MACRO before a stage: those that milters ask for most. Sendmail's names.
pub(super) fn macros(facts: &CheckFacts) -> Vec<(Stage, Vec<u8>)> {
    let mut all = Vec::new();
    let mut put = |stage: Stage, pairs: &[(&str, &str)]| {
        let mut data = vec![stage.command()];
        for (name, value) in pairs {
            data.extend(ended(&[name, value]));
        }
        all.push((stage, data));
    };
    let (hostname, id) = (&*facts.hostname, &*facts.queue_id);
    put(
        Stage::Connect,
        &[
            ("j", hostname),
            ("{daemon_name}", "relais"),
            ("v", "Relais"),
        ],
    );
    let mut mail = vec![("i", id), ("{mail_addr}", &*facts.from)];
    mail.extend(facts.user.as_deref().map(|user| ("{auth_authen}", user)));
    put(Stage::Mail, &mail);
    put(Stage::Data, &[("i", id)]);
    put(Stage::EndOfMessage, &[("i", id)]);
    all
}
