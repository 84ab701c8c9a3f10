//! Whose updates a command believes: from the options to a verifier, and again when the files change.
//!
//! Who may write and which signatures are good is for `scuttlebutt-security` to say; here it is put
//! together, read again on a signal, and what a node holds is judged by it.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use scuttlebutt::{Signer, SourceId, Trust, Update, Verifier, VersionVector};
use scuttlebutt_net::Node;
use scuttlebutt_security::{
    Ed25519ClusterVerifier, Ed25519Verifier, Term, TrustList, is_ed25519_id,
};

#[cfg(feature = "rsa-sha1")]
use scuttlebutt_security::rsa_sha1::KeyTable;

use tokio::signal::unix::Signal;

use crate::cli::{ClusterArgs, SignatureKind, TrustArgs};
use crate::exit::Failure;
use crate::key::Key;
use crate::model::Shown;
use crate::{data, signals, withdrawn};

/// What is believed. Shared by its node and by whoever replaces it.
pub(crate) struct Rules {
    sources: Sources,
    current: RwLock<Arc<Current>>,
}

/// Where the rules are read from.
struct Sources {
    list: Option<PathBuf>,
    believes_ed25519: bool,
    ed25519: Arc<dyn Verifier>,
    #[cfg_attr(not(feature = "rsa-sha1"), expect(dead_code, reason = "there is nothing to read"))]
    rsa_keys: Option<PathBuf>,
    /// The node's own key, which needs to stand nowhere.
    own: Option<Arc<Key>>,
}

/// What they say.
struct Current {
    list: Option<TrustList>,
    believes_ed25519: bool,
    /// Which Ed25519 signatures are good, whoever they are of.
    ed25519: Arc<dyn Verifier>,
    #[cfg(feature = "rsa-sha1")]
    rsa_keys: KeyTable,
    own: Option<SourceId>,
}

impl Rules {
    /// The rules that the options ask for, if they ask for any.
    pub(crate) async fn named(
        args: &TrustArgs,
        own: Option<Arc<Key>>,
    ) -> Result<Option<Arc<Self>>, Failure> {
        let TrustArgs { trust, verify, rsa_keys, network } = args;
        if trust.is_none() && verify.is_empty() && rsa_keys.is_none() && own.is_none() {
            return Ok(None);
        }
        let wants_rsa = verify.contains(&SignatureKind::RsaSha1);
        #[cfg(not(feature = "rsa-sha1"))]
        if wants_rsa || rsa_keys.is_some() {
            return Err(crate::key::without_rsa("--verify rsa-sha1"));
        }
        if wants_rsa != rsa_keys.is_some() {
            return Err(Failure::usage(
                "--verify rsa-sha1 and --rsa-keys DIR belong together: whose keys are to be believed?",
            ));
        }
        let own_is_rsa = own.as_ref().is_some_and(|key| !is_ed25519_id(key.id()));
        if own_is_rsa && !wants_rsa {
            return Err(Failure::usage(
                "an RSA key signs with SHA-1, which is broken; if the network has members that know \
                 nothing else, say so with --verify rsa-sha1 --rsa-keys DIR",
            ));
        }
        let believes_ed25519 = verify.is_empty() || verify.contains(&SignatureKind::Ed25519);
        if own.is_some() && !own_is_rsa && !believes_ed25519 {
            return Err(Failure::usage(
                "the key is an Ed25519 key: say --verify ed25519, too, or give an RSA key",
            ));
        }
        let (list, rsa_keys) = (trust.clone(), rsa_keys.clone());
        let ed25519 = good_signatures(network);
        let sources = Sources { list, believes_ed25519, ed25519, rsa_keys, own };
        data::off_the_runtime(move || {
            let current = sources.read()?;
            current.warn_of_own();
            let current = RwLock::new(Arc::new(current));
            Ok(Some(Arc::new(Self { sources, current })))
        })
        .await?
    }

    /// Judges what `node` holds, now and again whenever the files were read again, which is on each SIGHUP.
    /// `empty` is a model as the node's was at the beginning; what is dropped is kept in a file in `dir`.
    pub(crate) async fn govern<M: Shown + Clone + Sync>(
        self: &Arc<Self>,
        node: &Node<M>,
        empty: M,
        dir: Option<PathBuf>,
        hangups: Signal,
    ) -> Result<(), Failure> {
        let docket = Docket { rules: self.clone(), node: node.clone(), empty, dir };
        let docket = docket.judge().await?;
        signals::on_each(hangups, move || docket.clone().reload());
        Ok(())
    }

    /// Reads the files again, as far as that can be meant.
    fn read_again(&self) -> Result<(), Failure> {
        let current = self.sources.read()?;
        current.check_against(&self.current())?;
        tracing::info!("whom to believe was read again: {}", current.describe());
        current.warn_of_own();
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(current);
        Ok(())
    }

    /// Whether the rules, as they are now, allow an update whose signature was verified when it came.
    fn allow(&self, update: &Update) -> bool {
        let current = self.current();
        current.is_listed(update) && current.has_key_still(update)
    }

    /// What speaks against each of these updates.
    pub(crate) fn doubts(&self, updates: &[Update]) -> Vec<Option<Doubt>> {
        self.current().doubts(updates)
    }

    fn current(&self) -> Arc<Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What is judged again, and by what.
#[derive(Clone)]
struct Docket<M> {
    rules: Arc<Rules>,
    node: Node<M>,
    empty: M,
    dir: Option<PathBuf>,
}

impl<M: Shown + Clone + Sync> Docket<M> {
    async fn reload(self) {
        let rules = self.rules.clone();
        let read = data::off_the_runtime(move || rules.read_again()).await;
        if let Err(error) = read.and_then(|read| read) {
            tracing::error!("{error}; what was believed before is believed still");
        } else if let Err(error) = self.judge().await {
            tracing::error!("{error}; what is held already stays until the next SIGHUP or start");
        }
    }

    /// Drops what is not believed any more, once it is in a file of its own: a wrong list must not destroy
    /// anything.
    async fn judge(self) -> Result<Self, Failure> {
        data::off_the_runtime(move || {
            if let Some(dir) = &self.dir {
                let doomed = self.node.read_replica(|replica| {
                    let all = replica.updates_since(&VersionVector::new());
                    let is_doomed = |update: &&Update| {
                        update.source() != replica.id() && !self.rules.allow(update)
                    };
                    all.filter(is_doomed).cloned().collect::<Vec<_>>()
                });
                withdrawn::keep(dir, &doomed)?;
            }
            let dropped = self.node.rejudge(self.empty.clone(), |update| self.rules.allow(update));
            withdrawn::tell(self.dir.as_deref(), &dropped);
            Ok(self)
        })
        .await?
    }
}

/// What speaks against an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Unsigned,
    NoKey,
    NotTrusted,
    BadSignature,
}

impl Verifier for Rules {
    fn verify(&self, update: &Update) -> Trust {
        self.current().verify(update)
    }

    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        self.current().verify_all(updates)
    }
}

impl Current {
    fn is_listed(&self, update: &Update) -> bool {
        self.own.as_ref() == Some(update.source())
            || self.list.as_ref().is_none_or(|list| list.allows(update))
    }

    /// Refuses rules that believe nobody where there was somebody: a file that is just being written, or was
    /// lost, looks like that, and everything would be dropped.
    fn check_against(&self, before: &Current) -> Result<(), Failure> {
        let is_empty = |list: &Option<TrustList>| list.as_ref().is_some_and(TrustList::is_empty);
        if is_empty(&self.list) && !is_empty(&before.list) {
            return Err(Failure::failed(
                "the list of --trust names nobody; to believe nobody is to be said with a new start",
            ));
        }
        #[cfg(feature = "rsa-sha1")]
        if self.rsa_keys.len() == 0 && before.rsa_keys.len() > 0 {
            return Err(Failure::failed("there is no key left in the directory of --rsa-keys"));
        }
        Ok(())
    }

    /// Says so if the others, who have the same list, do not believe this node.
    fn warn_of_own(&self) {
        let (Some(own), Some(list)) = (&self.own, &self.list) else { return };
        match list.term(own) {
            Some(Term::Open) => {}
            Some(Term::Until(end)) => tracing::warn!(
                "this node's own key, {own}, ends on the list of --trust at {end}: whoever has the same list \
                 refuses what it writes later; give it another key with `scuttlebutt key rotate`"
            ),
            None => tracing::warn!(
                "this node's own key, {own}, is not on the list of --trust: whoever has the same list refuses \
                 what it writes"
            ),
        }
    }

    fn describe(&self) -> String {
        let list = match &self.list {
            Some(list) => format!("{} sources listed", list.len()),
            None => "anyone with a good signature".to_owned(),
        };
        #[cfg(feature = "rsa-sha1")]
        let list = format!("{list}, {} RSA keys", self.rsa_keys.len());
        list
    }
}

impl Current {
    /// Many at once, which for Ed25519 takes half the time.
    fn doubts(&self, updates: &[Update]) -> Vec<Option<Doubt>> {
        let mut doubts: Vec<_> =
            updates.iter().map(|update| self.doubt_unverified(update)).collect();
        let (mut places, mut batch) = (Vec::new(), Vec::new());
        for (place, (update, doubt)) in updates.iter().zip(&mut doubts).enumerate() {
            if doubt.is_some() {
                continue;
            }
            if is_ed25519_id(update.source()) {
                places.push(place);
                batch.push(update.clone());
            } else {
                *doubt = bad_unless(self.verify(update));
            }
        }
        for (place, trust) in places.into_iter().zip(self.ed25519.verify_all(&batch)) {
            doubts[place] = bad_unless(trust);
        }
        doubts
    }

    /// What speaks against an update before its signature is looked at.
    fn doubt_unverified(&self, update: &Update) -> Option<Doubt> {
        let source = update.source();
        if !self.knows_key(source) {
            Some(Doubt::NoKey)
        } else if !self.is_listed(update) {
            Some(Doubt::NotTrusted)
        } else if update.extras().is_empty() {
            Some(Doubt::Unsigned)
        } else {
            None
        }
    }

    /// Whether the key of a source whose id does not hold it was not taken away. What was written without a
    /// signature has none to miss: it was there before anybody was to sign.
    fn has_key_still(&self, update: &Update) -> bool {
        #[cfg(feature = "rsa-sha1")]
        if self.rsa_keys.len() > 0 && !is_ed25519_id(update.source()) {
            return update.extras().is_empty() || self.knows_key(update.source());
        }
        let _ = update;
        true
    }

    fn knows_key(&self, id: &SourceId) -> bool {
        if is_ed25519_id(id) {
            return self.believes_ed25519;
        }
        #[cfg(feature = "rsa-sha1")]
        return self.rsa_keys.key(id).is_some();
        #[cfg(not(feature = "rsa-sha1"))]
        false
    }
}

impl Verifier for Current {
    fn verify(&self, update: &Update) -> Trust {
        if !self.is_listed(update) {
            return Trust::Untrusted;
        }
        // No id of one kind is one of the other's.
        if is_ed25519_id(update.source()) {
            return match self.believes_ed25519 {
                true => self.ed25519.verify(update),
                false => Trust::Untrusted,
            };
        }
        #[cfg(feature = "rsa-sha1")]
        return self.rsa_keys.verify(update);
        #[cfg(not(feature = "rsa-sha1"))]
        Trust::Untrusted
    }

    /// Ed25519 signatures together, which costs less for each.
    fn verify_all(&self, updates: &[Update]) -> Vec<Trust> {
        let is_batched = |update: &Update| {
            self.believes_ed25519 && is_ed25519_id(update.source()) && self.is_listed(update)
        };
        let batch: Vec<Update> =
            updates.iter().filter(|update| is_batched(update)).cloned().collect();
        let mut verdicts = self.ed25519.verify_all(&batch).into_iter();
        let verdict = |update: &Update| match is_batched(update) {
            true => verdicts.next().unwrap_or(Trust::Later),
            false => self.verify(update),
        };
        updates.iter().map(verdict).collect()
    }
}

fn good_signatures(network: &ClusterArgs) -> Arc<dyn Verifier> {
    let Some(cluster) = network.cluster.clone() else { return Arc::new(Ed25519Verifier) };
    let verifier = Ed25519ClusterVerifier::new(cluster);
    Arc::new(if network.accept_unbound { verifier.believing_unbound() } else { verifier })
}

fn bad_unless(trust: Trust) -> Option<Doubt> {
    (trust == Trust::Untrusted).then_some(Doubt::BadSignature)
}

impl Sources {
    fn read(&self) -> Result<Current, Failure> {
        let list = self.list.as_deref().map(|path| {
            TrustList::read(path)
                .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
        });
        Ok(Current {
            list: list.transpose()?,
            believes_ed25519: self.believes_ed25519,
            ed25519: self.ed25519.clone(),
            #[cfg(feature = "rsa-sha1")]
            rsa_keys: rsa::read(self.rsa_keys.as_deref(), self.own.as_deref())?,
            own: self.own.as_ref().map(|key| key.id().clone()),
        })
    }
}

#[cfg(feature = "rsa-sha1")]
mod rsa {
    //! The directory with the public keys of RSA sources.

    use std::io::Read;
    use std::path::Path;

    use scuttlebutt_security::regular_file;
    use scuttlebutt_security::rsa_sha1::{KEYS_MAX, KeyTable, PublicKey};

    use super::{Failure, Key};
    use crate::key::{KEY_FILE_BYTES_MAX, PUBLIC_SUFFIX};

    pub(super) fn read(dir: Option<&Path>, own: Option<&Key>) -> Result<KeyTable, Failure> {
        let mut table = KeyTable::new(KEYS_MAX);
        let mut add = |path: &Path, key| {
            table
                .insert(key)
                .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
        };
        if let Some(Key::Rsa(key)) = own {
            add(Path::new("--key"), key.public().clone())?;
        }
        let Some(dir) = dir else { return Ok(table) };
        let failed = |path: &Path, error: &dyn std::fmt::Display| {
            Failure::failed(format!("{}: {error}", path.display()))
        };
        let mut weak = 0;
        for entry in std::fs::read_dir(dir).map_err(|error| failed(dir, &error))? {
            let path = entry.map_err(|error| failed(dir, &error))?.path();
            // Secret keys may lie beside them.
            if !path.as_os_str().to_string_lossy().ends_with(PUBLIC_SUFFIX) {
                continue;
            }
            let mut file = Vec::new();
            let opened = regular_file::open(&path).map_err(|error| failed(&path, &error))?;
            let mut opened = opened.take(KEY_FILE_BYTES_MAX + 1);
            opened.read_to_end(&mut file).map_err(|error| failed(&path, &error))?;
            let key = PublicKey::from_pem(&file).map_err(|error| failed(&path, &error))?;
            weak += usize::from(key.weakness().is_some());
            add(&path, key)?;
        }
        if weak > 0 {
            tracing::warn!("{}: {weak} keys are too short to be safe", dir.display());
        }
        Ok(table)
    }
}
