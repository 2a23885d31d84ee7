//! `INSTREAM` of ClamAV's clamd: octets out, octets in. clamd(8), section COMMANDS.
//!
//! ```text
//! zINSTREAM\0   <length, 4 octets, big-endian> <octets> …   <0, 4 octets>
//! stream: OK\0  |  stream: Win.Test.EICAR_HDB-1 FOUND\0  |  … ERROR\0
//! ```

use super::{CheckFault, Opinion, Verdict};

/// What begins a scan.
pub const COMMAND: &[u8] = b"zINSTREAM\0";
/// What ends the content.
pub const END: [u8; 4] = [0; 4];
/// Longest answer: a name of a signature is shorter than a path.
pub const ANSWER_OCTETS_MAX: usize = 4_096;

/// What stands before a piece of content. Pieces are far shorter than 4 GiB.
pub fn piece_head(octets: usize) -> [u8; 4] {
    u32::try_from(octets).unwrap_or(u32::MAX).to_be_bytes()
}

/// Reads what it answered, up to the end of the connection or the NUL.
///
/// # Errors
/// If it could not scan, or says something else.
pub fn answer(octets: &[u8]) -> Result<Opinion, CheckFault> {
    let end = octets.iter().position(|octet| *octet == 0);
    let text = String::from_utf8_lossy(&octets[..end.unwrap_or(octets.len())]);
    let text = text.trim();
    if text.is_empty() {
        return Err(CheckFault::Broken);
    }
    let said = text.strip_prefix("stream: ").unwrap_or(text);
    if said == "OK" {
        return Ok(Opinion::pass("nothing found"));
    }
    match said.strip_suffix(" FOUND") {
        Some(name) => Ok(Opinion::of(Verdict::Malware, name)),
        None => Err(CheckFault::Protocol(format!("it says {said:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_finds_is_named_and_what_it_cannot_scan_is_a_fault() {
        assert_eq!(answer(b"stream: OK\0").unwrap().verdict, Verdict::Pass);
        let found = answer(b"stream: Win.Test.EICAR_HDB-1 FOUND\0").unwrap();
        assert_eq!(found, Opinion::of(Verdict::Malware, "Win.Test.EICAR_HDB-1"));
        let fault = answer(b"INSTREAM size limit exceeded. ERROR\0").unwrap_err();
        assert!(fault.to_string().contains("size limit exceeded"), "{fault}");
        assert_eq!(answer(b""), Err(CheckFault::Broken));
        assert_eq!(answer(b"\0"), Err(CheckFault::Broken));
        assert!(answer(b"stream: FOUND OK\0").is_err());
        assert!(answer(b"HTTP/1.1 400 Bad Request\r\n").is_err());
    }

    #[test]
    fn a_piece_stands_behind_its_length() {
        assert_eq!(piece_head(65_536), [0, 1, 0, 0]);
        assert_eq!(piece_head(0), END);
    }
}
