//! The tree over a log's entries: its right edge, its tiles and its checkpoints.

use super::keep::drop_checkpoints;
use crate::domain::audit::merkle::{self, Frontier, Hash, Span};
use crate::domain::{TenantId, Timestamp};
use crate::store::query::RunQueryDsl;
use crate::store::rows::{corrupt, id};
use crate::store::schema::{audit_checkpoints, audit_entries, audit_heads, audit_tiles};
use crate::store::tx::Own;
use crate::store::{Conn, Result, Store};
use diesel::prelude::*;

/// Leaves of a tile.
pub const TILE: u64 = 256;

/// The same, for slices.
const LEAVES: usize = 256;

/// Level of a tile's root.
const TILE_LEVEL: u32 = TILE.ilog2();

/// Entries that get into the tree at once.
const STEP: u64 = 16 * TILE;

/// Where a log stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Entries.
    pub size: u64,
    /// The tree over those that have a checkpoint.
    pub tree: Frontier,
    /// The first entry that is kept.
    pub first: u64,
    /// Whether nothing may be pruned or erased.
    pub held: bool,
}

/// A checkpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Entries that it is of.
    pub size: u64,
    /// When it was made.
    pub time: Timestamp,
    /// The signed note.
    pub note: String,
}

/// Where a tenant's log stands; none if nothing was ever written.
pub async fn head(conn: &mut Conn, tenant: TenantId) -> Result<Option<Head>> {
    type Row = (i64, i64, Vec<u8>, i64, bool);
    let columns = (
        audit_heads::size,
        audit_heads::sealed,
        audit_heads::frontier,
        audit_heads::first,
        audit_heads::held,
    );
    let row: Option<Row> =
        audit_heads::table.find(tenant.as_bytes().to_vec()).select(columns).first(conn).await.optional()?;
    let Some((size, sealed, frontier, first, held)) = row else { return Ok(None) };
    let tree = Frontier::from_bytes(number(sealed)?, &frontier);
    let tree = tree.ok_or_else(|| corrupt("the edge of an audit log's tree is of another size"))?;
    Ok(Some(Head { size: number(size)?, tree, first: number(first)?, held }))
}

/// Logs with entries that are due for a checkpoint: the oldest of them was
/// written before `before`, or there are [`TILE`].
pub async fn unsealed(conn: &mut Conn, before: Timestamp, most: usize) -> Result<Vec<TenantId>> {
    let tile = i64::try_from(TILE).map_err(corrupt)?;
    let waits = audit_heads::since.le(before.micros());
    let rows: Vec<Vec<u8>> = audit_heads::table
        .filter(audit_heads::sealed.lt(audit_heads::size))
        .filter(waits.or((audit_heads::size - audit_heads::sealed).ge(tile)))
        .order(audit_heads::since)
        .limit(i64::try_from(most).map_err(corrupt)?)
        .select(audit_heads::tenant_id)
        .load(conn)
        .await?;
    rows.iter().map(|row| Ok(TenantId::from_bytes(id(row)?))).collect()
}

/// Takes at most `STEP` more entries into the tree and keeps the checkpoint
/// that `sign` makes of it. Gives where the log stands then. Of replicas that
/// do so at once each makes a checkpoint that is true; one of them moves the head.
pub async fn seal(
    store: &Store,
    tenant: TenantId,
    now: Timestamp,
    sign: impl Fn(u64, &Hash) -> String,
) -> Result<Option<Head>> {
    let conn = &mut store.read(tenant).await?;
    let Some(head) = head(conn, tenant).await? else { return Ok(None) };
    let before = head.tree.size();
    if before == head.size {
        return Ok(Some(head));
    }
    // From the beginning of the tile that grows.
    let start = before / TILE * TILE;
    let leaves = leaves(conn, tenant, start..head.size.min(before + STEP)).await?;
    let mut tree = head.tree.clone();
    leaves.iter().zip(start..).filter(|(_, at)| *at >= before).for_each(|(leaf, _)| tree.push(*leaf));
    let note = sign(tree.size(), &tree.root());
    let mut own = Own::begin(store.writers.get().await?, tenant.into()).await?;
    let conn = own.get()?;
    for (tile, n) in leaves.chunks_exact(LEAVES).zip(start / TILE..) {
        tile_insert(conn, tenant, n, tile).await?;
    }
    checkpoint_insert(conn, tenant, &Kept { size: tree.size(), time: now, note }).await?;
    let place =
        audit_heads::table.find(tenant.as_bytes().to_vec()).filter(audit_heads::sealed.eq(signed(before)?));
    let set = (
        audit_heads::sealed.eq(signed(tree.size())?),
        audit_heads::frontier.eq(tree.to_bytes()),
        audit_heads::since.eq(now.micros()),
    );
    diesel::update(place).set(set).execute(conn).await?;
    drop_checkpoints(&mut own, tenant, tree.size(), now).await?;
    own.commit().await?;
    Ok(Some(Head { tree, ..head }))
}

/// The last checkpoint of a log.
pub async fn last_checkpoint(conn: &mut Conn, tenant: TenantId) -> Result<Option<Kept>> {
    Ok(checkpoints(conn, tenant, 0..=u64::MAX >> 1, 1).await?.pop())
}

/// At most `most` checkpoints of a log of these sizes, the last first.
pub async fn checkpoints(
    conn: &mut Conn,
    tenant: TenantId,
    sizes: std::ops::RangeInclusive<u64>,
    most: i64,
) -> Result<Vec<Kept>> {
    let rows: Vec<(i64, i64, String)> = audit_checkpoints::table
        .filter(audit_checkpoints::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_checkpoints::size.between(signed(*sizes.start())?, signed(*sizes.end())?))
        .order(audit_checkpoints::size.desc())
        .limit(most)
        .select((audit_checkpoints::size, audit_checkpoints::time, audit_checkpoints::note))
        .load(conn)
        .await?;
    rows.into_iter()
        .map(|(size, time, note)| Ok(Kept { size: number(size)?, time: Timestamp::from_micros(time), note }))
        .collect()
}

/// The hashes of these subtrees of a log. They must have entries with a checkpoint.
pub async fn hashes(conn: &mut Conn, tenant: TenantId, spans: &[Span]) -> Result<Vec<Hash>> {
    let mut tiles = Tiles { conn, tenant, last: None };
    let mut hashes = Vec::with_capacity(spans.len());
    for span in spans {
        let mut pieces = Vec::new();
        for (level, n) in merkle::pieces(span.clone()) {
            pieces.push(tiles.piece(level, n).await?);
        }
        hashes.push(merkle::of_pieces(pieces).ok_or_else(|| corrupt("a subtree without leaves"))?);
    }
    Ok(hashes)
}

/// Looks subtrees up, one tile at a time.
struct Tiles<'a> {
    conn: &'a mut Conn,
    tenant: TenantId,
    last: Option<(u64, Vec<Hash>)>,
}

impl Tiles<'_> {
    async fn piece(&mut self, level: u32, n: u64) -> Result<Hash> {
        if level >= TILE_LEVEL {
            let above = level - TILE_LEVEL;
            let roots = roots(self.conn, self.tenant, n << above..(n + 1) << above).await?;
            return Ok(merkle::root_of(roots));
        }
        let span = n << level..(n + 1) << level;
        let tile = span.start / TILE;
        if self.last.as_ref().is_none_or(|(last, _)| *last != tile) {
            self.last = Some((tile, self.tile(tile).await?));
        }
        let leaves = self.last.iter().flat_map(|(_, leaves)| leaves).zip(tile * TILE..);
        let within: Vec<Hash> = leaves.filter(|(_, at)| span.contains(at)).map(|(leaf, _)| *leaf).collect();
        if within.len() as u64 != span.end - span.start {
            return Err(corrupt("the audit log lacks entries"));
        }
        Ok(merkle::root_of(within))
    }

    /// The leaves of a tile; of the last one, those that there are.
    async fn tile(&mut self, n: u64) -> Result<Vec<Hash>> {
        let place = audit_tiles::table.find((self.tenant.as_bytes().to_vec(), signed(n)?));
        let bytes: Option<Vec<u8>> = place.select(audit_tiles::leaves).first(self.conn).await.optional()?;
        let Some(bytes) = bytes else {
            let size = head(self.conn, self.tenant).await?.map_or(0, |head| head.size);
            let end = size.min((n + 1) * TILE);
            return leaves(self.conn, self.tenant, n * TILE..end).await;
        };
        bytes
            .chunks_exact(Hash::LEN)
            .map(|leaf| Hash::from_slice(leaf).ok_or_else(|| corrupt("a short hash")))
            .collect()
    }
}

/// The leaves of entries that are kept.
async fn leaves(conn: &mut Conn, tenant: TenantId, span: Span) -> Result<Vec<Hash>> {
    let entries: Vec<String> = audit_entries::table
        .filter(audit_entries::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_entries::idx.ge(signed(span.start)?))
        .filter(audit_entries::idx.lt(signed(span.end)?))
        .order(audit_entries::idx)
        .select(audit_entries::entry)
        .load(conn)
        .await?;
    if entries.len() as u64 != span.end.saturating_sub(span.start) {
        return Err(corrupt("the audit log lacks entries"));
    }
    Ok(entries.iter().map(|entry| Hash::of_leaf(entry.as_bytes())).collect())
}

async fn roots(conn: &mut Conn, tenant: TenantId, span: Span) -> Result<Vec<Hash>> {
    let rows: Vec<Vec<u8>> = audit_tiles::table
        .filter(audit_tiles::tenant_id.eq(tenant.as_bytes().to_vec()))
        .filter(audit_tiles::n.ge(signed(span.start)?))
        .filter(audit_tiles::n.lt(signed(span.end)?))
        .order(audit_tiles::n)
        .select(audit_tiles::root)
        .load(conn)
        .await?;
    if rows.len() as u64 != span.end - span.start {
        return Err(corrupt("the audit log lacks tiles"));
    }
    rows.iter().map(|root| Hash::from_slice(root).ok_or_else(|| corrupt("a short hash"))).collect()
}

async fn tile_insert(conn: &mut Conn, tenant: TenantId, n: u64, leaves: &[Hash]) -> Result<()> {
    let bytes: Vec<u8> = leaves.iter().flat_map(|leaf| *leaf.as_bytes()).collect();
    let row = (
        audit_tiles::tenant_id.eq(tenant.as_bytes().to_vec()),
        audit_tiles::n.eq(signed(n)?),
        audit_tiles::root.eq(merkle::root_of(leaves.iter().copied()).as_bytes().to_vec()),
        audit_tiles::leaves.eq(bytes),
    );
    diesel::insert_into(audit_tiles::table).values(row).on_conflict_do_nothing().execute(conn).await?;
    Ok(())
}

async fn checkpoint_insert(conn: &mut Conn, tenant: TenantId, checkpoint: &Kept) -> Result<()> {
    let row = (
        audit_checkpoints::tenant_id.eq(tenant.as_bytes().to_vec()),
        audit_checkpoints::size.eq(signed(checkpoint.size)?),
        audit_checkpoints::time.eq(checkpoint.time.micros()),
        audit_checkpoints::note.eq(&checkpoint.note),
    );
    diesel::insert_into(audit_checkpoints::table).values(row).on_conflict_do_nothing().execute(conn).await?;
    Ok(())
}

pub(super) fn number(column: i64) -> Result<u64> {
    u64::try_from(column).map_err(corrupt)
}

pub(super) fn signed(number: u64) -> Result<i64> {
    i64::try_from(number).map_err(corrupt)
}
