//! The organisational domain: what somebody registered, below which all names are theirs. By the
//! public suffix list (RFC 7489 §3.2), which is compiled in.
//!
//! Names that the list does not know (`contoso.test`, `relay.lan`) have the last label as suffix.

use relais_smtp::domain::Domain;

/// Names that are asked on the way up. RFC 9989 §4.10 stops at eight.
const NAMES_MAX: usize = 8;

/// The organisational domain of a name: the public suffix and one label more. `None`: the name is
/// itself a public suffix, and nobody's.
pub fn organisational_domain(domain: &Domain) -> Option<Domain> {
    let registered = psl::domain_str(domain.as_str())?;
    Domain::parse(registered).ok()
}

/// Whether both names are in the same hands. RFC 7489 §3.1.1, relaxed. A public suffix is only ever
/// together with itself.
pub fn belong_together(one: &Domain, other: &Domain) -> bool {
    let organisational = organisational_domain(one);
    one == other || (organisational.is_some() && organisational == organisational_domain(other))
}

/// A name and those above it, up to its organisational domain: where its owner may have said
/// something that holds for it (`_dmarc`). Of a long name the first and the last few. RFC 9989
/// §4.10.
pub fn upwards(domain: &Domain) -> impl Iterator<Item = &str> {
    let organisational = organisational_domain(domain);
    let last = organisational.map_or(domain.as_str().len(), |one| one.as_str().len());
    let name = domain.as_str();
    let starts = name.match_indices('.').map(|(at, _)| at + 1);
    let above: Vec<_> = starts.filter(|at| name.len() - at >= last).collect();
    let skipped = above.len().saturating_sub(NAMES_MAX - 1);
    let above = above.into_iter().skip(skipped);
    core::iter::once(name).chain(above.map(move |at| &name[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    #[test]
    fn names_below_one_registered_name_belong_together() {
        for (one, other, expected) in [
            ("contoso.test", "bounce.contoso.test", true),
            ("a.contoso.test", "b.contoso.test", true),
            ("contoso.test", "fabrikam.test", false),
            ("a.example.co.uk", "b.example.co.uk", true),
            ("one.co.uk", "two.co.uk", false),
            ("co.uk", "one.co.uk", false),
            ("co.uk", "co.uk", true),
            ("one.github.io", "two.github.io", false),
            ("relay", "relay", true),
        ] {
            let found = belong_together(&domain(one), &domain(other));
            assert_eq!(found, expected, "{one} {other}");
        }
    }

    #[test]
    fn the_way_up_ends_where_somebody_else_begins() {
        for (name, expected) in [
            ("contoso.test", "contoso.test"),
            (
                "a.b.contoso.test",
                "a.b.contoso.test b.contoso.test contoso.test",
            ),
            ("a.one.co.uk", "a.one.co.uk one.co.uk"),
            ("co.uk", "co.uk"),
        ] {
            let found: Vec<_> = upwards(&domain(name)).map(str::to_owned).collect();
            assert_eq!(found.join(" "), expected);
        }
        let long = format!("{}contoso.test", "x.".repeat(30));
        let found: Vec<_> = upwards(&domain(&long)).map(str::len).collect();
        assert_eq!(found, [72, 24, 22, 20, 18, 16, 14, 12]);
    }
}
