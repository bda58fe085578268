//! Passkeys in use: alone, as a second factor, and where a fresh one is needed.

use super::App;
use super::login::{Arrival, Place, Taken, Tokens, wrong_factor};
use super::passkeys::Asked;
use super::people::Visitor;
use crate::domain::sessions::device_name;
use crate::domain::throttle::Subject;
use crate::domain::{Digest, Failure, Fault, PasskeyId, Refusal, Timestamp, UserId};
use crate::secret::webauthn::{Assertion, Proof, PublicKey, Purpose, Rejected, request_options};
use crate::store::passkeys::{self as rows, Enrolled};
use crate::store::{Across, Error, Tx, people};

/// What somebody brings who logs in with a passkey alone.
#[derive(Debug)]
pub struct PasskeyAttempt {
    /// `AuthenticationResponseJSON`.
    pub answer: String,
    /// The tenant, by id or short name.
    pub tenant: Option<String>,
    /// What an earlier login gave the device.
    pub device_token: Option<String>,
    /// What the device calls itself.
    pub device_name: Option<String>,
}

/// A passkey that has signed, to be taken in the transaction that relies on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Signed {
    passkey: PasskeyId,
    proof: Proof,
}

impl Signed {
    /// Takes the challenge and the count; only one who comes with them can.
    pub(super) async fn take(self, tx: &mut Tx, user: UserId) -> Result<bool, Error> {
        let Proof { counter, backed_up, verified: _, used } = self.proof;
        tx.fact("passkey", self.passkey);
        Ok(rows::challenge_use(tx, used.digest, used.expire).await?
            && rows::passkey_used(tx, self.passkey, user, counter, backed_up).await?)
    }
}

impl App {
    /// Begins a login without a password, and without a name. Nothing is kept.
    pub fn passkey_begin_login(&self) -> Result<Asked, Failure> {
        let party = self.relying_party()?;
        let challenge = self.ask(&Purpose::Login, self.clock.now())?;
        Ok(Asked { options: request_options(party, &challenge, &[]), expire: challenge.expire })
    }

    /// Logs in whoever the passkey is of.
    ///
    /// # Errors
    /// `INVALID_LOGIN` if the passkey is none of ours, or did not make sure who
    /// its user is: it stands for two factors.
    pub async fn passkey_login(&self, visitor: &Visitor, attempt: PasskeyAttempt) -> Result<Tokens, Failure> {
        let now = self.clock.now();
        self.relying_party()?;
        let answer = Assertion::read(&attempt.answer).map_err(not_accepted)?;
        // Nobody was named, so the authenticator has to (§7.2 step 6).
        if answer.user().is_none() {
            return Err(wrong_passkey().into());
        }
        let (user, signed) = self.proven(&answer, &Purpose::Login, now).await?;
        let found = people::person_by_id(&mut self.store.read(Across::People).await?, user).await?;
        let person = found.filter(|person| !person.disabled).ok_or_else(wrong_passkey)?;
        let Place { tenant, life, role } = self.tenant_of(user, attempt.tenant.as_deref()).await?;
        let known = self.known_device(Some(&person), attempt.device_token.as_deref()).await?;
        let account = self.account(&person.email, Some(&person));
        let device = device_name(attempt.device_name.as_deref().unwrap_or(&visitor.agent));
        let arrival = Arrival { person, tenant, life, role, known, device, by_password: false };
        let tokens = self.open_session(visitor, &arrival, Some(Taken::Passkey(signed)), None, now).await?;
        self.store.throttle_change(&[Subject::Elsewhere(account)], Subject::eased).await?;
        Ok(tokens)
    }

    /// What the browser is asked for the second factor of a login that waits;
    /// none where passkeys are off or the person has none.
    pub(super) fn second_factor_options(
        &self,
        enrolled: &Enrolled,
        login: Digest,
        now: Timestamp,
    ) -> Result<Option<String>, Failure> {
        let Some(party) = self.people.passkeys.as_ref().filter(|_| !enrolled.passkeys.is_empty()) else {
            return Ok(None);
        };
        let challenge = self.ask(&Purpose::SecondFactor(login), now)?;
        Ok(Some(request_options(party, &challenge, &enrolled.passkeys)))
    }

    /// Looks at a person's passkey. That it is used once is seen to by the
    /// transaction that takes it.
    pub(super) async fn passkey_factor(
        &self,
        user: UserId,
        answer: &str,
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<Taken, Failure> {
        self.relying_party()?;
        let answer = Assertion::read(answer).map_err(not_accepted)?;
        let (owner, signed) = self.proven(&answer, purpose, now).await?;
        if owner == user { Ok(Taken::Passkey(signed)) } else { Err(wrong_passkey().into()) }
    }

    /// Whose passkey it is, if it signed what was asked here.
    async fn proven(
        &self,
        answer: &Assertion,
        purpose: &Purpose,
        now: Timestamp,
    ) -> Result<(UserId, Signed), Failure> {
        let party = self.relying_party()?;
        let found =
            rows::credential_by_id(&mut self.store.read(Across::People).await?, answer.credential_id())
                .await?;
        let credential = found.ok_or_else(wrong_passkey)?;
        let owner = credential.user.as_bytes().as_slice();
        if answer.user().is_some_and(|user| user != owner) {
            return Err(wrong_passkey().into());
        }
        let key = PublicKey::stored(&credential.public_key).map_err(Fault::new)?;
        let eligible = credential.backup_eligible;
        let proof =
            answer.verify(party, &self.ceremonies(), purpose, &key, eligible, now).map_err(not_accepted)?;
        Ok((credential.user, Signed { passkey: credential.passkey, proof }))
    }
}

fn not_accepted(rejected: Rejected) -> Refusal {
    if rejected == Rejected::Signature {
        // No difference to a passkey that is not known.
        return wrong_passkey();
    }
    Refusal { message: format!("the passkey is not accepted: {rejected}").into(), ..wrong_factor() }
}

fn wrong_passkey() -> Refusal {
    let message = "the passkey is not known here, or its signature is wrong";
    Refusal { message: message.into(), ..wrong_factor() }
}
