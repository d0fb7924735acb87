//! Machines that have certificates issued over HTTPS.
//!
//! The gateway speaks to a client and knows its certificate; the service that issues knows neither. It
//! takes the gateway's word, and nobody else's: the word counts only from the user that the gateway runs
//! under, as the kernel names it, and only about a client of the service's own configuration.

use std::marker::PhantomData;

use super::{Act, Caller, CallerId, Denied, Permit, Role, Roles};
use crate::base::{Actor, ClientName, Fingerprint};

/// A machine for which the gateway asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    place: usize,
    name: ClientName,
    fingerprint: Fingerprint,
}

impl Client {
    /// The key of its turns and bounds.
    pub const fn id(&self) -> CallerId {
        CallerId::Client(self.place)
    }

    /// The identity for the journal.
    pub fn actor(&self) -> Actor {
        Actor::Client { name: self.name.clone(), fingerprint: self.fingerprint }
    }

    /// Asks for a permit for an act. A client is a requester, whoever asks for it.
    ///
    /// # Errors
    /// [`Denied`] for every act that needs more.
    pub fn permit<A: Act>(&self) -> Result<Permit<A>, Denied> {
        match A::NEEDS {
            Role::Requester => Ok(Permit { actor: self.actor(), act: PhantomData }),
            Role::Administrator => {
                Err(Denied { who: format!("client {}", self.name), act: A::NAME })
            }
        }
    }
}

/// Who may ask for a certificate: a user, or a client.
#[derive(Clone, Debug)]
pub enum Requester {
    /// A user of this machine.
    User(Caller),
    /// Another machine.
    Client(Client),
}

impl Requester {
    /// The key of its turns and bounds.
    pub const fn id(&self) -> CallerId {
        match self {
            Self::User(caller) => caller.id(),
            Self::Client(client) => client.id(),
        }
    }

    /// Asks for a permit for an act.
    ///
    /// # Errors
    /// [`Denied`] when the role table does not allow it.
    pub fn permit<A: Act>(&self) -> Result<Permit<A>, Denied> {
        match self {
            Self::User(caller) => caller.permit(),
            Self::Client(client) => client.permit(),
        }
    }
}

/// Why a request for a client is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVouched {
    /// Somebody else than the gateway speaks for a client.
    #[error("only the gateway speaks for clients, and user {0} is not the gateway's")]
    NotTheGateway(u32),
    /// The configuration has no such client, or another certificate for it.
    #[error(
        "this service knows no such client with this certificate; after a change of [access.clients] in \
         sealwright.toml restart vmcad and the gateway (service-control --restart)"
    )]
    Unknown,
}

/// The clients for which somebody may speak.
#[derive(Clone, Copy, Debug)]
pub struct Clients<'a>(&'a [(ClientName, Fingerprint)]);

impl Clients<'_> {
    /// The client with this name and certificate.
    ///
    /// # Errors
    /// [`NotVouched::Unknown`].
    pub fn find(self, name: &ClientName, fingerprint: &Fingerprint) -> Result<Client, NotVouched> {
        let is_meant =
            |known: &(ClientName, Fingerprint)| known.0 == *name && known.1 == *fingerprint;
        let place = self.0.iter().position(is_meant).ok_or(NotVouched::Unknown)?;
        Ok(Client { place, name: name.clone(), fingerprint: *fingerprint })
    }
}

impl Roles {
    /// The clients for which the holder of these credentials may speak.
    ///
    /// # Errors
    /// [`NotVouched::NotTheGateway`].
    pub fn clients_of(&self, peer: u32) -> Result<Clients<'_>, NotVouched> {
        match self.gateway == Some(peer) {
            true => Ok(Clients(&self.clients)),
            false => Err(NotVouched::NotTheGateway(peer)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::NotVouched;
    use crate::access::{CallerId, ChangeKeys, Issue, ManageCa, ManageStores, Publish, Roles};
    use crate::base::Fingerprint;

    #[test]
    fn the_gateways_word_counts_about_known_clients_and_makes_them_requesters() {
        let (one, other) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        let clients = vec![("a".parse().unwrap(), one), ("b".parse().unwrap(), other)];
        let roles = Roles::new(vec![500, 700], vec![600]).with_clients(500, clients);
        let client = roles.clients_of(500).unwrap().find(&"b".parse().unwrap(), &other).unwrap();
        assert_eq!(client.id(), CallerId::Client(1));
        assert_eq!(client.actor().to_string(), "client:b(0202020202020202)");
        assert_eq!(client.permit::<Issue>().unwrap().actor(), &client.actor());
        // The gateway's user administers; a client does not, whatever it is.
        client.permit::<ManageCa>().unwrap_err();
        client.permit::<ManageStores>().unwrap_err();
        client.permit::<ChangeKeys>().unwrap_err();
        client.permit::<Publish>().unwrap_err();

        for (name, fingerprint) in [("a", other), ("b", one), ("c", one)] {
            let asked = roles.clients_of(500).unwrap().find(&name.parse().unwrap(), &fingerprint);
            assert_eq!(asked.unwrap_err(), NotVouched::Unknown, "{name}");
        }
        // Root, an operator, a requester, nobody.
        for peer in [0, 700, 600, 65534] {
            assert_eq!(roles.clients_of(peer).unwrap_err(), NotVouched::NotTheGateway(peer));
        }
        assert_eq!(Roles::default().clients_of(0).unwrap_err(), NotVouched::NotTheGateway(0));
    }
}
