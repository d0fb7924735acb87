//! Which certificates go out with a leaf.

use crate::x509::Certificate;

/// Leaf, VMCA, intermediates. The self-signed root is left out, because whoever verifies has it or
/// must not believe us; so a leaf of a self-signed VMCA goes alone. A setting adds the root.
pub(super) fn answer(
    leaf: Certificate,
    authority: &[Certificate],
    includes_root: bool,
) -> Vec<Certificate> {
    let above = match authority {
        [above @ .., _root] if !includes_root => above,
        whole => whole,
    };
    std::iter::once(leaf).chain(above.iter().cloned()).collect()
}
