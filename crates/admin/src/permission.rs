//! Who may do what: one table, role × action, and how far it reaches. Pages, search and API ask
//! here, through the gate in front of the API (`access.rs`).
//!
//! Not here: which request is which action (`access.rs`), and who somebody is (`people`).

use serde::{Deserialize, Serialize};

/// What a person may be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Everything, people included.
    Owner,
    /// Everything that concerns mail and its settings.
    Operator,
    /// Finds mail, without what it says.
    Helpdesk,
    /// Reads everything, the audit included, and changes nothing.
    Auditor,
    /// The device cards of one inbound connector.
    Installer,
}

/// All of them, as they are offered.
pub const ROLES: [Role; 5] = [
    Role::Owner,
    Role::Operator,
    Role::Helpdesk,
    Role::Auditor,
    Role::Installer,
];

impl Role {
    /// `owner`, `operator` …
    pub fn parse(text: &str) -> Option<Self> {
        ROLES.into_iter().find(|role| role.name() == text)
    }

    /// The same, as text.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Operator => "operator",
            Self::Helpdesk => "helpdesk",
            Self::Auditor => "auditor",
            Self::Installer => "installer",
        }
    }

    /// Whether it may: the table's cell.
    pub fn may(self, action: Action) -> bool {
        let row = TABLE.iter().find(|(one, _)| *one == action);
        row.is_some_and(|(_, roles)| roles.contains(&self))
    }
}

/// What can be done, in the coarseness that roles differ by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Action {
    /// How the server is: home, health.
    SeeState,
    /// Trace, queue, refused attempts, suppressed recipients: who wrote to whom, and what became
    /// of it.
    ReadMail,
    /// What mail says: subjects, content.
    ReadContent,
    /// Retry, hold, release, delete; suspend a destination; suppress and release recipients.
    ActOnMail,
    /// Erase an address from what is kept of mail.
    Erase,
    /// Ask what would be decided.
    Simulate,
    /// Block and release entities, ignore and adopt refused attempts.
    Restrict,
    /// Domains, connectors, credentials, directory, limits.
    ReadSettings,
    /// Change them.
    ChangeSettings,
    /// Device cards, and the conversation of a device that is being set up.
    ReadCards,
    /// Which secrets there are; never their values.
    ReadSecrets,
    /// Keep and forget secrets of connectors.
    ChangeSecrets,
    /// The audit.
    ReadAudit,
    /// Who may use the admin centre, and how people sign in.
    ReadPeople,
    /// Change that.
    ManagePeople,
    /// Backup, master key, listeners: what concerns the machine.
    Maintain,
    /// Hand in a message over the API.
    SendMail,
}

use Action as A;
use Role::{Auditor, Helpdesk, Installer, Operator, Owner};

/// The table. An action without a row is nobody's.
pub const TABLE: &[(Action, &[Role])] = &[
    (A::SeeState, &[Owner, Operator, Helpdesk, Auditor]),
    (A::ReadMail, &[Owner, Operator, Helpdesk, Auditor]),
    (A::ReadContent, &[Owner, Operator, Auditor]),
    (A::ActOnMail, &[Owner, Operator]),
    (A::Erase, &[Owner]),
    (A::Simulate, &[Owner, Operator, Helpdesk, Auditor]),
    (A::Restrict, &[Owner, Operator]),
    (A::ReadSettings, &[Owner, Operator, Auditor]),
    (A::ChangeSettings, &[Owner, Operator]),
    (A::ReadCards, &[Owner, Operator, Auditor, Installer]),
    (A::ReadSecrets, &[Owner, Operator, Auditor]),
    (A::ChangeSecrets, &[Owner, Operator]),
    (A::ReadAudit, &[Owner, Auditor]),
    (A::ReadPeople, &[Owner, Auditor]),
    (A::ManagePeople, &[Owner]),
    (A::Maintain, &[Owner]),
    (A::SendMail, &[Owner, Operator]),
];

/// How far somebody sees.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reach {
    /// All organisations, and the machine itself.
    Installation,
    /// One organisation.
    Organisation {
        /// Its name.
        name: String,
        /// Of it, one inbound connector only.
        connector: Option<String>,
    },
}

/// What one caller may do, and how far. Cheap to ask.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rights {
    allowed: u32,
    reach: Reach,
}

impl Rights {
    /// Of somebody who has the machine: the local socket, the data folder.
    pub fn everything() -> Self {
        Self::of_role(Role::Owner, Reach::Installation)
    }

    /// None at all: nobody is known.
    pub fn none() -> Self {
        Self::of_actions(std::iter::empty(), Reach::Installation)
    }

    /// Of a person with this role.
    pub fn of_role(role: Role, reach: Reach) -> Self {
        let actions = TABLE.iter().map(|(action, _)| *action);
        Self::of_actions(actions.filter(|action| role.may(*action)), reach)
    }

    /// Of a key with these scopes.
    pub fn of_actions(actions: impl IntoIterator<Item = Action>, reach: Reach) -> Self {
        let bits = actions.into_iter().map(|action| 1 << action as u32);
        Self {
            allowed: bits.fold(0, |all, one| all | one),
            reach,
        }
    }

    /// Whether the action is permitted, where it reaches.
    pub fn may(&self, action: Action) -> bool {
        self.allowed & (1 << action as u32) != 0
    }

    /// How far.
    pub fn reach(&self) -> &Reach {
        &self.reach
    }

    /// The only organisation that is seen; `None`: all.
    pub fn organisation(&self) -> Option<&str> {
        match &self.reach {
            Reach::Installation => None,
            Reach::Organisation { name, .. } => Some(name),
        }
    }

    /// The only inbound connector that is seen; `None`: all within reach.
    pub fn connector(&self) -> Option<&str> {
        match &self.reach {
            Reach::Installation => None,
            Reach::Organisation { connector, .. } => connector.as_deref(),
        }
    }

    /// Whether this organisation is within reach.
    pub fn sees(&self, organisation: &str) -> bool {
        self.organisation().is_none_or(|own| own == organisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_action_has_one_row_and_an_owner_may_all() {
        for (at, (action, roles)) in TABLE.iter().enumerate() {
            let rest = &TABLE[at + 1..];
            assert!(rest.iter().all(|(one, _)| one != action), "{action:?}");
            assert!(roles.contains(&Owner), "{action:?}");
        }
        // The last one counts the variants.
        assert_eq!(TABLE.len(), A::SendMail as usize + 1);
    }

    #[test]
    fn roles_are_what_their_names_say() {
        let changing = [
            A::ActOnMail,
            A::Erase,
            A::Restrict,
            A::ChangeSettings,
            A::ChangeSecrets,
            A::ManagePeople,
            A::Maintain,
            A::SendMail,
        ];
        for action in changing {
            for role in [Auditor, Helpdesk, Installer] {
                assert!(!role.may(action), "{role:?} {action:?}");
            }
        }
        let reading = TABLE.iter().map(|(action, _)| *action);
        for action in reading.filter(|action| !changing.contains(action)) {
            assert!(Auditor.may(action), "{action:?}");
        }
        assert!(Helpdesk.may(A::ReadMail) && !Helpdesk.may(A::ReadContent));
        assert!(!Operator.may(A::ManagePeople) && !Operator.may(A::Maintain));
        let cards = Rights::of_role(Installer, Reach::Installation);
        let of_it = TABLE.iter().filter(|(action, _)| cards.may(*action));
        assert_eq!(of_it.count(), 1);
    }

    #[test]
    fn names_of_roles_read_back_and_reach_ends_at_the_organisation() {
        for role in ROLES {
            assert_eq!(Role::parse(role.name()), Some(role));
        }
        assert_eq!(Role::parse("root"), None);
        let reach = Reach::Organisation {
            name: "contoso".to_owned(),
            connector: None,
        };
        let rights = Rights::of_role(Owner, reach);
        assert!(rights.sees("contoso") && !rights.sees("fabrikam") && !rights.sees(""));
        assert!(Rights::everything().sees("fabrikam"));
        assert!(!Rights::none().may(A::SeeState));
    }
}
