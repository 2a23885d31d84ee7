//! Fields of a form or a query: names may come more than once. A form with a file comes in parts
//! (`multipart/form-data`, RFC 7578).

/// Fields of one form at most; more are not looked at.
const FIELDS_MAX: usize = 500;

/// Octets of the lines before a part's content: browsers write two of them.
const PART_HEAD_OCTETS_MAX: usize = 4_096;

/// Why a form in parts is not read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum PartsFault {
    /// Its parts are not where they should be.
    Form,
    /// A part is no text.
    Text,
}

/// What was sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// `application/x-www-form-urlencoded`. WHATWG URL §5.1.
    pub(super) fn parse(octets: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(octets).into_owned();
        Self(pairs.take(FIELDS_MAX).collect())
    }

    /// What stands between the parts, where the type says that there are any.
    pub(super) fn boundary_of(content_type: &str) -> Option<&str> {
        let (form, rest) = content_type.split_once(';')?;
        if !form.trim().eq_ignore_ascii_case("multipart/form-data") {
            return None;
        }
        let mut parameters = rest.split(';').filter_map(|one| one.split_once('='));
        let (_, boundary) =
            parameters.find(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"))?;
        let boundary = boundary.trim().trim_matches('"');
        // RFC 2046 §5.1.1.
        (1..=70).contains(&boundary.len()).then_some(boundary)
    }

    /// `multipart/form-data`: of a file its content, not its name. RFC 7578 §4, RFC 2046 §5.1.
    pub(super) fn parse_parts(octets: &[u8], boundary: &str) -> Result<Self, PartsFault> {
        let first = format!("--{boundary}");
        let between = format!("\r\n--{boundary}");
        let mut rest = octets
            .strip_prefix(first.as_bytes())
            .ok_or(PartsFault::Form)?;
        let mut pairs = Vec::new();
        while !rest.starts_with(b"--") {
            let part = rest.strip_prefix(b"\r\n").ok_or(PartsFault::Form)?;
            let end = position(part, between.as_bytes()).ok_or(PartsFault::Form)?;
            rest = &part[end + between.len()..];
            if pairs.len() < FIELDS_MAX {
                pairs.push(field(&part[..end])?);
            }
        }
        Ok(Self(pairs))
    }

    /// As if these had been sent.
    pub(super) fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The first of that name, without spaces around it; empty where there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.raw(name).trim()
    }

    /// The same as it was typed: passwords.
    pub(super) fn raw(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(one, _)| one == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }

    /// All of that name.
    pub(super) fn all<'a, 'n: 'a>(&'a self, name: &'n str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(one, _)| one == name);
        named.map(|(_, value)| value.as_str())
    }
}

/// Name and text of a part.
fn field(part: &[u8]) -> Result<(String, String), PartsFault> {
    let head = &part[..part.len().min(PART_HEAD_OCTETS_MAX)];
    let end = position(head, b"\r\n\r\n").ok_or(PartsFault::Form)?;
    let head = std::str::from_utf8(&head[..end]).map_err(|_| PartsFault::Form)?;
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    let (_, says) = lines
        .find(|(name, _)| name.eq_ignore_ascii_case("content-disposition"))
        .ok_or(PartsFault::Form)?;
    let mut parameters = says.split(';').filter_map(|one| one.split_once('='));
    let (_, name) = parameters
        .find(|(name, _)| name.trim() == "name")
        .ok_or(PartsFault::Form)?;
    let text = std::str::from_utf8(&part[end + 4..]).map_err(|_| PartsFault::Text)?;
    // Some editors of Windows begin a file with a mark of its order of octets.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    Ok((name.trim().trim_matches('"').to_owned(), text.to_owned()))
}

fn position(octets: &[u8], sought: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = octets[from..].iter().position(|one| *one == sought[0]) {
        let at = from + found;
        if octets[at..].starts_with(sought) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const BROWSERS: &str = "multipart/form-data; boundary=----WebKitFormBoundaryAbC";

    fn parts(text: &str) -> Result<Form, PartsFault> {
        let boundary = Form::boundary_of(BROWSERS).expect("a boundary");
        Form::parse_parts(text.replace('\n', "\r\n").as_bytes(), boundary)
    }

    #[test]
    fn a_form_in_parts_is_read_as_one_in_a_line() {
        let form = parts(
            "------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"form_token\"\n\n\
             abc\n\
             ------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"file\"; \
             filename=\"name=x.toml\"\nContent-Type: application/toml\n\n\
             \u{feff}[[organisation]]\n--\nname = \"contoso\"\n\n\
             ------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"none\"\n\n\n\
             ------WebKitFormBoundaryAbC--\n",
        );
        let form = form.expect("a form");
        assert_eq!(form.raw("form_token"), "abc");
        assert_eq!(
            form.raw("file"),
            "[[organisation]]\r\n--\r\nname = \"contoso\"\r\n"
        );
        assert_eq!((form.raw("none"), form.0.len()), ("", 3));
    }

    #[test]
    fn parts_that_are_cut_or_no_text_are_told_and_what_is_no_form_in_parts_is_none() {
        for cut in [
            "",
            "name=value",
            "------WebKitFormBoundaryAbC",
            "------WebKitFormBoundaryAbC\nContent-Disposition: form-data; name=\"a\"\n\nb",
            "------WebKitFormBoundaryAbC\n\nb\n------WebKitFormBoundaryAbC--",
        ] {
            assert_eq!(parts(cut).err(), Some(PartsFault::Form), "{cut}");
        }
        let octets = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\xff\r\n--x--";
        let fault = Form::parse_parts(octets, "x").err();
        assert_eq!(fault, Some(PartsFault::Text));
        for other in [
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "multipart/mixed; boundary=x",
            "multipart/form-data; boundary=",
        ] {
            assert_eq!(Form::boundary_of(other), None, "{other}");
        }
    }
}
