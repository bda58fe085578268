//! Which back end gets whose telemetry: one that takes it and whose answer counts, and any number that get a copy.

mod mirror;
mod options;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use self::mirror::Mirror;
pub use self::options::{BadRoute, HeaderText, RouteOptions};
use super::Options;
use super::forward::{Access, Backend, BadTarget, Batch};
use super::response::Export;
use super::sink::Lines;
use crate::domain::Failure;
use crate::telemetry::Metrics;

/// Stands for every tenant in a route.
const EVERYONE: &str = "*";

/// The way to every back end.
pub struct Routes {
    /// Of tenants that have none of their own.
    default: Backend,
    /// By tenant: its id or short name, as the settings name it.
    own: HashMap<Box<str>, Backend>,
    /// Of everyone.
    mirrors: Vec<Mirror>,
    /// By tenant, as above.
    own_mirrors: HashMap<Box<str>, Vec<Mirror>>,
}

/// Copies of a batch that go once it was acknowledged.
pub struct Copies<'a> {
    /// Where there is a mirror for it.
    batch: Option<Batch>,
    to: Vec<&'a Mirror>,
}

impl Routes {
    /// The routes of `options`. Must be called within a tokio runtime. `lines` is where sinks write.
    ///
    /// # Errors
    /// A back end cannot be used.
    pub fn new(options: &Options, lines: Arc<dyn Lines>, metrics: &Arc<Metrics>) -> Result<Self, BadTarget> {
        let mut default = None;
        let (mut own, mut mirrors, mut own_mirrors) = (HashMap::new(), Vec::new(), HashMap::new());
        for route in &options.routes {
            let backend = Backend::with(route.target()?, &route.access()?, Arc::clone(&lines))?;
            let everyone = route.tenant == EVERYONE;
            if route.mirror {
                let to = Mirror::to(backend, options, Arc::clone(metrics));
                if everyone {
                    mirrors.push(to);
                } else {
                    own_mirrors.entry(route.tenant.as_str().into()).or_insert_with(Vec::new).push(to);
                }
            } else if everyone {
                default = Some(backend);
            } else {
                own.insert(route.tenant.as_str().into(), backend);
            }
        }
        let default = match default {
            Some(backend) => backend,
            None => Backend::with(options.target()?, &Access::default(), lines)?,
        };
        Ok(Self { default, own, mirrors, own_mirrors })
    }

    /// Hands a batch to its tenant's back end and waits for the acknowledgement, at most for `timeout`.
    ///
    /// # Errors
    /// The back end refused the data, or cannot be reached, or did not answer in time.
    pub async fn export(&self, batch: Batch, timeout: Duration) -> Result<Export, Failure> {
        named(&self.own, &batch).unwrap_or(&self.default).export(batch, timeout).await
    }

    /// The mirrors of a batch.
    pub fn copies(&self, batch: &Batch) -> Copies<'_> {
        let own = named(&self.own_mirrors, batch).into_iter().flatten();
        let to: Vec<_> = self.mirrors.iter().chain(own).collect();
        Copies { batch: (!to.is_empty()).then(|| batch.clone()), to }
    }
}

impl Copies<'_> {
    /// Lets them go. Waits for nobody: what has no room is dropped and counted.
    pub fn go(self) {
        let Some(batch) = self.batch else { return };
        for mirror in self.to {
            mirror.offer(batch.clone());
        }
    }
}

/// What is there for a batch's tenant: by its id, which nobody else can ever have, or by its short name.
fn named<'a, T>(routes: &'a HashMap<Box<str>, T>, batch: &Batch) -> Option<&'a T> {
    routes.get(&*batch.tenant).or_else(|| routes.get(batch.slug.as_deref()?))
}

#[cfg(test)]
#[path = "routes/tests.rs"]
mod tests;
