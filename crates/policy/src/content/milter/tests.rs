//! Milters that answer, in every way they may and some that they may not.

use super::*;

const SECTION: &[u8] = b"Received: by us\r\n\tfolded\r\nSubject: hello\r\n\r\n";

fn facts() -> CheckFacts {
    CheckFacts {
        address: [192, 0, 2, 7].into(),
        helo: "scan".to_owned(),
        hostname: "relay.test".to_owned(),
        queue_id: "q1".to_owned(),
        from: "a@b.test".to_owned(),
        to: vec!["c@d.test".to_owned(), "e@d.test".to_owned()],
        user: Some("scan-1".to_owned()),
        size: 100,
    }
}

/// Commands with their data.
type Told = Vec<(u8, Vec<u8>)>;

/// A packet.
fn packet(command: u8, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    packet::push(&mut out, command, data);
    out
}

/// One that wants this protocol, answers each command by `answer` (nothing: it is silent), and what
/// it was told, command by command.
fn talk(wanted: u32, mut answer: impl FnMut(u8) -> Vec<u8>) -> (Result<Opinion, CheckFault>, Told) {
    let mut milter = Milter::new(&facts(), SECTION);
    let mut body = [&b"line\r\n"[..], b""].into_iter();
    let (mut packets, mut told) = (Packets::default(), Vec::new());
    let mut pending = Vec::new();
    loop {
        match milter.step() {
            Step::Body => milter.body(body.next().expect("asked once more than there is")),
            Step::Finished(result) => {
                packets.add(&milter.output());
                while let Ok(Some(packet)) = packets.next() {
                    told.push(packet);
                }
                return (result, told);
            }
            // In two pieces, as networks do.
            Step::Read if !pending.is_empty() => milter.receive(&std::mem::take(&mut pending)),
            Step::Read => {
                packets.add(&milter.output());
                let mut said = Vec::new();
                while let Ok(Some((command, data))) = packets.next() {
                    match command {
                        b'O' => said.extend(packet(b'O', &negotiation(6, 0x3f, wanted))),
                        b'D' => {}
                        other => said.extend(answer(other)),
                    }
                    told.push((command, data));
                }
                if said.is_empty() {
                    milter.lost();
                }
                pending = said.split_off(said.len() / 2);
                milter.receive(&said);
            }
        }
    }
}

/// Continue, but for that command.
fn but(command: u8, answer: &[u8]) -> impl FnMut(u8) -> Vec<u8> {
    move |asked| {
        if asked == command {
            answer.to_vec()
        } else {
            packet(b'c', b"")
        }
    }
}

fn said(command: u8, answer: &[u8]) -> Result<Opinion, CheckFault> {
    talk(0, but(command, answer)).0
}

fn commands(told: &[(u8, Vec<u8>)]) -> String {
    let all = told.iter().filter(|(command, _)| *command != b'D');
    all.map(|(command, _)| char::from(*command)).collect()
}

#[test]
fn every_stage_is_told_in_order_with_what_it_is_about() {
    let (result, told) = talk(0, but(b'?', b""));
    assert_eq!(result, Ok(Opinion::pass("accepted")));
    assert_eq!(commands(&told), "OCHMRRTLLNBEQ");
    let of = |command: u8| {
        let mut all = told.iter().filter(|(one, _)| *one == command);
        all.next().map(|(_, data)| data.clone()).unwrap_or_default()
    };
    assert_eq!(of(b'C'), b"[192.0.2.7]\x004\0\x00192.0.2.7\0");
    assert_eq!(of(b'M'), b"<a@b.test>\0");
    assert_eq!(of(b'L'), b"Received\0by us\n\tfolded\0");
    assert_eq!(of(b'B'), b"line\r\n");
    let macros: Vec<_> = told.iter().filter(|(one, _)| *one == b'D').collect();
    assert!(macros.iter().any(|(_, data)| data.starts_with(b"Mi\0q1\0")));
}

#[test]
fn stages_that_it_does_not_want_are_left_out_and_silent_ones_are_not_waited_for() {
    let (result, told) = talk(0x1 | 0x2 | 0x10 | 0x40 | 0x200, but(b'?', b""));
    assert!(result.is_ok());
    assert_eq!(commands(&told), "OMRRLLEQ");
    let silent = 0x80 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x4_0000 | 0x8_0000;
    let answer = |command| match command {
        b'E' => packet(b'c', b""),
        _ => Vec::new(),
    };
    let (result, told) = talk(silent, answer);
    assert_eq!(result, Ok(Opinion::pass("accepted")));
    assert_eq!(commands(&told), "OCHMRRTLLNBEQ");
    let (_, told) = talk(LEADING_SPACE, but(b'?', b""));
    assert!(told.contains(&(b'L', b"Subject\0 hello\0".to_vec())));
}

#[test]
fn what_it_refuses_at_any_stage_is_refused_and_never_greater_than_it_says() {
    for stage in *b"CHMRTLNBE" {
        let refused = said(stage, &packet(b'r', b"")).expect("an opinion");
        assert_eq!(refused.verdict, Verdict::Refuse);
        let later = said(stage, &packet(b't', b"")).expect("an opinion");
        assert_eq!(later.verdict, Verdict::Later);
        let discarded = said(stage, &packet(b'd', b"")).expect("an opinion");
        assert_eq!(discarded.verdict, Verdict::Hold);
        let own = said(stage, &packet(b'y', b"550 5.7.1 No thanks\0")).expect("an opinion");
        assert_eq!(own, Opinion::of(Verdict::Refuse, "550 5.7.1 No thanks"));
        let own = said(stage, &packet(b'y', b"451 4.7.1 Soon\0")).expect("an opinion");
        assert_eq!(own.verdict, Verdict::Later);
    }
    // Accepting a recipient is not accepting the message.
    let (_, told) = talk(0, but(b'R', &packet(b'a', b"")));
    assert_eq!(commands(&told), "OCHMRRTLLNBEQ");
    let (result, told) = talk(0, but(b'M', &packet(b'a', b"")));
    assert_eq!(result, Ok(Opinion::pass("accepted")));
    assert_eq!(commands(&told), "OCHMQ");
}

#[test]
fn quarantine_holds_fields_are_added_in_order_and_progress_is_waited_out() {
    let end = [
        packet(b'p', b""),
        packet(b'h', b"X-First\0one\0"),
        packet(b'i', b"\0\0\0\x01X-Second\0two\n three\0"),
        packet(b'q', b"looks odd\0"),
        packet(b'c', b""),
    ]
    .concat();
    let opinion = said(b'E', &end).expect("an opinion");
    assert_eq!(opinion.verdict, Verdict::Hold);
    assert_eq!(opinion.words, "quarantined: looks odd");
    let fields = [("X-First", "one"), ("X-Second", "two\n three")];
    assert_eq!(
        opinion.fields,
        fields.map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
}

#[test]
fn a_body_that_it_skips_is_told_no_further() {
    let (result, told) = talk(0x400, but(b'B', &packet(b's', b"")));
    assert!(result.is_ok());
    assert_eq!(commands(&told), "OCHMRRTLLNBEQ");
}

#[test]
fn changes_that_are_not_done_are_named_and_no_opinion_comes_of_them() {
    let end = [
        packet(b'b', b"new body"),
        packet(b'b', b"more"),
        packet(b'-', b"<c@d.test>\0"),
        packet(b'c', b""),
    ]
    .concat();
    let fault = said(b'E', &end).expect_err("no opinion");
    assert_eq!(
        fault.to_string(),
        "it wants to replace the body, remove a recipient: not done here"
    );
}

#[test]
fn one_that_lies_is_a_fault_and_ends() {
    let wrong: [&[u8]; 6] = [
        &packet(b'z', b""),
        &packet(b'O', b""),
        &packet(b'y', b"250 fine\0"),
        // Only at the end.
        &packet(b'h', b"X\0y\0"),
        &[0, 0, 0, 0, b'c'],
        &[255, 255, 255, 255, b'c'],
    ];
    for answer in wrong {
        assert!(said(b'M', answer).is_err(), "{answer:?}");
    }
    assert_eq!(said(b'M', b""), Err(CheckFault::Broken));
    let mut old = Milter::new(&facts(), SECTION);
    old.receive(&packet(b'O', &negotiation(1, 0, 0)));
    assert!(matches!(
        old.step(),
        Step::Finished(Err(CheckFault::Protocol(_)))
    ));
    let mut short = Milter::new(&facts(), SECTION);
    short.receive(&packet(b'O', &[0; 7]));
    assert!(matches!(short.step(), Step::Finished(Err(_))));
}
