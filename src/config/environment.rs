//! Settings from the environment: `DOORWARD_SECTION__KEY`.

use super::Settings;
use crate::domain::reading::Reading;
use serde::Deserialize;
use toml::{Table, Value};

/// Lists that the environment gives with commas.
const LISTS: &[(&str, &str)] = &[
    ("people", "origins"),
    ("proxies", "trusted"),
    ("otlp", "denied_attributes"),
    ("break_glass", "permissions"),
];

/// Lays the environment's settings over the table. Gives what cannot be taken.
pub fn lay_over(table: &mut Table, variables: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut faults = Vec::new();
    for (name, value) in variables {
        let Some((section, key)) = place(&name) else { continue };
        let value = read(&section, &key, &value);
        let entry = table.entry(section.clone()).or_insert_with(|| Value::Table(Table::new()));
        let Some(settings) = entry.as_table_mut() else {
            faults.push(format!("{name}: `{section}` is not a section"));
            continue;
        };
        // The last word on a secret is the environment's, file or not.
        let other = key.strip_suffix("_file").map_or_else(|| format!("{key}_file"), str::to_owned);
        settings.remove(&other);
        settings.insert(key, value);
    }
    faults
}

/// Section and key that a variable names.
fn place(name: &str) -> Option<(String, String)> {
    match name.strip_prefix("DOORWARD_")? {
        "DATABASE_URL" => Some(("database".into(), "url".into())),
        "DATABASE_URL_FILE" => Some(("database".into(), "url_file".into())),
        rest => {
            let (section, key) = rest.split_once("__")?;
            Some((section.to_ascii_lowercase(), key.to_ascii_lowercase()))
        }
    }
}

/// A variable is text; what it stands for is what the setting takes.
fn read(section: &str, key: &str, text: &str) -> Value {
    if LISTS.contains(&(section, key)) {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        return Value::Array(parts.map(|part| Value::String(part.to_owned())).collect());
    }
    let number = text.parse::<i64>().readable().map(Value::Integer);
    let truth = text.parse::<bool>().readable().map(Value::Boolean);
    let candidates = [number, truth].into_iter().flatten();
    let as_text = Value::String(text.to_owned());
    if takes(section, key, as_text.clone()) {
        return as_text;
    }
    candidates.into_iter().find(|value| takes(section, key, value.clone())).unwrap_or(as_text)
}

fn takes(section: &str, key: &str, value: Value) -> bool {
    probe(section, key, value).is_ok()
}

/// Reads settings that consist of this one alone.
pub fn probe(section: &str, key: &str, value: Value) -> Result<(), toml::de::Error> {
    let settings = Table::from_iter([(key.to_owned(), value)]);
    let table = Table::from_iter([(section.to_owned(), Value::Table(settings))]);
    Settings::deserialize(table).map(drop)
}
