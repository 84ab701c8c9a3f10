//! Builds the core crate for wasm32-unknown-unknown and checks that the module
//! imports nothing. It never downloads a toolchain: it takes rustup's target if
//! that is installed, else Debian's compiler with its sources of std.
//!
//! What this shows: the crate builds without an operating system and names no
//! function of a host. Clocks and threads of std compile here and fail when
//! called; those are kept out by `crates/scuttlebutt/clippy.toml`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::shell::{answer, cargo, program, target_dir};
use crate::tools::{Install, debian_has, debian_install};

const TARGET: &str = "wasm32-unknown-unknown";
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "lld-19"];

/// Builds and checks; where no compiler for wasm is found, says how to get one.
pub(crate) fn run(install: Install) -> Result<()> {
    if !is_available() {
        debian_install(&DEBIAN_PACKAGES, install).context(how_to_install())?;
    }
    let mut build = if rustup_has_target() { cargo(&["rustc"]) } else { debian_cargo() };
    // Apart from the host's files: the two compilers would take turns in rebuilding them.
    let folder = target_dir().join("wasm");
    build.arg("--target-dir").arg(&folder);
    build.args(["--target", TARGET, "--package", "scuttlebutt", "--lib"]);
    // A library has no entry point, so a linker would throw everything away, imports too.
    // Either flag alone still drops some functions.
    build.args(["--crate-type", "cdylib", "--"]);
    build.args(["-Clink-dead-code", "-Clink-arg=--no-gc-sections"]);
    crate::shell::run(&mut build)?;
    check_imports(&folder.join(TARGET).join("debug/scuttlebutt.wasm"))
}

/// Whether a compiler for wasm is installed.
pub(crate) fn is_available() -> bool {
    rustup_has_target() || debian_has(&DEBIAN_PACKAGES)
}

/// What to tell somebody who has none.
pub(crate) fn how_to_install() -> String {
    format!(
        "no compiler for wasm: `rustup target add {TARGET}`, or on Debian `apt-get install {}`",
        DEBIAN_PACKAGES.join(" ")
    )
}

fn rustup_has_target() -> bool {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    answer(&mut program(&rustc, &["--print", "target-libdir", "--target", TARGET]))
        .is_some_and(|folder| Path::new(&folder).is_dir())
}

/// Debian ships std for wasm as sources only, and building std asks for unstable flags.
fn debian_cargo() -> Command {
    let mut command = program("/usr/bin/cargo", &["rustc", "-Zbuild-std=std,panic_abort"]);
    command
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", "/usr/bin/rustc")
        .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld-19")
        // rustup's cargo, which runs this task, leads its children to its own toolchain.
        .env_remove("CARGO")
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("LD_LIBRARY_PATH");
    command
}

fn check_imports(module: &Path) -> Result<()> {
    const LIST: &str = "const bytes = require('fs').readFileSync(process.argv[1]); \
        const imports = WebAssembly.Module.imports(new WebAssembly.Module(bytes)); \
        console.log(imports.map(i => i.module + '.' + i.name).join(' '));";
    let imports = answer(program("node", &["--eval", LIST]).arg(module))
        .context("node could not read the module")?;
    if !imports.is_empty() {
        bail!("the module asks its host for: {imports}");
    }
    println!("the module imports nothing");
    Ok(())
}
