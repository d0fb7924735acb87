//! A token in service: connects on first use, logs in once, and comes back after an outage without a restart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cryptoki::context::Function;
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use crate::error::{Answer, Fault};
use crate::module::{Module, ModuleUse, Running, Stopped, lock};
use crate::recovery::{Budget, Decision, Failure, Operation, decide};
use crate::sessions::{Access, Connection, open, random_into};
use crate::{
    Error, KeyId, KeyReference, Pin, SigningKey, TokenConfig, TokenIdentity, TokenUri, WrappingKey,
};

static NUMBER: AtomicU64 = AtomicU64::new(1);

/// A token in service: logged in once, read-only sessions. Connects on first use and again after an outage.
///
/// It never logs out while it serves: a logout belongs to the whole process and kills every key handle.
pub struct Token {
    config: TokenConfig,
    access: Access,
    number: u64,
    module: OnceLock<ModuleUse>,
    seen: Mutex<Option<TokenIdentity>>,
    kept_pin: Mutex<Option<Pin>>,
}

/// What is known about a token without asking it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// Connected and logged in.
    Serving(TokenIdentity),
    /// Not connected: not used yet, or lost. The next operation connects.
    Idle,
    /// Out of use until the process restarts, and why.
    Stopped(String),
}

/// One attempt at an operation: a logged-in session that nobody else has.
pub(crate) struct Serving<'a> {
    pub(crate) running: &'a Running,
    pub(crate) connection: &'a Connection,
    pub(crate) session: &'a Session,
}

impl Token {
    /// Connects to nothing: a token that is absent today may be there tomorrow, and the service stays up meanwhile.
    pub fn new(config: TokenConfig) -> Arc<Self> {
        Arc::new(Self::with_access(config, Access::ReadOnly))
    }

    pub(crate) fn with_access(config: TokenConfig, access: Access) -> Self {
        Self {
            config,
            access,
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
            module: OnceLock::new(),
            seen: Mutex::default(),
            kept_pin: Mutex::default(),
        }
    }

    /// Identity as last seen; `None` before the first connection.
    pub fn identity(&self) -> Option<TokenIdentity> {
        lock(&self.seen).clone()
    }

    /// A signing key in this token. Nothing is looked up before its first use.
    pub fn signing_key(self: &Arc<Self>, key: KeyReference) -> SigningKey {
        SigningKey::new(Arc::clone(self), key)
    }

    /// A wrapping key in this token. Nothing is looked up before its first use.
    pub fn wrapping_key(self: &Arc<Self>, id: KeyId) -> WrappingKey {
        WrappingKey::new(Arc::clone(self), id)
    }

    /// Fills `octets` from the token's random number generator (`C_GenerateRandom`).
    pub fn random(&self, octets: &mut [u8]) -> Result<(), Error> {
        self.operate(Operation::Connect, |serving| random_into(serving.session, octets))
    }

    /// Waits for running operations, finalises and initialises the module again, logs in: keys made by another
    /// process become visible, and a token that was moved away and back is seen again.
    pub fn reload(&self) -> Result<(), Error> {
        match self.module().reinitialise(None) {
            Ok(()) => self.check().map(drop),
            Err(failure) => Err(self.report(Operation::Connect, failure)),
        }
    }

    /// A live check: connected, logged in, a session answers, and it is still the same token. Connects if need be.
    ///
    /// A software token may answer from memory after its folder is gone; `check` of a key asks for more.
    pub fn check(&self) -> Result<TokenIdentity, Error> {
        self.operate(Operation::Connect, |serving| {
            let state = serving.session.get_session_info()?.session_state();
            if !matches!(state, SessionState::RoUser | SessionState::RwUser) {
                let logged_out =
                    Pkcs11Error::Pkcs11(RvError::UserNotLoggedIn, Function::GetSessionInfo);
                return Err(logged_out.into());
            }
            random_into(serving.session, &mut [0; 1])?;
            let known = serving.connection.identity();
            let (context, slot) = (&serving.running.context, serving.connection.slot());
            match context.get_token_info(slot) {
                Ok(info) if identity_of(&info) == *known => Ok(known.clone()),
                Ok(_) => Err(Failure::Missing(absent(&self.config.uri))),
                // SoftHSM's answer about any token on a read-only folder that is logged in.
                Err(Pkcs11Error::Pkcs11(RvError::GeneralError, _)) => Ok(known.clone()),
                Err(error) => Err(error.into()),
            }
        })
    }

    /// What is known without asking the token: quick, no I/O.
    pub fn health(&self) -> Health {
        let Some(module) = self.module.get() else {
            return Health::Idle;
        };
        if let Some(identity) = self.identity()
            && let Some(stopped) = module.stopped(&identity.serial)
        {
            return Health::Stopped(stopped.error().to_string());
        }
        match module.if_running(|running| running.connection(self.number)) {
            Some(Some(connection)) => Health::Serving(connection.identity().clone()),
            _ => Health::Idle,
        }
    }

    /// Runs `act` with a session, and once more after each remedy that the recovery table names.
    pub(crate) fn operate<T>(
        &self,
        operation: Operation,
        mut act: impl FnMut(&Serving<'_>) -> Result<T, Failure>,
    ) -> Result<T, Error> {
        let module = self.module();
        let mut budget = Budget::new(operation);
        loop {
            let mut epoch = None;
            let (generation, outcome) = module.with_running(|running| {
                let connection = self.connection(module, running)?;
                epoch = Some(connection.epoch());
                let session = connection.check_out()?;
                let outcome = act(&Serving { running, connection: &connection, session: &session });
                if outcome.is_ok() {
                    connection.put_back(session);
                }
                outcome
            });
            let failure = match outcome {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            let decision = match &failure {
                Failure::Answer(answer) => decide(operation, answer),
                Failure::Missing(_) => Decision::Reinitialise,
                Failure::Final(_) => return Err(self.report(operation, failure)),
            };
            let Some(remedy) = budget.spend(decision) else {
                return Err(self.report(operation, failure));
            };
            tracing::warn!(token = %self.config.uri, ?operation, ?failure, ?remedy, "a token operation is tried again");
            match remedy {
                Decision::Reconnect => {
                    if let Some(epoch) = epoch {
                        module.if_running(|running| running.forget_epoch(self.number, epoch));
                    }
                }
                Decision::Reinitialise => {
                    if let Err(failure) = module.reinitialise(generation) {
                        return Err(self.report(operation, failure));
                    }
                }
                // The act forgets its dead handle by itself.
                _ => {}
            }
        }
    }

    pub(crate) fn quarantine(&self, why: String) -> Error {
        let module = self.module();
        let serial = self.identity().map(|identity| identity.serial);
        module.quarantine(serial.as_deref().unwrap_or_default(), why.clone());
        Stopped::Quarantined(why).error()
    }

    fn module(&self) -> &Module {
        self.module.get_or_init(|| ModuleUse::acquire(&self.config.module))
    }

    /// The connection that is there, or a new one. One guard for all, so that a token is logged in once.
    fn connection(&self, module: &Module, running: &Running) -> Result<Arc<Connection>, Failure> {
        if let Some(connection) = running.connection(self.number) {
            return Ok(connection);
        }
        let _guard = running.admission();
        if let Some(connection) = running.connection(self.number) {
            return Ok(connection);
        }
        let (slot, info) = find(running, &self.config.uri)?;
        let identity = self.same_as_before(identity_of(&info))?;
        if let Some(stopped) = module.stopped(&identity.serial) {
            return Err(Failure::Final(stopped.error()));
        }
        let session = open(&running.context, slot, self.access)?;
        self.log_in(module, &session, &info)?;
        let connection = Arc::new(Connection::new(
            running.context.clone(),
            slot,
            self.access,
            identity,
            session,
        ));
        running.connect(self.number, Arc::clone(&connection));
        Ok(connection)
    }

    /// Refuses a token that took the place of the one seen first: it must not even be sent the PIN.
    fn same_as_before(&self, identity: TokenIdentity) -> Result<TokenIdentity, Failure> {
        let mut seen = lock(&self.seen);
        match &*seen {
            // Missing, because an old view of the slots may show a token that is gone by now.
            Some(before) if before.serial != identity.serial => Err(Failure::Missing(Error::Refused(
                format!(
                    "another token has taken the place of {}: serial number {} was seen before, now it is {}. Bring \
                     the first token back, or restart the service if the change is meant",
                    self.config.uri, before.serial, identity.serial
                )
                .into(),
            ))),
            _ => {
                *seen = Some(identity.clone());
                Ok(identity)
            }
        }
    }

    fn log_in(&self, module: &Module, session: &Session, info: &TokenInfo) -> Result<(), Failure> {
        if info.user_pin_locked() || info.user_pin_final_try() {
            return Err(Failure::Final(Error::Locked(
                format!(
                    "the user PIN of {} is locked or has one try left, so it is not tried: log in once with the \
                     vendor's tool, or reset the PIN as security officer, then restart the service",
                    self.config.uri
                )
                .into(),
            )));
        }
        let mut kept = lock(&self.kept_pin);
        let pin = match kept.take() {
            Some(pin) => pin,
            None => self.config.pin.read()?,
        };
        let auth = AuthPin::from(pin.expose_secret());
        let fault = match session.login(UserType::User, Some(&auth)) {
            // Login belongs to the process, not to the session: somebody was here before.
            Ok(()) | Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => None,
            Err(error) => Some(Answer::from(error)),
        };
        if let Some(answer) = &fault
            && decide(Operation::Connect, answer) == Decision::Stop
        {
            let stopped = Stopped::Locked(answer.clone());
            let error = stopped.error();
            module.stop_token(&identity_of(info).serial, stopped);
            return Err(Failure::Final(error));
        }
        // Also after a fault of the token: such a source does not answer a second time.
        if !self.config.pin.is_repeatable() {
            *kept = Some(pin);
        }
        fault.map_or(Ok(()), |answer| Err(Failure::Answer(answer)))
    }

    /// The error for the caller, with a sentence for the operator.
    fn report(&self, operation: Operation, failure: Failure) -> Error {
        let answer = match failure {
            Failure::Answer(answer) => answer,
            Failure::Missing(error) | Failure::Final(error) => return error,
        };
        let uri = &self.config.uri;
        let act = match operation {
            Operation::Connect => "answer",
            Operation::Sign => "sign",
            Operation::Seal => "seal data",
            Operation::Open => "open sealed data",
            Operation::Provision => "create or change keys",
        };
        match decide(operation, &answer) {
            Decision::Unreadable => Error::Unreadable(Fault::caused_by(
                "the sealed data does not open: it was changed or cut short, or it was sealed for another place",
                answer,
            )),
            Decision::Unsupported => Error::Unsupported(Fault::caused_by(
                format!(
                    "the token {uri} cannot {act} in this way: use another kind of key or another token"
                ),
                answer,
            )),
            Decision::Stop => Stopped::Locked(answer).error(),
            _ => Error::Unavailable(Fault::caused_by(
                format!(
                    "the token {uri} does not {act}: check that the token, its folder or its network connection is \
                     in place; it is tried again at the next request"
                ),
                answer,
            )),
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(module) = self.module.get() {
            module.if_running(|running| running.forget(self.number));
        }
    }
}

/// The one token that the URI selects.
pub(crate) fn find(running: &Running, uri: &TokenUri) -> Result<(Slot, TokenInfo), Failure> {
    let mut found = running.tokens()?;
    found.retain(|(_, info)| uri.selects(&identity_of(info)));
    if found.len() > 1 {
        let serials: Vec<_> = found.iter().map(|(_, info)| info.serial_number()).collect();
        return Err(Failure::Final(Error::Refused(
            format!(
                "{uri} selects {} tokens, with the serial numbers {}: add serial= to select one",
                found.len(),
                serials.join(", ")
            )
            .into(),
        )));
    }
    found.pop().ok_or_else(|| Failure::Missing(absent(uri)))
}

pub(crate) fn identity_of(info: &TokenInfo) -> TokenIdentity {
    TokenIdentity {
        label: info.label().to_owned(),
        serial: info.serial_number().to_owned(),
        manufacturer: info.manufacturer_id().to_owned(),
        model: info.model().to_owned(),
    }
}

fn absent(uri: &TokenUri) -> Error {
    Error::Unavailable(
        format!(
            "no token answers to {uri}: check that it is plugged in, that its folder is in place (SOFTHSM2_CONF for \
             SoftHSM), and that label and serial number are right"
        )
        .into(),
    )
}
