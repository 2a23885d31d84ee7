//! SPF, RFC 7208: the record read, evaluated for an address, and counted whole. Pure: what DNS says
//! comes in as [`Facts`]; where one is missing, [`evaluate`] and [`count`] give the question back.
//!
//! Not here: asking (`relais-net`), what we propose to publish (`merge` below, and `publication`),
//! explanations (`exp=`): they are read and not followed, as we only look at what exists.

mod merge;
mod evaluate;
mod macros;
mod record;

pub use evaluate::{
    Budget, Evaluation, Fact, Facts, LOOKUPS_MAX, Lookup, Question, Request, SpfResult, VOIDS_MAX,
    count, evaluate, spf_texts,
};
pub use merge::{Merged, OurTerm, merge};
pub use record::{
    Directive, DirectiveKind, Qualifier, Record, RecordError, is_spf, parse as parse_record,
};
