//! Which form of error body a client wants (RFC 9110 §12.5.1).

use http::header::ACCEPT;
use http::{HeaderMap, HeaderValue};

/// Whether the client wants RFC 9457 bodies: its `Accept` names them, with no less weight than
/// plain JSON.
pub(crate) fn wants_rfc9457(headers: &HeaderMap) -> bool {
    let mut problem = None;
    let mut plain = None;
    for (range, weight) in headers.get_all(ACCEPT).iter().flat_map(accepted) {
        match range.as_str() {
            "application/problem+json" => problem = problem.max(Some(weight)),
            "application/json" => plain = plain.max(Some(weight)),
            _ => {}
        }
    }
    problem.is_some_and(|weight| weight > 0) && problem >= plain
}

/// The media ranges of one `Accept` header with their weights in thousandths.
fn accepted(value: &HeaderValue) -> Vec<(String, u16)> {
    let Ok(text) = value.to_str() else { return Vec::new() };
    text.split(',').map(media_range).collect()
}

fn media_range(text: &str) -> (String, u16) {
    let mut parts = text.split(';').map(str::trim);
    let range = parts.next().map_or_else(String::new, str::to_ascii_lowercase);
    let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
    (range, weight.map_or(1000, thousandths))
}

/// A weight such as `0.75` in thousandths; 0 if it is none.
fn thousandths(weight: &str) -> u16 {
    let (whole, fraction) = weight.split_once('.').unwrap_or((weight, ""));
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    match (whole, digits.parse::<u16>()) {
        ("0", Ok(value)) if fraction.len() <= 3 => value,
        ("1", Ok(0)) if fraction.len() <= 3 => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_decides_the_form() {
        for (accept, expected) in [
            ("application/problem+json", true),
            ("Application/Problem+JSON; charset=utf-8", true),
            ("application/json, application/problem+json", true),
            ("application/problem+json;q=0.5, application/json", false),
            ("application/problem+json;q=0.5, application/json;q=0.25", true),
            ("application/problem+json;q=0", false),
            ("application/problem+json;q=x", false),
            ("application/json", false),
            ("*/*", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_rfc9457(&headers), expected, "{accept}");
        }
        assert!(!wants_rfc9457(&HeaderMap::new()));
    }
}
