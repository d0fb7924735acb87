use super::{DAY, NOW, self_signed};
use crate::ca::chain::Above;
use crate::x509::Certificate;

#[test]
fn the_self_signed_root_stays_at_home_unless_it_is_wanted() {
    // Which certificate is which does not matter to the rule, only where it stands.
    let some = || self_signed(NOW, NOW + DAY).ca().clone();
    let (vmca, intermediate, root) = (some(), some(), some());
    let full = [vmca, intermediate, root];
    let cases: [(&[Certificate], bool, usize); 5] = [
        (&full[2..], false, 0),
        (&full[2..], true, 1),
        (&full[1..], false, 1),
        (&full, false, 2),
        (&full, true, 3),
    ];
    for (authority, includes_root, above) in cases {
        let found = Above::of(authority, includes_root);
        assert_eq!(found.certificates, authority[..above], "{} {includes_root}", authority.len());
        assert_eq!(found.pem.len(), above);
    }
}
