//! What updates mean: the contract of a data model, and the models that come with the crate.
//!
//! A model is told of an update and answers what became of it. It keeps what it needs to show its
//! state; the updates themselves, their order, their history and their delivery are the log's and
//! the session's work. A model never sees a peer, a socket or a clock.

mod event_log;
pub mod laws;
mod lww_map;
mod register;
mod retention;

use std::borrow::Cow;

use smallvec::SmallVec;

pub use event_log::{EmitError, Event, EventLog};
pub use lww_map::{LwwMap, MapChange, MapEntry};
pub use register::Register;
pub use retention::Retention;

use crate::json::{self, Kind};
use crate::update::{Update, UpdateId};

/// A data model: two methods, and some that may be left as they are.
///
/// # The laws
/// Replicas converge if, and only if, the model keeps three laws. [`laws::check`] tests them for
/// any model.
///
/// 1. **Order does not matter.** The same updates in any order, with any of them repeated, lead to
///    equal [`view`](Model::view)s. The way there: decide between two updates that contend by
///    [comparing](Update::cmp_order) them, never by which came first.
/// 2. **What was superseded is not needed.** An update named as superseded adds nothing: a replica
///    that never sees it but sees its superseder shows the same. Superseding is transitive.
/// 3. **Only content decides.** Whether an update is [`Merge::invalid`] depends on its text alone,
///    so that every replica refuses the same ones.
pub trait Model {
    /// Merges an update into the state and says what became of it.
    ///
    /// It is called once for each update that the log does not hold, local or remote, and may be
    /// called again for one that was superseded before. It must not panic, whatever the change:
    /// peers write it.
    #[doc(alias = "applyUpdate")]
    fn apply(&mut self, update: &Update) -> Merge;

    /// The state as JSON text. Equal states give equal text.
    #[doc(alias = "toJSON")]
    fn view(&self) -> String;

    /// Whether no update ever supersedes another, in any replica of this model: a log that only grows.
    /// Then nothing can be missing in what a peer passed on, and long histories that break off half-way
    /// cost less. Leave it at `false` unless [`apply`](Self::apply) never answers
    /// [`Merge::superseding`] or [`Merge::superseded`].
    fn never_supersedes(&self) -> bool {
        false
    }

    /// What the model is called, so that replicas of different models refuse each other instead of mixing
    /// their updates, and a store made for one is not opened for another: a [`Label`](crate::Label) of up
    /// to 64 bytes, the same in every replica. What would be none counts as no name. Default none: then
    /// it is left to whoever links replicas.
    fn name(&self) -> Option<&str> {
        None
    }

    /// Whether a writer of this model makes such changes. A model takes more than that from peers, as
    /// the original does; but what a peer sends that does not say its model is compared with this, and
    /// what looks like another model is told ([`SessionEvent::LooksForeign`](crate::SessionEvent)).
    /// Default: every change does.
    fn looks_familiar(&self, update: &Update) -> bool {
        let _ = update;
        true
    }

    /// What [`apply`](Self::apply) would answer, for a replica that is full: it still accepts what takes
    /// the place of something. Whatever is left at [`Merge::kept`], as all is by default, is refused then.
    fn preview(&self, update: &Update) -> Merge {
        let _ = update;
        Merge::kept()
    }

    /// The wall clock shows `now_ms`. For a model in which an update counts only once its time has come:
    /// answers which updates are superseded by that. What is shown once the time of all updates has come
    /// depends on nothing but these.
    fn time_passes(&mut self, now_ms: f64) -> Vec<UpdateId> {
        let _ = now_ms;
        Vec::new()
    }

    /// When [`time_passes`](Self::time_passes) would do something next, in milliseconds since the epoch.
    fn next_time(&self) -> Option<f64> {
        None
    }
}

/// Whether a change is an array that begins with a name, as those of maps and event logs do. JavaScript
/// takes a number for one.
fn starts_with_name(update: &Update) -> bool {
    json::kind(update.change()) == Kind::Array
        && json::elements(update.change())
            .next()
            .is_some_and(|name| matches!(json::kind(name), Kind::String | Kind::Number))
}

/// What became of an update that a model was told of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merge(pub(crate) Verdict);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept { superseding: SmallVec<[UpdateId; 1]> },
    Superseded,
    Invalid(Cow<'static, str>),
}

impl Merge {
    /// It is part of the state now, beside everything that was.
    #[must_use]
    pub fn kept() -> Self {
        Self(Verdict::Kept { superseding: SmallVec::new() })
    }

    /// It is part of the state now, in the place of these earlier updates.
    #[must_use]
    pub fn superseding(earlier: impl IntoIterator<Item = UpdateId>) -> Self {
        Self(Verdict::Kept { superseding: earlier.into_iter().collect() })
    }

    /// An update that is held supersedes it; the state did not change.
    #[must_use]
    pub fn superseded() -> Self {
        Self(Verdict::Superseded)
    }

    /// It means nothing to this model, for the reason given; the state did not change.
    #[must_use]
    pub fn invalid(reason: impl Into<Cow<'static, str>>) -> Self {
        Self(Verdict::Invalid(reason.into()))
    }

    /// The earlier updates that it took the place of, where it is part of the state now.
    ///
    /// ```
    /// use scuttlebutt::{LwwMap, Model, Update};
    ///
    /// let mut map = LwwMap::new();
    /// let older = Update::from_json(r#"[["k",1],100,"A"]"#)?;
    /// let newer = Update::from_json(r#"[["k",2],200,"B"]"#)?;
    /// assert_eq!(map.apply(&older).as_kept(), Some(&[][..]));
    /// assert_eq!(map.apply(&newer).as_kept(), Some(&[older.id()][..]));
    /// assert_eq!(map.apply(&older).as_kept(), None, "it is superseded");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn as_kept(&self) -> Option<&[UpdateId]> {
        match &self.0 {
            Verdict::Kept { superseding } => Some(superseding),
            Verdict::Superseded | Verdict::Invalid(_) => None,
        }
    }
}
