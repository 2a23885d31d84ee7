//! Taking over from the relay that was there before: its exported settings in, a proposal and a
//! report out.
//!
//! Every proposed connector is disabled, or a draft where a disabled one would take clients away
//! from a connector in use; every domain has to be verified. What is there already stays as it is.
//! Ranges are never widened, passwords are never taken over and never repeated.
//!
//! Not here: reading files, changing settings.

mod postfix;
mod iis;
mod devices;
mod exchange;
mod json;
mod xml;
mod text;
mod proposing;
mod address;

use std::collections::HashSet;
use std::fmt;

use crate::document::{Document, Organisation};
use crate::settings::Mode;

use proposing::Proposing;

pub use postfix::maps_of;
pub use text::{decode, with_files, without_passwords};

/// Largest text that is read, in octets: the connectors of some thousand servers as JSON.
pub const TEXT_OCTETS_MAX: usize = 4 << 20;
/// Objects of each kind that one import proposes.
pub const OBJECTS_MAX: usize = 2_000;
/// Findings of each part of a report; the last one says that there were more.
pub const FINDINGS_MAX: usize = 1_000;

/// What the old relay is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// Exchange Server: receive connectors, send connectors, accepted domains, as JSON.
    Exchange,
    /// Exchange Online: inbound and outbound connectors, accepted domains, as JSON.
    ExchangeOnline,
    /// Postfix: `postconf -n`, and maps behind `==> name <==`.
    Postfix,
    /// The SMTP service of IIS: `MetaBase.xml`.
    Iis,
    /// A list of devices.
    Csv,
}

impl Source {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Exchange,
        Self::ExchangeOnline,
        Self::Postfix,
        Self::Iis,
        Self::Csv,
    ];

    /// As commands and addresses name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exchange => "exchange",
            Self::ExchangeOnline => "exchange-online",
            Self::Postfix => "postfix",
            Self::Iis => "iis",
            Self::Csv => "csv",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }
}

/// What there is already.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    /// From the bootstrap file.
    pub mode: Mode,
    /// The settings in force.
    pub settings: &'a Document,
    /// The organisation that is added to.
    pub organisation: &'a Organisation,
}

/// What could be taken over, and what has to be known about it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The new objects only, under the name of the organisation.
    pub organisation: Organisation,
    /// What became of everything that was read.
    pub report: Report,
}

/// What became of what was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Report {
    /// New objects.
    pub created: Vec<Finding>,
    /// What works in another way here.
    pub changed: Vec<Finding>,
    /// What is not taken over, with its reason.
    pub unsupported: Vec<Finding>,
    /// What was dangerous as it was.
    pub dangerous: Vec<Finding>,
}

impl Report {
    /// Its parts by name, in the order in which they are read.
    pub fn parts(&self) -> [(&'static str, &[Finding]); 4] {
        [
            ("created", &self.created),
            ("changed", &self.changed),
            ("unsupported", &self.unsupported),
            ("dangerous", &self.dangerous),
        ]
    }
}

/// One line of a report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Finding {
    /// What it is about: `inbound connector Printers`, or a name of the old side.
    pub object: String,
    /// What became of it, and why.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.object, self.message)
    }
}

/// Why a text is none of that source: cause and fix.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct MigrationError {
    /// One sentence.
    pub message: String,
}

impl MigrationError {
    fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { message }
    }
}

/// Reads what the old relay exported. Fails only where the text is none of that source; whatever
/// cannot be taken over stands in the report.
pub fn read(
    source: Source,
    text: &str,
    around: &Surroundings<'_>,
) -> Result<Proposal, MigrationError> {
    if text.len() > TEXT_OCTETS_MAX {
        let most = TEXT_OCTETS_MAX >> 20;
        return Err(MigrationError::new(format!(
            "the text is larger than {most} MiB; export fewer servers at once"
        )));
    }
    let text = text.trim_start_matches('\u{feff}');
    let mut proposing = Proposing::new(around);
    match source {
        Source::Exchange | Source::ExchangeOnline => exchange::read(text, &mut proposing)?,
        Source::Postfix => postfix::read(text, &mut proposing)?,
        Source::Iis => iis::read(text, &mut proposing)?,
        Source::Csv => devices::read(text, &mut proposing)?,
    }
    Ok(proposing.end())
}

impl Proposal {
    /// As a settings file has it.
    pub fn document(&self) -> Document {
        Document {
            organisation: vec![self.organisation.clone()],
        }
    }

    /// Whether there is nothing to add.
    pub fn is_empty(&self) -> bool {
        let new = &self.organisation;
        new.inbound_connector.is_empty()
            && new.outbound_connector.is_empty()
            && new.domain.is_empty()
    }

    /// Adds it to the organisation of its name; an object whose name is taken meanwhile is left
    /// out. False: there is no such organisation.
    pub fn add_to(&self, document: &mut Document) -> bool {
        let mut all = document.organisation.iter_mut();
        let Some(into) = all.find(|one| one.name == self.organisation.name) else {
            return false;
        };
        let new = &self.organisation;
        add_new(&mut into.domain, &new.domain, |one| &one.name);
        add_new(
            &mut into.outbound_connector,
            &new.outbound_connector,
            |one| &one.name,
        );
        add_new(&mut into.inbound_connector, &new.inbound_connector, |one| {
            &one.name
        });
        true
    }
}

/// Adds those whose name is not taken.
fn add_new<T: Clone>(into: &mut Vec<T>, new: &[T], name: impl Fn(&T) -> &str) {
    let folded = |one: &T| name(one).trim().to_lowercase();
    let mut taken: HashSet<_> = into.iter().map(folded).collect();
    into.extend(new.iter().filter(|one| taken.insert(folded(one))).cloned());
}
