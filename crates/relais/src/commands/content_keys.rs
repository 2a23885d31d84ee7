//! Content checks as flags, the same for the mail of an inbound connector's clients and for that of
//! strangers.

use clap::Args;

use super::edit::Patch;

/// `content` of a connector, `inbound_content` of an organisation.
#[derive(Args, Debug)]
pub(super) struct ContentKeys {
    /// Who looks at the content: names of content checkers; replaces the list; an empty value:
    /// nobody
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    content_check: Vec<String>,
    /// How long all content checks together get, as "20s"
    #[arg(long, value_name = "TIME")]
    content_timeout: Option<String>,
    /// What happens when a content check does not answer
    #[arg(long, value_parser = ["refuse", "pass", "hold"])]
    content_on_fault: Option<String>,
    /// What happens when a content check says no
    #[arg(long, value_parser = ["refuse", "hold"])]
    content_on_finding: Option<String>,
    /// Endings of names of attachments that do not pass, as exe; replaces the list
    #[arg(long, value_name = "ENDING", value_delimiter = ',')]
    forbidden_extension: Vec<String>,
    /// Declared types of parts that do not pass, as video/*; replaces the list
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    forbidden_type: Vec<String>,
}

impl ContentKeys {
    /// Those that are given, into that table.
    pub(super) fn put(&self, table: &'static str, patch: &mut Patch) {
        patch.list_within(table, "checks", &self.content_check);
        patch.list_within(table, "forbidden_extensions", &self.forbidden_extension);
        patch.list_within(table, "forbidden_types", &self.forbidden_type);
        patch.within(table, "timeout", self.content_timeout.as_ref());
        patch.within(table, "on_fault", self.content_on_fault.as_ref());
        patch.within(table, "on_finding", self.content_on_finding.as_ref());
    }
}
