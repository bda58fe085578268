//! Argon2id (RFC 9106) over passwords, with what it costs stored in each hash.

use super::Password;
use crate::domain::Entropy;
use crate::domain::reading::Reading as _;
use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

/// What one hash takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

/// A password could not be hashed or compared: not the fault of who typed it.
#[derive(Debug, thiserror::Error)]
pub enum HashingFault {
    /// The algorithm was asked for what it cannot do.
    #[error("password hashing: {0}")]
    Algorithm(#[from] argon2::Error),
    /// What is stored is no hash in the PHC string format.
    #[error("stored password hash: {0}")]
    Format(#[from] argon2::password_hash::phc::Error),
    /// What is stored has parameters that do not fit together.
    #[error("stored password hash: {0}")]
    Parameters(#[from] argon2::password_hash::Error),
    /// What is stored is not what this service writes, or costs too much.
    #[error("stored password hash: {0}")]
    Unacceptable(&'static str),
}

/// The hash of a password, with its parameters, as a PHC string.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash {
    text: String,
    params: Params,
    salt: Salt,
    tag: Output,
}

/// How a password stands to the hash that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it is the password that was hashed.
    pub fits: bool,
    /// Whether it fits and should be hashed again, at the cost of today.
    pub needs_rehash: bool,
}

/// Hashes and compares passwords in memory that is used again and again: fresh
/// memory from the kernel makes a hash a sixth slower.
///
/// Between two hashes the memory keeps what was made of the last password, until
/// [`Workspace::wipe`] or the end.
pub struct Workspace {
    cost: Cost,
    blocks: Vec<Block>,
    clean: bool,
}

impl Default for Cost {
    /// 19 MiB and two passes, the first choice of OWASP's password storage cheat
    /// sheet: some 15 ms of a core.
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2 }
    }
}

impl Cost {
    /// Most that a hash may take, of ours and of those that are stored.
    pub const MAX: Self = Self { memory_kib: 65_536, passes: 10 };

    /// What is wrong with it, if anything: less than the weakest of OWASP's
    /// equal choices, or more than [`Cost::MAX`].
    pub fn fault(self) -> Option<&'static str> {
        if self.memory_kib > Self::MAX.memory_kib || self.passes > Self::MAX.passes {
            return Some("a password hash may take at most 65536 KiB and 10 passes");
        }
        let weak = self.memory_kib < 7_168 || self.work() < 7_168 * 5;
        weak.then_some("a password hash must take 19456 KiB with 2 passes, 7168 KiB with 5, or more")
    }

    /// Blocks that are written: what time and price of a guess go with.
    fn work(self) -> u64 {
        u64::from(self.memory_kib) * u64::from(self.passes)
    }

    fn of(params: &Params) -> Self {
        Self { memory_kib: params.m_cost(), passes: params.t_cost() }
    }

    /// What is left of this cost when `spent` is taken from it.
    fn less(self, spent: Self) -> Option<Self> {
        let left = self.work().checked_sub(spent.work())?;
        let passes = left.div_ceil(u64::from(self.memory_kib)).max(1);
        let memory = left / passes;
        let rest = Self { memory_kib: memory.try_into().readable()?, passes: passes.try_into().readable()? };
        (memory >= u64::from(Params::MIN_M_COST)).then_some(rest)
    }

    fn params(self) -> Result<Params, argon2::Error> {
        Params::new(self.memory_kib, self.passes, 1, Some(TAG))
    }
}

/// Bytes of our tags.
const TAG: usize = 32;
/// Bytes of our salts (RFC 9106 §3.1).
const SALT: usize = 16;
/// Lanes of a stored hash; ours have one.
const MAX_LANES: u32 = 4;
/// Bytes of a stored hash.
const MAX_TEXT: usize = 256;

impl PasswordHash {
    /// A hash as it is stored.
    ///
    /// # Errors
    /// It is no Argon2id hash of the current version, or would take more than
    /// [`Cost::MAX`]: nobody who can write the database can so stop the service.
    pub fn stored(text: &str) -> Result<Self, HashingFault> {
        if text.len() > MAX_TEXT {
            return Err(HashingFault::Unacceptable("it is too long"));
        }
        let hash = argon2::PasswordHash::new(text)?;
        let params = Params::try_from(&hash)?;
        let known = hash.algorithm == Algorithm::Argon2id.ident()
            && hash.version == Some(Version::V0x13.into())
            && params.keyid().is_empty()
            && params.data().is_empty();
        if !known {
            return Err(HashingFault::Unacceptable("it is not Argon2id of version 19 alone"));
        }
        if params.m_cost() > Cost::MAX.memory_kib
            || params.t_cost() > Cost::MAX.passes
            || params.p_cost() > MAX_LANES
        {
            return Err(HashingFault::Unacceptable("it takes more than is allowed"));
        }
        match (hash.salt, hash.hash) {
            (Some(salt), Some(tag)) if tag.len() >= SALT => {
                Ok(Self { text: text.to_owned(), params, salt, tag })
            }
            (Some(_) | None, Some(_) | None) => {
                Err(HashingFault::Unacceptable("it has no salt, or no tag of 16 bytes or more"))
            }
        }
    }

    /// The hash as it is stored.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is weaker than hashes are made at this cost.
    pub fn needs_rehash(&self, wanted: Cost) -> bool {
        Cost::of(&self.params).work() < wanted.work() || self.tag.len() < TAG || self.salt.len() < SALT
    }
}

impl Workspace {
    /// One that hashes at this cost. Takes its memory with the first hash.
    pub const fn new(cost: Cost) -> Self {
        Self { cost, blocks: Vec::new(), clean: true }
    }

    /// Hashes a password, with a new salt.
    pub fn hash(&mut self, password: &Password, entropy: &dyn Entropy) -> Result<PasswordHash, HashingFault> {
        let mut salt = [0; SALT];
        entropy.fill(&mut salt);
        let salt = Salt::new(&salt)?;
        let params = self.cost.params()?;
        let tag = self.compute(&params, password, &salt, TAG)?;
        let hash = argon2::PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&params)?,
            salt: Some(salt),
            hash: Some(tag),
        };
        Ok(PasswordHash { text: hash.to_string(), params, salt, tag })
    }

    /// Compares a password with the hash of somebody, or with none.
    ///
    /// Takes as long for nobody as for somebody whose password does not fit; and
    /// nearly as long, up to a tenth less, for a hash that was made cheaper earlier.
    pub fn verify(
        &mut self,
        password: &Password,
        stored: Option<&PasswordHash>,
    ) -> Result<Verdict, HashingFault> {
        let Some(stored) = stored else {
            self.spend(self.cost, password)?;
            return Ok(Verdict { fits: false, needs_rehash: false });
        };
        let tag = self.compute(&stored.params, password, &stored.salt, stored.tag.len())?;
        // Compared in constant time by its type.
        let fits = tag == stored.tag;
        if !fits && let Some(rest) = self.cost.less(Cost::of(&stored.params)) {
            self.spend(rest, password)?;
        }
        Ok(Verdict { fits, needs_rehash: fits && stored.needs_rehash(self.cost) })
    }

    /// Whether nothing of a password is in the memory.
    pub const fn is_clean(&self) -> bool {
        self.clean
    }

    /// Overwrites what the last password left behind.
    pub fn wipe(&mut self) {
        for block in &mut self.blocks {
            block.zeroize();
        }
        self.clean = true;
    }

    /// Hashes for nothing.
    fn spend(&mut self, cost: Cost, password: &Password) -> Result<(), HashingFault> {
        let tag = self.compute(&cost.params()?, password, &Salt::new(NOBODY)?, TAG)?;
        std::hint::black_box(tag);
        Ok(())
    }

    fn compute(
        &mut self,
        params: &Params,
        password: &Password,
        salt: &Salt,
        length: usize,
    ) -> Result<Output, HashingFault> {
        self.make_room(params.block_count());
        let mut tag = Zeroizing::new([0; Output::MAX_LENGTH]);
        let tag = tag.get_mut(..length).ok_or(argon2::Error::OutputTooLong)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone());
        argon2.hash_password_into_with_memory(password.reveal().as_bytes(), salt, tag, &mut self.blocks)?;
        Ok(Output::new(tag)?)
    }

    /// As many blocks as are needed, and no more than that if it is more than usual.
    fn make_room(&mut self, blocks: usize) {
        let usual = usize::try_from(self.cost.memory_kib).unwrap_or(0);
        if self.blocks.len() < blocks || self.blocks.len() > blocks.max(usual) {
            // Wiped and made anew: memory that grows in place may move and leave a copy.
            self.wipe();
            self.blocks = vec![Block::new(); blocks.max(usual)];
        }
        self.clean = false;
    }
}

/// The salt of who does not exist.
const NOBODY: &[u8; SALT] = b"nobody has this.";

impl Drop for Workspace {
    fn drop(&mut self) {
        if !self.clean {
            self.wipe();
        }
    }
}

impl fmt::Debug for Workspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace").field("cost", &self.cost).finish_non_exhaustive()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash([redacted])")
    }
}

#[cfg(test)]
#[path = "hashing_tests.rs"]
mod tests;
