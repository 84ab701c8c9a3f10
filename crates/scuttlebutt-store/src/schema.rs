//! What stands where in the file: the tables, and the few facts about the store itself.

use std::path::Path;

use redb::{ReadTransaction, TableDefinition, WriteTransaction};
use scuttlebutt::{SourceId, Timestamp};

use crate::damage::Damage;
use crate::error::{Context, StoreError};
use crate::record;

/// The name of the file within the directory of a store.
pub const FILE_NAME: &str = "scuttlebutt.redb";

/// The name of the file beside it by which the directory is locked, and in which the last confirmed commit
/// is noted.
pub const LOCK_NAME: &str = "scuttlebutt.lock";

/// The format that this version writes, and the only one that it reads.
pub const FORMAT: u32 = 2;

/// Position in the order of arrival, at most that of the first update in the block → block.
pub(crate) const UPDATES: TableDefinition<u64, &[u8]> = TableDefinition::new("blocks");

/// JSON literal of a source → record of its entry in the version vector.
pub(crate) const VECTOR: TableDefinition<&str, &[u8]> = TableDefinition::new("vector");

const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");

/// What a store knows about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) format: u32,
    pub(crate) id: SourceId,
    pub(crate) model: String,
    /// Which file on which machine it was created as; nothing in a backup.
    pub(crate) origin: Option<String>,
    /// Who has written to it last, and whether that reached the disk.
    pub(crate) session: Option<String>,
    /// Up to where own updates may be held elsewhere alone: see
    /// [`Replica::own_gap`](scuttlebutt::Replica::own_gap).
    pub(crate) own_gap: Option<Timestamp>,
}

impl Meta {
    pub(crate) fn new(id: SourceId, model: String) -> Self {
        Self { format: FORMAT, id, model, origin: None, session: None, own_gap: None }
    }

    pub(crate) fn write(&self, transaction: &WriteTransaction) -> Result<(), redb::Error> {
        let mut table = transaction.open_table(META)?;
        let mut put = |name: &'static str, body: Option<&[u8]>| -> Result<(), redb::Error> {
            match body {
                Some(body) => {
                    table.insert(name, record::seal(name.as_bytes(), body).as_slice())?;
                }
                None => {
                    table.remove(name)?;
                }
            }
            Ok(())
        };
        put("format", Some(&self.format.to_le_bytes()))?;
        put("id", Some(self.id.json_literal().as_bytes()))?;
        put("model", Some(self.model.as_bytes()))?;
        put("origin", self.origin.as_deref().map(str::as_bytes))?;
        put("session", self.session.as_deref().map(str::as_bytes))?;
        let own_gap = self.own_gap.map(|at| at.as_millis().to_le_bytes());
        put("own-gap", own_gap.as_ref().map(<[u8; 8]>::as_slice))
    }

    pub(crate) fn read(transaction: &ReadTransaction, path: &Path) -> Result<Self, StoreError> {
        const DOING: &str = "reading what the store says of itself";
        let table = match transaction.open_table(META) {
            Ok(table) => table,
            Err(redb::TableError::Storage(error)) => Err(error).at(path, DOING)?,
            Err(error) => {
                let reason = format!("a database of something else: {error}");
                return Err(StoreError::NotAStore { path: path.to_owned(), reason });
            }
        };
        let get = |name: &'static str| -> Result<Option<Vec<u8>>, StoreError> {
            let Some(record) = table.get(name).at(path, DOING)? else { return Ok(None) };
            match record::open(name.as_bytes(), record.value()) {
                Some(body) => Ok(Some(body.to_vec())),
                None => Err(StoreError::damaged(path, Damage::of_meta(name))),
            }
        };
        let damaged = |name| StoreError::damaged(path, Damage::of_meta(name));
        let text = |name: &'static str| -> Result<Option<String>, StoreError> {
            get(name)?.map(String::from_utf8).transpose().map_err(|_| damaged(name))
        };
        let format =
            get("format")?.and_then(|body| Some(u32::from_le_bytes(body.try_into().ok()?)));
        let format = format.ok_or_else(|| damaged("format"))?;
        if format > FORMAT {
            return Err(StoreError::Newer { path: path.to_owned(), format });
        }
        if format < FORMAT {
            return Err(StoreError::Older { path: path.to_owned(), format });
        }
        let id = text("id")?.as_deref().and_then(record::parse_source);
        Ok(Self {
            format,
            id: id.ok_or_else(|| damaged("id"))?,
            model: text("model")?.ok_or_else(|| damaged("model"))?,
            origin: text("origin")?,
            session: text("session")?,
            own_gap: match get("own-gap")? {
                None => None,
                Some(body) => {
                    let millis = body.try_into().ok().map(f64::from_le_bytes);
                    let at = millis.and_then(|millis| Timestamp::new(millis).ok());
                    Some(at.ok_or_else(|| damaged("own-gap"))?)
                }
            },
        })
    }
}
