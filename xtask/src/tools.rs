//! The tools beside cargo that the tasks need: finding them, installing them
//! from Debian's packages where that is possible, and otherwise saying how.

use anyhow::{Context, Result, bail};

use crate::shell::{answer, program, run};

/// Node's test runner, which the interop tests use, is used as of version 20.
const NODE_MAJOR_MIN: u32 = 20;

/// Whether a missing tool may be installed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Install {
    /// By root on a Debian machine, else never.
    WhenRoot,
    /// Never: say what is missing.
    Never,
}

impl Install {
    /// The system's packages change only in CI, unless somebody asked for the very task that needs them.
    pub(crate) fn only_in_ci() -> Install {
        if in_ci() { Install::WhenRoot } else { Install::Never }
    }
}

/// CI systems set `CI`; there, a check that cannot run is a failure.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}

/// Makes sure that a recent enough Node and npm are there.
pub(crate) fn node() -> Result<()> {
    if found("node").is_none() || found("npm").is_none() {
        debian_install(&["nodejs", "npm"], Install::WhenRoot).with_context(|| {
            format!("the interop tests need Node.js {NODE_MAJOR_MIN} or later and npm: https://nodejs.org, or on Debian `apt-get install nodejs npm`")
        })?;
    }
    let node = found("node").context("node is still missing")?;
    let npm = found("npm").context("npm is still missing")?;
    println!("node {node}, npm {npm}");
    let major = node.trim_start_matches('v').split('.').next();
    let major: u32 = major.unwrap_or_default().parse()?;
    if major < NODE_MAJOR_MIN {
        bail!("the interop tests need Node.js {NODE_MAJOR_MIN} or later: https://nodejs.org");
    }
    Ok(())
}

/// Makes sure that OpenSSL can be built against, which the feature `rsa-sha1` needs.
pub(crate) fn openssl() -> Result<()> {
    const PACKAGES: [&str; 2] = ["libssl-dev", "pkg-config"];
    let is_there = || {
        let mut query = program("pkg-config", &["--modversion", "openssl"]);
        std::env::var_os("OPENSSL_DIR").is_some() || answer(&mut query).is_some()
    };
    if !is_there() {
        debian_install(&PACKAGES, Install::WhenRoot).with_context(|| {
            format!(
                "what is signed with RSA needs OpenSSL: on Debian `apt-get install {}`",
                PACKAGES.join(" ")
            )
        })?;
    }
    Ok(())
}

/// Whether all of these Debian packages are installed.
pub(crate) fn debian_has(packages: &[&str]) -> bool {
    let mut query = program("dpkg-query", &["--show", "--showformat=${db:Status-Abbrev}\n"]);
    answer(query.args(packages)).is_some_and(|states| {
        states.lines().count() == packages.len()
            && states.lines().all(|state| state.starts_with("ii"))
    })
}

/// Installs Debian packages, if that is allowed and possible.
pub(crate) fn debian_install(packages: &[&str], install: Install) -> Result<()> {
    let is_root = answer(&mut program("id", &["-u"])).as_deref() == Some("0");
    let is_debian = answer(&mut program("apt-get", &["--version"])).is_some();
    if install == Install::Never || !is_root || !is_debian {
        bail!("not installed: {}", packages.join(", "));
    }
    run(&mut program("apt-get", &["update", "-qq"]))?;
    // Never at the price of what is there: on some machines a package asked for here would
    // replace the compiler its owner chose.
    let options = ["install", "-qq", "-y", "--no-install-recommends", "--no-remove"];
    let mut install = program("apt-get", &options);
    run(install.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

/// The tool's version, if it is there.
pub(crate) fn found(tool: &str) -> Option<String> {
    answer(&mut program(tool, &["--version"]))
}
