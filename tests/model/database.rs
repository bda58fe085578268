//! Time, the database, the reaper and the writer.

use super::fault::Fault;
use super::holder::{NOW, revision, ticks};
use super::protocol::{Clock, DatabaseStep, Protocol, ReaperStep, WriterStep, when};
use super::state::{Database, Entry, Members, Row, State, Transaction, Writer};
use doorward::domain::lease::{self, Fence, Finding, Member, Suspicion, Terms, Verdict};

impl Protocol {
    /// One tick. `lagging` misses it, which none may do twice within a lease.
    pub(super) fn tick(&self, state: &mut State, lagging: Option<Clock>) -> Option<()> {
        let holds = ticks(self.setting.terms.holds);
        for at in 0..self.setting.replicas {
            let replica = &mut state.replicas[at];
            let is_measuring = replica.holder.is_measuring() || replica.grants.is_measuring();
            if lagging == Some(Clock::Replica(at)) {
                when(is_measuring && replica.holder.steady == 0)?;
                replica.holder.steady = holds;
                continue;
            }
            if !(replica.suspended && self.lacks(Fault::ClockStopsInSuspend)) {
                replica.holder.tick(holds);
                replica.grants.tick();
            }
            if !(replica.holder.is_measuring() || replica.grants.is_measuring()) {
                replica.holder.steady = 0;
            }
        }
        let cache = &mut state.cache.holder;
        if lagging == Some(Clock::Cache) {
            when(cache.is_measuring() && cache.steady == 0)?;
            cache.steady = holds;
        } else {
            cache.tick(holds);
            cache.steady = if cache.is_measuring() { cache.steady } else { 0 };
        }
        let waits = ticks(self.fence_terms().waits);
        if let Writer::Begun { elapsed, .. } | Writer::Committed { elapsed, .. } = &mut state.writer {
            *elapsed = waits.min(*elapsed + 1);
        }
        for rows in &mut state.database.rows {
            for row in [&mut rows.own, &mut rows.orphan] {
                if let Row::Draining { elapsed } = row {
                    *elapsed = ticks(self.setting.terms.waits).min(*elapsed + 1);
                }
            }
        }
        Some(())
    }

    pub(super) fn database_step(&self, state: &mut State, step: DatabaseStep) -> Option<()> {
        let database = &mut state.database;
        match step {
            DatabaseStep::BeginOther => {
                when(self.setting.other_change && database.other == Transaction::Idle)?;
                database.other = Transaction::Open(self.next_revision(database)?);
            }
            DatabaseStep::CommitOther => {
                let Transaction::Open(revision) = database.other else { return None };
                database.log.commit(Entry { revision, revokes: false });
                database.other = Transaction::Done;
            }
            DatabaseStep::RollBackOther => {
                when(matches!(database.other, Transaction::Open(_)))?;
                database.other = Transaction::Done;
            }
            DatabaseStep::Failover => {
                when(self.setting.failover && database.old_head.is_none())?;
                self.fail_over(state);
            }
        }
        Some(())
    }

    /// The revision of a transaction that begins. The head row is locked to the
    /// commit, so that revisions are in the order of commits.
    fn next_revision(&self, database: &mut Database) -> Option<u8> {
        if self.lacks(Fault::SequenceTail) {
            database.sequence += 1;
            return Some(database.sequence);
        }
        let is_locked = [database.revoke, database.other].iter().any(|it| matches!(it, Transaction::Open(_)));
        when(!is_locked)?;
        Some(database.log.head() + 1)
    }

    /// What was not committed is lost; the writer will try again, the other change not.
    fn fail_over(&self, state: &mut State) {
        let database = &mut state.database;
        let remembers = self.lacks(Fault::RenewAtOldPrimary);
        database.old_head = Some(if remembers { database.log.head() } else { 0 });
        if self.lacks(Fault::AsyncFailover) {
            database.log.lose();
        }
        if let Transaction::Open(_) = database.other {
            database.other = Transaction::Done;
        }
        if let Transaction::Open(_) = database.revoke {
            database.revoke = Transaction::Idle;
            state.writer = Writer::Idle;
        }
    }

    /// Rows are marked at any time, not only after a silence: a mark given too
    /// early must do no harm. They are deleted as the shipped code decides.
    pub(super) fn reaper_step(&self, state: &mut State, at: usize, step: ReaperStep) -> Option<()> {
        when(self.setting.crashes)?;
        let rows = &mut state.database.rows[at];
        match step {
            ReaperStep::MarkOwn => mark(&mut rows.own)?,
            ReaperStep::MarkOrphan => mark(&mut rows.orphan)?,
            ReaperStep::DeleteOrphan => {
                when(self.may_delete(rows.orphan))?;
                rows.orphan = Row::None;
            }
            ReaperStep::DeleteOwn => {
                when(self.may_delete(rows.own))?;
                if self.lacks(Fault::DeleteUnguarded) {
                    rows.condemned = true;
                } else {
                    rows.own = Row::None;
                }
            }
            ReaperStep::DeleteCondemned => {
                when(rows.condemned)?;
                (rows.own, rows.condemned) = (Row::None, false);
            }
        }
        Some(())
    }

    fn may_delete(&self, row: Row) -> bool {
        let Row::Draining { elapsed } = row else { return false };
        let row = lease::Row { id: (), renews: 0, draining: true };
        let mut suspicion = Suspicion::of(&row, NOW - u64::from(elapsed));
        self.lacks(Fault::ReaperInstant)
            || suspicion.look(self.setting.terms, &row, NOW, NOW) == Finding::Delete
    }

    pub(super) fn writer_step(&self, state: &mut State, step: WriterStep) -> Option<()> {
        let reads_early = self.lacks(Fault::MembersBeforeCommit);
        match (step, state.writer) {
            (WriterStep::ReadMembers, Writer::Idle) if reads_early => {
                let members = state.database.rows.map(|rows| rows.own != Row::None);
                state.writer = Writer::Prepared { members: Members(Some(members)) };
            }
            (WriterStep::Begin, Writer::Idle) if !reads_early => self.begin(state, Members(None))?,
            (WriterStep::Begin, Writer::Prepared { members }) => self.begin(state, members)?,
            (WriterStep::Commit, Writer::Begun { elapsed, members }) => {
                let Transaction::Open(revision) = state.database.revoke else { return None };
                state.database.log.commit(Entry { revision, revokes: true });
                state.database.revoke = Transaction::Done;
                state.writer = Writer::Committed { revision, elapsed, members };
                if !self.lacks(Fault::WaitFromBegin) {
                    state.writer = Writer::Committed { revision, elapsed: 0, members };
                }
            }
            (WriterStep::Return, Writer::Committed { .. }) => {
                let is_over = matches!(self.verdict(state)?, Verdict::Returned { .. });
                when(is_over || self.lacks(Fault::ReturnAtCommit))?;
                state.writer = Writer::Returned;
            }
            _ => return None,
        }
        Some(())
    }

    fn begin(&self, state: &mut State, members: Members) -> Option<()> {
        state.database.revoke = Transaction::Open(self.next_revision(&mut state.database)?);
        state.writer = Writer::Begun { elapsed: 0, members };
        Some(())
    }

    /// What the writer is told by the shipped code, when it looks at the rows now.
    pub(super) fn verdict(&self, state: &State) -> Option<Verdict> {
        let Writer::Committed { revision: number, elapsed, members } = state.writer else { return None };
        let fence = Fence::new(self.fence_terms(), revision(number), NOW - u64::from(elapsed));
        let looked_at = |at: usize| members.0.is_none_or(|members| members[at]);
        let rows = state.database.rows.iter().enumerate().filter(|(at, _)| looked_at(*at));
        let rows = rows.flat_map(|(_, rows)| [rows.own, rows.orphan]);
        let drains_count = self.lacks(Fault::DrainingAcknowledges);
        let members = rows.filter_map(|row| match row {
            Row::None => None,
            Row::Serving { acknowledged } => Some(Member::Serving { acknowledged: revision(acknowledged) }),
            Row::Draining { .. } if drains_count => Some(Member::Serving { acknowledged: revision(number) }),
            Row::Draining { .. } => Some(Member::Draining),
        });
        Some(fence.verdict(members, NOW))
    }

    fn fence_terms(&self) -> Terms {
        let terms = self.setting.terms;
        if self.lacks(Fault::MarginZero) { Terms { waits: terms.holds, ..terms } } else { terms }
    }
}

fn mark(row: &mut Row) -> Option<()> {
    when(matches!(row, Row::Serving { .. }))?;
    *row = Row::Draining { elapsed: 0 };
    Some(())
}
