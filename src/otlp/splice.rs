//! Rewrites an export without decoding it: denied attributes go, the tenant is stamped on every resource, all else is
//! copied as it came.
//!
//! The body is walked once along the [field table](super::fields). What stays becomes ranges of the body in a
//! plan, and the output is written from the plan in one go. A message in which nothing changes costs no more than
//! the walk: it is one range, joined to the one before it.
//!
//! Fields that the table does not list are dropped in every message that is walked, because nobody can say what a
//! back end of another version takes them for.
//!
//! # Invariants
//! Everything here is bounded by the size of the body and the caps below: recursion follows the table, whose depth is
//! fixed; the output exceeds the body by at most one stamp and a few lengths for each resource.

mod entity;
mod plan;

#[cfg(test)]
mod differential;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use thiserror::Error;

use self::entity::{Removed, entity_ref};
use self::plan::{Plan, Planned};
use super::fields::{Field, KEY_VALUE, Kind, Message, RESOURCE, Signal};
use super::policy::Verdict;
use super::wire::{Fields, RawField, Span};

pub use super::policy::Policy;

/// Resources that one request may hold: each makes the output larger by a stamp.
pub const MAX_RESOURCES: usize = 10_000;
/// Instrumentation scopes that one request may hold, over all resources.
pub const MAX_SCOPES: usize = 100_000;

/// The number of `resource` in `ResourceSpans` and its like.
const RESOURCE_NUMBER: u32 = 1;

/// An export that is fit to be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The request, encoded.
    pub body: Bytes,
    /// Spans, data points or log records in it.
    pub items: u64,
    /// Attributes that were removed.
    pub stripped: u64,
}

/// Why a body is refused. The text says where, never what the client sent.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Malformed {
    /// A field reaches past the end of its message.
    #[error("the protobuf message is cut short")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("the protobuf message has a varint of more than 64 bits")]
    Varint,
    /// A tag with field number 0, or of more than 32 bits.
    #[error("the protobuf message has an invalid tag")]
    Tag,
    /// A group, or a wire type that does not exist.
    #[error("the protobuf message has a group or an unknown wire type")]
    Group,
    /// A known field in an encoding that is not its own.
    #[error("field `{field}` of `{message}` has the wrong wire type")]
    WireType {
        /// The message's name.
        message: &'static str,
        /// The field's name.
        field: &'static str,
    },
    /// More than [`MAX_RESOURCES`].
    #[error("more than {MAX_RESOURCES} resources in one request")]
    Resources,
    /// More than [`MAX_SCOPES`].
    #[error("more than {MAX_SCOPES} instrumentation scopes in one request")]
    Scopes,
    /// So many changes, so close together, that the plan would outgrow its bound.
    #[error("too many denied attributes or unknown fields in one request")]
    Fragments,
    /// The body is 4 GiB or larger.
    #[error("the protobuf message is too large")]
    TooLarge,
}

/// Removes from `body`, a request of that signal, what `policy` denies, and stamps `tenant` on each resource.
///
/// # Errors
/// The body is not an export request, or exceeds a cap.
pub fn splice(signal: Signal, body: &Bytes, policy: &Policy, tenant: &str) -> Result<Spliced, Malformed> {
    let stamp = policy.stamp(tenant);
    let mut splicer = Splicer::new(body, policy, stamp.len());
    splicer.request(signal.request())?;
    let Splicer { plan, items, stripped, .. } = splicer;
    Ok(Spliced { body: plan.write(body, &stamp), items, stripped })
}

/// One walk over one body.
struct Splicer<'a> {
    body: &'a [u8],
    policy: &'a Policy,
    stamp_len: usize,
    plan: Plan,
    items: u64,
    stripped: u64,
    resources: usize,
    scopes: usize,
}

impl<'a> Splicer<'a> {
    fn new(body: &'a [u8], policy: &'a Policy, stamp_len: usize) -> Self {
        Self {
            body,
            policy,
            stamp_len,
            plan: Plan::default(),
            items: 0,
            stripped: 0,
            resources: 0,
            scopes: 0,
        }
    }

    fn request(&mut self, request: &'static Message) -> Result<(), Malformed> {
        let mut fields = Fields::new(self.body, Span::whole(self.body)?);
        while let Some(raw) = fields.read()? {
            let Some((_, Kind::Message(group))) = known(request, raw)? else { continue };
            self.resources += 1;
            if self.resources > MAX_RESOURCES {
                return Err(Malformed::Resources);
            }
            let head = self.plan.open(raw.number)?;
            let len = self.resource_group(group, raw.payload)?;
            self.plan.close(head, len)?;
        }
        Ok(())
    }

    /// A `ResourceSpans` or its like: one resource, merged from all there are, then the scopes.
    fn resource_group(&mut self, group: &'static Message, span: Span) -> Result<usize, Malformed> {
        let mut len = self.resource(group, span)?;
        let mut fields = Fields::new(self.body, span);
        while let Some(raw) = fields.read()? {
            let Some((field, kind)) = known(group, raw)? else { continue };
            if matches!(kind, Kind::Resource) {
                continue;
            }
            if matches!(kind, Kind::Message(_)) {
                self.scopes += 1;
            }
            if self.scopes > MAX_SCOPES {
                return Err(Malformed::Scopes);
            }
            len += self.field(field, raw)?.len;
        }
        Ok(len)
    }

    /// The one resource of a group. Protobuf merges repeated messages, so what the client put into any of them counts.
    fn resource(&mut self, group: &'static Message, span: Span) -> Result<usize, Malformed> {
        let head = self.plan.open(RESOURCE_NUMBER)?;
        let mut removed = Removed::new(self.policy);
        let mut has_entities = false;
        let mut len = 0;
        let mut fields = Fields::new(self.body, span);
        while let Some(raw) = fields.read()? {
            if let Some((_, Kind::Resource)) = known(group, raw)? {
                len += self.resource_part(raw.payload, &mut removed, &mut has_entities)?;
            }
        }
        if has_entities {
            len += self.entities(span, &removed)?;
        }
        self.plan.stamp()?;
        self.plan.close(head, len + self.stamp_len)
    }

    /// One occurrence of `resource` without its entity references, which wait until all attributes are known.
    fn resource_part(
        &mut self,
        span: Span,
        removed: &mut Removed<'a>,
        has_entities: &mut bool,
    ) -> Result<usize, Malformed> {
        let mut len = 0;
        let mut fields = Fields::new(self.body, span);
        while let Some(raw) = fields.read()? {
            let Some((field, kind)) = known(&RESOURCE, raw)? else { continue };
            if matches!(kind, Kind::EntityRef) {
                *has_entities = true;
                continue;
            }
            let planned = self.field(field, raw)?;
            if planned.is_gone() {
                removed.add(self.body, raw.payload)?;
            }
            len += planned.len;
        }
        Ok(len)
    }

    /// The entity references of every occurrence of `resource` in a group.
    fn entities(&mut self, group: Span, removed: &Removed<'_>) -> Result<usize, Malformed> {
        let mut len = 0;
        let mut fields = Fields::new(self.body, group);
        while let Some(raw) = fields.read()? {
            if raw.number != RESOURCE_NUMBER {
                continue;
            }
            let mut parts = Fields::new(self.body, raw.payload);
            while let Some(part) = parts.read()? {
                if let Some((_, Kind::EntityRef)) = known(&RESOURCE, part)? {
                    len += entity_ref(&mut self.plan, self.body, removed, part)?;
                }
            }
        }
        Ok(len)
    }

    /// Any other message of the table.
    fn message(&mut self, message: &'static Message, span: Span) -> Result<Planned, Malformed> {
        let mut planned = Planned::default();
        let mut fields = Fields::new(self.body, span);
        while let Some(raw) = fields.read()? {
            match known(message, raw)? {
                None => planned.changed = true,
                Some((field, _)) => planned.add(self.field(field, raw)?),
            }
        }
        Ok(planned)
    }

    #[inline]
    fn field(&mut self, field: &'static Field, raw: RawField) -> Result<Planned, Malformed> {
        self.items += u64::from(field.item);
        match field.kind {
            Kind::Message(inner) => self.nested(inner, raw),
            Kind::Attribute => self.attribute(raw),
            Kind::Resource
            | Kind::EntityRef
            | Kind::Opaque
            | Kind::Varint
            | Kind::Fixed64
            | Kind::Fixed32
            | Kind::Varints
            | Kind::Fixed64s => self.plan.copy(raw.whole),
        }
    }

    fn attribute(&mut self, raw: RawField) -> Result<Planned, Malformed> {
        match self.policy.judge(self.body, raw.payload)? {
            Verdict::Keep => self.plan.copy(raw.whole),
            Verdict::Tidy => self.nested(&KEY_VALUE, raw),
            Verdict::Strip => {
                self.stripped += 1;
                Ok(Planned { len: 0, changed: true })
            }
        }
    }

    fn nested(&mut self, message: &'static Message, raw: RawField) -> Result<Planned, Malformed> {
        let mark = self.plan.mark();
        let head = self.plan.open(raw.number)?;
        let inner = self.message(message, raw.payload)?;
        if inner.changed {
            let len = self.plan.close(head, inner.len)?;
            return Ok(Planned { len, changed: true });
        }
        self.plan.back_to(mark);
        self.plan.copy(raw.whole)
    }
}

/// The field of `message` that `raw` is, or `None` for one that the message does not have.
#[inline]
fn known(message: &'static Message, raw: RawField) -> Result<Option<(&'static Field, Kind)>, Malformed> {
    let Some(field) = message.field(raw.number) else { return Ok(None) };
    if field.kind.takes(raw.wire) {
        Ok(Some((field, field.kind)))
    } else {
        Err(Malformed::WireType { message: message.name, field: field.name })
    }
}
