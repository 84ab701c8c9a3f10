//! Reading updates out of a store by who wrote them and when.

use std::ops::ControlFlow;

use redb::ReadableDatabase;
use scuttlebutt::{SourceId, Timestamp, Update};

use crate::contained::guarded;
use crate::error::{Context, StoreError};
use crate::scan::Scan;
use crate::store::Store;

/// Which updates to read: all, unless said otherwise.
///
/// ```
/// use scuttlebutt::{SourceId, Timestamp, Update};
/// use scuttlebutt_store::Selection;
///
/// let of_a = Selection { source: Some(SourceId::new("A")?), ..Selection::default() };
/// assert!(of_a.includes(&Update::from_json(r#"[["k",1],100,"A"]"#)?));
/// assert!(!of_a.includes(&Update::from_json(r#"[["k",1],100,"B"]"#)?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selection {
    /// Written by this source.
    pub source: Option<SourceId>,
    /// Written then or later.
    pub from: Option<Timestamp>,
    /// Written then or earlier.
    pub until: Option<Timestamp>,
}

impl Selection {
    /// Whether an update is among those selected.
    #[must_use]
    pub fn includes(&self, update: &Update) -> bool {
        let at = update.timestamp();
        self.source.as_ref().is_none_or(|source| source == update.source())
            && self.from.is_none_or(|from| from <= at)
            && self.until.is_none_or(|until| at <= until)
    }
}

impl Store {
    /// Shows the selected updates to `visit`, each with its position, in the order of arrival, until
    /// it breaks off. Reads everything that the store holds: there is no index.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] after the last update, when some are.
    pub fn read(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(u64, Update) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let path = &self.path;
        guarded(path, || {
            let transaction = self.database.begin_read().at(path, "reading the store")?;
            let mut scan = Scan::new(&transaction, path, self.limits.damaged_positions_max)?;
            for (position, update) in scan.updates() {
                if selection.includes(&update) && visit(position, update).is_break() {
                    return Ok(());
                }
            }
            let damage = scan.finish(path)?;
            if damage.is_none() { Ok(()) } else { Err(StoreError::damaged(path, damage)) }
        })
    }
}
