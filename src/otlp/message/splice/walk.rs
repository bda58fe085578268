//! The walk over a body along the field table.

use super::entity::{Removed, entity_ref};
use super::lists::{Lists, Shape};
use super::plan::{Plan, Planned};
use super::{MAX_NESTING, MAX_RESOURCES, MAX_SCOPES, Malformed};
use crate::otlp::message::fields::{Field, KEY_VALUE, Kind, Message, RESOURCE, Role, Signal};
use crate::otlp::message::policy::{Path, Policy, Verdict};
use crate::otlp::message::wire::{Fields, RawField, Span};

/// The number of `resource` in `ResourceSpans` and its like.
const RESOURCE_NUMBER: u32 = 1;
/// The numbers of `attributes` and `entity_refs` in `Resource`.
const ATTRIBUTES_NUMBER: u32 = 1;
const ENTITIES_NUMBER: u32 = 3;

/// One walk over one body.
pub struct Splicer<'a> {
    body: &'a [u8],
    policy: &'a Policy,
    stamp_len: usize,
    /// What the output consists of.
    pub plan: Plan,
    suspicion: Suspicion,
    /// Spans, data points or log records so far.
    pub items: u64,
    /// Attributes that were removed so far.
    pub stripped: u64,
    resources: usize,
    scopes: usize,
    /// Lists whose items are not counted yet; `None` when everything is walked.
    lists: Option<Lists>,
    shape: Option<Shape>,
}

/// The first place from `from` on at which a denied key may be.
struct Suspicion {
    from: usize,
    at: usize,
}

impl<'a> Splicer<'a> {
    /// Walks over `body`, a request of that signal.
    pub fn walk(signal: Signal, body: &'a [u8], policy: &'a Policy, stamp: &[u8]) -> Result<Self, Malformed> {
        match Self::briskly(signal, body, policy, stamp) {
            Some(splicer) => Ok(splicer),
            None => Self::thoroughly(signal, body, policy, stamp),
        }
    }

    /// Takes lists of items that hold no word of a denied key for what they seem to be, and counts them in the end.
    /// `None` if that was wrong, or anything else.
    fn briskly(signal: Signal, body: &'a [u8], policy: &'a Policy, stamp: &[u8]) -> Option<Self> {
        let mut splicer = Self::new(body, policy, stamp);
        splicer.lists = Some(Lists::new());
        let Ok(()) = splicer.request(signal.request()) else { return None };
        let lists = splicer.lists.take()?;
        if let Some(shape) = splicer.shape {
            splicer.items += lists.count(body, shape)?;
        }
        Some(splicer)
    }

    /// Walks through every list.
    pub fn thoroughly(
        signal: Signal,
        body: &'a [u8],
        policy: &'a Policy,
        stamp: &[u8],
    ) -> Result<Self, Malformed> {
        let mut splicer = Self::new(body, policy, stamp);
        splicer.request(signal.request())?;
        Ok(splicer)
    }

    fn new(body: &'a [u8], policy: &'a Policy, stamp: &[u8]) -> Self {
        Self {
            body,
            policy,
            stamp_len: stamp.len(),
            plan: Plan::new(),
            suspicion: Suspicion { from: 0, at: 0 },
            items: 0,
            stripped: 0,
            resources: 0,
            scopes: 0,
            lists: None,
            shape: None,
        }
    }

    fn request(&mut self, request: &'static Message) -> Result<(), Malformed> {
        let mut fields = Fields::new(self.body, Span::whole(self.body)?);
        while let Some(raw) = fields.read()? {
            let Some(Field { kind: Kind::Message(group), .. }) = known(request, raw)? else { continue };
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
            let Some(field) = known(group, raw)? else { continue };
            let Kind::Message(inner) = field.kind else {
                len += self.plan.copy(raw.whole)?.len;
                continue;
            };
            if inner.role == Role::Resource {
                continue;
            }
            self.scopes += 1;
            if self.scopes > MAX_SCOPES {
                return Err(Malformed::Scopes);
            }
            if self.is_listed(inner, raw.payload) {
                len += self.plan.copy(raw.whole)?.len;
                continue;
            }
            len += self.inner(inner, raw)?.len;
        }
        Ok(len)
    }

    /// Whether the message is a list that stays as it is, to be counted later.
    fn is_listed(&mut self, message: &'static Message, payload: Span) -> bool {
        if self.lists.is_none() || self.is_suspect(payload) {
            return false;
        }
        if self.shape.is_none() {
            self.shape = Shape::of(message);
        }
        let Some(lists) = self.lists.as_mut().filter(|_| self.shape.is_some()) else { return false };
        lists.add(payload);
        true
    }

    /// The one resource of a group. Protobuf merges repeated messages, so what the client put into any of them counts.
    fn resource(&mut self, group: &'static Message, span: Span) -> Result<usize, Malformed> {
        let head = self.plan.open(RESOURCE_NUMBER)?;
        let mut removed = Removed::new(self.policy);
        let mut has_entities = false;
        let mut len = 0;
        let mut fields = Fields::new(self.body, span);
        while let Some(raw) = fields.read()? {
            if known(group, raw)?.is_some() && raw.number == RESOURCE_NUMBER {
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
        loop {
            len += self.settled(&RESOURCE, &mut fields)?.len;
            let Some(raw) = fields.read()? else { break };
            if known(&RESOURCE, raw)?.is_none() {
                continue;
            }
            match raw.number {
                ATTRIBUTES_NUMBER => {
                    let planned = self.pair(raw, &Path::default(), 0)?;
                    if planned.is_gone() {
                        removed.add(self.body, raw.payload)?;
                    }
                    len += planned.len;
                }
                ENTITIES_NUMBER => *has_entities = true,
                _ => len += self.plan.copy(raw.whole)?.len,
            }
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
                if known(&RESOURCE, part)?.is_some() && part.number == ENTITIES_NUMBER {
                    len += entity_ref(&mut self.plan, self.body, removed, part)?;
                }
            }
        }
        Ok(len)
    }

    /// Any other message of the table. `deep`: it is part of an item that may hold a denied key.
    fn message(&mut self, message: &'static Message, span: Span, deep: bool) -> Result<Planned, Malformed> {
        let mut planned = Planned::default();
        // Fields that follow each other and stay as they are.
        let mut run = Span { start: span.start, end: span.start };
        let mut fields = Fields::new(self.body, span);
        loop {
            if deep {
                run.end = fields.skip(self.policy.settled(message, fields.rest()))?;
            }
            let Some(raw) = fields.read()? else { break };
            let field = known(message, raw)?;
            if let Some(field) = field {
                self.items += u64::from(field.item);
                if self.stays(field, raw.payload, deep) {
                    run.end = raw.whole.end;
                    continue;
                }
            }
            planned.add(self.plan.copy(run)?);
            run = Span { start: raw.whole.end, end: raw.whole.end };
            planned.add(match field.map(|field| field.kind) {
                Some(Kind::Message(inner)) => self.inner(inner, raw)?,
                Some(_) | None => Planned { len: 0, changed: true },
            });
        }
        planned.add(self.plan.copy(run)?);
        Ok(planned)
    }

    /// Plans the next fields as far as they stay as they are.
    fn settled(&mut self, message: &Message, fields: &mut Fields<'_>) -> Result<Planned, Malformed> {
        let start = fields.skip(0)?;
        let end = fields.skip(self.policy.settled(message, fields.rest()))?;
        self.plan.copy(Span { start, end })
    }

    /// Whether a field can be copied unseen.
    #[inline]
    fn stays(&mut self, field: &Field, payload: Span, deep: bool) -> bool {
        let Kind::Message(inner) = field.kind else { return true };
        match inner.role {
            Role::Frame => false,
            _ if !deep && !self.is_suspect(payload) => true,
            Role::Leaf => self.policy.is_settled(inner, payload.of(self.body)),
            Role::Pair | Role::Value | Role::Resource | Role::EntityRef => false,
        }
    }

    /// A message field that cannot.
    fn inner(&mut self, inner: &'static Message, raw: RawField) -> Result<Planned, Malformed> {
        match inner.role {
            Role::Pair => self.pair(raw, &Path::default(), 0),
            Role::Value => self.nested(inner, raw, &Path::default(), 0),
            Role::Frame => self.rewritten(raw, |splicer| splicer.message(inner, raw.payload, false)),
            Role::Leaf | Role::Resource | Role::EntityRef => {
                self.rewritten(raw, |splicer| splicer.message(inner, raw.payload, true))
            }
        }
    }

    /// Whether a denied key may be in `span`. Spans that follow each other are looked at once altogether.
    #[inline]
    fn is_suspect(&mut self, span: Span) -> bool {
        let (start, end) = (span.start as usize, span.end as usize);
        if start < self.suspicion.from || self.suspicion.at < start {
            self.suspicion = Suspicion { from: start, at: self.policy.suspicion(self.body, start) };
        }
        self.suspicion.at < end
    }

    /// A `KeyValue` below `path`.
    fn pair(&mut self, raw: RawField, path: &Path, depth: usize) -> Result<Planned, Malformed> {
        match self.policy.judge(self.body, raw.payload, path)? {
            Verdict::Keep => self.plan.copy(raw.whole),
            Verdict::Open(ahead) => self.nested(&KEY_VALUE, raw, &ahead, depth),
            Verdict::Strip => {
                self.stripped += 1;
                Ok(Planned { len: 0, changed: true })
            }
        }
    }

    /// A message that pairs may be in at any depth: `KeyValue`, `AnyValue`, and the lists of both.
    fn nested(
        &mut self,
        message: &'static Message,
        raw: RawField,
        path: &Path,
        depth: usize,
    ) -> Result<Planned, Malformed> {
        self.rewritten(raw, |splicer| {
            let mut planned = Planned::default();
            let mut fields = Fields::new(splicer.body, raw.payload);
            while let Some(raw) = fields.read()? {
                planned.add(match known(message, raw)?.map(|field| field.kind) {
                    None => Planned { len: 0, changed: true },
                    Some(Kind::Message(inner)) => splicer.below(inner, raw, path, depth)?,
                    Some(_) => splicer.plan.copy(raw.whole)?,
                });
            }
            Ok(planned)
        })
    }

    fn below(
        &mut self,
        inner: &'static Message,
        raw: RawField,
        path: &Path,
        depth: usize,
    ) -> Result<Planned, Malformed> {
        match inner.role {
            Role::Pair => self.pair(raw, path, depth),
            Role::Value if depth >= MAX_NESTING => Err(Malformed::Nesting),
            Role::Value => self.nested(inner, raw, path, depth + 1),
            Role::Frame | Role::Leaf | Role::Resource | Role::EntityRef => {
                self.nested(inner, raw, path, depth)
            }
        }
    }

    /// A message field as `walk` plans its inside; as it came, if nothing changes there.
    #[inline]
    fn rewritten(
        &mut self,
        raw: RawField,
        walk: impl FnOnce(&mut Self) -> Result<Planned, Malformed>,
    ) -> Result<Planned, Malformed> {
        let mark = self.plan.mark();
        let head = self.plan.open(raw.number)?;
        let inner = walk(self)?;
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
pub fn known(message: &'static Message, raw: RawField) -> Result<Option<&'static Field>, Malformed> {
    let Some(field) = message.field(raw.number) else { return Ok(None) };
    if field.takes(raw.wire) {
        Ok(Some(field))
    } else {
        Err(Malformed::WireType { message: message.name, field: field.name })
    }
}
