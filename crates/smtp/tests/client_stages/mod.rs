//! Every stage of a transaction with every kind of reply, in every way in which a server lets us
//! speak, cut into pieces of every size.

use relais_smtp::client::{Protocol, Stage};

use super::{GREETING, play, session, summary, transaction};

/// How the server lets us speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Data,
    DataPipelined,
    Chunk,
    ChunkPipelined,
}

impl Mode {
    pub(crate) fn hello(self) -> &'static str {
        match self {
            Self::Data => "250-mx\r\n250 SIZE\r\n",
            Self::DataPipelined => "250-mx\r\n250 PIPELINING\r\n",
            Self::Chunk => "250-mx\r\n250 CHUNKING\r\n",
            Self::ChunkPipelined => "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n",
        }
    }

    /// The stages that have a reply, in the groups in which they are said.
    fn groups(self) -> Vec<Vec<Stage>> {
        use Stage::{Content, Data, Greeting, Hello, Recipient, Sender};
        match self {
            Self::Data => [Greeting, Hello, Sender, Recipient, Data, Content]
                .map(|s| vec![s])
                .into(),
            Self::DataPipelined => {
                vec![
                    vec![Greeting],
                    vec![Hello],
                    vec![Sender, Recipient, Data],
                    vec![Content],
                ]
            }
            Self::Chunk => [Greeting, Hello, Sender, Recipient, Content]
                .map(|s| vec![s])
                .into(),
            Self::ChunkPipelined => {
                vec![
                    vec![Greeting],
                    vec![Hello],
                    vec![Sender, Recipient, Content],
                ]
            }
        }
    }

    fn good(self, stage: Stage) -> &'static str {
        match stage {
            Stage::Greeting => GREETING,
            Stage::Hello => self.hello(),
            Stage::Data => "354 go\r\n",
            Stage::Content => "250 2.0.0 taken\r\n",
            Stage::Sender | Stage::Recipient => "250 2.1.0 ok\r\n",
            Stage::Connect | Stage::StartTls | Stage::Auth => unreachable!("not said"),
        }
    }

    /// Scripts in which the reply at `stage` is `reply` (empty: the connection ends); what follows
    /// in the same group is refused, as servers do.
    fn scripts(self, stage: Stage, reply: &str) -> Vec<String> {
        let mut scripts = Vec::new();
        for group in self.groups() {
            let Some(place) = group.iter().position(|said| *said == stage) else {
                scripts.push(group.iter().map(|said| self.good(*said)).collect());
                continue;
            };
            let mut script: String = group[..place].iter().map(|said| self.good(*said)).collect();
            script.push_str(reply);
            if reply.is_empty() || reply.starts_with("421") {
                scripts.push(script);
                return scripts;
            }
            script.push_str(&"503 5.5.1 no\r\n".repeat(group.len() - place - 1));
            scripts.push(script);
            scripts.push("221 bye\r\n".into());
            return scripts;
        }
        unreachable!("the stage is not in {self:?}")
    }
}

/// The reply at a stage, and what must follow, in every mode that has the stage.
const TABLE: &[(Stage, &str, &str)] = &[
    (Stage::Greeting, "250 odd\r\n", "protocol Greeting"),
    (Stage::Greeting, "354 odd\r\n", "protocol Greeting"),
    (Stage::Greeting, "450 later\r\n", "closed Greeting 450"),
    (Stage::Greeting, "554 no\r\n", "closed Greeting 554"),
    (Stage::Greeting, "421 busy\r\n", "closed Greeting 421"),
    (Stage::Greeting, "SSH-2.0-x\r\n", "protocol Greeting"),
    (Stage::Greeting, "", "lost Greeting"),
    (Stage::Hello, "354 odd\r\n", "protocol Hello"),
    (Stage::Hello, "450 later\r\n", "closed Hello 450"),
    (Stage::Hello, "421 busy\r\n", "closed Hello 421"),
    (Stage::Hello, "hello\r\n", "protocol Hello"),
    (Stage::Hello, "", "lost Hello"),
    (
        Stage::Sender,
        "354 odd\r\n",
        "broken Sender, protocol Sender",
    ),
    (Stage::Sender, "451 later\r\n", "refused Sender 451, quit"),
    (Stage::Sender, "550 no\r\n", "refused Sender 550, quit"),
    (
        Stage::Sender,
        "421 busy\r\n",
        "refused Sender 421, closed Sender 421",
    ),
    (Stage::Sender, "hello\r\n", "broken Sender, protocol Sender"),
    (Stage::Sender, "", "broken Sender, lost Sender"),
    (
        Stage::Recipient,
        "354 odd\r\n",
        "broken Recipient, protocol Recipient",
    ),
    (
        Stage::Recipient,
        "450 later\r\n",
        "refused Recipient 450, quit",
    ),
    (
        Stage::Recipient,
        "550 no\r\n",
        "refused Recipient 550, quit",
    ),
    (
        Stage::Recipient,
        "421 busy\r\n",
        "refused Recipient 421, closed Recipient 421",
    ),
    (
        Stage::Recipient,
        "hello\r\n",
        "broken Recipient, protocol Recipient",
    ),
    (Stage::Recipient, "", "broken Recipient, lost Recipient"),
    (Stage::Data, "250 odd\r\n", "broken Data, protocol Data"),
    (Stage::Data, "451 later\r\n", "refused Data 451, quit"),
    (Stage::Data, "554 no\r\n", "refused Data 554, quit"),
    (
        Stage::Data,
        "421 busy\r\n",
        "refused Data 421, closed Data 421",
    ),
    (Stage::Data, "hello\r\n", "broken Data, protocol Data"),
    (Stage::Data, "", "broken Data, lost Data"),
    (Stage::Content, "250 2.0.0 taken\r\n", "accepted 250, quit"),
    (
        Stage::Content,
        "354 odd\r\n",
        "broken Content?, protocol Content",
    ),
    (Stage::Content, "451 later\r\n", "refused Content 451, quit"),
    (
        Stage::Content,
        "552 too big\r\n",
        "refused Content 552, quit",
    ),
    (
        Stage::Content,
        "421 busy\r\n",
        "refused Content 421, closed Content 421",
    ),
    (
        Stage::Content,
        "hello\r\n",
        "broken Content?, protocol Content",
    ),
    (Stage::Content, "", "broken Content?, lost Content"),
];

#[test]
fn every_stage_has_its_result_for_every_kind_of_reply_in_pieces_of_any_size() {
    for mode in [
        Mode::Data,
        Mode::DataPipelined,
        Mode::Chunk,
        Mode::ChunkPipelined,
    ] {
        let stages = mode.groups().concat();
        for (stage, reply, expected) in TABLE.iter().filter(|row| stages.contains(&row.0)) {
            let scripts = mode.scripts(*stage, reply);
            let scripts: Vec<&str> = scripts.iter().map(String::as_str).collect();
            // In one write all content is sent before the first reply is read: who knows?
            let unsure = mode == Mode::ChunkPipelined && *stage != Stage::Content;
            let expected = match expected.strip_prefix("broken ") {
                Some(rest) if unsure => format!("broken {}", rest.replacen(',', "?,", 1)),
                Some(_) | None => (*expected).to_string(),
            };
            let longest = scripts.iter().map(|script| script.len()).max().unwrap_or(1);
            for cut in 1..=longest {
                let transaction = transaction(&["b@example.org"]);
                let played = play(session(Protocol::Smtp), vec![transaction], &scripts, cut);
                assert_eq!(
                    summary(&played),
                    expected,
                    "{mode:?} {stage:?} {reply:?} cut {cut}"
                );
            }
        }
    }
}
