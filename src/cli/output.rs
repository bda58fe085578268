//! Where answers go: results to standard output, all else to standard error.

use crate::cli::table::{View, clean};
use crate::pb::DESCRIPTORS;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, SerializeOptions};
use std::io::{self, IsTerminal, Write};
use zeroize::Zeroizing;

const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned columns for people.
    #[default]
    Table,
    /// The whole answer as JSON, for programs.
    Json,
}

/// An answer that can be shown.
pub trait Shown: Message {
    /// The message's name in `doorward.v1`.
    const NAME: &'static str;

    /// What it looks like to people. The secret, if there is one, is not part of it.
    fn view(&self) -> View;
}

/// Standard output and standard error, or what a test puts in their place.
///
/// Each write is a whole piece of text, so that the locks of the standard
/// streams are held for as long as it takes and no longer.
pub struct Output {
    out: Box<dyn Write + Send>,
    err: Box<dyn Write + Send>,
    format: Format,
    colour_out: bool,
    colour_err: bool,
}

impl Output {
    /// The process's own streams; coloured on a terminal, unless `plain`.
    pub fn stdio(format: Format, plain: bool) -> Self {
        Self {
            colour_out: !plain && io::stdout().is_terminal(),
            colour_err: !plain && io::stderr().is_terminal(),
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            format,
        }
    }

    /// Other streams, without colour.
    pub fn new(out: Box<dyn Write + Send>, err: Box<dyn Write + Send>, format: Format) -> Self {
        Self { out, err, format, colour_out: false, colour_err: false }
    }

    /// How results are written.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Writes an answer as the format says. An empty list says so on standard error.
    pub fn show<T: Shown>(&mut self, answer: &T) -> io::Result<()> {
        match self.format {
            Format::Json => {
                let text = Zeroizing::new(json(answer)?);
                self.result(&text)
            }
            Format::Table => self.view(&answer.view()),
        }
    }

    /// Writes a result as it stands and sends it on its way.
    pub fn result(&mut self, text: &str) -> io::Result<()> {
        self.out.write_all(text.as_bytes())?;
        self.out.flush()
    }

    /// Writes a line for people to standard error.
    pub fn note(&mut self, text: &str) -> io::Result<()> {
        writeln!(self.err, "{}", clean(text))
    }

    /// Says that something was done: the whole answer as JSON, or a line for people.
    pub fn done<T: Shown>(&mut self, answer: &T, text: &str) -> io::Result<()> {
        match self.format {
            Format::Json => self.show(answer),
            Format::Table => self.note(text),
        }
    }

    /// Writes a question, and leaves the line open for the answer.
    pub fn ask(&mut self, question: &str) -> io::Result<()> {
        write!(self.err, "{}", clean(question))?;
        self.err.flush()
    }

    /// Whether results are coloured.
    pub fn is_coloured(&self) -> bool {
        self.colour_out
    }

    /// Writes an error: its first line marked, the rest indented.
    pub fn error(&mut self, lines: &[String]) -> io::Result<()> {
        let mark = if self.colour_err { format!("{RED}error:{PLAIN} ") } else { "error: ".to_owned() };
        let lines: Vec<String> = lines.iter().map(|line| clean(line)).collect();
        writeln!(self.err, "{mark}{}", lines.join("\n  "))
    }

    fn view(&mut self, view: &View) -> io::Result<()> {
        let text = view.render(self.colour_out);
        match view {
            View::Rows { empty, .. } if text.is_empty() => self.note(empty),
            View::Rows { .. } | View::Fields(_) => self.result(&text),
        }
    }
}

/// The proto3 JSON of a message, field names as in the proto, fields at their
/// default included, so that a program finds each list and number it asks for.
fn json<T: Shown>(message: &T) -> io::Result<String> {
    let pool = DescriptorPool::decode(DESCRIPTORS).map_err(io::Error::other)?;
    let name = format!("doorward.v1.{}", T::NAME);
    let descriptor = pool
        .get_message_by_name(&name)
        .ok_or_else(|| io::Error::other(format!("no descriptor of {name}")))?;
    let mut dynamic = DynamicMessage::new(descriptor);
    dynamic.transcode_from(message).map_err(io::Error::other)?;
    let options = SerializeOptions::new().use_proto_field_name(true).skip_default_fields(false);
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::pretty(&mut text);
    dynamic.serialize_with_options(&mut writer, &options).map_err(io::Error::other)?;
    text.push(b'\n');
    String::from_utf8(text).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::Captured;
    use crate::pb::v1::{ApiKey, ApiKeyKind, CreateApiKeyResponse, ListApiKeysResponse};

    fn output(format: Format) -> (Output, Captured, Captured) {
        let (out, err) = (Captured::default(), Captured::default());
        (Output::new(Box::new(out.clone()), Box::new(err.clone()), format), out, err)
    }

    #[test]
    fn json_is_the_whole_answer_in_the_protos_names() {
        let (mut output, out, err) = output(Format::Json);
        let key = ApiKey {
            id: "key_1".into(),
            display_name: "ci".into(),
            kind: ApiKeyKind::Service.into(),
            create_time: Some(prost_types::Timestamp { seconds: 1_801_353_600, nanos: 0 }),
            ..ApiKey::default()
        };
        let answer =
            CreateApiKeyResponse { api_key: Some(key), secret: "dw_live_x".into(), revision: "7".into() };
        output.show(&answer).unwrap();
        let json: serde_json::Value = serde_json::from_str(&out.text()).unwrap();
        assert_eq!(json["secret"], "dw_live_x");
        assert_eq!(json["api_key"]["display_name"], "ci");
        assert_eq!(json["api_key"]["kind"], "API_KEY_KIND_SERVICE");
        assert_eq!(json["api_key"]["create_time"], "2027-01-31T00:00:00Z");
        assert_eq!(json["api_key"]["scopes"], serde_json::json!([]));
        assert!(json["api_key"].get("expire_time").is_none());
        assert_eq!(err.text(), "");
    }

    #[test]
    fn an_empty_list_is_said_on_standard_error() {
        let (mut output, out, err) = output(Format::Table);
        output.show(&ListApiKeysResponse::default()).unwrap();
        assert_eq!((out.text().as_str(), err.text().as_str()), ("", "no keys\n"));
    }

    #[test]
    fn errors_are_plain_where_nobody_looks() {
        let (mut output, out, err) = output(Format::Table);
        output.error(&["no such key".into(), "next: look \x1b[2J it up".into()]).unwrap();
        assert_eq!(out.text(), "");
        assert_eq!(err.text(), "error: no such key\n  next: look \u{fffd}[2J it up\n");
    }
}
