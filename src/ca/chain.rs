//! Which certificates go out with a leaf.

use crate::x509::Certificate;

/// What stands above every leaf of a CA: VMCA and its intermediates. Encoded once, sent with every answer.
#[derive(Debug)]
pub(super) struct Above {
    pub(super) certificates: Vec<Certificate>,
    pub(super) pem: Vec<String>,
}

impl Above {
    /// `authority`: VMCA first, root last. The self-signed root is left out, because whoever verifies
    /// has it or must not believe us; so a leaf of a self-signed VMCA goes alone. A setting adds it.
    pub(super) fn of(authority: &[Certificate], includes_root: bool) -> Self {
        let above = match authority {
            [above @ .., _root] if !includes_root => above,
            whole => whole,
        };
        Self { certificates: above.to_vec(), pem: above.iter().map(Certificate::to_pem).collect() }
    }
}
