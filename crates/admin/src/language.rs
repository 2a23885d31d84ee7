//! In which language people are told.

/// English or French.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Language {
    /// `en`.
    English,
    /// `fr`.
    French,
}

impl Language {
    /// By `LC_ALL`, `LC_MESSAGES`, `LANG`, in POSIX's order: French for `fr…`.
    pub fn of_environment() -> Self {
        let variables = ["LC_ALL", "LC_MESSAGES", "LANG"];
        let value = variables
            .iter()
            .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        if value.is_some_and(|value| value.starts_with("fr")) {
            Self::French
        } else {
            Self::English
        }
    }

    /// The text in this language.
    pub fn pick<T>(self, english: T, french: T) -> T {
        match self {
            Self::English => english,
            Self::French => french,
        }
    }
}
