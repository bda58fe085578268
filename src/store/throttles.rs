//! What is counted against guessing, in the database: shared by all replicas,
//! and there after a restart.

use super::query::RunQueryDsl;
use super::rows::{count, time};
use super::schema::throttles;
use super::tx::Own;
use super::{Across, Conn, Result, Store};
use crate::domain::Timestamp;
use crate::domain::throttle::{Subject, Tally, UNCLAIMED_KEPT, Verdict};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary};
use diesel::upsert::excluded;
use std::time::Duration;

/// Rows of a kind that are cleared away at a time.
const SWEPT: i64 = 500;

/// For how long rows of a kind, by the first byte of their key, are kept after
/// the last try. Those of people and their devices say something for ever.
const SWEPT_KINDS: &[(u8, Duration)] = &[
    (Subject::ELSEWHERE_NOBODY, UNCLAIMED_KEPT),
    (Subject::CHALLENGE, Duration::from_hours(1)),
    (Subject::NETWORK_V4, Duration::from_hours(3)),
    (Subject::NETWORK_V6, Duration::from_hours(3)),
    (Subject::LETTERS_PERSON, Duration::from_hours(6)),
    (Subject::LETTERS_NOBODY, Duration::from_hours(6)),
];

impl Store {
    /// Counts one more try on each of these, if all of them let it pass; else
    /// counts nothing. In one transaction, so that tries at the same time are
    /// counted one after another.
    pub async fn throttle_try(&self, subjects: &[Subject], now: Timestamp) -> Result<Verdict> {
        // Who has to wait writes nothing: a flood of guesses must not hold up
        // those who write.
        let seen = self.throttle_verdict(subjects, now).await?;
        if seen != Verdict::Go {
            return Ok(seen);
        }
        let mut own = self.begin().await?;
        let mut verdict = Verdict::Go;
        let mut after = Vec::with_capacity(subjects.len());
        for subject in ordered(subjects) {
            let tally = tally_of(own.get()?, subject).await?;
            verdict = verdict.and(subject.verdict(tally, now));
            after.push((subject, subject.after_failure(tally, now)));
        }
        if verdict == Verdict::Go {
            for (subject, tally) in after {
                put(own.get()?, subject, tally).await?;
            }
            own.run("COMMIT").await?;
        } else {
            own.run("ROLLBACK").await?;
        }
        own.give_back();
        Ok(verdict)
    }

    /// Changes what was counted on each of these.
    pub async fn throttle_change(
        &self,
        subjects: &[Subject],
        change: impl Fn(&Subject, Tally) -> Tally + Send,
    ) -> Result<()> {
        let mut own = self.begin().await?;
        for subject in ordered(subjects) {
            let before = tally_of(own.get()?, subject).await?;
            let tally = change(subject, before);
            if tally != before {
                put(own.get()?, subject, tally).await?;
            }
        }
        own.run("COMMIT").await?;
        own.give_back();
        Ok(())
    }

    /// Whether one more may be tried, as of now and without counting it.
    async fn throttle_verdict(&self, subjects: &[Subject], now: Timestamp) -> Result<Verdict> {
        let conn = &mut self.read(Across::People).await?;
        let mut verdict = Verdict::Go;
        for subject in subjects {
            verdict = verdict.and(subject.verdict(read(conn, subject).await?, now));
        }
        Ok(verdict)
    }

    /// What is counted of one of these, for a look without counting.
    pub async fn throttle_tally(&self, subject: &Subject) -> Result<Tally> {
        read(&mut self.read(Across::People).await?, subject).await
    }

    async fn begin(&self) -> Result<Own> {
        let mut own = Own::new(self.writers.get().await?);
        own.run(if self.is_embedded() { "BEGIN IMMEDIATE" } else { "BEGIN" }).await?;
        Ok(own)
    }

    /// Drops rows that say nothing any more, some at a time; gives how many.
    pub async fn throttles_sweep(&self, now: Timestamp) -> Result<usize> {
        let conn = &mut self.writers.get().await?;
        let mut swept = 0;
        for (kind, kept) in SWEPT_KINDS {
            let kept = i64::try_from(kept.as_micros()).unwrap_or(i64::MAX);
            let quiet = now.micros().saturating_sub(kept);
            let old: Vec<Vec<u8>> = throttles::table
                .filter(throttles::subject.ge(vec![*kind]))
                .filter(throttles::subject.lt(vec![*kind + 1]))
                .filter(throttles::last.lt(quiet))
                .limit(SWEPT)
                .select(throttles::subject)
                .load(conn)
                .await?;
            let gone =
                throttles::table.filter(throttles::subject.eq_any(old)).filter(throttles::last.lt(quiet));
            swept += diesel::delete(gone).execute(conn).await?;
        }
        Ok(swept)
    }
}

/// In one order, whoever asks: two that wait for each other would never end.
fn ordered(subjects: &[Subject]) -> Vec<&Subject> {
    let mut ordered: Vec<&Subject> = subjects.iter().collect();
    ordered.sort_by_key(|subject| subject.key());
    ordered
}

/// The tally, its row held until the transaction ends. PostgreSQL can only hold
/// a row that is there; SQLite has one writer at a time.
async fn tally_of(conn: &mut Conn, subject: &Subject) -> Result<Tally> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        failures: i64,
        #[diesel(sql_type = BigInt)]
        last: i64,
    }
    let Conn::Pg(c) = conn else { return read(conn, subject).await };
    let key = subject.key().to_vec();
    let there = "INSERT INTO throttles (subject, failures, last) VALUES ($1, 0, 0) ON CONFLICT DO NOTHING";
    let there = diesel::sql_query(there).bind::<Binary, _>(key.clone());
    diesel_async::RunQueryDsl::execute(there, &mut **c).await?;
    let look = diesel::sql_query("SELECT failures, last FROM throttles WHERE subject = $1 FOR UPDATE");
    let rows: Vec<Row> = diesel_async::RunQueryDsl::load(look.bind::<Binary, _>(key), &mut **c).await?;
    rows.first().map_or(Ok(Tally::NONE), |row| tally(row.failures, row.last))
}

async fn read(conn: &mut Conn, subject: &Subject) -> Result<Tally> {
    let found: Option<(i64, i64)> = throttles::table
        .find(subject.key().to_vec())
        .select((throttles::failures, throttles::last))
        .first(conn)
        .await
        .optional()?;
    found.map_or(Ok(Tally::NONE), |(failures, last)| tally(failures, last))
}

fn tally(failures: i64, last: i64) -> Result<Tally> {
    Ok(Tally { failures: count(failures)?, last: time(last) })
}

async fn put(conn: &mut Conn, subject: &Subject, tally: Tally) -> Result<()> {
    let row = (
        throttles::subject.eq(subject.key().to_vec()),
        throttles::failures.eq(i64::from(tally.failures)),
        throttles::last.eq(tally.last.micros()),
    );
    diesel::insert_into(throttles::table)
        .values(row)
        .on_conflict(throttles::subject)
        .do_update()
        .set((
            throttles::failures.eq(excluded(throttles::failures)),
            throttles::last.eq(excluded(throttles::last)),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
