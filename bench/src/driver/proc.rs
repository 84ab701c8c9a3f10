//! What the system says that a process has used.

use std::fs;

use anyhow::{Context, Result};

/// Processor time and memory of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Of the threads that are running: to the nanosecond, where `/proc/PID/stat` counts hundredths
    /// of a second.
    pub(crate) cpu_ns: u64,
    pub(crate) resident_bytes: u64,
    /// The most that was resident since the peak was last reset.
    pub(crate) peak_bytes: u64,
}

impl Usage {
    /// Of the process with this id.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let bytes = |name: &str| -> Result<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
            Ok(kib.context("/proc/PID/status lacks a line")?.parse::<u64>()? << 10)
        };
        Ok(Self {
            cpu_ns: cpu_ns(pid)?,
            resident_bytes: bytes("VmRSS")?,
            peak_bytes: bytes("VmHWM")?,
        })
    }

    /// Milliseconds of processor time since an earlier reading.
    pub(crate) fn cpu_ms_since(&self, earlier: &Usage) -> f64 {
        self.cpu_ns.saturating_sub(earlier.cpu_ns) as f64 / 1e6
    }
}

/// Makes what is resident now the peak.
pub(crate) fn reset_peak(pid: u32) -> Result<()> {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").context("cannot reset a process's peak")
}

fn cpu_ns(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        // A thread may end meanwhile.
        let Ok(stat) = fs::read_to_string(task?.path().join("schedstat")) else { continue };
        sum += stat.split(' ').next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(sum)
}
