//! Entity references of a resource: the attribute names in them must exist, so names of removed attributes go too.

use std::collections::HashSet;

use super::Malformed;
use super::plan::Plan;
use super::walk::known;
use crate::otlp::message::fields::ENTITY_REF;
use crate::otlp::message::policy::Policy;
use crate::otlp::message::wire::{Fields, RawField, Span};

/// Distinct names that may be kept for one resource.
const MAX_NAMES: usize = 10_000;
/// The number of `key` in `KeyValue`.
const KEY: u32 = 1;
const ID_KEYS: u32 = 3;
const DESCRIPTION_KEYS: u32 = 4;

/// Plans an `EntityRef` without the names of removed attributes, and returns its length in the output. The whole
/// reference goes when none of its `id_keys` is left.
pub fn entity_ref(
    plan: &mut Plan,
    body: &[u8],
    removed: &Removed<'_>,
    entity: RawField,
) -> Result<usize, Malformed> {
    let mark = plan.mark();
    let head = plan.open(entity.number)?;
    let mut kept = Kept::default();
    let mut fields = Fields::new(body, entity.payload);
    while let Some(raw) = fields.read()? {
        let listed = known(&ENTITY_REF, raw)?.is_some();
        let is_name = matches!(raw.number, ID_KEYS | DESCRIPTION_KEYS);
        if !listed || (is_name && removed.holds(raw.payload.of(body))) {
            kept.changed = true;
            kept.lost_id |= raw.number == ID_KEYS;
            continue;
        }
        kept.ids |= raw.number == ID_KEYS;
        kept.len += plan.copy(raw.whole)?.len;
    }
    if kept.lost_id && !kept.ids {
        plan.back_to(mark);
        return Ok(0);
    }
    if kept.changed {
        return plan.close(head, kept.len);
    }
    plan.back_to(mark);
    Ok(plan.copy(entity.whole)?.len)
}

#[derive(Default)]
struct Kept {
    len: usize,
    changed: bool,
    /// Whether an id key is left.
    ids: bool,
    /// Whether an id key was removed.
    lost_id: bool,
}

/// The names of attributes that are not in the resource any more.
pub struct Removed<'a> {
    policy: &'a Policy,
    /// Names that are not themselves denied: those of attributes that were removed for another key or an index.
    names: HashSet<&'a [u8]>,
}

impl<'a> Removed<'a> {
    /// No names but those that `policy` denies.
    pub fn new(policy: &'a Policy) -> Self {
        Self { policy, names: HashSet::new() }
    }

    /// Notes the name of a removed `KeyValue`.
    ///
    /// # Errors
    /// [`Malformed::Fragments`] when there are more than [`MAX_NAMES`].
    pub fn add(&mut self, body: &'a [u8], pair: Span) -> Result<(), Malformed> {
        let mut fields = Fields::new(body, pair);
        let mut named = false;
        while let Some(field) = fields.read()? {
            if field.number == KEY {
                named = true;
                self.add_name(field.payload.of(body));
            }
        }
        if !named {
            // Protobuf leaves an empty key out.
            self.add_name(b"");
        }
        if self.names.len() > MAX_NAMES { Err(Malformed::Fragments) } else { Ok(()) }
    }

    fn add_name(&mut self, name: &'a [u8]) {
        if !self.policy.denies(name) {
            self.names.insert(name);
        }
    }

    fn holds(&self, name: &[u8]) -> bool {
        self.names.contains(name) || self.policy.denies(name)
    }
}
