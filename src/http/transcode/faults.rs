//! Field violations, collected with the paths of their fields.

use crate::domain::Refusal;
use crate::domain::refusal::Violation;
use crate::http::problem::Problem;
use std::borrow::Cow;
use std::fmt;

/// The most violations that one answer lists.
const MAX_LISTED: usize = 50;

/// The longest name from a request that is repeated in an answer. Names of fields are shorter; a
/// longer one may be a credential in the wrong place.
const MAX_NAME: usize = 32;

/// The violations found so far.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Violation>);

impl Faults {
    /// Notes a fault of the field at `path`; beyond the bound it only counts as found.
    pub fn add(&mut self, path: &Path<'_>, description: impl Into<Cow<'static, str>>) {
        if self.0.len() < MAX_LISTED {
            self.0.push(Violation { field: path.to_string().into(), description: description.into() });
        }
    }

    /// `value` if nothing was found, else the refusal.
    pub fn into_result<T>(self, value: T) -> Result<T, Problem> {
        if self.0.is_empty() { Ok(value) } else { Err(Refusal::violations(self.0).into()) }
    }
}

/// Where in the request a value stands. Written out only when it is at fault.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Path<'a> {
    /// The request itself.
    Root,
    /// A member of a message or map.
    Member(&'a Path<'a>, &'a str),
    /// An element of a list.
    Element(&'a Path<'a>, usize),
}

impl<'a> Path<'a> {
    /// The path of a member of what is here.
    pub fn member(&'a self, name: &'a str) -> Self {
        Self::Member(self, name)
    }

    /// The path of an element of what is here.
    pub fn element(&'a self, at: usize) -> Self {
        Self::Element(self, at)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Self::Root, name) => f.write_str(shown(name)),
            Self::Member(parent, name) => write!(f, "{parent}.{}", shown(name)),
            Self::Element(parent, at) => write!(f, "{parent}[{at}]"),
        }
    }
}

/// The name if it could be a field's, else a sign that it was left out.
fn shown(name: &str) -> &str {
    let plain = name.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'.'));
    if plain && (1..=MAX_NAME).contains(&name.len()) { name } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_in_the_proto() {
        let requests = Path::Root.member("requests");
        let element = requests.element(2);
        assert_eq!(element.member("cost").to_string(), "requests[2].cost");
        assert_eq!(Path::Root.to_string(), "");
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let key = "dw_live_0123456789abcdefghijABCDEFGHIJ01234567";
        assert_eq!(Path::Root.member(key).to_string(), "?");
        assert_eq!(Path::Root.member("<b>").to_string(), "?");
    }

    #[test]
    fn the_list_is_bounded() {
        let mut faults = Faults::default();
        for _ in 0..10_000 {
            faults.add(&Path::Root, "wrong");
        }
        assert_eq!(faults.0.len(), MAX_LISTED);
        assert!(faults.into_result(()).is_err());
        assert!(Faults::default().into_result(()).is_ok());
    }
}
