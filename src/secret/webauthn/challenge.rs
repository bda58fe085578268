//! Challenges that carry their own proof of having been asked here.
//!
//! `challenge = random (16 bytes) expiry (8 bytes, µs) seal (32 bytes)`. The
//! seal is keyed and covers what the challenge is for, so nothing is kept while
//! it waits, and nobody can fill a table by asking. What is kept is that one
//! was used, until it would have expired.

use super::Rejected;
use crate::domain::{Digest, Entropy, SessionId, Timestamp, UserId};
use crate::secret::{Pepper, sha256};
use std::time::Duration;

/// Bytes of randomness: what §13.4.3 asks for at least.
const RANDOM: usize = 16;
const EXPIRY: usize = 8;
const SEAL: usize = 32;

/// What a challenge is for. One for something is none for anything else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Registering a passkey, in this session.
    Registration(UserId, SessionId),
    /// Proving in this session that its person is there.
    Presence(UserId, SessionId),
    /// Logging in, whoever it is.
    Login,
    /// Completing the login that waits under this digest.
    SecondFactor(Digest),
}

impl Purpose {
    fn label(&self) -> Vec<u8> {
        // The zero keeps these apart from everything else under the same key.
        let mut label = b"\0doorward passkey challenge ".to_vec();
        match self {
            Self::Registration(user, session) => {
                label.extend([b"r", user.as_bytes().as_slice(), session.as_bytes()].concat());
            }
            Self::Presence(user, session) => {
                label.extend([b"p", user.as_bytes().as_slice(), session.as_bytes()].concat());
            }
            Self::Login => label.push(b'l'),
            Self::SecondFactor(login) => label.extend([b"f", login.to_bytes().as_slice()].concat()),
        }
        label
    }
}

/// A challenge to be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Challenge {
    bytes: [u8; RANDOM + EXPIRY + SEAL],
    /// Until when it can be answered.
    pub expire: Timestamp,
}

impl Challenge {
    /// What is signed.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// A challenge that was answered, to be taken in the transaction that relies on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// Its digest.
    pub digest: Digest,
    /// Until when it has to be remembered.
    pub expire: Timestamp,
}

/// Makes challenges, and knows its own.
#[derive(Debug, Clone, Copy)]
pub struct Ceremonies<'a> {
    key: &'a Pepper,
}

impl<'a> Ceremonies<'a> {
    /// How long a challenge can be answered.
    pub const LIFE: Duration = Duration::from_mins(5);

    /// Ceremonies sealed under a key that all replicas share.
    pub const fn new(key: &'a Pepper) -> Self {
        Self { key }
    }

    /// A new challenge; `None` if the key cannot be used.
    pub fn ask(self, purpose: &Purpose, now: Timestamp, entropy: &dyn Entropy) -> Option<Challenge> {
        let expire = now.plus(Self::LIFE);
        let mut body = [0; RANDOM + EXPIRY];
        let (random, time) = body.split_at_mut(RANDOM);
        entropy.fill(random);
        time.copy_from_slice(&expire.micros().to_be_bytes());
        let seal = self.seal(purpose, &body)?;
        let mut bytes = [0; RANDOM + EXPIRY + SEAL];
        let parts = body.iter().copied().chain(seal.to_bytes());
        bytes.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        Some(Challenge { bytes, expire })
    }

    /// Whether these bytes are a challenge for this that can be answered now.
    pub(super) fn check(self, purpose: &Purpose, bytes: &[u8], now: Timestamp) -> Result<Used, Rejected> {
        let sealed = self.sealed(purpose, bytes).ok_or(Rejected::Challenge)?;
        // An expiry further away than any that is given is no expiry of ours.
        if sealed <= now || sealed.since(now) > Self::LIFE + SKEW {
            return Err(Rejected::Challenge);
        }
        Ok(Used { digest: sha256(bytes), expire: sealed.plus(SKEW) })
    }

    /// The expiry, if the seal is right.
    fn sealed(self, purpose: &Purpose, bytes: &[u8]) -> Option<Timestamp> {
        let (body, seal) = bytes.split_at_checked(RANDOM + EXPIRY)?;
        let right = Digest::from_slice(seal)? == self.seal(purpose, body)?;
        let micros = i64::from_be_bytes(*body.last_chunk()?);
        right.then_some(Timestamp::from_micros(micros))
    }

    fn seal(self, purpose: &Purpose, body: &[u8]) -> Option<Digest> {
        self.key.seal(sha256(&[purpose.label().as_slice(), body].concat()))
    }
}

/// How far clocks of replicas may be apart.
const SKEW: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::fixed::Counting;
    use zeroize::Zeroizing;

    fn key(byte: u8) -> Pepper {
        Pepper::new(Zeroizing::new(vec![byte; 32])).unwrap()
    }

    #[test]
    fn a_challenge_is_good_for_its_purpose_and_time_alone() {
        let (ours, theirs) = (key(1), key(2));
        let (ours, theirs) = (Ceremonies::new(&ours), Ceremonies::new(&theirs));
        let (a, b) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let session = SessionId::from_bytes([3; 16]);
        let purposes = [
            Purpose::Registration(a, session),
            Purpose::Registration(b, session),
            Purpose::Registration(a, SessionId::from_bytes([4; 16])),
            Purpose::Presence(a, session),
            Purpose::Login,
            Purpose::SecondFactor(sha256(b"one")),
            Purpose::SecondFactor(sha256(b"two")),
        ];
        let (now, entropy) = (Timestamp::from_micros(1_000_000), Counting::default());
        for purpose in purposes {
            let asked = ours.ask(&purpose, now, &entropy).unwrap();
            for other in purposes {
                let checked = ours.check(&other, asked.as_bytes(), now);
                assert_eq!(checked.is_ok(), other == purpose, "{purpose:?} as {other:?}");
            }
            assert!(theirs.check(&purpose, asked.as_bytes(), now).is_err());
            assert_ne!(ours.ask(&purpose, now, &entropy).unwrap().as_bytes(), asked.as_bytes());
            let last = Timestamp::from_micros(asked.expire.micros() - 1);
            assert!(ours.check(&purpose, asked.as_bytes(), last).is_ok());
            assert!(ours.check(&purpose, asked.as_bytes(), asked.expire).is_err());
            for at in 0..asked.bytes.len() {
                let mut touched = asked.bytes;
                touched[at] ^= 1;
                assert!(ours.check(&purpose, &touched, now).is_err(), "byte {at}");
            }
            assert!(ours.check(&purpose, &asked.bytes[1..], now).is_err());
            assert!(ours.check(&purpose, b"", now).is_err());
        }
    }
}
