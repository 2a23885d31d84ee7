//! Hexadecimal digits, both ways.

use relais_smtp::secret::Secret;

/// Lower-case hexadecimal digits.
pub(crate) fn hexadecimal(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = octets.iter().flat_map(|octet| [octet >> 4, octet & 15]);
    digits
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// What hexadecimal digits stand for; it may be a key.
pub(crate) fn of_hexadecimal(text: &str) -> Option<Secret> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let value = |digit: u8| char::from(digit).to_digit(16);
    let octet = |pair: &[u8; 2]| u8::try_from((value(pair[0])? << 4) | value(pair[1])?).ok();
    let octets: Option<Vec<u8>> = pairs.iter().map(octet).collect();
    octets.map(Secret::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_for_octets_both_ways() {
        assert_eq!(hexadecimal(&[0, 0x9f, 0xff]), "009fff");
        let octets = of_hexadecimal("009fFF").expect("digits");
        assert_eq!(octets.expose(), [0, 0x9f, 0xff]);
        for bad in ["0", "0g", "0é", "+1"] {
            assert!(of_hexadecimal(bad).is_none(), "{bad}");
        }
    }
}
