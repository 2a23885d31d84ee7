//! Content framing: end of data, dots, bare line ends, chunks.

use super::*;
use crate::refusal::Refusal;

const LIMIT: u64 = 1_000_000;

/// How the reading of `input` ends, and the content.
#[derive(Debug, Eq, PartialEq)]
enum Read {
    /// End of data or last chunk, with what follows.
    Content(Vec<u8>, ContentSummary, Vec<u8>),
    Refused(Refusal),
    Smuggling,
    TooMuch,
    Unfinished,
}

fn run(mut decoder: Decoder, pieces: &[&[u8]], chunks: bool) -> Read {
    let mut out = Vec::new();
    let mut end = Decoded::More;
    let mut rest = Vec::new();
    for piece in pieces {
        if end == Decoded::End {
            rest.extend_from_slice(piece);
            continue;
        }
        let (used, decoded) = decoder.decode(piece, &mut out);
        rest.extend_from_slice(&piece[used..]);
        match decoded {
            Decoded::Smuggling => return Read::Smuggling,
            Decoded::TooMuch => return Read::TooMuch,
            Decoded::More => assert_eq!(used, piece.len()),
            Decoded::End => end = decoded,
        }
    }
    if end == Decoded::More && !chunks {
        return Read::Unfinished;
    }
    match decoder.outcome() {
        Ok(summary) => {
            assert_eq!(summary.size, out.len() as u64);
            Read::Content(out, summary, rest)
        }
        Err(refusal) => Read::Refused(refusal),
    }
}

/// Reads `input` whole, in single octets and cut in two at each place: all must agree.
fn read(make: impl Fn() -> Decoder, input: &[u8], chunks: bool) -> Read {
    let whole = run(make(), &[input], chunks);
    let octets: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(
        run(make(), &octets, chunks),
        whole,
        "{:?}",
        String::from_utf8_lossy(input)
    );
    for at in 0..=input.len() {
        let (head, tail) = input.split_at(at);
        assert_eq!(
            run(make(), &[head, b"", tail], chunks),
            whole,
            "cut at {at}"
        );
    }
    whole
}

fn data(preset: Preset, input: &[u8]) -> Read {
    read(|| Decoder::data(preset, LIMIT), input, false)
}

fn chunk(preset: Preset, input: &[u8]) -> Read {
    read(|| Decoder::chunks(preset, LIMIT), input, true)
}

fn content(read: Read) -> String {
    match read {
        Read::Content(content, _, _) => String::from_utf8(content).expect("UTF-8"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_crlf_dot_crlf_ends_data_and_its_likenesses_end_the_session() {
    let ends: [&[u8]; 4] = [b"\r\n", b"\n", b"\r", b"\r\r\n"];
    for before in ends {
        for after in ends {
            if (before, after) == (b"\r\n", b"\r\n") {
                continue;
            }
            let input = [
                b"a",
                before,
                b".",
                after,
                b"MAIL FROM:<x@y.example>\r\n\r\n.\r\n",
            ]
            .concat();
            for preset in [Preset::Strict, Preset::Tolerant] {
                // CR CR LF before the dot is a bare CR and then a proper CRLF: an end of data, of
                // content that is refused.
                let expected = match (before, after) {
                    (b"\r\r\n", b"\r\n") => Read::Refused(Refusal::BareLineEnd),
                    _ => Read::Smuggling,
                };
                assert_eq!(data(preset, &input), expected, "{before:?} {after:?}");
                // In chunks no dot ends anything; a wrong line end beside a lone dot is no better.
                assert_eq!(chunk(preset, &input), expected, "{before:?} {after:?}");
            }
        }
    }
    for lone in [
        &b"\0.\r\n"[..],
        b".\0\r\n",
        b"\0\0.\0\r\n",
        b".\n",
        b".\r\r\n",
        b".\rx",
    ] {
        let input = [b"a\r\n", lone, b"\r\n.\r\n"].concat();
        assert_eq!(data(Preset::Tolerant, &input), Read::Smuggling, "{lone:?}");
        assert_eq!(data(Preset::Tolerant, lone), Read::Smuggling, "{lone:?}");
        assert_eq!(chunk(Preset::Tolerant, &input), Read::Smuggling, "{lone:?}");
    }
}

#[test]
fn a_bare_cr_is_refused_with_both_presets_at_the_end_of_data() {
    for input in [
        "a\rb\r\n.\r\n",
        "\r\r\n.\r\n",
        "a\r\r\n.\r\n",
        "a\r\n\rb\r\n.\r\n",
    ] {
        for preset in [Preset::Strict, Preset::Tolerant] {
            let expected = Read::Refused(Refusal::BareLineEnd);
            assert_eq!(data(preset, input.as_bytes()), expected, "{input:?}");
        }
    }
    assert_eq!(data(Preset::Strict, b"a\rb\r\n"), Read::Unfinished);
    assert_eq!(
        chunk(Preset::Tolerant, b"a\r"),
        Read::Refused(Refusal::BareLineEnd)
    );
}

#[test]
fn a_bare_lf_is_refused_by_strict_and_completed_by_tolerant() {
    let input = b"Subject: x\n\na\n..b\n\r\n.\r\n";
    assert_eq!(
        data(Preset::Strict, input),
        Read::Refused(Refusal::BareLineEnd)
    );
    let Read::Content(content, summary, rest) = data(Preset::Tolerant, input) else {
        panic!("is repaired")
    };
    assert_eq!(content, b"Subject: x\r\n\r\na\r\n.b\r\n\r\n");
    assert_eq!((summary.bare_lf_repaired, summary.size), (4, 23));
    assert_eq!(rest, b"");
    assert_eq!(self::content(chunk(Preset::Tolerant, b"a\nb")), "a\r\nb");
    assert_eq!(
        chunk(Preset::Strict, b"a\nb"),
        Read::Refused(Refusal::BareLineEnd)
    );
}

#[test]
fn content_above_the_limit_is_read_to_its_end_and_refused_and_far_above_it_is_not() {
    let too_big = Read::Refused(Refusal::TooBig { limit: 10 });
    let small = |input: &[u8]| read(|| Decoder::data(Preset::Strict, 10), input, false);
    assert_eq!(small(b"123456789\r\n.\r\n"), too_big);
    assert_eq!(
        small(b"12345678\r\n.\r\n"),
        data(Preset::Strict, b"12345678\r\n.\r\n")
    );
    assert_eq!(content(small(b"..1234567\r\n.\r\n")), ".1234567\r\n");

    let far = vec![b'a'; usize::try_from(FAR_OCTETS).expect("fits") + 21];
    let run_small = |input: &[u8]| run(Decoder::data(Preset::Strict, 10), &[input], false);
    assert_eq!(run_small(&far), Read::TooMuch);
    assert_eq!(run_small(&far[1..]), Read::Unfinished);
    let mut out = Vec::new();
    Decoder::data(Preset::Strict, 10).decode(&far, &mut out);
    assert!(out.is_empty(), "what is too big is not kept");
    assert!(Decoder::chunks(Preset::Strict, 10).would_be_far(u64::MAX));
    assert!(!Decoder::chunks(Preset::Strict, 10).would_be_far(FAR_OCTETS + 20));
}

#[test]
fn dots_are_unstuffed_in_data_and_kept_in_chunks() {
    let cases = [
        (".\r\n", ""),
        ("\r\n.\r\n", "\r\n"),
        ("a\r\n.\r\n", "a\r\n"),
        ("..\r\n.\r\n", ".\r\n"),
        (".a\r\n.\r\n", "a\r\n"),
        ("...\r\n.\r\n", "..\r\n"),
        ("a.\r\n.b.\r\n..c\r\n.\r\n", "a.\r\nb.\r\n.c\r\n"),
        ("a\0b\r\n\0\r\n..\0\r\n.\r\n", "a\0b\r\n\0\r\n.\0\r\n"),
    ];
    for (input, expected) in cases {
        for preset in [Preset::Strict, Preset::Tolerant] {
            assert_eq!(
                content(data(preset, input.as_bytes())),
                expected,
                "{input:?}"
            );
        }
    }
    for input in [
        "",
        "a",
        ".",
        ".\r\n",
        "a\r\n.\r\nb",
        "..\r\n",
        "\0",
        "a\r\n.",
    ] {
        assert_eq!(content(chunk(Preset::Strict, input.as_bytes())), input);
    }
}

#[test]
fn what_follows_the_end_of_data_is_left() {
    let Read::Content(content, _, rest) = data(Preset::Strict, b"a\r\n.\r\nQUIT\r\n") else {
        panic!("is content")
    };
    assert_eq!((&*content, &*rest), (&b"a\r\n"[..], &b"QUIT\r\n"[..]));
}

#[test]
fn the_summary_tells_size_longest_line_and_8_bit() {
    let Read::Content(_, summary, _) = data(Preset::Strict, b"..23\r\n\xc3\xa9\r\n\r\n.\r\n")
    else {
        panic!("is content")
    };
    let expected = ContentSummary {
        size: 11,
        eight_bit: true,
        line_octets_max: 3,
        bare_lf_repaired: 0,
    };
    assert_eq!(summary, expected);
    let Read::Content(_, summary, _) = chunk(Preset::Strict, b"a\r\n12345") else {
        panic!("is content")
    };
    assert_eq!((summary.line_octets_max, summary.eight_bit), (5, false));
}

fn stuff(pieces: &[&[u8]]) -> Vec<u8> {
    let mut stuffer = DotStuffer::new();
    let mut out = Vec::new();
    for piece in pieces {
        stuffer.write(piece, &mut out);
    }
    stuffer.finish(&mut out);
    out
}

#[test]
fn dots_at_line_starts_are_stuffed_wherever_pieces_are_cut() {
    let cases = [
        ("", ".\r\n"),
        (".", "..\r\n.\r\n"),
        ("a", "a\r\n.\r\n"),
        (".\r\n", "..\r\n.\r\n"),
        ("a\r\n.b\r\n..\r\n", "a\r\n..b\r\n...\r\n.\r\n"),
        ("\r\n.\r\n.\r\n", "\r\n..\r\n..\r\n.\r\n"),
        ("a\n.b\r.c\r", "a\n.b\r.c\r\r\n.\r\n"),
        ("\n.\n", "\n.\n\r\n.\r\n"),
    ];
    for (input, expected) in cases {
        let input = input.as_bytes();
        assert_eq!(String::from_utf8_lossy(&stuff(&[input])), expected);
        for at in 0..=input.len() {
            let (head, tail) = input.split_at(at);
            let cut = stuff(&[head, b"", tail]);
            assert_eq!(String::from_utf8_lossy(&cut), expected, "cut at {at}");
        }
        assert_eq!(stuff(&input.chunks(1).collect::<Vec<_>>()), stuff(&[input]));
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_is_stuffed_is_read_back(lines in proptest::collection::vec("[.a\\x00é]{0,4}", 0..8)) {
        let content: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let lone = |line: &str| line.replace('\0', "") == "." && line.len() > 1;
        let stuffed = |line: &String| {
            if line.starts_with('.') { format!(".{line}") } else { line.clone() }
        };
        proptest::prop_assume!(!lines.iter().any(|line| lone(&stuffed(line))));
        let wire = stuff(&[content.as_bytes()]);
        proptest::prop_assert_eq!(self::content(data(Preset::Strict, &wire)), content);
    }

    /// The decoder beside a second one that is as simple as can be, and knows no pieces.
    #[test]
    fn any_octets_are_read_as_the_plain_model_reads_them(
        input in proptest::collection::vec(proptest::sample::select(&b"\r\n.\0ax"[..]), 0..24),
        tolerant in proptest::bool::ANY,
    ) {
        let preset = if tolerant { Preset::Tolerant } else { Preset::Strict };
        let read = match data(preset, &input) {
            Read::Content(content, _, rest) => Model::Content(content, rest),
            Read::Refused(_) => Model::Refused,
            Read::Smuggling => Model::Smuggling,
            Read::Unfinished => Model::Unfinished,
            Read::TooMuch => unreachable!("24 octets are not much"),
        };
        proptest::prop_assert_eq!(read, model(&input, preset));
    }
}

#[derive(Debug, Eq, PartialEq)]
enum Model {
    Content(Vec<u8>, Vec<u8>),
    Refused,
    Smuggling,
    Unfinished,
}

fn model(input: &[u8], preset: Preset) -> Model {
    let (mut content, mut refused, mut before) = (Vec::new(), false, "\r\n");
    let mut rest = input;
    loop {
        let Some(length) = rest.iter().position(|octet| b"\r\n".contains(octet)) else {
            return Model::Unfinished;
        };
        let (line, end) = rest.split_at(length);
        // A CR that ends the input waits for what follows.
        if end == b"\r" {
            return Model::Unfinished;
        }
        let end = if end.starts_with(b"\r\n") {
            "\r\n"
        } else if end[0] == b'\r' {
            "\r"
        } else {
            "\n"
        };
        rest = &rest[length + end.len()..];
        let without_nul: Vec<u8> = line.iter().copied().filter(|octet| *octet != 0).collect();
        if without_nul == b"." {
            if line != b"." || before != "\r\n" || end != "\r\n" {
                return Model::Smuggling;
            }
            let whole = Model::Content(content, rest.to_vec());
            return if refused { Model::Refused } else { whole };
        }
        content.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        content.extend_from_slice(b"\r\n");
        refused |= end == "\r" || (end == "\n" && preset == Preset::Strict);
        before = end;
    }
}
