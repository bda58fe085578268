//! Reading the configuration.

use super::{Settings, environment, secrets};
use serde::Deserialize;
use std::path::Path;
use toml::Table;

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("the configuration cannot be used:\n{}", .0.iter().map(|fault| format!("  - {fault}")).collect::<Vec<_>>().join("\n"))]
pub struct BadConfiguration(pub Vec<String>);

/// Reads the file, if one is named, and lays the environment over it.
///
/// # Errors
/// Every fault at once.
pub fn load(
    file: Option<&Path>,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<Settings, BadConfiguration> {
    let mut table = match file {
        Some(path) => parse(path).map_err(|fault| BadConfiguration(vec![fault]))?,
        None => Table::new(),
    };
    let variables: Vec<(String, String)> = variables.collect();
    let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    let mut faults = environment::lay_over(&mut table, variables.iter().cloned());
    faults.extend(secrets::resolve(&mut table).iter().map(ToString::to_string));
    faults.extend(secrets::refer(&mut table, variable).iter().map(ToString::to_string));
    faults.extend(take_out_unreadable(&mut table));
    // What can be read is judged too, so that one fault does not hide the others.
    match Settings::deserialize(table) {
        Ok(settings) => {
            faults.extend(settings.faults());
            if faults.is_empty() { Ok(settings) } else { Err(BadConfiguration(faults)) }
        }
        Err(error) => {
            faults.push(first_line(&error));
            Err(BadConfiguration(faults))
        }
    }
}

fn parse(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // The error's own text would show the line at fault, which may be a secret.
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        format!("{}, line {line}: {}", path.display(), error.message())
    })
}

/// Reads each setting by itself, and takes out those that cannot be read.
fn take_out_unreadable(table: &mut Table) -> Vec<String> {
    let mut faults = Vec::new();
    table.retain(|section, settings| {
        let Some(settings) = settings.as_table_mut() else {
            faults.push(format!("{section}: must be a section"));
            return false;
        };
        settings.retain(|key, value| {
            let read = environment::probe(section, key, value.clone());
            faults.extend(read.as_ref().err().map(|error| format!("{section}.{key}: {}", first_line(error))));
            read.is_ok()
        });
        !settings.is_empty()
    });
    faults
}

fn first_line(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(variables: &[(&str, &str)]) -> Result<Settings, BadConfiguration> {
        load(None, variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_defaults_are_sound() {
        assert!(from(&[]).is_ok());
    }

    #[test]
    fn the_environment_gives_every_kind_of_setting() {
        let settings = from(&[
            ("DOORWARD_DATABASE_URL", "sqlite://x.db"),
            ("DOORWARD_API__LISTEN", "127.0.0.1:1"),
            ("DOORWARD_COHERENCE__LEASE_MS", "500"),
            ("DOORWARD_API__REFLECTION", "false"),
            ("DOORWARD_PROXIES__TRUSTED", "10.0.0.0/8, 192.168.0.0/16"),
            ("DOORWARD_KEYS__PEPPER", "00000000000000000000000000000000"),
            ("DOORWARD_API_KEY", "not a setting"),
            ("DOORWARD_OTLP__HTTP_LISTEN", ""),
        ])
        .unwrap();
        assert_eq!(settings.database.url.reveal(), "sqlite://x.db");
        assert_eq!(
            (settings.api.listen.port(), settings.coherence.lease_ms, settings.api.reflection),
            (1, 500, false)
        );
        assert_eq!(settings.proxies.trusted.to_texts().len(), 2);
        assert_eq!(settings.keys.pepper.unwrap().bytes().len(), 32);
        assert_eq!(settings.otlp.http_listen.0, None);
    }

    #[test]
    fn every_fault_is_told_at_once_and_no_secret_with_it() {
        let faults = from(&[
            ("DOORWARD_API__LISTEN", "nowhere"),
            ("DOORWARD_API__LISTN", "127.0.0.1:1"),
            ("DOORWARD_NOSUCH__KEY", "1"),
            ("DOORWARD_COHERENCE__LEASE_MS", "soon"),
        ]);
        assert_eq!(faults.unwrap_err().0.len(), 4);
        let faults = from(&[
            ("DOORWARD_DATABASE_URL", "mysql://u:hunter2@h/d"),
            ("DOORWARD_API__LISTEN", "0.0.0.0:7400"),
            ("DOORWARD_KEYS__PEPPER", "short-hunter2"),
            ("DOORWARD_COHERENCE__LEASE_MS", "1"),
        ]);
        let bad = faults.unwrap_err();
        assert_eq!(bad.0.len(), 4, "{bad}");
        assert!(!bad.to_string().contains("hunter2"));
    }

    #[test]
    fn a_secret_comes_from_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "sqlite://from-a-file.db\n").unwrap();
        let settings = from(&[("DOORWARD_DATABASE_URL_FILE", file.to_str().unwrap())]).unwrap();
        assert_eq!(settings.database.url.reveal(), "sqlite://from-a-file.db");
        let toml = dir.path().join("doorward.toml");
        std::fs::write(&toml, "[database]\nurl = \"sqlite://a\"\nurl_file = \"b\"\n").unwrap();
        assert!(load(Some(&toml), std::iter::empty()).unwrap_err().0[0].contains("give one"));
    }

    #[test]
    fn headers_of_routes_may_be_references() {
        let dir = tempfile::tempdir().unwrap();
        let (secret, toml) = (dir.path().join("token"), dir.path().join("doorward.toml"));
        std::fs::write(&secret, "Bearer hunter2\n").unwrap();
        let write = |variable: &str| {
            let routes = format!(
                "[[otlp.routes]]\ntenant = \"*\"\nurl = \"http://127.0.0.1:4317\"\n[otlp.routes.headers]\n\
                 authorization = \"file:{}\"\nx-org = \"env:{variable}\"\nx-plain = \"plain\"\n",
                secret.display()
            );
            std::fs::write(&toml, routes).unwrap();
        };
        let read = || load(Some(&toml), [("THE_ORG".to_owned(), "acme".to_owned())].into_iter());
        write("THE_ORG");
        let settings = read().unwrap();
        let access = settings.otlp.routes[0].access().unwrap();
        let headers = access.headers.unwrap();
        assert_eq!(
            (&headers["authorization"], &headers["x-org"], &headers["x-plain"]),
            (&"Bearer hunter2".parse().unwrap(), &"acme".parse().unwrap(), &"plain".parse().unwrap())
        );
        assert!(!format!("{settings:?}{headers:?}").contains("hunter2"));
        write("NO_SUCH");
        let bad = read().unwrap_err().to_string();
        assert!(bad.contains("otlp.routes[0].headers.x-org: the variable NO_SUCH is not set"), "{bad}");
        assert!(!bad.contains("hunter2"));
    }
}
