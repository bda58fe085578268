//! What stands on what: the app over the store and the view, the guard over
//! the app's verifier, the gRPC services behind the guard.

use crate::app::audit::Audit;
use crate::app::usage::Usage;
use crate::app::{App, Verifier};
use crate::config::Settings;
use crate::domain::{Clock, Entropy};
use crate::grpc::{Audit as AuditLog, Authn, Checks, Keys, MAX_REQUEST, Tenancy, WithChecks};
use crate::guard::{Guard, GuardLayer, Guarded, Policy};
use crate::mail::Carrying;
use crate::otlp::audit::Outlet;
use crate::pb;
use crate::pb::v1::audit_service_server::AuditServiceServer;
use crate::pb::v1::authn_service_server::AuthnServiceServer;
use crate::pb::v1::keys_service_server::KeysServiceServer;
use crate::pb::v1::tenancy_service_server::TenancyServiceServer;
use crate::replica::{Following, Replica};
use crate::secret::{Forms, Pepper};
use crate::store::instance::instance_value;
use crate::store::{Store, Tap};
use crate::telemetry::Metrics;
use anyhow::Context as _;
use std::sync::Arc;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use tower::Layer;
use zeroize::Zeroizing;

/// The parts of a running Doorward.
pub struct Parts {
    /// The use cases.
    pub app: Arc<App>,
    /// What stands before every handler.
    pub guard: Arc<Guard>,
    /// The metrics.
    pub metrics: Arc<Metrics>,
    /// Keeps the view in step for as long as it lives.
    pub following: Following,
    /// Carries letters for as long as it lives.
    pub carrying: Carrying,
}

/// The whole gRPC stack, guard first.
pub type Stack = Guarded<WithChecks<Routes>>;

/// Connects, migrates, loads the view and puts the parts together.
pub async fn parts(
    settings: &Settings,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> anyhow::Result<Parts> {
    let store = Store::new(&settings.database)?;
    let migrated = store.migrate().await?;
    if migrated > 0 {
        tracing::info!(steps = migrated, "the database was brought up to date");
    }
    if let Some(role) = store.passes_walls().await? {
        tracing::warn!(
            role,
            "row-level security does not hold for this role of PostgreSQL; see `doorward doctor`"
        );
    }
    let pepper = pepper(settings, &store, &*entropy).await?;
    let forms = Arc::new(Forms::new(settings.keys.profiles.clone()));
    let (replica, following) =
        Replica::start(&store, Arc::clone(&clock), Arc::clone(&entropy), settings.coherence).await?;
    let limit = settings.limits.default_per_minute;
    let metrics = Arc::new(Metrics::new()?);
    let (people, carrying) = super::people::start(settings, &store, &clock, &entropy, &metrics).await?;
    send_entries(settings, &store, &metrics)?;
    let audit = Audit::open(&store, &people.sealer, &*entropy, &settings.audit);
    let audit = audit.await.map_err(|failure| anyhow::anyhow!("audit log: {failure}"))?;
    let verifier = Arc::new(Verifier::new(
        Arc::clone(&replica),
        Arc::clone(&forms),
        pepper.clone(),
        Arc::clone(&people.tokens),
        limit,
    ));
    let app = App {
        store,
        replica,
        verifier,
        forms,
        pepper,
        audit: Arc::new(audit),
        people,
        clock,
        entropy,
        metrics: Arc::clone(&metrics),
        break_glass: settings.break_glass.glass()?,
        watches: <_>::default(),
        usage: Usage::kept_for(settings.keys.usage_kept()),
        deleted_kept: settings.tenancy.kept(),
    };
    let app = Arc::new(app);
    let guard = Guard::new(
        Arc::clone(&app.verifier),
        Arc::clone(&app.clock),
        &*app.entropy,
        Arc::clone(&metrics),
        &settings.proxies,
    );
    let guard = guard.with_break_glass(&app);
    remind_of_the_master_key(&app).await?;
    app.tend_signing_keys().await.map_err(|failure| anyhow::anyhow!("signing keys: {failure}"))?;
    Ok(Parts { app, guard: Arc::new(guard), metrics, following, carrying })
}

/// A master key that was used has been in somebody's hands, and in the
/// environment of their shell.
async fn remind_of_the_master_key(app: &App) -> anyhow::Result<()> {
    let Some(glass) = &app.break_glass else { return Ok(()) };
    let used = app.break_glass_key_used().await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
    match used {
        None => tracing::warn!("break-glass is on"),
        Some(used) => tracing::warn!(
            first_used = %used,
            opens_until = %used.plus(glass.key_lasts()),
            "break-glass is on, and its master key was used: configure another one"
        ),
    }
    Ok(())
}

/// Entries that wait for the sink at most; about 500 bytes each.
const WAITING_ENTRIES: usize = 8192;

/// Has entries of the audit log go where the settings say, too.
fn send_entries(settings: &Settings, store: &Store, metrics: &Arc<Metrics>) -> anyhow::Result<()> {
    let outlet = Outlet::parse(&settings.audit.sink).context("audit.sink")?;
    if matches!(outlet, Outlet::None) {
        return Ok(());
    }
    let (sender, entries) = tokio::sync::mpsc::channel(WAITING_ENTRIES);
    store.tap(Tap::new(sender, metrics.audit_sink.with_label_values(&["dropped"])));
    tokio::spawn(outlet.carry(entries, Arc::clone(metrics)));
    Ok(())
}

/// The configured pepper, or the instance's own.
async fn pepper(settings: &Settings, store: &Store, entropy: &dyn Entropy) -> anyhow::Result<Pepper> {
    let bytes = if let Some(configured) = &settings.keys.pepper {
        Zeroizing::new(configured.bytes().to_vec())
    } else {
        let mut fresh = Zeroizing::new(vec![0; Pepper::MIN]);
        entropy.fill(&mut fresh);
        Zeroizing::new(instance_value(store, "pepper", &fresh).await?)
    };
    if settings.keys.pepper.is_none() && settings.keys.profiles.iter().any(|profile| profile.check == 0) {
        tracing::warn!(
            "keys can be imported, but the pepper over their digests lies in the same database; set keys.pepper"
        );
    }
    Pepper::new(bytes).ok_or_else(|| anyhow::anyhow!("the pepper is too short"))
}

impl Parts {
    /// The gRPC services behind the guard. `more` are routes besides Doorward's own.
    pub fn stack(
        &self,
        reflection: bool,
        health: Routes,
        more: impl FnOnce(Routes) -> Routes,
    ) -> anyhow::Result<Stack> {
        let checks = Checks::new(Arc::clone(&self.app));
        let authn =
            AuthnServiceServer::new(Authn::new(checks.clone())).max_decoding_message_size(MAX_REQUEST);
        let keys =
            KeysServiceServer::new(Keys::new(Arc::clone(&self.app))).max_decoding_message_size(MAX_REQUEST);
        let tenancy = TenancyServiceServer::new(Tenancy::new(Arc::clone(&self.app)))
            .max_decoding_message_size(MAX_REQUEST);
        let audit = AuditServiceServer::new(AuditLog::new(Arc::clone(&self.app)))
            .max_decoding_message_size(MAX_REQUEST);
        let mut routes =
            more(health.add_service(authn).add_service(keys).add_service(tenancy).add_service(audit));
        if reflection {
            let builder = || {
                tonic_reflection::server::Builder::configure()
                    .register_encoded_file_descriptor_set(pb::DESCRIPTORS)
                    .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            };
            routes = routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?);
        }
        let rest = WithChecks::new(checks, routes.prepare());
        Ok(GuardLayer::new(Arc::clone(&self.guard)).layer(rest))
    }
}

/// The health service, and the handle that sets what it says.
pub fn health() -> (HealthReporter, Routes) {
    let (reporter, service) = tonic_health::server::health_reporter();
    (reporter, Routes::new(service))
}

/// Says of every service whether it serves.
pub async fn report(reporter: &HealthReporter, serving: bool) {
    let status =
        if serving { tonic_health::ServingStatus::Serving } else { tonic_health::ServingStatus::NotServing };
    let services = ["", "doorward.v1.AuditService", "doorward.v1.AuthnService"];
    for service in services.into_iter().chain(["doorward.v1.KeysService", "doorward.v1.TenancyService"]) {
        reporter.set_service_status(service, status).await;
    }
}

/// Every method that the descriptors name has a policy, and is a stream exactly
/// where the policy says so, or nothing is served.
pub fn every_method_has_a_policy() -> anyhow::Result<()> {
    let pool = prost_reflect::DescriptorPool::decode(pb::DESCRIPTORS)?;
    for service in pool.services().filter(|service| service.full_name().starts_with("doorward.")) {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let policy = Policy::of(&path).with_context(|| format!("{path} has no policy"))?;
            let streams = method.is_client_streaming() || method.is_server_streaming();
            anyhow::ensure!(policy.streams == streams, "{path}: the policy is wrong about streaming");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::{METHODS, Need};
    use std::collections::BTreeSet;

    #[test]
    fn every_method_has_a_policy() {
        super::every_method_has_a_policy().unwrap();
    }

    // R15: a stream that the table takes for a single message would outlive its credential.
    #[test]
    fn the_table_knows_every_stream_there_is() {
        let mut pool = prost_reflect::DescriptorPool::decode(pb::DESCRIPTORS).unwrap();
        for more in [
            tonic_health::pb::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
            tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
        ] {
            pool.decode_file_descriptor_set(more).unwrap();
        }
        let methods: Vec<_> =
            pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect();
        let streams =
            methods.iter().filter(|method| method.is_client_streaming() || method.is_server_streaming());
        let served = |path: &String| Policy::of(path).is_some();
        let path = |method: &prost_reflect::MethodDescriptor| {
            format!("/{}/{}", method.parent_service().full_name(), method.name())
        };
        let expected: BTreeSet<String> = streams.map(path).filter(served).collect();
        let told: BTreeSet<String> =
            METHODS.iter().filter(|policy| policy.streams).map(|policy| policy.method.to_owned()).collect();
        assert_eq!(told, expected);
        assert!(METHODS.iter().any(|policy| policy.streams && policy.need != Need::Nothing));
    }
}
