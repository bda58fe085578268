//! `[break_glass]`: the emergency key.

use super::Secret;
use crate::app::break_glass::{BreakGlass as Glass, BreakGlassOptions};
use crate::domain::break_glass::{Allowed, BOUND, DEFAULT_PERMISSIONS, MAX_GRANT};
use crate::domain::permission::{Permission, Permissions};
use crate::secret::{BadMasterKey, MasterKey};
use serde::Deserialize;
use std::time::Duration;

/// `[break_glass]`: the emergency key. Off unless it is switched on and there is a key.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakGlass {
    /// Whether the key is accepted.
    pub enabled: bool,
    /// The key: 32 to 256 random characters, such as `openssl rand -hex 32` makes.
    pub master_key: Option<Secret>,
    /// What a grant allows, by name; nothing of the platform, and no provider's key.
    pub permissions: Vec<String>,
    /// How long a grant lasts, in minutes: 1 to 60.
    pub grant_minutes: u32,
    /// Calls with the key in a minute: 1 to 600.
    pub uses_per_minute: u32,
    /// Wrong keys in a minute from one network, before it is not listened to: 1 to 60.
    pub failures_per_minute: u32,
    /// How long after its first use the key still opens grants, in days: 1 to 365.
    pub key_days: u32,
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self {
            enabled: false,
            master_key: None,
            permissions: DEFAULT_PERMISSIONS.iter().map(|it| it.name().to_owned()).collect(),
            grant_minutes: 30,
            uses_per_minute: 60,
            failures_per_minute: 5,
            key_days: 30,
        }
    }
}

impl BreakGlass {
    /// The key and what it may do; none where it is off.
    ///
    /// # Errors
    /// It is on, and there is no key that can be one.
    pub fn glass(&self) -> Result<Option<Glass>, BadMasterKey> {
        if !self.enabled {
            return Ok(None);
        }
        let key = MasterKey::new(self.master_key.as_ref().map_or(&b""[..], Secret::bytes))?;
        let options = BreakGlassOptions {
            permissions: self.permissions.iter().flat_map(|name| name.parse::<Permission>()).collect(),
            lasts: Duration::from_mins(u64::from(self.grant_minutes)),
            allowed: Allowed { uses: self.uses_per_minute, failures: self.failures_per_minute },
            key_lasts: Duration::from_hours(24 * u64::from(self.key_days)),
        };
        Ok(Some(Glass::new(key, options)))
    }

    /// What is wrong with the settings. A key that is kept for later is judged
    /// too, while the switch is off.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.permission_faults();
        match &self.master_key {
            None if self.enabled => {
                faults.push("break_glass.master_key: is needed with break_glass.enabled".into());
            }
            None => {}
            Some(key) => {
                let bad = MasterKey::new(key.bytes()).err();
                faults.extend(bad.map(|bad| format!("break_glass.master_key: {bad}")));
            }
        }
        let longest = u32::try_from(MAX_GRANT.as_secs() / 60).unwrap_or(u32::MAX);
        for (name, value, most) in [
            ("grant_minutes", self.grant_minutes, longest),
            ("uses_per_minute", self.uses_per_minute, 600),
            ("failures_per_minute", self.failures_per_minute, 60),
            ("key_days", self.key_days, 365),
        ] {
            if !(1..=most).contains(&value) {
                faults.push(format!("break_glass.{name} must be 1 to {most}"));
            }
        }
        faults
    }

    fn permission_faults(&self) -> Vec<String> {
        let fault = |name: &String| match name.parse::<Permission>() {
            Err(_) if name.contains('*') => {
                Some("break_glass.permissions: name each permission; there is no wildcard".to_owned())
            }
            Err(unknown) => Some(format!("break_glass.permissions: `{name}`: {unknown}")),
            Ok(permission) if !Permissions::of(&[permission]).within(BOUND) => {
                Some(format!("break_glass.permissions: `{name}` can never be had by break-glass"))
            }
            Ok(_) => None,
        };
        let mut faults: Vec<String> = self.permissions.iter().filter_map(fault).collect();
        if self.permissions.is_empty() {
            faults.push("break_glass.permissions must name what the key allows".into());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on() -> BreakGlass {
        let key = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c".to_owned();
        BreakGlass { enabled: true, master_key: Some(key.into()), ..BreakGlass::default() }
    }

    // R44
    #[test]
    fn it_is_off_unless_it_is_on_with_a_key() {
        assert!(BreakGlass::default().faults().is_empty());
        assert!(BreakGlass::default().glass().unwrap().is_none());
        assert!(on().faults().is_empty() && on().glass().unwrap().is_some());
        assert!(BreakGlass { enabled: false, ..on() }.glass().unwrap().is_none());
        let keyless = BreakGlass { master_key: None, ..on() };
        assert!(keyless.faults()[0].contains("master_key") && keyless.glass().is_err());
    }

    // R44, A67
    #[test]
    fn what_is_unsafe_is_refused() {
        let with = |permission: &str| BreakGlass { permissions: vec![permission.to_owned()], ..on() };
        for (name, settings) in [
            ("wildcard", with("*")),
            ("wildcard", with("keys.*")),
            ("never", with("platform.tenants")),
            ("never", with("platform.verify")),
            ("never", with("provider_keys.fetch")),
            ("no such", with("keys.everything")),
            ("must name", BreakGlass { permissions: Vec::new(), ..on() }),
            ("32 to 256", BreakGlass { master_key: Some("short".to_owned().into()), ..on() }),
            ("too few different", BreakGlass { master_key: Some("ab".repeat(20).into()), ..on() }),
            // A key that lies ready has to be good as well.
            ("32 to 256", BreakGlass { enabled: false, master_key: Some(String::new().into()), ..on() }),
            ("grant_minutes", BreakGlass { grant_minutes: 61, ..on() }),
            ("grant_minutes", BreakGlass { grant_minutes: 0, ..on() }),
            ("uses_per_minute", BreakGlass { uses_per_minute: 601, ..on() }),
            ("failures_per_minute", BreakGlass { failures_per_minute: 0, ..on() }),
            ("key_days", BreakGlass { key_days: 366, ..on() }),
        ] {
            let faults = settings.faults();
            assert!(faults.len() == 1 && faults[0].contains(name), "{name}: {faults:?}");
        }
    }
}
