//! Visits every state that can be reached, layer by layer.
//!
//! Written here, not taken from a model checker: it is short, it finds the
//! shortest way to a fault, and it keeps eight bytes of a state and eight of
//! its parent, so that worlds of tens of millions of states fit. A state is
//! known by 64 bits of hash: among 10^8 states two are taken for one with a
//! chance below 1 in 3 000.

use super::protocol::{Action, Promise, Protocol};
use super::state::State;
use super::witness::Witnesses;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that share a layer, if it is large.
const THREADS: usize = 2;

/// From this size on a layer is shared.
const LARGE: usize = 4_096;

/// What a search found.
pub struct Outcome {
    /// States, each counted once.
    pub states: usize,
    /// Steps to the farthest.
    pub depth: usize,
    /// The first broken promise and the shortest way to it.
    pub broken: Option<(Promise, Vec<Action>)>,
    /// What was seen to happen.
    pub witnesses: Witnesses,
    /// Every state was visited.
    pub exhausted: bool,
    pub seconds: f32,
}

/// Searches until a promise is broken, all is visited or the time is over.
pub fn explore(protocol: &Protocol, most: Duration) -> Outcome {
    let began = Instant::now();
    let actions = protocol.actions();
    let seen = Seen::default();
    let mut layer = vec![protocol.first()];
    seen.insert(fingerprint(&layer[0]), 0);
    let mut outcome = Outcome {
        states: 1,
        depth: 0,
        broken: None,
        witnesses: Witnesses::default(),
        exhausted: false,
        seconds: 0.0,
    };
    while !layer.is_empty() && outcome.broken.is_none() && began.elapsed() < most {
        let parts = expand(protocol, &actions, &seen, &layer);
        layer = Vec::with_capacity(parts.iter().map(|part| part.found.len()).sum());
        for part in parts {
            layer.extend(part.found);
            outcome.witnesses.add(part.witnesses);
            outcome.broken = outcome.broken.or_else(|| {
                part.broken.map(|(promise, state)| (promise, seen.way(protocol, &actions, &state)))
            });
        }
        outcome.states += layer.len();
        outcome.depth += usize::from(!layer.is_empty());
    }
    outcome.exhausted = layer.is_empty() && outcome.broken.is_none();
    outcome.seconds = began.elapsed().as_secs_f32();
    outcome
}

/// What one thread found behind its part of a layer.
#[derive(Default)]
struct Part {
    found: Vec<State>,
    witnesses: Witnesses,
    broken: Option<(Promise, State)>,
}

fn expand(protocol: &Protocol, actions: &[Action], seen: &Seen, layer: &[State]) -> Vec<Part> {
    if layer.len() < LARGE {
        return vec![expand_part(protocol, actions, seen, layer)];
    }
    std::thread::scope(|scope| {
        let parts = layer.chunks(layer.len().div_ceil(THREADS));
        let running: Vec<_> =
            parts.map(|part| scope.spawn(move || expand_part(protocol, actions, seen, part))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

fn expand_part(protocol: &Protocol, actions: &[Action], seen: &Seen, states: &[State]) -> Part {
    let mut part = Part::default();
    for state in states {
        let parent = fingerprint(state);
        for action in actions {
            let Some(next) = protocol.next(state, *action) else { continue };
            part.witnesses.look(protocol, state, *action);
            if !seen.insert(fingerprint(&next), parent) {
                continue;
            }
            if let Some(promise) = protocol.broken(&next) {
                part.broken = Some((promise, next));
                return part;
            }
            part.found.push(next);
        }
    }
    part
}

/// The fingerprints of all states, each with that of the state it was found from.
struct Seen(Vec<Mutex<Parents>>);

type Parents = HashMap<u64, u64, BuildHasherDefault<Ready>>;

impl Default for Seen {
    fn default() -> Self {
        Self((0..64).map(|_| Mutex::default()).collect())
    }
}

impl Seen {
    /// Whether it is new.
    fn insert(&self, state: u64, parent: u64) -> bool {
        let mut shard = self.shard(state).lock().unwrap_or_else(PoisonError::into_inner);
        let mut is_new = false;
        shard.entry(state).or_insert_with(|| {
            is_new = true;
            parent
        });
        is_new
    }

    fn shard(&self, state: u64) -> &Mutex<Parents> {
        &self.0[(state >> 32) as usize % self.0.len()]
    }

    /// The steps from the first state to this one, taken again.
    fn way(&self, protocol: &Protocol, actions: &[Action], last: &State) -> Vec<Action> {
        let mut prints = vec![fingerprint(last)];
        while let Some(parent) = prints.last().map(|print| self.parent(*print)).filter(|parent| *parent != 0)
        {
            prints.push(parent);
        }
        let mut state = protocol.first();
        let mut way = Vec::new();
        for print in prints.iter().rev().skip(1) {
            let mut steps =
                actions.iter().filter_map(|action| Some((*action, protocol.next(&state, *action)?)));
            let (action, next) = steps.find(|(_, next)| fingerprint(next) == *print).unwrap();
            (state, way) = (next, [way, vec![action]].concat());
        }
        way
    }

    fn parent(&self, state: u64) -> u64 {
        self.shard(state).lock().unwrap_or_else(PoisonError::into_inner)[&state]
    }
}

fn fingerprint(state: &State) -> u64 {
    let mut hasher = Folded(0x243f_6a88_85a3_08d3);
    state.hash(&mut hasher);
    hasher.finish()
}

/// Mixes by multiplying to 128 bits and folding the halves.
struct Folded(u64);

impl Folded {
    fn mix(&mut self, value: u64) {
        let product = u128::from(self.0 ^ value) * 0x9e37_79b9_7f4a_7c15;
        self.0 = (product as u64) ^ ((product >> 64) as u64);
    }
}

impl Hasher for Folded {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.mix(u64::from(*byte));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.mix(u64::from(value));
    }

    fn write_isize(&mut self, value: isize) {
        self.mix(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.mix(value);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Takes a fingerprint for what it is.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
