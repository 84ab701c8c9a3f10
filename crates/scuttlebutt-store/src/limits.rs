//! Every bound of a store in one place.

/// Bounds of a store. Plain numbers: change what you need and keep the rest.
///
/// ```
/// use scuttlebutt_store::StoreLimits;
///
/// let limits = StoreLimits { cache_bytes_max: 8 << 20, ..StoreLimits::default() };
/// assert_eq!(limits.batch_updates_max, 16_384);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Updates that one batch takes from the replica. Default 16,384. The rest comes with the next
    /// batch; a batch is written at once, so this bounds how long a write waits for others.
    pub batch_updates_max: usize,

    /// Bytes of updates, as they stand on the wire, that one batch takes. Default 8 MiB. An update
    /// that is longer than this is a batch of its own.
    pub batch_bytes_max: usize,

    /// Memory in which the engine keeps pages of the file, in bytes. Default 4 MiB, which holds the inner
    /// pages of some millions of updates. With 32 MiB overwrites that are scattered over a large store are up
    /// to a fifth faster, and loading is slower by a half, since every page that is read pushes another out.
    pub cache_bytes_max: usize,

    /// Bytes that are filled with zeros at once where the file has grown, before the first of them is used.
    /// Default 256 KiB, which are also kept in memory. The file system then records where they lie once and not
    /// with every sync, which makes commits of a few hundred updates a fifth faster on ext4.
    /// With 0 nothing is filled, and nothing is on file systems that are known never to write to one place
    /// twice (btrfs, ZFS, bcachefs).
    pub fill_bytes: usize,

    /// Updates between two reports of progress while loading. Default 16,384.
    pub progress_updates: u64,

    /// Damaged positions that are named in a report. Default 16; all are counted.
    pub damaged_positions_max: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            batch_updates_max: 16_384,
            batch_bytes_max: 8 << 20,
            cache_bytes_max: 4 << 20,
            fill_bytes: 256 << 10,
            progress_updates: 16_384,
            damaged_positions_max: 16,
        }
    }
}
