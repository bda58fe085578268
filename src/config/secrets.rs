//! Settings that are secrets: given as such, or as the file that holds them.

use serde::Deserialize;
use std::fmt;
use std::path::Path;
use zeroize::Zeroizing;

/// A secret setting; never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret's bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// Settings that may stand in a file of their own: `section.key_file`.
const SECRETS: &[(&str, &str)] = &[
    ("database", "url"),
    ("keys", "pepper"),
    ("break_glass", "master_key"),
    ("tokens", "secret"),
    ("people", "root_key"),
    ("people", "older_root_key"),
    ("mail", "smtp_url"),
];

/// Bytes that such a file may have.
const MAX_FILE: u64 = 64 * 1024;

/// A secret that could not be read from its file.
#[derive(Debug, thiserror::Error)]
#[error("{section}.{key}_file: {fault}")]
pub struct SecretFault {
    section: &'static str,
    key: &'static str,
    fault: String,
}

/// Replaces every `section.key_file` by the key with what the file holds.
pub fn resolve(table: &mut toml::Table) -> Vec<SecretFault> {
    let mut faults = Vec::new();
    for (section, key) in SECRETS {
        let Some(toml::Value::Table(settings)) = table.get_mut(*section) else { continue };
        let Some(file) = settings.remove(&format!("{key}_file")) else { continue };
        let mut fault = |fault: String| faults.push(SecretFault { section, key, fault });
        if settings.contains_key(*key) {
            fault("is given besides the setting itself; give one".into());
            continue;
        }
        let Some(path) = file.as_str() else {
            fault("must be a path".into());
            continue;
        };
        match read(Path::new(path)) {
            Ok(text) => drop(settings.insert((*key).to_owned(), toml::Value::String(text))),
            Err(error) => fault(error.to_string()),
        }
    }
    faults
}

/// A secret that a reference names and that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("otlp.routes[{route}].headers.{header}: {fault}")]
pub struct ReferenceFault {
    route: usize,
    header: String,
    fault: String,
}

/// Replaces headers of `otlp.routes` that are references, `env:NAME` or `file:PATH`, by what they stand for.
/// `variable` looks a variable of the environment up.
pub fn refer<'a>(table: &mut toml::Table, variable: impl Fn(&str) -> Option<&'a str>) -> Vec<ReferenceFault> {
    let routes = table.get_mut("otlp").and_then(|otlp| otlp.get_mut("routes"));
    let Some(routes) = routes.and_then(toml::Value::as_array_mut) else { return Vec::new() };
    let mut faults = Vec::new();
    for (route, settings) in routes.iter_mut().enumerate() {
        let headers = settings.get_mut("headers").and_then(toml::Value::as_table_mut);
        for (header, value) in headers.into_iter().flatten() {
            let Some(text) = value.as_str() else { continue };
            let read = if let Some(name) = text.strip_prefix("env:") {
                variable(name).map(str::to_owned).ok_or_else(|| format!("the variable {name} is not set"))
            } else if let Some(path) = text.strip_prefix("file:") {
                read(Path::new(path)).map_err(|error| format!("{path}: {error}"))
            } else {
                continue;
            };
            match read {
                Ok(text) => *value = toml::Value::String(text),
                Err(fault) => faults.push(ReferenceFault { route, header: header.clone(), fault }),
            }
        }
    }
    faults
}

/// The file's text without the line end that editors add.
fn read(path: &Path) -> std::io::Result<String> {
    if std::fs::metadata(path)?.len() > MAX_FILE {
        return Err(std::io::Error::other("is larger than 64 KiB"));
    }
    let text = std::fs::read_to_string(path)?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
    Ok(line.to_owned())
}
