//! How far one history of one sender got.

use crate::update::UpdateId;

/// How far a history got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// In which life its sender sent it.
    pub(crate) life: u64,
    /// Everything up to here, in the order of (timestamp, source), was sent or passed over.
    pub(crate) at: UpdateId,
    /// Where the sender's order of arrival ended when its walk began. What came later goes last.
    pub(crate) since: u64,
}
