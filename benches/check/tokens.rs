//! Measures the check of an access token: remembered, and at first sight beside
//! the floor of its signature alone.

use crate::{town, verdict};
use anyhow::{Context as _, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
use criterion::Criterion;
use doorward::app::Demand;
use doorward::app::tokens::{TokenOptions, Tokens};
use doorward::boot::{OsEntropy, SystemClock};
use doorward::domain::changes::Change;
use doorward::domain::sessions::SessionState;
use doorward::domain::signing::{Algorithm, NewKey};
use doorward::domain::{Clock as _, Digest, SessionId, Timestamp};
use doorward::secret::token::{AccessClaims, SigningKey};
use doorward::view::{Judge, Presented, View};
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most that a token that was seen before may take, in ns.
const MAX_REMEMBERED: f64 = 700.0;
/// Most that one at first sight may take, of what its signature does.
const MAX_FIRST: f64 = 1.10;
/// Tokens that are looked at for the first time.
const FRESH: u32 = 2_000;

/// Prints what each takes; whether the goals are met.
pub fn measure(criterion: &mut Criterion) -> Result<bool> {
    let bench = Bench::new()?;
    let one = bench.token(0)?;
    bench.check(&one)?;
    let remembered = median(501, 200, || bench.check(black_box(&one)).map(drop))?;
    let signature = signature_alone(one.len())?;
    let first = bench.first_sight()?;
    criterion.bench_function("token/remembered", |run| run.iter(|| bench.check(black_box(&one))));
    let ratio = first / signature;
    let mut passed = verdict(
        remembered <= MAX_REMEMBERED,
        &format!("RS256 token remembered, ns: {remembered:.0} (≤ {MAX_REMEMBERED})"),
    );
    passed &= verdict(
        ratio <= MAX_FIRST,
        &format!(
            "RS256 token at first sight, of its signature's {signature:.0} ns: {ratio:.3} (≤ {MAX_FIRST})"
        ),
    );
    Ok(passed)
}

struct Bench {
    view: Arc<View>,
    tokens: Tokens,
    key: SigningKey,
    session: SessionState,
    clock: SystemClock,
}

impl Bench {
    fn new() -> Result<Self> {
        let (view, mut writer) = View::with_room_for(1000, 100);
        let (clock, options) = (SystemClock::default(), TokenOptions::default());
        let now = clock.now();
        let key = SigningKey::generate(Algorithm::Rs256, &OsEntropy)?;
        let day = Duration::from_hours(24);
        let plan = NewKey { algorithm: Algorithm::Rs256, activate: now, retire: now.plus(day) };
        let (tenant, user, member) = (town::tenant(0)?, town::user(0)?, town::member(0));
        let session = SessionState {
            id: SessionId::new(now, &OsEntropy),
            tenant: tenant.id,
            user: user.id,
            expire: now.plus(day),
            revoked: false,
        };
        writer.apply(Change::Tenant(tenant));
        writer.apply(Change::User(user));
        writer.apply(Change::Member(member));
        writer.apply(Change::Session(session.clone()));
        writer.apply(Change::SigningKey(key.state(&plan)));
        Ok(Self { view, tokens: Tokens::new(options, None), key, session, clock })
    }

    fn token(&self, number: u32) -> Result<String> {
        let (options, now) = (TokenOptions::default(), self.clock.now());
        let claims = AccessClaims {
            issuer: options.issuer,
            audience: options.audience,
            user: self.session.user,
            tenant: self.session.tenant,
            session: self.session.id,
            client: "doorward".into(),
            id: format!("event_{number:026}"),
            issued: now,
            expires: now.plus(Duration::from_mins(30)),
            authenticated: now,
            methods: vec!["pwd".into(), "otp".into()],
        };
        Ok(self.key.sign(&claims)?.reveal().to_owned())
    }

    /// What the verifier does with a token: reads it, finds the session, judges.
    fn check(&self, token: &str) -> Result<Timestamp> {
        let now = self.clock.now();
        let says = self.tokens.read(&self.view, token, now)?;
        let digest = Digest::of_session(says.session);
        let found = self.view.key(digest).context("the session is not there")?;
        let presented = Presented {
            digest,
            kind: doorward::domain::keys::KeyKind::User,
            environment: doorward::domain::keys::Environment::Live,
            login: Some(says.login),
        };
        let judge = Judge { view: &self.view, default_per_minute: 0 };
        let verified =
            judge.verify(&presented, &found, &Demand { cost: Some(1), ..Demand::default() }, now)?;
        Ok(verified.expire)
    }

    /// The median of what a token takes that was never seen, in ns.
    fn first_sight(&self) -> Result<f64> {
        let tokens = (1..=FRESH).map(|number| self.token(number)).collect::<Result<Vec<_>>>()?;
        let mut nanos = Vec::with_capacity(tokens.len());
        for token in &tokens {
            let begin = Instant::now();
            black_box(self.check(black_box(token))?);
            nanos.push(begin.elapsed().as_secs_f64() * 1e9);
        }
        middle(nanos)
    }
}

/// What the signature of a text of that length takes alone, in ns, its key read before.
fn signature_alone(length: usize) -> Result<f64> {
    let pair = KeyPair::generate(KeySize::Rsa2048)?;
    let text = vec![b'x'; length.saturating_sub(343)];
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &text, &mut signature)?;
    let key = ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())?;
    median(2_001, 1, || Ok(key.verify_sig(black_box(&text), black_box(&signature))?))
}

fn median(passes: usize, each: u32, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut nanos = Vec::with_capacity(passes);
    for _ in 0..passes {
        let begin = Instant::now();
        for _ in 0..each {
            work()?;
        }
        nanos.push(begin.elapsed().as_secs_f64() * 1e9 / f64::from(each));
    }
    middle(nanos)
}

fn middle(mut nanos: Vec<f64>) -> Result<f64> {
    nanos.sort_by(f64::total_cmp);
    nanos.get(nanos.len() / 2).copied().context("there are no passes")
}
