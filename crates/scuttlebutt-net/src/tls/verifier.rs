//! Whether a peer is let in, or is the one that was dialled.
//!
//! It looks at keys and authorities. That the peer holds the secret key to what it shows is for
//! rustls to verify.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::admitted::Admitted;
use super::error::{TlsError, verdict};
use super::identity::Authorities;
use super::node_key::NodeKey;

/// Judges whoever is dialled: by the key behind the address; without one by the authorities and the
/// name, or the list of keys.
#[derive(Debug)]
pub(super) struct ServerJudge {
    pinned: Option<NodeKey>,
    admitted: Option<Admitted>,
    by_authority: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerJudge {
    pub(super) fn new(
        pinned: Option<NodeKey>,
        admitted: Option<Admitted>,
        authorities: Option<&Authorities>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        if pinned.is_none() && admitted.is_none() && authorities.is_none() {
            return Err(TlsError::NobodyTrusted);
        }
        let by_authority = match authorities {
            Some(known) => Some(
                WebPkiServerVerifier::builder_with_provider(known.store(), provider.clone())
                    .build()
                    .map_err(|error| TlsError::Other { reason: error.to_string() })?,
            ),
            None => None,
        };
        Ok(Self { pinned, admitted, by_authority, provider })
    }
}

impl ServerCertVerifier for ServerJudge {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = NodeKey::of(shown);
        if let Some(expected) = self.pinned {
            return match key {
                Some(found) if found == expected => Ok(ServerCertVerified::assertion()),
                found => Err(verdict(TlsError::OtherNode { expected, found })),
            };
        }
        if is_admitted(self.admitted.as_ref(), key) {
            return Ok(ServerCertVerified::assertion());
        }
        match &self.by_authority {
            Some(judge) => judge.verify_server_cert(shown, intermediates, name, ocsp, now),
            None => Err(verdict(TlsError::NotAdmitted { key })),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(verdict(TlsError::TooOld))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Judges whoever dials: by the list of keys, or by the authorities.
#[derive(Debug)]
pub(super) struct ClientJudge {
    admitted: Option<Admitted>,
    by_authority: Option<Arc<dyn ClientCertVerifier>>,
    is_mandatory: bool,
    provider: Arc<CryptoProvider>,
}

impl ClientJudge {
    pub(super) fn new(
        admitted: Option<Admitted>,
        authorities: Option<&Authorities>,
        is_mandatory: bool,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let by_authority = match authorities {
            Some(known) => Some(
                WebPkiClientVerifier::builder_with_provider(known.store(), provider.clone())
                    .build()
                    .map_err(|error| TlsError::Other { reason: error.to_string() })?,
            ),
            None => None,
        };
        Ok(Self { admitted, by_authority, is_mandatory, provider })
    }
}

impl ClientCertVerifier for ClientJudge {
    fn client_auth_mandatory(&self) -> bool {
        self.is_mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // A client shows what it has: there is only one.
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let key = NodeKey::of(shown);
        if is_admitted(self.admitted.as_ref(), key) {
            return Ok(ClientCertVerified::assertion());
        }
        match &self.by_authority {
            Some(judge) => judge.verify_client_cert(shown, intermediates, now),
            None => Err(verdict(TlsError::NotAdmitted { key })),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(verdict(TlsError::TooOld))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

fn is_admitted(admitted: Option<&Admitted>, key: Option<NodeKey>) -> bool {
    matches!((admitted, key), (Some(admitted), Some(key)) if admitted.contains(&key))
}
