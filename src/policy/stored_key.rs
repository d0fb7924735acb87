//! What a key from VECS signs: its owner's business, but a handshake is a handshake and a request a
//! request. So whoever may only shake hands with a key gets nothing else from it.

use super::{Refusal, possession};
use crate::base::sentences;

/// Sixty-four spaces, the context and a zero octet come before the hash (RFC 8446, 4.4.3).
const TLS_1_3_CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
const TLS_1_3_PADDING: usize = 64;
/// The randoms of client and server come before the parameters (RFC 8422, 5.4).
const TLS_1_2_RANDOMS: usize = 64;
/// ECCurveType named_curve.
const NAMED_CURVE: u8 = 3;
/// NamedCurve and octets of its point: secp256r1, secp384r1, secp521r1, x25519, x448 (RFC 8422, 5.1.1).
const CURVES: [(u16, u8); 5] = [(23, 65), (24, 97), (25, 133), (29, 32), (30, 56)];

/// Judges what a key that is stored sealed is asked to sign. `public_key`: its
/// SubjectPublicKeyInfo, DER.
///
/// # Errors
/// Which rule says no, and what to do.
pub fn judge_stored(
    purpose: hsm::Purpose,
    public_key: &[u8],
    message: &[u8],
) -> Result<(), Refusal> {
    match purpose {
        hsm::Purpose::Tls if is_handshake(message) => Ok(()),
        hsm::Purpose::Tls => Err(
            "this is neither a CertificateVerify of TLS 1.3 nor a ServerKeyExchange of TLS 1.2: it is not signed as a \
             handshake"
                .into(),
        ),
        hsm::Purpose::Possession => possession::judge(public_key, message),
        hsm::Purpose::Content => Ok(()),
        hsm::Purpose::Certificate
        | hsm::Purpose::CaCertificate
        | hsm::Purpose::Crl
        | hsm::Purpose::Ocsp
        | hsm::Purpose::Journal => Err(
            "a stored key signs nothing in the name of a CA or of the appliance: ask vmcad for certificates".into(),
        ),
    }
}

/// The policy of the keys that are stored sealed.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealingPolicy;

impl SealingPolicy {
    /// As [`judge_stored`]; the refusal in one line.
    ///
    /// # Errors
    /// Which rule says no, and what to do.
    pub fn judge(
        self,
        purpose: hsm::Purpose,
        public_key: &[u8],
        message: &[u8],
    ) -> Result<(), String> {
        judge_stored(purpose, public_key, message).map_err(|refusal| sentences(&refusal))
    }
}

fn is_handshake(message: &[u8]) -> bool {
    is_certificate_verify(message)
        || (is_server_key_exchange(message) && !is_like_a_request(message))
}

/// Whether this could be read as a CertificationRequestInfo (RFC 2986, 4.1), in BER too: a SEQUENCE, and nothing behind
/// it, that begins with an INTEGER. Whoever asks chooses the randoms and the point, and can choose a request with such
/// octets in its subject; of true handshakes one in sixteen million begins so by chance, and the client tries again.
fn is_like_a_request(message: &[u8]) -> bool {
    let [0x30, first, rest @ ..] = message else { return false };
    let octets = if *first > 0x80 { usize::from(first & 0x7f) } else { 0 };
    let Some((length, content)) = rest.split_at_checked(octets) else { return false };
    let long = length.iter().fold(0_usize, |length, octet| length << 8 | usize::from(*octet));
    let is_whole = match first {
        // The end is marked.
        0x80 => true,
        0x81.. => content.len() == long,
        short => content.len() == usize::from(*short),
    };
    is_whole && content.first() == Some(&0x02)
}

fn is_certificate_verify(message: &[u8]) -> bool {
    message
        .split_at_checked(TLS_1_3_PADDING)
        .filter(|(padding, _)| padding.iter().all(|octet| *octet == b' '))
        .and_then(|(_, rest)| rest.strip_prefix(TLS_1_3_CONTEXT))
        // SHA-256 or SHA-384, as the cipher suite says.
        .is_some_and(|hash| matches!(hash.len(), 32 | 48))
}

fn is_server_key_exchange(message: &[u8]) -> bool {
    let parameters = message.get(TLS_1_2_RANDOMS..).unwrap_or_default();
    let [NAMED_CURVE, high, low, length, point @ ..] = parameters else {
        return false;
    };
    let curve = (u16::from_be_bytes([*high, *low]), *length);
    // The points of the NIST curves are uncompressed (RFC 8422, 5.1.2).
    let is_written_right = *length < 65 || point.first() == Some(&4);
    CURVES.contains(&curve) && point.len() == usize::from(*length) && is_written_right
}
