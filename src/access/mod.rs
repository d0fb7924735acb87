//! Floor 2: who is asking, and what they may do. A decision is a value: [`Permit`].

use std::fmt;
use std::marker::PhantomData;

use crate::base::Actor;

/// Someone who asks, known by the peer credentials of a Unix socket.
#[derive(Clone, Debug)]
pub struct Caller {
    uid: u32,
    name: String,
    administrator: bool,
    requester: bool,
}

impl Caller {
    /// Numeric user id.
    pub const fn uid(&self) -> u32 {
        self.uid
    }

    /// Login name, or the number as text where the system knows no name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this is root, the user the services run as, or a configured operator.
    pub const fn is_administrator(&self) -> bool {
        self.administrator
    }

    /// The identity for the journal.
    pub fn actor(&self) -> Actor {
        Actor::User { uid: self.uid, name: self.name.clone() }
    }

    /// Asks for a permit for an act.
    ///
    /// # Errors
    /// [`Denied`] when the role table does not allow it.
    pub fn permit<A: Act>(&self) -> Result<Permit<A>, Denied> {
        let allowed = match A::NEEDS {
            Role::Administrator => self.administrator,
            Role::Requester => self.administrator || self.requester,
        };
        if allowed {
            Ok(Permit { actor: self.actor(), act: PhantomData })
        } else {
            Err(Denied { user: self.name.clone(), act: A::NAME })
        }
    }
}

/// The roles of this machine, from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    administrators: Vec<u32>,
    requesters: Vec<u32>,
}

impl Roles {
    /// `administrators` and `requesters` are user ids. Root always administers.
    pub fn new(administrators: Vec<u32>, requesters: Vec<u32>) -> Self {
        Self { administrators, requesters }
    }

    /// Who the holder of these credentials is to us.
    pub fn caller(&self, uid: u32, name: Option<String>) -> Caller {
        Caller {
            uid,
            name: name.unwrap_or_else(|| uid.to_string()),
            administrator: uid == 0 || self.administrators.contains(&uid),
            requester: self.requesters.contains(&uid),
        }
    }
}

/// What an act needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Changes what the appliance is.
    Administrator,
    /// May have certificates issued.
    Requester,
}

/// An act that needs a permit.
pub trait Act {
    /// The act in words, for a refusal: "issue certificates".
    const NAME: &'static str;
    /// The role it needs.
    const NEEDS: Role;
}

/// To have a certificate issued.
#[derive(Debug)]
pub struct Issue;
impl Act for Issue {
    const NAME: &'static str = "have certificates issued";
    const NEEDS: Role = Role::Requester;
}

/// To make, replace or retire the CA.
#[derive(Debug)]
pub struct ManageCa;
impl Act for ManageCa {
    const NAME: &'static str = "manage the certificate authority";
    const NEEDS: Role = Role::Administrator;
}

/// To create stores and to refresh trusted roots.
#[derive(Debug)]
pub struct ManageStores;
impl Act for ManageStores {
    const NAME: &'static str = "manage certificate stores";
    const NEEDS: Role = Role::Administrator;
}

/// To publish CA certificates in the directory.
#[derive(Debug)]
pub struct Publish;
impl Act for Publish {
    const NAME: &'static str = "publish trusted roots";
    const NEEDS: Role = Role::Administrator;
}

/// Proof that the check for `A` was made, and for whom. Taken by value where it may be used once.
#[derive(Debug)]
pub struct Permit<A> {
    actor: Actor,
    act: PhantomData<A>,
}

impl<A: Act> Permit<A> {
    /// A permit for one of the service's own background jobs; the loud name is for the reviewer.
    pub const fn for_own_job(name: &'static str) -> Self {
        Self { actor: Actor::Job(name), act: PhantomData }
    }

    /// Who acts.
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }
}

/// The role table says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    user: String,
    act: &'static str,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "user {} may not {}; run it as root or have the user added to [access] in sealwright.toml",
            self.user, self.act
        )
    }
}

impl std::error::Error for Denied {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Issue, ManageCa, Roles};

    #[test]
    fn root_operators_and_requesters_get_what_their_role_allows() {
        let roles = Roles::new(vec![1000], vec![2000]);
        let cases =
            [(0, true, true), (1000, true, true), (2000, true, false), (3000, false, false)];
        for (uid, may_issue, may_manage) in cases {
            let caller = roles.caller(uid, None);
            assert_eq!(caller.permit::<Issue>().is_ok(), may_issue, "uid {uid}");
            assert_eq!(caller.permit::<ManageCa>().is_ok(), may_manage, "uid {uid}");
        }
    }

    #[test]
    fn a_refusal_names_the_user_and_the_way_out() {
        let denied = Roles::default().caller(3000, Some("eve".to_owned())).permit::<ManageCa>();
        let text = denied.unwrap_err().to_string();
        assert!(text.contains("eve") && text.contains("sealwright.toml"), "{text}");
    }
}
