//! What a replica of [`scuttlebutt`] must not forget, kept in one file.
//!
//! A [`Store`] holds the updates of a [`Replica`](scuttlebutt::Replica) under their positions in
//! the order of arrival, the version vector that it announced, and the id under which it writes.
//! It rests on [redb](https://docs.rs/redb), an embedded engine. What it never does: decide what
//! becomes of an update, leave a thread behind, wait for a peer, draw randomness, or skip damage without a
//! word.
//!
//! One thread writes. Under the lock that guards its replica it [collects](Batch::collect) what is
//! to be written, outside of it it [commits](Store::commit), and then tells the replica:
//!
//! ```
//! use scuttlebutt::{LwwMap, Replica, SourceId};
//! use scuttlebutt_store::{Batch, Options, Store, StoreLimits};
//!
//! let dir = std::env::temp_dir().join(format!("scuttlebutt-store-doc-{}", std::process::id()));
//! let limits = StoreLimits::default();
//! let fresh_id = SourceId::new("A")?; // drawn at random in earnest: `SourceId::from_random`
//!
//! let (store, opened) = Store::open(&dir, Options::new("map", fresh_id.clone()))?;
//! assert!(opened.created);
//! let mut replica = store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?;
//! replica.local_update(100.0, LwwMap::set("k", &1)?)?;
//! assert!(replica.version_vector().is_empty(), "nothing is announced that could be forgotten");
//!
//! let batch = Batch::collect(&mut replica, 0, &limits);
//! store.commit(&batch)?;
//! replica.stored(batch.end());
//! assert_eq!(replica.version_vector().len(), 1);
//! drop(store);
//!
//! let (store, opened) = Store::open(&dir, Options::new("map", fresh_id))?;
//! assert!(!opened.created);
//! let replica = store.load(Replica::new(store.id(), LwwMap::new()), |_| ())?;
//! assert_eq!(replica.model().get::<u32>("k")?, Some(1));
//! # drop(store);
//! # std::fs::remove_dir_all(dir)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod backend;
mod backup;
mod batch;
mod blank;
mod block;
mod blocks;
mod commits;
mod confirmed;
mod contained;
mod damage;
mod error;
mod file_system;
mod held_back;
mod inspect;
mod limits;
mod load;
mod lock;
mod open;
mod origin;
mod read;
mod record;
mod repair;
mod rewrite;
mod salvage;
mod scan;
mod schema;
mod store;

pub use backend::Durability;
#[doc(hidden)]
pub use backend::{Faults, Operation};
pub use backup::Backup;
pub use batch::Batch;
pub use damage::Damage;
pub use error::StoreError;
pub use inspect::{Inspection, SourceSummary};
pub use limits::StoreLimits;
pub use load::Progress;
pub use open::{Opened, Options, Renewed};
pub use read::Selection;
pub use repair::Repaired;
pub use schema::{FILE_NAME, FORMAT, LOCK_NAME};
pub use store::Store;
