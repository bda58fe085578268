//! Growing delays for who guesses, and no lockout for anybody else.
//!
//! What is counted is a [`Subject`]; each has one row, its [`Tally`], shared
//! by all replicas. The count goes up *before* a password or code is looked
//! at, in the transaction that reads it, so that parallel guesses cannot share
//! one place; it is taken back when the guess was right.
//!
//! | subject | pass at once | then | at most |
//! |---|---|---|---|
//! | [`Subject::Elsewhere`] | 5 | 2 s, doubling up to an hour | 100 in a row |
//! | [`Subject::Device`] | 5 | 1 s, doubling up to a minute | 10 in a row |
//! | [`Subject::Factor`] | 5 | 12 min, doubling up to an hour | 100 in a row; 7 an hour |
//! | [`Subject::Challenge`] | 5 | | 5 |
//! | [`Subject::Network`] | 50 | one a minute | |
//! | [`Subject::Letters`] | 3 | one an hour | |
//!
//! # Nobody can lock another out
//! Guesses from devices that never signed in to an account hold up nothing but
//! other such devices. A device that did is counted by itself alone: no other
//! row is asked for it, neither the account's nor its network's. Whoever has
//! no known device while the account is under attack resets the password by
//! letter, which is a success and makes that device known.
//!
//! # What a guesser gets
//! From devices that are not known: 38 guesses in the first 24 hours, then 24
//! a day, and after 100 in a row (in four days) none at all. NIST SP 800-63B-4
//! §3.2.2 asks for at most 100 failures in a row and names waits of up to an
//! hour on the way there and known devices as what keeps the owner from being
//! shut out; all three are here. The owner signing in from a known device ends
//! the row without making the waits shorter ([`Subject::eased`]): so even
//! against an owner who does so daily it stays at 24 a day, 8,760 a year.
//! Each sign-in of the owner from a device that is not known yet begins anew
//! with five at once.
//!
//! # Nobody learns who has an account
//! A name without an account is counted as one with an account is, under one
//! of [`Account::BUCKETS`] numbers, so that invented names cannot fill the
//! database. Rows of names without an account may be dropped when they have
//! been quiet for [`UNCLAIMED_KEPT`]; all others only when
//! [`Subject::is_over`] says so, or with what they belong to.

mod policy;

pub use policy::{Policy, Tally, Verdict};

use super::{Digest, Timestamp, UserId};
use policy::{Growing, Refilled};
use std::net::IpAddr;
use std::time::Duration;

/// How long the row of a name without an account is kept after its last guess.
///
/// Who wants to learn from its end that there is no such account spends 100
/// guesses and this long on each name.
pub const UNCLAIMED_KEPT: Duration = Duration::from_hours(30 * 24);

/// Failures in a row after which guessing ends (NIST SP 800-63B-4 §3.2.2).
const IN_A_ROW: u32 = 100;

/// Five typing errors cost nothing. Then 2, 4, … 2,048 s and an hour: eleven
/// more guesses take 68 minutes together, and each one after them an hour.
const ELSEWHERE: Policy = Policy::Growing(Growing {
    free: 5,
    first: Duration::from_secs(2),
    most: Duration::from_hours(1),
    ceiling: Some(IN_A_ROW),
});

/// A known device is its owner's, or stolen: after ten failures in a row it is
/// known no more, which the owner hardly notices and a thief does.
const DEVICE: Policy = Policy::Growing(Growing {
    free: 5,
    first: Duration::from_secs(1),
    most: Duration::from_mins(1),
    ceiling: Some(10),
});

/// Who guesses codes has the password, so waits are long from the start: five
/// at once, then after 12, 24 and 48 minutes make at most seven in any hour,
/// of a million codes of which three are right at a time.
const FACTOR: Policy = Policy::Growing(Growing {
    free: 5,
    first: Duration::from_mins(12),
    most: Duration::from_hours(1),
    ceiling: Some(IN_A_ROW),
});

/// One sign-in that waits for its second factor; who uses it up begins again
/// with the password.
const CHALLENGE: Policy = Policy::Growing(Growing {
    free: 5,
    first: Duration::from_secs(1),
    most: Duration::from_secs(1),
    ceiling: Some(5),
});

/// Against one password tried on many accounts: 50 failures at once, and
/// 1,440 a day. Many honest people may share an address, so it is never worse
/// than one attempt a minute, and their successes are given back.
const NETWORK: Policy = Policy::Refilled(Refilled { burst: 50, every: Duration::from_mins(1) });

/// Letters that anybody can have sent to somebody else: 26 in the first 24
/// hours, 24 a day after.
const LETTERS: Policy = Policy::Refilled(Refilled { burst: 3, every: Duration::from_hours(1) });

/// Whose password is guessed: an account, or a name that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Account {
    /// A person.
    Person(UserId),
    /// One of [`Account::BUCKETS`] that all names without an account share.
    Nobody(u32),
}

impl Account {
    /// How many numbers the names without an account share.
    pub const BUCKETS: u32 = 1 << 20;

    /// The account of a name, of which `digest` is a *keyed* hash over its one
    /// canonical form, so that spellings of a name are one account.
    ///
    /// Keyed, for who can tell which names share a number learns from guesses
    /// at one of them whether another one has an account.
    pub fn of(user: Option<UserId>, digest: Digest) -> Self {
        let [.., last] = digest.words();
        // The modulus is below 2^32, so nothing is cut off.
        let bucket = u32::try_from(last % u64::from(Self::BUCKETS)).unwrap_or(0);
        user.map_or(Self::Nobody(bucket), Self::Person)
    }
}

/// A device that has signed in to an account before: the digest of the random
/// token (128 bits) that it was given then. Kept with the account; a token of
/// one account makes no device of another known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device(pub Digest);

/// Where guesses of one sender are counted together: an IPv4 address, or the
/// first 64 bits of an IPv6 address.
///
/// A customer gets a /64 at least (RFC 6177), and can use each address in it;
/// of IPv4 a customer gets one address or shares it. A /24 would hold up 255
/// neighbours to make life harder for the few who own one, and what they can
/// guess of one account is bounded without it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Network {
    /// An IPv4 address, also where it came mapped into IPv6.
    V4([u8; 4]),
    /// An IPv6 /64.
    V6([u8; 8]),
}

impl Network {
    /// The network that an address is in.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// An account, from devices that it does not know.
    Elsewhere(Account),
    /// An account, from a device that it knows: password and second factor.
    Device(Device),
    /// The second factor of an account, from devices that it does not know.
    Factor(UserId),
    /// A sign-in that waits for its second factor, by its token's digest.
    Challenge(Digest),
    /// All that comes from one network, devices that are known left out.
    Network(Network),
    /// Letters that were asked for in an account's name without a credential.
    Letters(Account),
}

/// Counts one more on all of these, if all let it pass; else on none.
///
/// For one transaction: who reads the rows (in the order of their keys, so
/// that no two wait for each other) writes them before anybody else reads.
pub fn admit(rows: &mut [(Subject, Tally)], now: Timestamp) -> Verdict {
    let verdict =
        rows.iter().map(|(subject, tally)| subject.verdict(*tally, now)).fold(Verdict::Go, Verdict::and);
    if verdict == Verdict::Go {
        for (subject, tally) in rows {
            *tally = subject.after_failure(*tally, now);
        }
    }
    verdict
}

/// Bytes of a subject's key.
pub const KEY: usize = 33;

impl Subject {
    /// What a password is counted on. `known` is the device, if the account
    /// knows it and its own count is not used up; `network` is `None` where
    /// the sender's address cannot be told.
    pub fn of_password(account: Account, known: Option<Device>, network: Option<Network>) -> Vec<Self> {
        match known {
            Some(device) => vec![Self::Device(device)],
            None => [Self::Elsewhere(account)].into_iter().chain(network.map(Self::Network)).collect(),
        }
    }

    /// What a code is counted on, be it of an authenticator or a backup code.
    ///
    /// `challenge` is `None` where it came in one call with the password. Then
    /// what was counted on a known device for the password stands for the code
    /// too: it is taken back, or not, for both.
    pub fn of_factor(user: UserId, challenge: Option<Digest>, known: Option<Device>) -> Vec<Self> {
        let counted = match (challenge, known) {
            (None, Some(_)) => None,
            (Some(_), Some(device)) => Some(Self::Device(device)),
            (_, None) => Some(Self::Factor(user)),
        };
        challenge.map(Self::Challenge).into_iter().chain(counted).collect()
    }

    /// The first byte of rows of names without an account.
    pub const ELSEWHERE_NOBODY: u8 = 2;
    /// … of sign-ins that wait.
    pub const CHALLENGE: u8 = 5;
    /// … of IPv4 addresses.
    pub const NETWORK_V4: u8 = 6;
    /// … of IPv6 networks.
    pub const NETWORK_V6: u8 = 7;
    /// … of letters to people.
    pub const LETTERS_PERSON: u8 = 8;
    /// … of letters to names without an account.
    pub const LETTERS_NOBODY: u8 = 9;

    /// The subject's row: its kind in the first byte, then what tells it from
    /// others of its kind, filled up with zeros to one length.
    pub fn key(&self) -> [u8; KEY] {
        match self {
            Self::Elsewhere(account) => account_key([1, Self::ELSEWHERE_NOBODY], account),
            Self::Device(Device(digest)) => key(3, &digest.to_bytes()),
            Self::Factor(user) => key(4, user.as_bytes()),
            Self::Challenge(digest) => key(Self::CHALLENGE, &digest.to_bytes()),
            Self::Network(Network::V4(address)) => key(Self::NETWORK_V4, address),
            Self::Network(Network::V6(prefix)) => key(Self::NETWORK_V6, prefix),
            Self::Letters(account) => account_key([Self::LETTERS_PERSON, Self::LETTERS_NOBODY], account),
        }
    }

    /// How it is counted.
    pub const fn policy(&self) -> Policy {
        match self {
            Self::Elsewhere(_) => ELSEWHERE,
            Self::Device(_) => DEVICE,
            Self::Factor(_) => FACTOR,
            Self::Challenge(_) => CHALLENGE,
            Self::Network(_) => NETWORK,
            Self::Letters(_) => LETTERS,
        }
    }

    /// Whether one more may be tried now.
    pub fn verdict(&self, tally: Tally, now: Timestamp) -> Verdict {
        self.policy().verdict(tally, now)
    }

    /// With one more, written down before it is looked at.
    #[must_use]
    pub fn after_failure(&self, tally: Tally, now: Timestamp) -> Tally {
        self.policy().after_failure(tally, now)
    }

    /// With the last one taken back: it was right, but the sign-in is not
    /// complete. A right password must not make room for more guesses of the
    /// second factor.
    #[must_use]
    pub fn taken_back(&self, tally: Tally) -> Tally {
        Tally { failures: tally.failures.saturating_sub(1), ..tally }
    }

    /// After a complete sign-in that was counted here, or a reset of the
    /// password by letter.
    ///
    /// A network's own is taken back and no more: else an account of one's own
    /// would buy guesses at those of others. A device that was used up gets
    /// another token, and a new row, when it signs in as an unknown one.
    /// Letters are counted whatever they lead to.
    #[must_use]
    pub fn after_success(&self, tally: Tally) -> Tally {
        match self {
            Self::Elsewhere(_) | Self::Device(_) | Self::Factor(_) | Self::Challenge(_) => Tally::NONE,
            Self::Network(_) => self.taken_back(tally),
            Self::Letters(_) => tally,
        }
    }

    /// After the owner proved themselves without being counted here: on a
    /// known device for what is counted elsewhere, by letter for the second
    /// factor. Ends the row of failures, yet no wait becomes shorter.
    #[must_use]
    pub fn eased(&self, tally: Tally) -> Tally {
        self.policy().eased(tally)
    }

    /// Whether the row says nothing any more and may be dropped: networks and
    /// letters after at most 50 minutes and 3 hours. A challenge's row goes
    /// with the challenge, a device's with the device.
    pub fn is_over(&self, tally: Tally, now: Timestamp) -> bool {
        self.policy().is_over(tally, now)
    }
}

fn account_key([person, nobody]: [u8; 2], account: &Account) -> [u8; KEY] {
    match account {
        Account::Person(user) => key(person, user.as_bytes()),
        Account::Nobody(bucket) => key(nobody, &bucket.to_be_bytes()),
    }
}

fn key(kind: u8, what: &[u8]) -> [u8; KEY] {
    let mut key = [0; KEY];
    key.iter_mut().zip(std::iter::once(&kind).chain(what)).for_each(|(place, byte)| *place = *byte);
    key
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
