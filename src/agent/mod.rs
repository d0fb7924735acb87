//! Floor 5: the token agent, `sealwright token-agent ROLE`, the only process of the appliance that loads a PKCS#11
//! module in service.
//!
//! A service starts its own and speaks to it over a socket pair ([`launch`]), or uses one that listens on a Unix
//! socket under another user or beside a token in a container ([`listen`]). The wire, the client and the agent's work
//! are in the crate `hsm`; here stands what is around it: sandbox and policy.

mod child;
mod guard;
mod launch;
mod listener;

pub use child::{TokenChoice, run_child};
pub use launch::launch;
pub use listener::listen;

/// The user that an operator names, or gives as a number: a user of the other side of a container has no name on this one.
fn user_id(user: &str) -> Option<u32> {
    let named = uzers::get_user_by_name(user).map(|found| found.uid());
    named.or_else(|| user.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::user_id;

    #[test]
    fn users_go_by_name_or_number() {
        assert_eq!(user_id("root"), Some(0));
        assert_eq!(user_id("10443"), Some(10443));
        for nobody in ["", "-1", "4294967296", "nobody of this name"] {
            assert_eq!(user_id(nobody), None, "{nobody}");
        }
    }
}
