//! Objects that live as long as a piece of work: keys on their way through the token.

use aws_lc_rs::rand;
use cryptoki::object::{Attribute, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use zeroize::Zeroizing;

use crate::error::Answer;
use crate::provision::import::SecretAttributes;
use crate::recovery::Failure;
use crate::{Error, sessions};

/// A session object, destroyed when it is dropped: sessions are used again, and what lies in them would pile up.
pub(crate) struct SessionObject<'a> {
    session: &'a Session,
    handle: Option<ObjectHandle>,
}

impl<'a> SessionObject<'a> {
    pub(crate) fn new(session: &'a Session, handle: ObjectHandle) -> Self {
        Self { session, handle: Some(handle) }
    }

    /// The work is done. Fails where the object stays, so that the session is not used again.
    pub(crate) fn destroy(mut self) -> Result<(), Failure> {
        match self.handle.take() {
            Some(handle) => Ok(self.session.destroy_object(handle)?),
            None => Ok(()),
        }
    }

    /// The object outlives this value; whoever takes the handle destroys it.
    pub(crate) fn into_handle(mut self) -> Option<ObjectHandle> {
        self.handle.take()
    }

    /// `None` once it was destroyed, which takes the value away: there is always one.
    pub(crate) fn handle(&self) -> Result<ObjectHandle, Failure> {
        self.handle.ok_or_else(|| {
            Failure::Final(Error::Refused("a session object is used after its end".into()))
        })
    }
}

impl Drop for SessionObject<'_> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle
            && let Err(error) = self.session.destroy_object(handle)
        {
            // The work has failed already, and its session goes with the object in it.
            tracing::debug!(error = %Answer::from(error), "a session object was not destroyed");
        }
    }
}

/// An AES-256 key whose octets are known here as well, for as long as a piece of work.
pub(crate) struct KnownKey<'a> {
    pub(crate) object: SessionObject<'a>,
    pub(crate) octets: Zeroizing<[u8; 32]>,
}

/// Draws a key and brings it into the token as a session object (`C_CreateObject`).
///
/// Both generators have a share in it, so that neither a token's weak one nor the host's is enough to know it.
pub(crate) fn known_key<'a>(
    session: &'a Session,
    usage: &[Attribute],
) -> Result<KnownKey<'a>, Failure> {
    let mut octets = Zeroizing::new(sessions::random::<32>(session)?);
    let mut ours = Zeroizing::new([0; 32]);
    rand::fill(ours.as_mut_slice()).map_err(|_| {
        Failure::Final(Error::Unavailable(
            "the system's random number generator does not answer: try again".into(),
        ))
    })?;
    octets.iter_mut().zip(ours.iter()).for_each(|(octet, ours)| *octet ^= ours);
    let object = bring_in(session, KeyType::AES, octets.as_slice(), usage)?;
    Ok(KnownKey { object, octets })
}

/// Brings the octets of a secret key into the token as a session object.
pub(crate) fn bring_in<'a>(
    session: &'a Session,
    kind: KeyType,
    octets: &[u8],
    usage: &[Attribute],
) -> Result<SessionObject<'a>, Failure> {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(kind),
        Attribute::Token(false),
        Attribute::Private(true),
        Attribute::Sensitive(true),
    ];
    template.extend_from_slice(usage);
    let template = SecretAttributes::with_value(octets).joined_to(template);
    Ok(SessionObject::new(session, session.create_object(template.attributes())?))
}
