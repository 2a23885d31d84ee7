//! One command line → [`Command`]; every limit of RFC 5321 §4.5.3 is named here or beside its type.
//!
//! An own grammar over bytes: RFC 5321 §4.1 with the parameters of SIZE (RFC 1870), 8BITMIME
//! (RFC 6152), SMTPUTF8 (RFC 6531), DSN (RFC 3461, RFC 6533), REQUIRETLS (RFC 8689) and the command
//! of CHUNKING (RFC 3030). The tolerant preset forgives blanks around a path, missing brackets and
//! any greeting name; each is told as a [`Repair`].
//!
//! Local parts are never interpreted: `a%b@c`, `a!b@c` and `"a@b"@c` name mailboxes at `c`, and the
//! source route of `<@a,@b:c@d>` is read and forgotten (RFC 5321 §4.1.1.3, appendix C). So no
//! spelling of an address can change where a message goes.
//!
//! Not here: order of commands, and what is offered in this session (`server`).

mod parameters;
mod path;

use alloc::boxed::Box;
use alloc::string::String;

use crate::address::{ForwardPath, Host, ReversePath};
use crate::content::{Preset, Repair};
use crate::domain::Domain;
use crate::envelope::{Notify, OriginalRecipient, SenderParameters};
use crate::refusal::{Refusal, SyntaxFault};
use crate::secret::Secret;

/// Longest command line with CRLF. RFC 5321 §4.5.3.1.4 asks for 512; for MAIL, SIZE adds 26, AUTH
/// 500, DSN parameters about 110; for RCPT, DSN adds 500. Sum about 1,150; rounded up.
pub const COMMAND_LINE_OCTETS_MAX: usize = 2_048;
/// Longest line of AUTH, and of the exchange that follows it, with CRLF. RFC 4954 §4.
pub const AUTH_LINE_OCTETS_MAX: usize = 12_288;
/// Longest name of a mechanism, in characters. RFC 4422 §3.1.
const MECHANISM_CHARACTERS_MAX: usize = 20;
/// Longest ENVID in its encoded form, in characters. RFC 3461 §4.4.
pub const ENVID_CHARACTERS_MAX: usize = 100;
/// Longest ORCPT in its encoded form, in characters. RFC 3461 §4.2.
pub const ORCPT_CHARACTERS_MAX: usize = 500;
/// Most digits of SIZE. RFC 1870 §3; the same is allowed for a chunk's size.
pub const SIZE_DIGITS_MAX: usize = 20;

/// A command that is well formed. Whether it may come now is another question.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Command {
    /// HELO or EHLO. RFC 5321 §4.1.1.1.
    Hello {
        /// The name as given: a domain, an address literal; with the tolerant preset anything.
        name: Box<str>,
        /// EHLO.
        extended: bool,
    },
    /// MAIL. RFC 5321 §4.1.1.2.
    Mail {
        /// Its argument.
        reverse_path: ReversePath,
        /// The address has octets above 127. RFC 6531 §3.5.
        utf8: bool,
        /// Its parameters.
        parameters: SenderParameters,
        /// It has an `AUTH=`, which says for whom a trusted client speaks. RFC 4954 §5. We trust
        /// none so far: it is read and forgotten.
        names_author: bool,
    },
    /// RCPT. RFC 5321 §4.1.1.3.
    Rcpt {
        /// Its argument.
        forward_path: ForwardPath,
        /// The address has octets above 127. RFC 6531 §3.5.
        utf8: bool,
        /// NOTIFY.
        notify: Option<Notify>,
        /// ORCPT.
        original: Option<OriginalRecipient>,
    },
    /// DATA. RFC 5321 §4.1.1.4.
    Data,
    /// BDAT. RFC 3030 §2.
    Bdat {
        /// Octets that follow the line.
        size: u64,
        /// The content ends with them.
        last: bool,
    },
    /// RSET. RFC 5321 §4.1.1.5.
    Rset,
    /// VRFY; its argument does not matter. RFC 5321 §4.1.1.6.
    Vrfy,
    /// EXPN; its argument does not matter. RFC 5321 §4.1.1.7.
    Expn,
    /// HELP; its argument does not matter. RFC 5321 §4.1.1.8.
    Help,
    /// NOOP; its argument does not matter. RFC 5321 §4.1.1.9.
    Noop,
    /// QUIT. RFC 5321 §4.1.1.10.
    Quit,
    /// STARTTLS. RFC 3207 §4.
    StartTls,
    /// AUTH. RFC 4954 §4.
    Auth {
        /// The mechanism's name, as the client wrote it.
        mechanism: Box<str>,
        /// The initial response, still in base64.
        initial: Option<Secret>,
    },
}

/// The first word of a line, where we know it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verb {
    /// HELO.
    Helo,
    /// EHLO.
    Ehlo,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// BDAT.
    Bdat,
    /// RSET.
    Rset,
    /// VRFY.
    Vrfy,
    /// EXPN.
    Expn,
    /// HELP.
    Help,
    /// NOOP.
    Noop,
    /// QUIT.
    Quit,
    /// STARTTLS.
    StartTls,
    /// AUTH.
    Auth,
}

/// A command, and what had to be forgiven to read it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Parsed {
    /// The command.
    pub command: Command,
    /// [`Repair::PathSyntax`] or [`Repair::HeloSyntax`], with the tolerant preset only.
    pub repair: Option<Repair>,
}

/// Why a line is no command: always the client's fault; the reply is the refusal's.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{}", refusal.text())]
pub struct CommandError {
    /// Which command it was meant to be.
    pub verb: Option<Verb>,
    /// What to answer.
    pub refusal: Refusal,
}

/// Reads one line, given without its CRLF.
///
/// White space before the CRLF is let pass with both presets: RFC 5321 §4.1.1 asks for it.
pub fn parse(line: &[u8], preset: Preset) -> Result<Parsed, CommandError> {
    // A CR here is a bare one: the caller cuts at CRLF. NUL and LF have no place in any command.
    if line
        .iter()
        .any(|byte| matches!(byte, b'\0' | b'\r' | b'\n'))
    {
        return Err(CommandError {
            verb: None,
            refusal: syntax(SyntaxFault::Line),
        });
    }
    let (word, arguments) = split_verb(line);
    let Some(verb) = Verb::read(word) else {
        return Err(CommandError {
            verb: None,
            refusal: syntax(SyntaxFault::UnknownCommand),
        });
    };
    read_command(verb, arguments, preset)
        .map(|(command, repair)| Parsed { command, repair })
        .map_err(|refusal| CommandError {
            verb: Some(verb),
            refusal,
        })
}

fn read_command(
    verb: Verb,
    arguments: &[u8],
    preset: Preset,
) -> Result<(Command, Option<Repair>), Refusal> {
    let plain = |command| {
        if arguments.is_empty() {
            Ok((command, None))
        } else {
            Err(arguments_fault())
        }
    };
    match verb {
        Verb::Helo => hello(arguments, false, preset),
        Verb::Ehlo => hello(arguments, true, preset),
        Verb::Mail => mail(arguments, preset),
        Verb::Rcpt => rcpt(arguments, preset),
        Verb::Bdat => bdat(arguments).map(|command| (command, None)),
        Verb::Data => plain(Command::Data),
        Verb::Rset => plain(Command::Rset),
        Verb::Quit => plain(Command::Quit),
        Verb::StartTls => plain(Command::StartTls),
        Verb::Vrfy if arguments.is_empty() => Err(arguments_fault()),
        Verb::Vrfy => Ok((Command::Vrfy, None)),
        Verb::Expn => Ok((Command::Expn, None)),
        Verb::Help => Ok((Command::Help, None)),
        Verb::Noop => Ok((Command::Noop, None)),
        Verb::Auth => auth(arguments).map(|command| (command, None)),
    }
}

impl Verb {
    /// Verbs in any case. RFC 5321 §2.4.
    fn read(word: &[u8]) -> Option<Self> {
        let mut upper = [0_u8; 8];
        let upper = upper.get_mut(..word.len())?;
        upper.copy_from_slice(word);
        upper.make_ascii_uppercase();
        Some(match &*upper {
            b"HELO" => Self::Helo,
            b"EHLO" => Self::Ehlo,
            b"MAIL" => Self::Mail,
            b"RCPT" => Self::Rcpt,
            b"DATA" => Self::Data,
            b"BDAT" => Self::Bdat,
            b"RSET" => Self::Rset,
            b"VRFY" => Self::Vrfy,
            b"EXPN" => Self::Expn,
            b"HELP" => Self::Help,
            b"NOOP" => Self::Noop,
            b"QUIT" => Self::Quit,
            b"STARTTLS" => Self::StartTls,
            b"AUTH" => Self::Auth,
            _ => return None,
        })
    }
}

/// The first word, and what follows it without white space at either end.
fn split_verb(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line
        .iter()
        .position(|byte| is_blank(*byte))
        .unwrap_or(line.len());
    let (word, rest) = line.split_at(end);
    (word, trim_blanks(rest))
}

fn hello(
    arguments: &[u8],
    extended: bool,
    preset: Preset,
) -> Result<(Command, Option<Repair>), Refusal> {
    let name = String::from_utf8_lossy(arguments);
    let repair = match (is_greeting_name(arguments), preset) {
        (true, _) => None,
        (false, Preset::Tolerant) => Some(Repair::HeloSyntax),
        (false, Preset::Strict) => return Err(arguments_fault()),
    };
    Ok((
        Command::Hello {
            name: name.into(),
            extended,
        },
        repair,
    ))
}

/// A domain or an address literal. RFC 5321 §4.1.1.1 wants a domain for HELO; printers send
/// literals there too, and nothing is gained by refusing what EHLO allows.
fn is_greeting_name(name: &[u8]) -> bool {
    let Ok(name) = core::str::from_utf8(name) else {
        return false;
    };
    if !name.is_ascii() {
        return false;
    }
    if !name.starts_with('[') {
        return Domain::parse(name).is_ok();
    }
    Host::parse(name).is_ok() || is_general_literal(name)
}

/// `[tag:content]`. RFC 5321 §4.1.3, `General-address-literal`.
fn is_general_literal(name: &str) -> bool {
    let Some(inner) = name
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    else {
        return false;
    };
    let Some((tag, content)) = inner.split_once(':') else {
        return false;
    };
    // What calls itself IPv6 has to be it.
    !tag.eq_ignore_ascii_case("IPv6")
        && Domain::parse(tag).is_ok_and(|tag| !tag.as_str().contains(['.', '_']))
        && !content.is_empty()
        && content
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"[\\]".contains(&byte))
}

fn mail(arguments: &[u8], preset: Preset) -> Result<(Command, Option<Repair>), Refusal> {
    let text = as_text(arguments)?;
    let argument = path::read(text, "FROM", preset)?.ok_or(Refusal::SenderSyntax)?;
    let reverse_path = argument.reverse_path().ok_or(Refusal::SenderSyntax)?;
    let utf8 = argument.is_utf8();
    let (parameters, names_author) = parameters::of_sender(argument.rest, preset)?;
    Ok((
        Command::Mail {
            reverse_path,
            utf8,
            parameters,
            names_author,
        },
        argument.repair,
    ))
}

fn rcpt(arguments: &[u8], preset: Preset) -> Result<(Command, Option<Repair>), Refusal> {
    let text = as_text(arguments)?;
    let argument = path::read(text, "TO", preset)?.ok_or(Refusal::RecipientSyntax)?;
    let forward_path = argument.forward_path().ok_or(Refusal::RecipientSyntax)?;
    let utf8 = argument.is_utf8();
    let (notify, original) = parameters::of_recipient(argument.rest, preset)?;
    Ok((
        Command::Rcpt {
            forward_path,
            utf8,
            notify,
            original,
        },
        argument.repair,
    ))
}

/// `size` or `size LAST`. RFC 3030 §2.
fn bdat(arguments: &[u8]) -> Result<Command, Refusal> {
    let text = as_text(arguments)?;
    let (size, last) = match text.split_once(' ') {
        None => (text, false),
        Some((size, word)) if word.trim().eq_ignore_ascii_case("LAST") => (size, true),
        Some(_) => return Err(arguments_fault()),
    };
    let size = parameters::number(size).ok_or_else(arguments_fault)?;
    Ok(Command::Bdat { size, last })
}

/// `mechanism` or `mechanism initial-response`. What is wrong with it is not shown: it may hold a
/// password.
fn auth(arguments: &[u8]) -> Result<Command, Refusal> {
    let end = arguments.iter().position(|octet| is_blank(*octet));
    let (mechanism, initial) = arguments.split_at(end.unwrap_or(arguments.len()));
    let initial = trim_blanks(initial);
    let mechanism = as_text(mechanism)?;
    let is_name = (1..=MECHANISM_CHARACTERS_MAX).contains(&mechanism.len())
        && mechanism
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_'));
    if !is_name || initial.iter().any(|octet| is_blank(*octet)) {
        return Err(arguments_fault());
    }
    Ok(Command::Auth {
        mechanism: mechanism.into(),
        initial: (!initial.is_empty()).then(|| Secret::from(initial)),
    })
}

/// Whether a line, perhaps not yet complete, is one of AUTH.
pub(crate) fn is_auth(line: &[u8]) -> bool {
    matches!(line.get(..5), Some([verb @ .., blank])
        if verb.eq_ignore_ascii_case(b"AUTH") && is_blank(*blank))
}

fn as_text(arguments: &[u8]) -> Result<&str, Refusal> {
    core::str::from_utf8(arguments).map_err(|_| arguments_fault())
}

fn syntax(fault: SyntaxFault) -> Refusal {
    Refusal::Syntax(fault)
}

fn arguments_fault() -> Refusal {
    syntax(SyntaxFault::Arguments)
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn trim_blanks(mut text: &[u8]) -> &[u8] {
    while let Some((first, rest)) = text.split_first()
        && is_blank(*first)
    {
        text = rest;
    }
    while let Some((last, rest)) = text.split_last()
        && is_blank(*last)
    {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
