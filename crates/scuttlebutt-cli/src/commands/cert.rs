//! `scuttlebutt cert`: an authority of one's own, and certificates for nodes.
//!
//! Keys are Ed25519, so that whoever goes by node keys can use them, too.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, PublicKeyData,
};
use scuttlebutt_net::NodeKey;
use scuttlebutt_security::Ed25519Key;
use scuttlebutt_security::key_file::{self, Existing};
use zeroize::Zeroizing;

use crate::cli::{Cert, CertArgs, CertCommand, CertNode};
use crate::exit::Failure;
use crate::printer::print_at_once;

const CA: &str = "ca";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const CA_DAYS: u32 = 3_650;
const NODE_DAYS: u32 = 365;

pub(crate) fn run(args: Cert) -> Result<(), Failure> {
    match args.command {
        CertCommand::Ca(args) => make_ca(&args),
        CertCommand::Node(args) => make_node(&args),
    }
}

fn make_ca(args: &CertArgs) -> Result<(), Failure> {
    let files = Files::of(&args.dir, CA);
    files.make_way(args)?;
    let key = generate()?;
    let mut parameters = ca_parameters(&key);
    limit_to(&mut parameters, args.days.unwrap_or(CA_DAYS));
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    files.write(&certificate, &key, args)?;
    print_at_once(|out| {
        writeln!(out, "authority {}", files.certificate.display())?;
        writeln!(out, "secret key {}", files.key.display())
    })
}

fn make_node(args: &CertNode) -> Result<(), Failure> {
    let is_name = |c: char| c.is_alphanumeric() || "-_.".contains(c);
    if !args.name.chars().all(is_name) || args.name.starts_with(['.', '-']) || args.name.is_empty()
    {
        return Err(Failure::usage("a node's name has letters, digits, `-`, `_` and `.`"));
    }
    if args.name == CA {
        return Err(Failure::usage("`ca` is the authority's name; take another for the node"));
    }
    let common = &args.common;
    let issuer = issuer(&common.dir)?;
    let files = Files::of(&common.dir, &args.name);
    files.make_way(common)?;
    let hosts = match args.host.as_slice() {
        [] => ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec(),
        hosts => hosts.to_vec(),
    };
    let mut parameters = CertificateParams::new(hosts)
        .map_err(|error| Failure::usage(format!("--host: {error}")))?;
    parameters.distinguished_name.remove(DnType::CommonName);
    parameters.distinguished_name.push(DnType::CommonName, args.name.as_str());
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    // A node listens and dials.
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    limit_to(&mut parameters, common.days.unwrap_or(NODE_DAYS));
    let key = generate()?;
    let certificate = parameters.signed_by(&key, &issuer).map_err(failed)?;
    files.write(&certificate, &key, common)?;
    print_at_once(|out| {
        writeln!(out, "certificate {}", files.certificate.display())?;
        writeln!(out, "secret key {}", files.key.display())?;
        match <[u8; 32]>::try_from(key.der_bytes()) {
            Ok(bytes) => writeln!(out, "node key {}", NodeKey::from_bytes(bytes)),
            Err(_) => Ok(()),
        }
    })
}

/// A fresh key, written as RFC 8410 says: what `ring` makes by itself has the public key behind it in
/// a way that OpenSSL, and so Node, does not read.
fn generate() -> Result<KeyPair, Failure> {
    const PKCS8_PREFIX: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let seed = Ed25519Key::generate(&mut rand::rng()).seed();
    let der = Zeroizing::new([&PKCS8_PREFIX[..], &seed[..]].concat());
    KeyPair::try_from(&der[..]).map_err(failed)
}

/// Those of an authority, which follow from its key: so its key is all that issuing takes.
fn ca_parameters(key: &KeyPair) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    // Authorities are told apart by their names.
    let mark: String = key.der_bytes().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    parameters.distinguished_name.remove(DnType::CommonName);
    parameters.distinguished_name.push(DnType::CommonName, format!("scuttlebutt authority {mark}"));
    parameters
}

fn issuer(dir: &Path) -> Result<Issuer<'static, KeyPair>, Failure> {
    let path = Files::of(dir, CA).key;
    let text = key_file::read(&path).map_err(|error| {
        let hint = "`scuttlebutt cert ca` makes an authority";
        Failure::failed(format!("{}: {error}; {hint}", path.display()))
    })?;
    let key = KeyPair::from_pem(&text)
        .map_err(|_| Failure::failed(format!("{} holds no secret key", path.display())))?;
    Ok(Issuer::new(ca_parameters(&key), key))
}

/// From yesterday, for clocks that are not quite right.
fn limit_to(parameters: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    parameters.not_before = (now - DAY).into();
    parameters.not_after = (now + days * DAY).into();
}

/// Where a certificate and its key are.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

impl Files {
    fn of(dir: &Path, name: &str) -> Self {
        Self {
            certificate: dir.join(format!("{name}.pem")),
            key: dir.join(format!("{name}.key.pem")),
        }
    }

    fn make_way(&self, args: &CertArgs) -> Result<(), Failure> {
        std::fs::create_dir_all(&args.dir)
            .map_err(|error| Failure::failed(format!("{}: {error}", args.dir.display())))?;
        for path in [&self.certificate, &self.key] {
            if !args.force && std::fs::symlink_metadata(path).is_ok() {
                let path = path.display();
                return Err(Failure::failed(format!(
                    "{path} is there already; --force replaces it"
                )));
            }
        }
        Ok(())
    }

    fn write(
        &self,
        certificate: &Certificate,
        key: &KeyPair,
        args: &CertArgs,
    ) -> Result<(), Failure> {
        let existing = if args.force { Existing::Replace } else { Existing::Keep };
        let secret = Zeroizing::new(key.serialize_pem());
        key_file::write(&self.key, &secret, existing)
            .map_err(|error| Failure::failed(format!("{}: {error}", self.key.display())))?;
        std::fs::write(&self.certificate, certificate.pem())
            .map_err(|error| Failure::failed(format!("{}: {error}", self.certificate.display())))
    }
}

fn failed(error: rcgen::Error) -> Failure {
    Failure::failed(format!("cannot make a certificate: {error}"))
}
