//! Which correlation id a request has before the guard has seen it, by the guard's own rule.

use crate::domain::Correlation;
use http::{HeaderMap, HeaderName};

/// The header that carries the correlation id, both ways.
pub(crate) const HEADER: HeaderName = HeaderName::from_static("x-correlation-id");

const FALLBACK: HeaderName = HeaderName::from_static("x-request-id");

/// The caller's correlation id, if a well-formed one came.
pub(crate) fn of_caller(headers: &HeaderMap) -> Option<Correlation> {
    let sent = headers.get(HEADER).or_else(|| headers.get(FALLBACK));
    sent.and_then(|sent| Correlation::parse(sent.as_bytes()))
}

/// The correlation id that the guard gave its answer.
pub(crate) fn of_guard(headers: &HeaderMap) -> Option<Correlation> {
    headers.get(HEADER).and_then(|sent| Correlation::parse(sent.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_callers_id_is_taken_if_well_formed() {
        for (pairs, expected) in [
            (vec![("x-correlation-id", "abc-1")], Some("abc-1")),
            (vec![("x-request-id", "r_2")], Some("r_2")),
            (vec![("x-correlation-id", "c"), ("x-request-id", "r")], Some("c")),
            (vec![("x-correlation-id", "bad id"), ("x-request-id", "r")], None),
            (vec![("x-correlation-id", "<script>")], None),
            (vec![], None),
        ] {
            let sent =
                pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            let headers: HeaderMap = sent.collect();
            assert_eq!(of_caller(&headers).as_ref().map(Correlation::as_str), expected, "{pairs:?}");
        }
    }
}
