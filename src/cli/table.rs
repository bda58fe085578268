//! Answers as aligned text.

use jiff::Timestamp;
use std::fmt::Write;

const GAP: &str = "  ";
const BOLD: &str = "\x1b[1m";
const PLAIN: &str = "\x1b[0m";

/// What an answer looks like to people.
#[derive(Debug, PartialEq, Eq)]
pub enum View {
    /// One line for each thing.
    Rows {
        /// The columns' names.
        headers: &'static [&'static str],
        /// A cell for each column.
        rows: Vec<Vec<String>>,
        /// What is said when there are no rows.
        empty: &'static str,
    },
    /// One thing, a line for each of its fields; an empty value is left out.
    Fields(Vec<(&'static str, String)>),
}

impl View {
    /// The text, ending in a line break; empty if there is nothing to show.
    pub fn render(&self, colour: bool) -> String {
        match self {
            Self::Rows { rows, .. } if rows.is_empty() => String::new(),
            Self::Rows { headers, rows, .. } => render_rows(headers, rows, colour),
            Self::Fields(fields) => render_fields(fields, colour),
        }
    }
}

/// Keeps text of others from steering the terminal: control characters and
/// those that turn the writing direction become a replacement mark.
pub fn clean(text: &str) -> String {
    let steers = |letter: char| {
        letter.is_control() || matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|letter| if steers(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// A moment to the second in UTC; empty if there is none.
pub fn moment(time: Option<&prost_types::Timestamp>) -> String {
    let Some(time) = time else { return String::new() };
    match Timestamp::from_second(time.seconds) {
        Ok(moment) => moment.to_string(),
        Err(_out_of_range) => format!("{} s", time.seconds),
    }
}

/// An enum value without its prefix, in lower case: `API_KEY_KIND_USER` is `user`.
pub fn short_name(value: &str, prefix: &str) -> String {
    match value.strip_prefix(prefix) {
        None | Some("UNSPECIFIED") => String::new(),
        Some(name) => name.to_ascii_lowercase(),
    }
}

fn render_rows(headers: &[&str], rows: &[Vec<String>], colour: bool) -> String {
    let head: Vec<String> = headers.iter().map(|name| (*name).to_owned()).collect();
    let body: Vec<Vec<String>> =
        rows.iter().map(|row| row.iter().map(|cell| shown(cell)).collect()).collect();
    let widths = widths(&head, &body);
    let mut text = bold(&line(&head, &widths), colour);
    text.push('\n');
    for row in &body {
        text.push_str(&line(row, &widths));
        text.push('\n');
    }
    text
}

fn render_fields(fields: &[(&'static str, String)], colour: bool) -> String {
    let filled = || fields.iter().filter(|(_, value)| !value.is_empty());
    let width = filled().map(|(name, _)| name.len()).max().unwrap_or(0);
    filled().fold(String::new(), |mut text, (name, value)| {
        let label = bold(&format!("{name:width$}"), colour);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{label}{GAP}{}", clean(value));
        text
    })
}

fn shown(cell: &str) -> String {
    if cell.is_empty() { "-".to_owned() } else { clean(cell) }
}

fn widths(head: &[String], body: &[Vec<String>]) -> Vec<usize> {
    let width = |row: &[String], at: usize| row.get(at).map_or(0, |cell| cell.chars().count());
    (0..head.len())
        .map(|at| body.iter().map(|row| width(row, at)).fold(width(head, at), usize::max))
        .collect()
}

/// Without blanks after the last cell.
fn line(cells: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    padded.join(GAP).trim_end().to_owned()
}

fn bold(text: &str, colour: bool) -> String {
    if colour { format!("{BOLD}{text}{PLAIN}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(cells: &[[&str; 3]]) -> View {
        let rows = cells.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        View::Rows { headers: &["ID", "NAME", "LAST"], rows, empty: "nothing" }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = rows(&[["key_1", "ci", "now"], ["key_22", "déploiement", ""]]).render(false);
        assert_eq!(text, "ID      NAME         LAST\nkey_1   ci           now\nkey_22  déploiement  -\n");
    }

    #[test]
    fn no_rows_is_no_text() {
        assert_eq!(rows(&[]).render(true), "");
    }

    #[test]
    fn fields_without_a_value_are_left_out() {
        let view =
            View::Fields(vec![("Id", "key_1".into()), ("Expires", String::new()), ("Name", "ci".into())]);
        assert_eq!(view.render(false), "Id    key_1\nName  ci\n");
    }

    #[test]
    fn colour_only_when_asked_for() {
        assert!(!rows(&[["a", "b", "c"]]).render(false).contains('\x1b'));
        assert!(rows(&[["a", "b", "c"]]).render(true).starts_with("\x1b[1mID"));
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        let text = rows(&[["\x1b[2J", "a\nb\r\u{9b}", "\u{202e}gpj"]]).render(false);
        assert!(
            !text.contains('\x1b')
                && !text.contains('\r')
                && !text.contains('\u{9b}')
                && !text.contains('\u{202e}')
        );
        assert_eq!(text.lines().count(), 2);
        let fields = View::Fields(vec![("Name", "a\x1b]0;x\x07".into())]).render(false);
        assert!(!fields.contains('\x1b') && !fields.contains('\x07'));
    }

    #[test]
    fn moments_and_names_are_short() {
        let time = prost_types::Timestamp { seconds: 1_801_353_600, nanos: 5 };
        assert_eq!(moment(Some(&time)), "2027-01-31T00:00:00Z");
        assert_eq!(moment(None), "");
        assert!(moment(Some(&prost_types::Timestamp { seconds: i64::MAX, nanos: 0 })).ends_with(" s"));
        assert_eq!(short_name("API_KEY_KIND_USER", "API_KEY_KIND_"), "user");
        assert_eq!(short_name("API_KEY_KIND_UNSPECIFIED", "API_KEY_KIND_"), "");
    }
}
