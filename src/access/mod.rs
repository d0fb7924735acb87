//! Floor 2: who is asking, and what they may do. A decision is a value: [`Permit`].
//!
//! There are two kinds of those who ask. A [`Caller`] is a user of this machine. A [`Client`] is another
//! machine, for which the gateway asks. They are two types, so that a client reaches nothing that does not
//! say in words that it is for clients as well.

mod client;

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

pub use client::{Client, Clients, NotVouched, Requester};

use crate::base::{Actor, ClientName, Fingerprint};

/// Someone who asks, known by the peer credentials of a Unix socket.
#[derive(Clone, Debug)]
pub struct Caller {
    uid: u32,
    name: Arc<str>,
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

    /// The key of this caller's turns and bounds.
    pub const fn id(&self) -> CallerId {
        CallerId::User(self.uid)
    }

    /// The identity for the journal.
    pub fn actor(&self) -> Actor {
        Actor::User { uid: self.uid, name: self.name.to_string() }
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
            Err(Denied { who: format!("user {}", self.name), act: A::NAME })
        }
    }
}

/// Tells those who ask apart, where each has a turn and bounds of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallerId {
    /// A user id.
    User(u32),
    /// A client: its place among those of the configuration.
    Client(usize),
}

/// The roles of this machine, from the configuration.
#[derive(Clone, Debug, Default)]
pub struct Roles {
    administrators: Vec<u32>,
    requesters: Vec<u32>,
    /// The user whose word about clients is taken.
    gateway: Option<u32>,
    clients: Vec<(ClientName, Fingerprint)>,
}

impl Roles {
    /// `administrators` and `requesters` are user ids. Root always administers.
    pub fn new(administrators: Vec<u32>, requesters: Vec<u32>) -> Self {
        Self { administrators, requesters, ..Self::default() }
    }

    /// The same, and machines that may have certificates issued when the user `gateway` asks for them.
    pub fn with_clients(self, gateway: u32, clients: Vec<(ClientName, Fingerprint)>) -> Self {
        Self { gateway: Some(gateway), clients, ..self }
    }

    /// Who the holder of these credentials is to us.
    pub fn caller(&self, uid: u32, name: Option<String>) -> Caller {
        Caller {
            uid,
            name: name.unwrap_or_else(|| uid.to_string()).into(),
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

/// To see what was issued to everybody: names and addresses of every machine.
#[derive(Debug)]
pub struct ListCertificates;
impl Act for ListCertificates {
    const NAME: &'static str = "list issued certificates";
    const NEEDS: Role = Role::Administrator;
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

/// To change the keys that private keys are sealed under, and to destroy the old ones.
#[derive(Debug)]
pub struct ChangeKeys;
impl Act for ChangeKeys {
    const NAME: &'static str = "change the sealing keys";
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
    /// With the kind: "user alice".
    who: String,
    act: &'static str,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} may not {}; run it as root or have the user added to [access] in sealwright.toml",
            self.who, self.act
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
