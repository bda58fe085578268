//! What jobs do in the database, and which of them is due.

use super::query::{Columns, RunQueryDsl};
use super::rows::{corrupt, time};
use super::schema::{changes, devices, job_runs, replicas, requests, sessions, signing_keys};
use super::{Across, Error, Result, Store};
use crate::domain::changes::Revision;
use crate::domain::signing::SigningKeyState;
use crate::domain::{Digest, Timestamp};
use diesel::prelude::*;

/// What is known of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobRun {
    /// Its name.
    pub name: String,
    /// When it was last begun.
    pub start: Timestamp,
    /// When it last ended.
    pub end: Option<Timestamp>,
    /// Rows that it touched then.
    pub done: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = job_runs)]
struct Row {
    name: String,
    start_time: i64,
    end_time: Option<i64>,
    done: i64,
    failure: Option<String>,
}

/// The time before which something has to have been, in microseconds.
fn before(now: Timestamp, age: std::time::Duration) -> i64 {
    now.micros().saturating_sub(i64::try_from(age.as_micros()).unwrap_or(i64::MAX))
}

impl Store {
    /// Takes a job that is due, for as long as it is held; one of all replicas
    /// gets it. `now` is the taker's own clock: one that is wrong makes a job
    /// run early or late, and does no harm.
    pub async fn job_take(
        &self,
        name: &str,
        every: std::time::Duration,
        held: std::time::Duration,
        now: Timestamp,
    ) -> Result<bool> {
        let conn = &mut self.writers.get().await?;
        let fresh = (
            job_runs::name.eq(name),
            job_runs::start_time.eq(0_i64),
            job_runs::held_until.eq(0_i64),
            job_runs::done.eq(0_i64),
        );
        diesel::insert_into(job_runs::table).values(fresh).on_conflict_do_nothing().execute(conn).await?;
        let due = job_runs::table
            .find(name)
            .filter(job_runs::start_time.le(before(now, every)))
            .filter(job_runs::held_until.le(now.micros()));
        let taken = (job_runs::start_time.eq(now.micros()), job_runs::held_until.eq(now.plus(held).micros()));
        Ok(diesel::update(due).set(taken).execute(conn).await? == 1)
    }

    /// Says what came of a job that was taken.
    pub async fn job_ended(
        &self,
        name: &str,
        now: Timestamp,
        outcome: std::result::Result<u64, String>,
    ) -> Result<()> {
        let conn = &mut self.writers.get().await?;
        let (done, failure) = match outcome {
            Ok(done) => (i64::try_from(done).unwrap_or(i64::MAX), None),
            Err(failure) => (0, Some(failure)),
        };
        let set = (
            job_runs::held_until.eq(0_i64),
            job_runs::end_time.eq(now.micros()),
            job_runs::done.eq(done),
            job_runs::failure.eq(failure),
        );
        diesel::update(job_runs::table.find(name)).set(set).execute(conn).await?;
        Ok(())
    }

    /// Has a job begun at the next look of whichever server looks first.
    pub async fn job_ask(&self, name: &str) -> Result<()> {
        let conn = &mut self.writers.get().await?;
        let fresh = (
            job_runs::name.eq(name),
            job_runs::start_time.eq(0_i64),
            job_runs::held_until.eq(0_i64),
            job_runs::done.eq(0_i64),
        );
        diesel::insert_into(job_runs::table).values(fresh).on_conflict_do_nothing().execute(conn).await?;
        let place = job_runs::table.find(name);
        diesel::update(place).set(job_runs::start_time.eq(0_i64)).execute(conn).await?;
        Ok(())
    }

    /// What is known of every job that was ever begun.
    pub async fn job_list(&self) -> Result<Vec<JobRun>> {
        let rows: Vec<Row> = job_runs::table
            .order(job_runs::name)
            .limit(1000)
            .select(Row::columns())
            .load(&mut self.read(Across::Jobs).await?)
            .await?;
        rows.into_iter()
            .map(|row| {
                let done = u64::try_from(row.done).map_err(corrupt)?;
                let (start, end) = (time(row.start_time), row.end_time.map(time));
                Ok(JobRun { name: row.name, start, end, done, failure: row.failure })
            })
            .collect()
    }

    /// Drops changes that nobody needs: those that every enlisted replica has
    /// promised to have applied, that are older than `kept`, and never the
    /// newest of all. Gives how many.
    ///
    /// A replica is enlisted, with the promise 0, before it loads the view: so
    /// nothing goes that it has yet to apply. One that was struck off and comes
    /// back behind what was dropped finds the newest change, and that it is not
    /// the next: it loads everything anew, and answers nothing meanwhile.
    ///
    /// SQLite keeps no promises of its one replica; `own` is what that one has
    /// applied.
    pub async fn changes_prune(
        &self,
        own: Revision,
        kept: std::time::Duration,
        now: Timestamp,
        most: u32,
    ) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let own = i64::try_from(own.number()).map_err(corrupt)?;
            let promised: Option<i64> = if self.is_embedded() {
                Some(own)
            } else {
                let least = diesel::dsl::min(replicas::acknowledged);
                replicas::table.select(least).get_result(conn).await?
            };
            // Where nobody is enlisted nobody knows who is about to be.
            let Some(promised) = promised.map(|promised| promised.min(own)) else { return Ok(0) };
            let newest: Option<i64> =
                changes::table.select(diesel::dsl::max(changes::seq)).get_result(conn).await?;
            let last = promised.min(newest.unwrap_or(0).saturating_sub(1));
            let oldest: Vec<(i64, i64)> = changes::table
                .filter(changes::seq.le(last))
                .order(changes::seq)
                .limit(i64::from(most))
                .select((changes::seq, changes::time))
                .load(conn)
                .await?;
            let too_young = before(now, kept);
            let gone = oldest.into_iter().take_while(|(_, time)| *time < too_young).last();
            let Some((through, _)) = gone else { return Ok(0) };
            dropped(diesel::delete(changes::table.filter(changes::seq.le(through))).execute(conn).await?)
        })
        .await
    }

    /// Forgets request ids of before; whoever repeats one from now on is not known.
    pub async fn requests_prune(&self, kept: std::time::Duration, now: Timestamp, most: u32) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let too_old = before(now, kept);
            let last: Vec<i64> = requests::table
                .filter(requests::create_time.lt(too_old))
                .order(requests::create_time)
                .limit(i64::from(most))
                .select(requests::create_time)
                .load(conn)
                .await?;
            let Some(last) = last.last() else { return Ok(0) };
            dropped(
                diesel::delete(requests::table.filter(requests::create_time.le(*last))).execute(conn).await?,
            )
        })
        .await
    }

    /// Drops sessions that ended long ago, and with them their refresh tokens.
    pub async fn sessions_prune(&self, kept: std::time::Duration, now: Timestamp, most: u32) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let old: Vec<Vec<u8>> = sessions::table
                .filter(sessions::revoke_time.lt(before(now, kept)))
                .limit(i64::from(most))
                .select(sessions::id)
                .load(conn)
                .await?;
            dropped(diesel::delete(sessions::table.filter(sessions::id.eq_any(old))).execute(conn).await?)
        })
        .await
    }

    /// Forgets devices that nobody logged in from for long.
    pub async fn devices_prune(&self, kept: std::time::Duration, now: Timestamp, most: u32) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let old: Vec<Vec<u8>> = devices::table
                .filter(devices::last_seen.lt(before(now, kept)))
                .limit(i64::from(most))
                .select(devices::digest)
                .load(conn)
                .await?;
            let old: Vec<Vec<u8>> =
                old.into_iter().filter(|digest| Digest::from_slice(digest).is_some()).collect();
            dropped(diesel::delete(devices::table.filter(devices::digest.eq_any(old))).execute(conn).await?)
        })
        .await
    }

    /// Drops signing keys whose last token has long ended.
    pub async fn signing_keys_prune(
        &self,
        kept: std::time::Duration,
        now: Timestamp,
        most: u32,
    ) -> Result<u64> {
        self.in_bulk(Across::Jobs, async |conn| {
            let texts: Vec<String> = signing_keys::table
                .order(signing_keys::create_time)
                .limit(i64::from(most))
                .select(signing_keys::state)
                .load(conn)
                .await?;
            let mut dead = Vec::new();
            for text in &texts {
                let state: SigningKeyState = serde_json::from_str(text).map_err(corrupt)?;
                if state.is_dead_since(Timestamp::from_micros(before(now, kept))) {
                    dead.push(state.kid.as_str().to_owned());
                }
            }
            dropped(
                diesel::delete(signing_keys::table.filter(signing_keys::kid.eq_any(dead)))
                    .execute(conn)
                    .await?,
            )
        })
        .await
    }
}

fn dropped(rows: usize) -> Result<u64, Error> {
    u64::try_from(rows).map_err(corrupt)
}
