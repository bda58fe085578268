//! Path templates: `/v1/api-keys/{id}:rotate` and the like.

/// A path template of a `google.api.http` annotation: literals, variables that fill one segment, and
/// a verb at the end.
///
/// Matching works on the path as it was sent. An escaped letter in a literal, an empty segment or a
/// slash too many is no match, so that a proxy in front and Doorward never disagree on what a path is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    segments: Vec<Segment>,
    verb: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    /// Sorts first: where a literal and a variable both match, the literal wins.
    Literal(String),
    Variable(String),
}

impl Template {
    /// Reads a template; `None` if it is malformed or uses more than literals, `{field}` and `:verb`.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, verb) = match text.rsplit_once(':') {
            Some((path, verb)) => (path, Some(verb)),
            None => (text, None),
        };
        if verb.is_some_and(|verb| !is_literal(verb)) {
            return None;
        }
        let segments = path.strip_prefix('/')?.split('/').map(Segment::parse).collect::<Option<Vec<_>>>()?;
        Some(Self { segments, verb: verb.map(str::to_owned) })
    }

    /// The field paths of the variables, in the order of [`Self::matches`].
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Variable(field) => Some(field.as_str()),
            Segment::Literal(_) => None,
        })
    }

    /// The raw texts of the variables if `path` has this form.
    pub fn matches<'p>(&self, path: &'p str) -> Option<Vec<&'p str>> {
        let path = self.without_verb(path.strip_prefix('/')?)?;
        let mut values = Vec::new();
        let mut sent = path.split('/');
        for segment in &self.segments {
            let text = sent.next()?;
            match segment {
                Segment::Literal(literal) if literal == text => {}
                Segment::Variable(_) if !text.is_empty() => values.push(text),
                Segment::Literal(_) | Segment::Variable(_) => return None,
            }
        }
        sent.next().is_none().then_some(values)
    }

    /// Whether both match the same paths.
    pub fn same_paths(&self, other: &Self) -> bool {
        self.shape() == other.shape()
    }

    /// Orders templates so that the more literal of two that match a path comes first.
    pub fn more_literal_first(&self, other: &Self) -> std::cmp::Ordering {
        self.shape().cmp(&other.shape())
    }

    /// Takes the verb off. What is left holds no colon in its last segment: an unknown verb must not
    /// become part of an id.
    fn without_verb<'p>(&self, path: &'p str) -> Option<&'p str> {
        let rest = match &self.verb {
            Some(verb) => path.strip_suffix(verb.as_str())?.strip_suffix(':')?,
            None => path,
        };
        let last = rest.rsplit('/').next()?;
        (!last.contains(':')).then_some(rest)
    }

    /// Literals as they are, variables all alike and after any literal.
    fn shape(&self) -> (Vec<Segment>, &Option<String>) {
        let blank = |segment: &Segment| match segment {
            Segment::Literal(_) => segment.clone(),
            Segment::Variable(_) => Segment::Variable(String::new()),
        };
        (self.segments.iter().map(blank).collect(), &self.verb)
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix('{').map(|rest| rest.strip_suffix('}')) {
            None => is_literal(text).then(|| Self::Literal(text.to_owned())),
            Some(field) => {
                field.filter(|field| is_field_path(field)).map(|field| Self::Variable(field.to_owned()))
            }
        }
    }
}

fn is_literal(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.'))
}

fn is_field_path(text: &str) -> bool {
    text.split('.').all(|name| {
        !name.is_empty() && name.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values<'p>(template: &str, path: &'p str) -> Option<Vec<&'p str>> {
        Template::parse(template).unwrap().matches(path)
    }

    #[test]
    fn verbs_and_variables_match_exactly() {
        for (template, path, expected) in [
            ("/v1/api-keys", "/v1/api-keys", Some(vec![])),
            ("/v1/api-keys", "/v1/api-keys/", None),
            ("/v1/api-keys", "/v1/api-keys:import", None),
            ("/v1/api-keys", "//v1/api-keys", None),
            ("/v1/api-keys", "/v1/API-keys", None),
            ("/v1/api-keys", "/v1/%61pi-keys", None),
            ("/v1/api-keys:import", "/v1/api-keys:import", Some(vec![])),
            ("/v1/api-keys:import", "/v1/api-keys:imports", None),
            ("/v1/api-keys:import", "/v1/api-keys%3Aimport", None),
            ("/v1/api-keys/{id}", "/v1/api-keys/key_1", Some(vec!["key_1"])),
            ("/v1/api-keys/{id}", "/v1/api-keys/key_1:rotate", None),
            ("/v1/api-keys/{id}", "/v1/api-keys/a%2Fb", Some(vec!["a%2Fb"])),
            ("/v1/api-keys/{id}", "/v1/api-keys/", None),
            ("/v1/api-keys/{id}", "/v1/api-keys", None),
            ("/v1/api-keys/{id}", "/v1/api-keys/a/b", None),
            ("/v1/api-keys/{id}:rotate", "/v1/api-keys/key_1:rotate", Some(vec!["key_1"])),
            ("/v1/api-keys/{id}:rotate", "/v1/api-keys/:rotate", None),
            ("/v1/api-keys/{id}:rotate", "/v1/api-keys/a:b:rotate", None),
            ("/v1/api-keys/{id}:rotate", "/v1/api-keys/rotate", None),
            ("/v1/api-keys/{id}/usage", "/v1/api-keys/k/usage", Some(vec!["k"])),
            ("/v1/api-keys/{id}/usage", "/v1/api-keys//usage", None),
        ] {
            assert_eq!(values(template, path), expected, "{template} {path}");
        }
    }

    #[test]
    fn malformed_templates_are_refused() {
        for bad in [
            "", "v1", "/", "/v1/", "/v1//x", "/{", "/{}", "/{a", "/{a=*}", "/*", "/**", "/v1/{a.}", "/v1:",
            "/v1/a{b}",
        ] {
            assert_eq!(Template::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_more_literal_template_comes_first() {
        let literal = Template::parse("/v1/a/b").unwrap();
        let variable = Template::parse("/v1/{x}/b").unwrap();
        assert!(literal.more_literal_first(&variable).is_lt());
        assert!(variable.same_paths(&Template::parse("/v1/{y}/b").unwrap()));
        assert!(!variable.same_paths(&Template::parse("/v1/{y}/b:go").unwrap()));
    }

    fn literal() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9-]{0,8}"
    }

    fn value() -> impl Strategy<Value = String> {
        "[A-Za-z0-9_%.~-]{1,12}"
    }

    proptest! {
        #[test]
        fn a_filled_template_matches_with_what_it_was_filled_with(
            parts in prop::collection::vec((literal(), prop::option::of(value())), 1..6),
            verb in prop::option::of(literal()),
        ) {
            let mut template = String::new();
            let mut path = String::new();
            for (name, filled) in &parts {
                let name = name.replace('-', "_");
                template += "/";
                template += &filled.as_ref().map_or(name.clone(), |_| format!("{{{name}}}"));
                path += "/";
                path += filled.as_ref().unwrap_or(&name);
            }
            let expected: Vec<&str> = parts.iter().filter_map(|(_, filled)| filled.as_deref()).collect();
            let plain = Template::parse(&template).unwrap();
            if let Some(verb) = &verb {
                let with_verb = Template::parse(&format!("{template}:{verb}")).unwrap();
                let path = format!("{path}:{verb}");
                prop_assert_eq!(with_verb.matches(&path), Some(expected.clone()));
                prop_assert_eq!(plain.matches(&path), None);
            }
            prop_assert_eq!(plain.matches(&path), Some(expected));
            let (slashed, longer) = (format!("{path}/"), format!("{path}/x"));
            prop_assert_eq!(plain.matches(&slashed), None);
            prop_assert_eq!(plain.matches(&longer), None);
            prop_assert_eq!(plain.matches(&path[1..]), None);
        }

        #[test]
        fn no_path_panics(template in any::<String>(), path in any::<String>()) {
            if let Some(template) = Template::parse(&template) {
                let _ = template.matches(&path);
            }
            let _ = Template::parse("/v1/{id}:go").unwrap().matches(&path);
        }
    }
}
